/**
 * The only way out: every request that leaves this process passes here, so that one function
 * decides every address (DESIGN §12). Providers, S3, OTLP, webhooks all use it.
 */
import { assert } from "../std/assert.ts";
import type { Cancel } from "../std/cancel.ts";
import { type Clock, systemClock } from "../std/clock.ts";
import { Turns } from "../std/turns.ts";
import { type Destination, defaultHeaders, splitUrl } from "./destination.ts";
import type { Connection } from "./http1/connection.ts";
import { Exchange } from "./http1/exchange.ts";
import { defaultPoolLimits, type PoolLimits } from "./http1/pool.ts";
import { createProbe, type Probe } from "./probe.ts";
import type { OutboundReply } from "./reply.ts";
import { createCachedResolve, type Resolve, systemResolve } from "./resolve.ts";
import { type CheckedAddress, createRoutes, type Route, type Routes } from "./routes.ts";
import { parseAllowRules, type Trust } from "./ssrf.ts";
import { codeOf, isConnectFailure, tooSlow, toUpstreamError } from "./upstream-error.ts";

export type { Destination } from "./destination.ts";
export type { OutboundReply } from "./reply.ts";
export type { Trust } from "./ssrf.ts";

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

/** A request of the hot path: what differs from call to call, and where it goes. */
export interface SendRequest {
  readonly to: Destination;
  /** Header fields of this request alone, as `headerLine` makes them; "" where there are none. */
  readonly lines: string;
  /** Its length is told; empty where the method has none. */
  readonly body: string | Uint8Array;
  /** Whoever sends listens to it until the answer is complete. */
  readonly cancel: Cancel;
  /** As of OutboundRequest. */
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
  /**
   * The same for the hot path, over our own HTTP/1.1 connections where that is possible. A request
   * that a connection lost which had rested, with no byte of an answer, is sent once more. Where
   * it is missing, `sendByFetch` does as well.
   * @throws as `fetch`; the cancel's reason when it is cancelled.
   */
  readonly send?: (request: SendRequest) => Promise<OutboundReply>;
}

export interface OutboundOptions {
  /** Default: the system's resolver. */
  readonly resolve?: Resolve;
  /** Ranges and hosts opened to strict trust (`routeiq_settings.outbound`). */
  readonly allowCidrs?: readonly string[];
  readonly allowHosts?: readonly string[];
  /** "http2" over TLS, where the server speaks it; plain http is HTTP/1.1 always. */
  readonly protocol?: "http1" | "http2";
  /** What `send` uses for HTTP/1.1: our own client (the default), or the runtime's. */
  readonly client?: "own" | "fetch";
  readonly poolLimits?: Partial<PoolLimits>;
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

const defaultConnectTimeoutMs = 3_000;
/** How long an answer may stay away before the connection to a new origin is doubted. */
const doubtMs = 250;

export function createOutbound(options: OutboundOptions = {}): Outbound {
  const clock = options.clock ?? systemClock;
  const probe = options.proxied ? assumeConnected : (options.probe ?? createProbe(clock));
  const routes = createRoutes({
    clock,
    probe,
    allow: parseAllowRules(options.allowCidrs ?? [], options.allowHosts ?? []),
    resolve: createCachedResolve(options.resolve ?? systemResolve, clock),
    ca: options.ca,
    poolLimits: { ...defaultPoolLimits, ...options.poolLimits },
    reopen: (exchange) => void sendCold(exchange, context),
  });
  const context: Context = { clock, probe, routes, http2: options.protocol === "http2" };

  async function fetchOut(request: OutboundRequest): Promise<Response> {
    request.signal?.throwIfAborted();
    const limitMs = request.connectTimeoutMs ?? defaultConnectTimeoutMs;
    const nowMs = clock.now();
    const { origin, rest } = splitUrl(request.url);
    const { url, trust, signal } = request;
    const wanted = { key: `${trust} ${origin}`, url, trust, limitMs, signal };
    const route = routes.find(wanted, limitMs, nowMs) ?? (await routes.open(wanted));
    const attempt = { key: wanted.key, route, untilMs: nowMs + limitMs, limitMs };
    return attemptAll(request, rest, attempt, context);
  }

  if (options.proxied || context.http2 || options.client === "fetch") return { fetch: fetchOut };
  const turns = new Turns();
  return {
    fetch: fetchOut,
    send({ to, lines, body, cancel, connectTimeoutMs = defaultConnectTimeoutMs }) {
      const exchange = new Exchange(to, lines, body, cancel, connectTimeoutMs, turns);
      const nowMs = clock.now();
      const route = routes.find(to, connectTimeoutMs, nowMs);
      const connection = route?.addresses[route.preferred]?.pool.take(nowMs);
      if (connection) connection.run(exchange);
      else void sendCold(exchange, context);
      return exchange.wait();
    },
  };
}

const assumeConnected: Probe = () => Promise.resolve(true);

interface Context {
  readonly clock: Clock;
  readonly probe: Probe;
  readonly routes: Routes;
  readonly http2: boolean;
}

/** Where no connection rests: finds the way, opens one, sends. The exchange is told how it ends. */
async function sendCold(exchange: Exchange, context: Context): Promise<void> {
  const { to, cancel, connectTimeoutMs: limitMs } = exchange;
  const untilMs = context.clock.now() + limitMs;
  try {
    cancel.throwIfCancelled();
    const { key, url, trust } = to;
    const route =
      context.routes.find(to, limitMs, context.clock.now()) ??
      (await context.routes.open({ key, url, trust, limitMs, signal: cancel.signal }));
    const connection = await connect(exchange, { key, route, untilMs, limitMs }, context);
    connection.run(exchange);
  } catch (thrown) {
    exchange.fail(thrown);
  }
}

/** One address after the other, as long as no connection comes about. */
async function connect(
  { cancel }: Exchange,
  { key, route, untilMs, limitMs }: Attempt,
  { clock, routes }: Context,
): Promise<Connection> {
  const { host } = route.target;
  const count = route.addresses.length;
  const late = (full: boolean) =>
    tooSlow(host, full ? "no connection to it was free" : "it took no connection", limitMs);
  const first = route.preferred;
  for (let tried = 0; ; tried++) {
    cancel.throwIfCancelled();
    const index = (first + tried) % count;
    const leftMs = Math.max(1, untilMs - clock.now()) / (count - tried);
    try {
      const { pool } = addressAt(route, index);
      const connection = await pool.wait({ limitMs: leftMs, late, cancel });
      route.preferred = index;
      return connection;
    } catch (thrown) {
      cancel.throwIfCancelled();
      if (!isConnectFailure(thrown)) throw thrown;
      if (tried + 1 < count) continue;
      routes.forget(key); // it may have moved
      throw thrown;
    }
  }
}

function addressAt(route: Route, index: number): CheckedAddress {
  const address = route.addresses[index];
  assert(address !== undefined, "the index is taken modulo the number of addresses");
  return address;
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
      if (isConnectFailure(thrown)) context.routes.forget(attempt.key); // it may have moved
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
  const address = addressAt(route, index);
  const { url } = route.target;
  const init: BunFetchRequestInit & { timeout: false } = {
    method: request.method,
    // An operator's own `host` (a virtual host behind an address) stands above the URL's.
    headers: { ...defaultHeaders(url.host), ...request.headers },
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
