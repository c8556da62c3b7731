/**
 * Requests with an `Idempotency-Key`: the same request sent again is answered by the run that is
 * under way, or by the reply that was kept; only a run that failed is run again. A key belongs to its
 * caller, and to one body: with another it is refused.
 */
import { GatewayError, toGatewayError } from "../domain/errors.ts";
import { CallFailed, handle } from "../pipeline/handle.ts";
import type { CallRecord } from "../pipeline/record.ts";
import { isWhole } from "../pipeline/reply.ts";
import type { Services } from "../pipeline/services.ts";
import { sha256Hex } from "../security/hashing.ts";
import type { IdempotencyStore, KeptReply } from "../storage/idempotency-store.ts";
import type { CallRoute, Exchange } from "./call-route.ts";
import { toErrorResponse } from "./errors.ts";
import { assertNoStrangePage, readRequestId } from "./exchange.ts";
import { withQueryKey } from "./gemini/wire.ts";
import { readBytes } from "./read-body.ts";
import { Allowance, type SharedReply, shareReply } from "./shared-reply.ts";

export const idempotencyHeader = "idempotency-key";
/** Says that a reply is that of an earlier request. Stripe's name. */
const replayedHeader = "idempotent-replayed";
const keyCharLimit = 255;
/** Of all replies that run, until each is kept or let go. */
const runningByteLimit = 64 * 1024 * 1024;

/** A run and those who wait for it. */
interface Run {
  readonly fingerprint: string;
  readonly response: Promise<Head>;
  /** Nobody wants it any more: the upstream is let go, and the key. */
  giveUp(): void;
  shared: SharedReply | undefined;
  /** Requests that still want it. */
  readers: number;
  over: boolean;
}

interface Head {
  readonly status: number;
  readonly headers: Headers;
}

/** Costs one header's lookup where a request has no key. */
export function createIdempotentExchange(exchange: Exchange): Exchange {
  const runs = new Map<string, Run>();
  const allowance = new Allowance(runningByteLimit);
  return (request, route, services, pathModel) => {
    const { idempotency } = services;
    if (!idempotency) return exchange(request, route, services, pathModel);
    const key = request.headers.get(idempotencyHeader);
    // A form is sent on as it comes: it is never held, so it cannot be compared.
    if (key === null || isForm(request, route)) {
      return exchange(request, route, services, pathModel);
    }
    const asked = { request, route, services, pathModel };
    return answer(asked, key, { exchange, runs, allowance, store: idempotency });
  };
}

function isForm({ headers }: Request, { form }: CallRoute): boolean {
  return form !== undefined && /^multipart\//i.test(headers.get("content-type") ?? "");
}

interface Asked {
  readonly request: Request;
  readonly route: CallRoute;
  readonly services: Services;
  readonly pathModel: string | undefined;
}

interface Parts {
  readonly exchange: Exchange;
  readonly runs: Map<string, Run>;
  readonly store: IdempotencyStore;
  readonly allowance: Allowance;
}

async function answer(asked: Asked, key: string, parts: Parts): Promise<Response> {
  const { request, route, services } = asked;
  try {
    assertNoStrangePage(request, services);
    const headers = route.stream === undefined ? request.headers : withQueryKey(request);
    const caller = services.authenticator.authenticate(headers);
    assertKey(key);
    const body = await readBytes(request, services);
    const scope = sha256Hex(`${caller.id}\n${key}`);
    return await answerOnce(asked, { scope, body }, parts);
  } catch (thrown) {
    const error = thrown instanceof CallFailed ? thrown.error : toGatewayError(thrown);
    if (error.code === "internal") services.onInternalFailure(error.cause);
    return refuse(asked, error);
  }
}

function assertKey(key: string): void {
  if (key !== "" && key.length <= keyCharLimit) return;
  throw new GatewayError(
    "invalid_request",
    `Idempotency-Key must have 1 to ${keyCharLimit} characters: a UUID, say.`,
    { param: idempotencyHeader },
  );
}

function refuse({ request, route, services }: Asked, error: GatewayError): Response {
  const id = Bun.randomUUIDv7();
  const ids = { id, requestId: readRequestId(request.headers) ?? id };
  const dialect = services.getDialect(route.dialect);
  return toErrorResponse(new CallFailed(error, undefined), ids, dialect, services);
}

interface Keyed {
  /** Of the caller and the key. */
  readonly scope: string;
  readonly body: Uint8Array | ArrayBuffer;
}

async function answerOnce(asked: Asked, keyed: Keyed, parts: Parts): Promise<Response> {
  const { runs, store } = parts;
  const fingerprint = fingerprintOf(asked, keyed.body);
  const claim = await store.claim(keyed.scope, fingerprint);
  if (claim.kind === "claimed" || claim.kind === "full") {
    const run = start(asked, { ...keyed, fingerprint }, parts, claim.kind === "claimed");
    return join(run, asked, true);
  }
  assertSame(claim.fingerprint, fingerprint);
  if (claim.kind === "kept") return replay(claim.reply, asked);
  const run = runs.get(keyed.scope);
  if (!run) throw runsElsewhere();
  return join(run, asked);
}

function replay({ status, headers, body }: KeptReply, { request }: Asked): Response {
  const own = new Headers(headers.map(([name, value]): [string, string] => [name, value]));
  return new Response(body as BodyInit, { status, headers: markReplayed(own, request) });
}

function markReplayed(headers: Headers, request: Request): Headers {
  headers.set(replayedHeader, "true");
  const requestId = readRequestId(request.headers);
  if (requestId !== undefined) headers.set("x-request-id", requestId);
  return headers;
}

const noop = () => undefined;

/** The path, its query, and the body. Of the headers, none changes what is asked. */
function fingerprintOf({ request }: Asked, body: Keyed["body"]): string {
  const path = request.url.slice(request.url.indexOf("/", request.url.indexOf("://") + 3));
  const bytes = body instanceof ArrayBuffer ? new Uint8Array(body) : body;
  return sha256Hex(Buffer.concat([Buffer.from(`${path}\n`), bytes]));
}

function assertSame(before: string, now: string): void {
  if (before === now) return;
  throw new GatewayError(
    "idempotency_key_reused",
    "This Idempotency-Key was used with another request. Use a new key for a new request.",
    { param: idempotencyHeader },
  );
}

function runsElsewhere(): GatewayError {
  return new GatewayError(
    "idempotency_conflict",
    "A request with this Idempotency-Key is under way. Send it again when that has ended.",
    { param: idempotencyHeader, retryAfterS: 1 },
  );
}

/** The call itself, on behalf of all who join; it is given up when the last of them has left. */
function start(
  { request, route, services, pathModel }: Asked,
  { scope, body, fingerprint }: Keyed & { readonly fingerprint: string },
  { exchange, runs, store, allowance }: Parts,
  kept: boolean,
): Run {
  const controller = new AbortController();
  let record: CallRecord | undefined;
  let streams = false;
  const inner = new Request(request.url, {
    method: request.method,
    headers: request.headers,
    body: body as BodyInit,
    signal: controller.signal,
  });
  const watched: CallRoute = {
    ...route,
    async handle(arrival, at) {
      const reply = await (route.handle ?? handle)(arrival, at);
      record = reply.record;
      streams = !isWhole(reply.body);
      return reply;
    },
  };

  /** The key is free again: what comes next with it runs anew. */
  async function forget(): Promise<void> {
    if (run.over) return;
    run.over = true;
    if (runs.get(scope) === run) runs.delete(scope);
    if (kept) await store.release(scope);
  }

  async function finish(complete: boolean, response: Response): Promise<void> {
    if (run.over) return;
    // A stream that told its failure in band has ended well only for the transport.
    const good = complete && response.ok && (!streams || record?.outcome === "success");
    const bytes = good ? run.shared?.bytes() : undefined;
    if (!bytes || !kept) return forget();
    run.over = true;
    await store.keep(scope, {
      status: response.status,
      headers: [...response.headers],
      body: bytes,
    });
    runs.delete(scope);
  }

  const run: Run = {
    fingerprint,
    shared: undefined,
    readers: 0,
    over: false,
    giveUp() {
      controller.abort();
      run.shared?.cancel();
      forget().catch(services.onInternalFailure);
    },
    response: exchange(inner, watched, services, pathModel).then(
      async (response) => {
        const { maxReplyBytes } = services.config.routeiq.idempotency;
        run.shared = shareReply(response.body, maxReplyBytes, allowance, (complete) => {
          finish(complete, response).catch(services.onInternalFailure);
        });
        // What is whole already is drawn at once: a failure frees its key before anybody reads it.
        if (!streams) await run.shared.drain(() => true);
        return { status: response.status, headers: response.headers };
      },
      async (thrown) => {
        await forget();
        throw thrown;
      },
    ),
  };
  runs.set(scope, run);
  return run;
}

/** Another request for a run: its own reading of the one reply. */
async function join(run: Run, { request, services }: Asked, first = false): Promise<Response> {
  if (run.shared && !run.shared.whole) throw runsElsewhere();
  run.readers++;
  let left = false;
  const leave = () => {
    if (left) return;
    left = true;
    request.signal.removeEventListener("abort", leave);
    run.readers--;
    if (run.readers === 0 && !run.over) abandon(run, services);
  };
  request.signal.addEventListener("abort", leave, { once: true });
  try {
    const { status, headers } = await run.response;
    const own = new Headers(headers);
    if (!first) markReplayed(own, request);
    return new Response(run.shared?.read(leave) ?? null, { status, headers: own });
  } catch (thrown) {
    leave();
    throw thrown;
  }
}

/** Nobody waits any more: the call is given up, or goes on for a while so that a retry finds it. */
function abandon(run: Run, { clock, config }: Services): void {
  const { lingerMs } = config.routeiq.idempotency;
  if (lingerMs === 0) {
    run.giveUp();
    return;
  }
  const unwanted = () => run.readers === 0 && !run.over;
  clock.after(lingerMs, () => {
    if (unwanted()) run.giveUp();
  });
  run.response.then(() => run.shared?.drain(unwanted), noop);
}
