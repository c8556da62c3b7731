/**
 * The only way out: every request that leaves this process passes here, so that one function
 * decides every address (DESIGN §12). Providers, S3, OTLP, webhooks all use it.
 */
import { GatewayError } from "../domain/errors.ts";
import { assert } from "../std/assert.ts";
import { type Clock, systemClock } from "../std/clock.ts";
import { version } from "../std/version.ts";
import { parseAddress } from "./address.ts";
import { createProbe, type Probe } from "./probe.ts";
import { createCachedResolve, type Resolve, systemResolve } from "./resolve.ts";
import { type AllowRules, checkAddress, checkUrl, parseAllowRules, type Target } from "./ssrf.ts";
import { createWatch, type Watch } from "./watch.ts";

/** `operator`: the address stands in the configuration, so loopback and private ranges are meant.
 * `strict`: it came by request or out of a remote document. Metadata addresses are refused always. */
export type Trust = "operator" | "strict";

export interface OutboundRequest {
  readonly url: string;
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  /** A stream is sent as it comes, over HTTP/1.1, and once: no other address is tried after it began. */
  readonly body?: Uint8Array | string | ReadableStream<Uint8Array>;
  readonly signal?: AbortSignal;
  readonly trust: Trust;
  /** Limit of name resolution, address check and connection set-up together. Default 3,000. */
  readonly connectTimeoutMs?: number;
}

export interface Outbound {
  /**
   * Resolves, checks every address, connects to the checked address, follows no redirect: a 3xx
   * is the answer. Asks for `accept-encoding: identity` unless the request says otherwise, so that
   * streams are not held back by a compressor; what comes compressed all the same is unpacked.
   * @throws GatewayError address_refused, upstream_unreachable, upstream_timeout (connect);
   *         the signal's reason when it aborts.
   */
  fetch(request: OutboundRequest): Promise<Response>;
}

export interface OutboundOptions {
  /** Default: the system's resolver. */
  readonly resolve?: Resolve;
  /** Ranges and hosts opened to strict trust (`routeiq_settings.outbound`). */
  readonly allowCidrs?: readonly string[];
  readonly allowHosts?: readonly string[];
  /** "http2" over TLS, where the server speaks it; plain http is HTTP/1.1 always. */
  readonly protocol?: "http1" | "http2";
  /** A further trusted certificate (PEM). */
  readonly ca?: string;
  readonly clock?: Clock;
  readonly probe?: Probe;
  /**
   * HTTP_PROXY or HTTPS_PROXY is set, so the runtime hands requests to that proxy. Addresses are
   * checked all the same; it is the proxy that connects, so connections cannot be probed from here.
   */
  readonly proxied?: boolean;
}

/** An origin whose addresses were checked. */
interface Route {
  readonly target: Target;
  readonly addresses: readonly CheckedAddress[];
  readonly port: number;
  /** The certificate is checked against the name, though the connection goes to the address. */
  readonly tls: { readonly serverName?: string; readonly ca?: string } | undefined;
  readonly madeAtMs: number;
  renewing: boolean;
  /** Index of the address that answered last. */
  preferred: number;
  /** An answer came before this route's memory ended: no need to doubt the connection early. */
  warm: boolean;
  /** The server was found not to speak HTTP/2. */
  http1Only: boolean;
}

interface CheckedAddress {
  /** As `probe` takes it. */
  readonly text: string;
  /** `https://203.0.113.7:443`: what to put in front of the path. */
  readonly base: string;
  readonly watch: Watch;
}

const userAgent = `routeiq/${version}`;
const defaultConnectTimeoutMs = 3_000;
/** How long an answer may stay away before the connection to a new origin is doubted. */
const doubtMs = 250;
/** A route is used as it is for so long; past that, renewed while it serves; past the second, first. */
const freshMs = 30_000;
const staleMs = 300_000;
const routeLimit = 1_000;

export function createOutbound(options: OutboundOptions = {}): Outbound {
  const clock = options.clock ?? systemClock;
  const context: Context = {
    clock,
    allow: parseAllowRules(options.allowCidrs ?? [], options.allowHosts ?? []),
    resolve: createCachedResolve(options.resolve ?? systemResolve, clock),
    probe: options.proxied ? assumeConnected : (options.probe ?? createProbe(clock)),
    http2: options.protocol === "http2",
    ca: options.ca,
    routes: new Map(),
  };
  return {
    async fetch(request) {
      request.signal?.throwIfAborted();
      const limitMs = request.connectTimeoutMs ?? defaultConnectTimeoutMs;
      const untilMs = clock.now() + limitMs;
      const { origin, rest } = splitUrl(request.url);
      const key = `${request.trust} ${origin}`;
      const found = routeTo(key, request, limitMs, context);
      const route = found instanceof Promise ? await found : found;
      return attemptAll(request, rest, { key, route, untilMs, limitMs }, context);
    },
  };
}

const assumeConnected: Probe = () => Promise.resolve(true);

interface Context {
  readonly clock: Clock;
  readonly allow: AllowRules;
  readonly resolve: Resolve;
  readonly probe: Probe;
  readonly http2: boolean;
  readonly ca: string | undefined;
  readonly routes: Map<string, Route>;
}

/** Cheap, and only a key; any form but the plainest is taken apart by the URL parser each time. */
function splitUrl(url: string): { readonly origin: string; readonly rest: string } {
  const origin = /^https?:\/\/[A-Za-z0-9.:[\]-]+(?=\/)/.exec(url)?.[0];
  return origin === undefined
    ? { origin: url, rest: "" }
    : { origin, rest: url.slice(origin.length) };
}

/**
 * The route to an origin. While it is fresh this costs a look into a map; when it has aged, it still
 * serves (its addresses were checked) while it is made anew in the background.
 */
function routeTo(key: string, request: OutboundRequest, limitMs: number, context: Context) {
  const known = context.routes.get(key);
  const ageMs = known ? context.clock.now() - known.madeAtMs : Number.POSITIVE_INFINITY;
  if (known && ageMs < freshMs) return known;
  if (!known || ageMs > staleMs) return findRoute(key, request, limitMs, context);
  if (known.renewing) return known;
  known.renewing = true;
  const { signal: _, ...unhurried } = request;
  findRoute(key, unhurried, limitMs, context).catch((thrown: unknown) => {
    known.renewing = false;
    // The name leads astray now: the next call is to be told so. A resolver's failure is waited out.
    if (thrown instanceof GatewayError && thrown.code === "address_refused")
      context.routes.delete(key);
  });
  return known;
}

async function findRoute(
  key: string,
  { url, trust, signal }: OutboundRequest,
  limitMs: number,
  context: Context,
): Promise<Route> {
  const target = checkUrl(url, trust, context.allow);
  const texts = target.address
    ? [target.host]
    : await checkedAddresses(target.host, { trust, limitMs, signal }, context);
  const { clock, probe, ca } = context;
  const secure = target.url.protocol === "https:";
  const port = Number(target.url.port || (secure ? 443 : 80));
  const before = context.routes.get(key);
  const route: Route = {
    target,
    addresses: texts.map((text) => ({
      text,
      base: `${target.url.protocol}//${text.includes(":") ? `[${text}]` : text}:${port}`,
      watch: createWatch(clock, (timeoutMs) => probe(text, port, timeoutMs)),
    })),
    port,
    tls: secure
      ? {
          ...(target.address ? {} : { serverName: target.host }),
          ...(ca === undefined ? {} : { ca }),
        }
      : undefined,
    madeAtMs: context.clock.now(),
    renewing: false,
    preferred: 0,
    warm: before?.warm ?? false,
    http1Only: before?.http1Only ?? false,
  };
  context.routes.delete(key);
  if (context.routes.size >= routeLimit) {
    context.routes.delete(context.routes.keys().next().value ?? "");
  }
  context.routes.set(key, route);
  return route;
}

/** Every address of a name must be in order: one that is not refuses the name. */
async function checkedAddresses(
  host: string,
  how: {
    readonly trust: Trust;
    readonly limitMs: number;
    readonly signal: AbortSignal | undefined;
  },
  { resolve, allow, clock }: Context,
): Promise<string[]> {
  const found = await resolveInTime(() => resolve(host), host, { ...how, clock });
  if (found.length === 0) throw unreachable(host, "its name has no address");
  return found.map((text) => {
    const bytes = parseAddress(text);
    if (!bytes) throw unreachable(host, "its name resolves to something that is no address");
    checkAddress(bytes, { host, trust: how.trust, allow });
    return text;
  });
}

function resolveInTime(
  resolve: () => Promise<readonly string[]>,
  host: string,
  how: {
    readonly limitMs: number;
    readonly signal: AbortSignal | undefined;
    readonly clock: Clock;
  },
): Promise<readonly string[]> {
  return new Promise((settle, reject) => {
    const cancel = how.clock.after(how.limitMs, () => {
      finish(() => reject(tooSlow(host, "its name was not resolved", how.limitMs)));
    });
    const onAbort = () => finish(() => reject(how.signal?.reason));
    const finish = (act: () => void) => {
      cancel();
      how.signal?.removeEventListener("abort", onAbort);
      act();
    };
    how.signal?.addEventListener("abort", onAbort, { once: true });
    resolve().then(
      (found) => finish(() => settle(found)),
      (cause) => finish(() => reject(unreachable(host, "its name does not resolve", cause))),
    );
  });
}

interface Attempt {
  readonly key: string;
  readonly route: Route;
  readonly untilMs: number;
  readonly limitMs: number;
}

/** One address after the other, as long as no connection came about; nothing was sent until then. */
async function attemptAll(
  request: OutboundRequest,
  rest: string,
  attempt: Attempt,
  context: Context,
): Promise<Response> {
  const { route } = attempt;
  const count = route.addresses.length;
  const streams = request.body instanceof ReadableStream;
  if (streams && count > 1 && !route.warm) await preferOpen(route, attempt, context);
  const first = route.preferred;
  for (let tried = 0; ; tried++) {
    const index = (first + tried) % count;
    const leftMs = Math.max(1, attempt.untilMs - context.clock.now());
    try {
      const budgetMs = leftMs / (count - tried);
      const response = await attemptOne(request, rest, { ...attempt, index, budgetMs }, context);
      route.preferred = index;
      route.warm = true;
      return response;
    } catch (thrown) {
      request.signal?.throwIfAborted();
      route.warm = false;
      if (codeOf(thrown) === "HTTP2Unsupported" && !route.http1Only) {
        route.http1Only = true;
        tried--;
        continue;
      }
      if (tried + 1 < count && isConnectFailure(thrown) && !streams) continue;
      if (isConnectFailure(thrown)) context.routes.delete(attempt.key); // it may have moved
      throw toUpstreamError(thrown, route.target.host);
    }
  }
}

/** What streams cannot be tried twice, so an address that takes connections is looked for first. */
async function preferOpen(route: Route, { limitMs }: Attempt, { probe }: Context): Promise<void> {
  for (const [index, { text }] of route.addresses.entries()) {
    if (!(await probe(text, route.port, limitMs / route.addresses.length))) continue;
    route.preferred = index;
    return;
  }
}

/** A connection that has worked is only watched; one that has not can be called back. */
function attemptOne(
  request: OutboundRequest,
  rest: string,
  attempt: Attempt & { readonly index: number; readonly budgetMs: number },
  context: Context,
): Promise<Response> {
  const { route, index, limitMs } = attempt;
  const address = route.addresses[index];
  assert(address !== undefined, "the index is taken modulo the number of addresses");
  const { url } = route.target;
  const init: BunFetchRequestInit & { timeout: false } = {
    method: request.method,
    headers: {
      "accept-encoding": "identity",
      "user-agent": userAgent,
      host: url.host, // an operator's own `host` (a virtual host behind an address) stands above it
      ...request.headers,
    },
    redirect: "manual",
    // Without it fetch gives up after five minutes of silence; our own timers decide that.
    timeout: false,
  };
  if (request.body !== undefined) init.body = request.body as BodyInit;
  if (route.tls) init.tls = route.tls;
  const streams = request.body instanceof ReadableStream;
  if (route.tls && context.http2 && !route.http1Only && !streams) init.protocol = "http2";
  const pinned = address.base + (rest === "" ? url.pathname + url.search : rest);
  if (!route.warm)
    return fetchCold(pinned, init, { ...attempt, address, signal: request.signal }, context);
  if (request.signal) init.signal = request.signal;
  const dead = () => tooSlow(route.target.host, "it took no connection", limitMs);
  return address.watch.wait(fetch(pinned, init), limitMs, dead);
}

async function fetchCold(
  pinned: string,
  init: BunFetchRequestInit,
  how: Attempt & {
    readonly address: CheckedAddress;
    readonly budgetMs: number;
    readonly signal: AbortSignal | undefined;
  },
  { clock, probe }: Context,
): Promise<Response> {
  const { route, address, budgetMs, limitMs, signal } = how;
  const doubt = new AbortController();
  const waitMs = Math.min(doubtMs, budgetMs / 2);
  const cancelDoubt = clock.after(waitMs, async () => {
    if (await probe(address.text, route.port, budgetMs - waitMs)) return; // only slow to answer
    doubt.abort(tooSlow(route.target.host, "it took no connection", limitMs));
  });
  try {
    init.signal = signal ? AbortSignal.any([signal, doubt.signal]) : doubt.signal;
    return await fetch(pinned, init);
  } catch (thrown) {
    throw doubt.signal.aborted ? doubt.signal.reason : thrown;
  } finally {
    cancelDoubt();
  }
}

const connectFailures: ReadonlySet<string> = new Set([
  "ECONNREFUSED",
  "ConnectionRefused",
  "FailedToOpenSocket",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "EADDRNOTAVAIL",
  "ETIMEDOUT",
  "ENOTFOUND",
]);

function isConnectFailure(thrown: unknown): boolean {
  if (thrown instanceof GatewayError) return thrown.code === "upstream_timeout";
  return connectFailures.has(codeOf(thrown));
}

const codeOf = (thrown: unknown): string =>
  typeof thrown === "object" && thrown !== null && "code" in thrown ? String(thrown.code) : "";

function toUpstreamError(thrown: unknown, host: string): GatewayError {
  if (thrown instanceof GatewayError) return thrown;
  const code = codeOf(thrown);
  if (connectFailures.has(code)) return unreachable(host, "it refuses the connection", thrown);
  if (/CERT|SELF_SIGNED|UNABLE_TO_|ALTNAME|TLS|SSL/.test(code)) {
    return unreachable(host, `its TLS certificate is not accepted (${code})`, thrown);
  }
  const why = code === "" ? "the connection failed" : `the connection failed (${code})`;
  return unreachable(host, why, thrown);
}

function unreachable(host: string, why: string, cause?: unknown): GatewayError {
  return new GatewayError(
    "upstream_unreachable",
    `The server at ${host} cannot be reached: ${why}.`,
    { cause },
  );
}

function tooSlow(host: string, what: string, limitMs: number): GatewayError {
  const message = `The server at ${host} cannot be reached: ${what} within ${limitMs} ms.`;
  return new GatewayError("upstream_timeout", message);
}
