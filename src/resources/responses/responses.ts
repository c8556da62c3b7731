/**
 * The Responses API's state, whoever holds it. Responses of providers that have the API rest there
 * and are passed on; those of all others are kept here. Callers see their own.
 */
import { dialects } from "../../dialects/registry.ts";
import type { Caller, HangUp } from "../../domain/call.ts";
import { excerpt, GatewayError, toGatewayError } from "../../domain/errors.ts";
import type { JsonObject } from "../../domain/json.ts";
import type { Deployment } from "../../domain/model.ts";
import { countTokens, type TokenCount } from "../../pipeline/count-tokens.ts";
import { fail, open, run } from "../../pipeline/handle.ts";
import { withoutHosted } from "../../pipeline/hosted/hosted-types.ts";
import { narrow } from "../../pipeline/narrow.ts";
import type { Arrival } from "../../pipeline/read-call.ts";
import type { Reply, ReplyStream } from "../../pipeline/reply.ts";
import type { Services } from "../../pipeline/services.ts";
import { type Clock, sleep } from "../../std/clock.ts";
import type { KeptResponse, ResponseStore, StoredResponse } from "../../storage/response-store.ts";
import { compact } from "./compact.ts";
import { createJobs, type Jobs, leaseMs } from "./jobs.ts";
import { keepReply } from "./keep.ts";
import { toPage } from "./page.ts";
import { isOwn, prepareTurn, type Turn, turnLimits } from "./turn.ts";

/** Who asks about which response. */
export interface Asking {
  readonly id: string;
  readonly caller: Caller;
  readonly query: URLSearchParams;
  readonly signal: AbortSignal;
  readonly services: Services;
}

/** @throws GatewayError not_found, invalid_request, storage_failed, and a provider's own. */
export interface Responses {
  /** @throws CallFailed */
  create(arrival: Arrival, services: Services): Promise<Reply>;
  /** @throws CallFailed */
  compact(arrival: Arrival, services: Services): Promise<Reply>;
  /** How many tokens a request has, with all that it goes on from. @throws CallFailed */
  countInput(arrival: Arrival, services: Services): Promise<TokenCount>;
  retrieve(asking: Asking): Promise<JsonObject | ReplyStream | Response>;
  remove(asking: Asking): Promise<JsonObject>;
  cancel(asking: Asking): Promise<JsonObject | Response>;
  inputItems(asking: Asking): Promise<JsonObject | Response>;
}

export function createResponses(store: ResponseStore, clock: Clock): Responses {
  const jobs = createJobs(store, clock);
  return {
    create: (arrival, services) => create(arrival, services, store, jobs),
    compact: (arrival, services) => compact(arrival, services, store),
    countInput: (arrival, services) => countInput(arrival, services, store),
    async retrieve(asking) {
      const stored = await findOwn(asking, store);
      if (!stored.kept) return relay("GET", "", stored, asking);
      if (asking.query.get("stream") === "true") return readAlong(stored, asking, jobs);
      return (await settle({ ...stored, kept: stored.kept }, store, jobs, clock)).response;
    },
    async remove(asking) {
      const stored = await findOwn(asking, store);
      if (!stored.kept) await relay("DELETE", "", stored, asking);
      await store.remove(stored.id);
      jobs.find(stored.id)?.cancel();
      return { id: stored.id, object: "response", deleted: true };
    },
    async cancel(asking) {
      const stored = await findOwn(asking, store);
      if (!stored.kept) return relay("POST", "/cancel", stored, asking);
      return cancel({ ...stored, kept: stored.kept }, store, jobs, clock);
    },
    async inputItems(asking) {
      const stored = await findOwn(asking, store);
      if (!stored.kept) return relay("GET", "/input_items", stored, asking);
      return toPage(await itemsOf(stored, store), asking.query);
    },
  };
}

async function create(
  arrival: Arrival,
  services: Services,
  store: ResponseStore,
  jobs: Jobs,
): Promise<Reply> {
  const call = await open(arrival, services);
  let turn: Turn;
  try {
    turn = await prepareTurn(call, store, services.config.routeiq.bodyLimitBytes);
    if (await isOurJob(turn, services)) {
      // A body that is wrong is refused now, not found to have failed later.
      if (!services.hosted?.takes(turn.call)) {
        services.getDialect(arrival.dialect).decodeRequest(turn.call.body);
      }
      return await jobs.start(turn, services);
    }
  } catch (thrown) {
    throw fail(toGatewayError(thrown), arrival, undefined, services);
  }
  return keepReply(await run(turn.call, services), turn, store);
}

async function countInput(
  arrival: Arrival,
  services: Services,
  store: ResponseStore,
): Promise<TokenCount> {
  const call = await open(arrival, services);
  try {
    const limit = services.config.routeiq.bodyLimitBytes;
    const { body: asked, pin } = (await prepareTurn(call, store, limit)).call;
    const body = withoutHosted(asked);
    const dialect = dialects["openai-responses"];
    const { requestedModel: model, headers } = call;
    const { signal } = toAbortController(call.signal);
    // What a provider holds is not here to be read.
    const chat = pin?.only
      ? { model, messages: [] }
      : dialect.decodeRequest({ input: "", ...body });
    const only = pin?.only ? { only: pin.deployment } : {};
    return await countTokens({ dialect, model, body, chat, headers, signal, ...only }, services);
  } catch (thrown) {
    throw fail(toGatewayError(thrown), arrival, undefined, services);
  }
}

function toAbortController(hangUp: HangUp): AbortController {
  const controller = new AbortController();
  if (hangUp.aborted) controller.abort();
  else hangUp.addEventListener("abort", () => controller.abort());
  return controller;
}

/** A background response that no provider of the model would run itself. */
async function isOurJob({ call }: Turn, services: Services): Promise<boolean> {
  if (call.body["background"] !== true || call.pin?.only) return false;
  const { table, client, hosted } = services;
  if (hosted?.takes(call)) return hosted.runsHere(call, services);
  const found = table.find(call.requestedModel, "chat");
  if (!found) return false; // the pipeline says so
  return !narrow(call, found, client).resolution.deployments.every(client.hasResponses);
}

type Kept = StoredResponse & { readonly kept: KeptResponse };

async function findOwn({ id, caller }: Asking, store: ResponseStore): Promise<StoredResponse> {
  const stored = await store.find(id);
  if (stored && isOwn(stored, caller)) return stored;
  throw new GatewayError("not_found", `Response with id '${excerpt(id)}' not found.`, {
    param: "response_id",
  });
}

/** Asks the provider that holds a response. */
async function relay(
  method: "GET" | "POST" | "DELETE",
  path: string,
  stored: StoredResponse,
  { query, signal, services }: Asking,
): Promise<Response> {
  const { client, config } = services;
  const search = method === "GET" && query.size > 0 ? `?${query}` : "";
  return client.relay({
    deployment: deploymentOf(stored, services),
    method,
    path: `/${encodeURIComponent(stored.id)}${path}${search}`,
    signal,
    connectTimeoutMs: config.routeiq.timeouts.connectMs,
  });
}

function deploymentOf(
  { id, deployment, candidate }: StoredResponse,
  { table }: Services,
): Deployment {
  const found = table.deployments.find((each) => each.id === deployment);
  if (found) return found;
  throw new GatewayError(
    "not_found",
    `The response '${excerpt(id)}' is kept by the provider of ${candidate}, which is no longer configured here.`,
    { param: "response_id" },
  );
}

const isUnderWay = ({ status }: JsonObject) => status === "queued" || status === "in_progress";

/** The response as it is; one whose job's process is gone has failed. */
async function settle(
  stored: Kept,
  store: ResponseStore,
  jobs: Jobs,
  clock: Clock,
): Promise<KeptResponse> {
  const { kept, id } = stored;
  if (!isUnderWay(kept.response) || jobs.find(id)) return kept;
  const leasedUntilMs = (await store.leaseOf(id)) ?? stored.createdMs + leaseMs;
  if (leasedUntilMs > clock.now()) return kept;
  // It may have ended between the two looks.
  const again = (await store.find(id))?.kept ?? kept;
  if (!isUnderWay(again.response)) return again;
  const message = "The gateway stopped while it made this response. Ask again.";
  const error = { code: "server_error", message };
  const failed = { ...again, response: { ...again.response, status: "failed", error } };
  await store.update({ ...stored, kept: failed });
  return failed;
}

function readAlong(stored: StoredResponse, { query }: Asking, jobs: Jobs): ReplyStream {
  const events = jobs.find(stored.id)?.events;
  const after = Number(query.get("starting_after") ?? -1);
  if (!Number.isInteger(after)) {
    const message = "'starting_after' must be a sequence number.";
    throw new GatewayError("invalid_request", message, { param: "starting_after" });
  }
  if (events) return events.read(after);
  throw new GatewayError(
    "invalid_request",
    "This response cannot be streamed: that takes one created with 'background' and 'stream', while it is under way. Leave 'stream' out to get it whole.",
    { param: "stream" },
  );
}

const cancelStepMs = 100;
const cancelWaitMs = 10_000;

async function cancel(
  stored: Kept,
  store: ResponseStore,
  jobs: Jobs,
  clock: Clock,
): Promise<JsonObject> {
  const { id, kept } = stored;
  if (kept.response["background"] !== true) {
    const message = `The response '${excerpt(id)}' was not created with 'background': only those can be cancelled.`;
    throw new GatewayError("invalid_request", message, { param: "response_id" });
  }
  const job = jobs.find(id);
  if (job) {
    job.cancel();
    await job.done;
    return (await store.find(id))?.kept?.response ?? { ...kept.response, status: "cancelled" };
  }
  if (!isUnderWay(kept.response)) return kept.response;
  // Another process runs it, and asks at intervals whether it should go on.
  await store.stop(id);
  for (let waitedMs = 0; waitedMs < cancelWaitMs; waitedMs += cancelStepMs) {
    const now = (await store.find(id))?.kept;
    if (!now) break;
    const settled = await settle({ ...stored, kept: now }, store, jobs, clock);
    if (!isUnderWay(settled.response)) return settled.response;
    await sleep(clock, cancelStepMs);
  }
  return { ...kept.response, status: "cancelled" };
}

/** All that a response was made from: its own input, and the turns before it. */
async function itemsOf(stored: StoredResponse, store: ResponseStore): Promise<JsonObject[]> {
  const before = stored.previous ? await store.chain(stored.previous, turnLimits.chain) : [];
  const turns = before.flatMap(({ kept }) => {
    const output = kept?.response["output"] as readonly JsonObject[] | undefined;
    return kept ? [...kept.input, ...(output ?? [])] : [];
  });
  return [...turns, ...(stored.kept?.input ?? [])];
}
