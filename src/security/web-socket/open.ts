/**
 * The guarded way to a WebSocket: the same rule for addresses as for every other request, and the
 * connection goes to the address that was checked.
 */
import { randomBytes } from "node:crypto";
import { connect as connectTcp, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { GatewayError } from "../../domain/errors.ts";
import { type Clock, systemClock } from "../../std/clock.ts";
import { version } from "../../std/version.ts";
import type { OutboundOptions, Trust } from "../outbound.ts";
import { createCachedResolve, systemResolve } from "../resolve.ts";
import { checkFound } from "../routes.ts";
import { checkUrl, parseAllowRules, type Target } from "../ssrf.ts";
import { createConnection, type WebSocketConnection } from "./connection.ts";
import { bodyOf, disagreement, encodeUpgrade, isBodyComplete, readHead } from "./handshake.ts";

export interface WebSocketRequest {
  /** http(s) or ws(s). */
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly protocols?: readonly string[];
  readonly trust: Trust;
  /** Of one message that comes; a larger one closes it with 1009. */
  readonly limitBytes: number;
  readonly signal?: AbortSignal;
  /** Of name, check, connection and TLS together. */
  readonly connectTimeoutMs: number;
  /** Of the server's answer after that. */
  readonly answerTimeoutMs: number;
}

export interface WebSocketOutbound {
  /**
   * The connection, or the server's answer where it refused (its body cut off at 64 KiB).
   * @throws GatewayError address_refused, upstream_unreachable, upstream_timeout, upstream_invalid;
   *         the signal's reason when it aborts
   */
  open(request: WebSocketRequest): Promise<WebSocketConnection | Response>;
}

export function createWebSocketOutbound(options: OutboundOptions = {}): WebSocketOutbound {
  const clock = options.clock ?? systemClock;
  const allow = parseAllowRules(options.allowCidrs ?? [], options.allowHosts ?? []);
  const resolve = createCachedResolve(options.resolve ?? systemResolve, clock);

  async function addressesOf(target: Target, trust: Trust): Promise<readonly string[]> {
    const { host } = target;
    if (target.address) return [host];
    const found = await resolve(host).catch((cause: unknown) => {
      throw unreachable(host, "its name does not resolve", cause);
    });
    return checkFound(found, { host, trust, allow });
  }

  return {
    async open(request) {
      const { signal, trust, connectTimeoutMs } = request;
      signal?.throwIfAborted();
      const target = checkUrl(request.url.replace(/^ws/, "http"), trust, allow);
      if (options.proxied) throw behindProxy(target.host);
      const limited = { host: target.host, signal, clock };
      const untilMs = clock.now() + connectTimeoutMs;
      const addresses = await inTime(addressesOf(target, trust), connectTimeoutMs, limited);
      const socket = await dialFirst(target, addresses, untilMs, limited, options.ca);
      try {
        const hands = shakeHands(socket, target, request, clock);
        return await inTime(hands, request.answerTimeoutMs, limited);
      } catch (thrown) {
        socket.destroy();
        throw thrown;
      }
    },
  };
}

/** One address after the other until a connection stands. */
async function dialFirst(
  target: Target,
  addresses: readonly string[],
  untilMs: number,
  limited: Limited,
  ca: string | undefined,
): Promise<Socket> {
  const { clock, signal, host } = limited;
  let failure: unknown = unreachable(host, "its name has no address");
  for (const [tried, address] of addresses.entries()) {
    const leftMs = Math.max(1, untilMs - clock.now()) / (addresses.length - tried);
    const socket = dial(target, address, ca);
    try {
      await inTime(connected(socket, target), leftMs, limited);
      return socket;
    } catch (thrown) {
      socket.destroy();
      failure = thrown;
      if (signal?.aborted) throw thrown;
    }
  }
  throw failure;
}

/** The certificate is checked against the name, though the connection goes to the address. */
function dial({ url, host, address: literal }: Target, address: string, ca: string | undefined) {
  const secure = url.protocol === "https:";
  const port = Number(url.port || (secure ? 443 : 80));
  const socket = secure
    ? connectTls({
        host: address,
        port,
        ...(literal ? {} : { servername: host }),
        ALPNProtocols: ["http/1.1"],
        ...(ca === undefined ? {} : { ca }),
      })
    : connectTcp({ host: address, port });
  socket.setNoDelay(true);
  return socket;
}

function connected(socket: Socket, { url, host }: Target): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once(url.protocol === "https:" ? "secureConnect" : "connect", resolve);
    socket.once("error", (cause: Error & { code?: string }) => {
      reject(unreachable(host, `the connection failed (${cause.code ?? "unknown"})`, cause));
    });
    socket.once("close", () => reject(unreachable(host, "the connection closed")));
  });
}

const refusalLimitBytes = 64 * 1024;

function shakeHands(
  socket: Socket,
  target: Target,
  request: WebSocketRequest,
  clock: Clock,
): Promise<WebSocketConnection | Response> {
  const { url, host } = target;
  const { protocols = [], limitBytes, headers } = request;
  const key = randomBytes(16).toString("base64");
  let bytes: Buffer = Buffer.alloc(0);
  return new Promise((resolve, reject) => {
    const fail = (why: string, cause?: unknown) => {
      stop();
      reject(
        new GatewayError("upstream_invalid", `The server at ${host} opens no WebSocket: ${why}.`, {
          cause,
        }),
      );
    };
    const onData = (piece: Buffer) => {
      bytes = Buffer.concat([bytes, piece]);
      try {
        settle(false);
      } catch (thrown) {
        fail(thrown instanceof Error ? thrown.message : "its answer cannot be read", thrown);
      }
    };
    const onEnd = () => {
      if (!settle(true)) fail("the connection closed");
    };
    const stop = () => {
      socket.off("data", onData).off("end", onEnd).off("close", onEnd);
    };
    /** Whether the answer could be told. */
    function settle(atEnd: boolean): boolean {
      const head = readHead(bytes);
      if (!head) return false;
      const { status, rest } = head;
      if (status === 101) {
        const wrong = disagreement(head, key, protocols);
        if (wrong !== undefined) throw new Error(wrong);
        stop();
        const protocol = head.headers.get("sec-websocket-protocol") ?? undefined;
        resolve(createConnection({ socket, first: rest, protocol, limitBytes, clock }));
        return true;
      }
      const body = Buffer.from(rest);
      const complete = atEnd || body.length >= refusalLimitBytes;
      if (!complete && !isBodyComplete(head.headers, body)) return true;
      stop();
      socket.destroy();
      resolve(toResponse(status, head.headers, bodyOf(head.headers, body)));
      return true;
    }
    socket.on("data", onData).on("end", onEnd).on("close", onEnd);
    const sent: Record<string, string> = { "user-agent": `routeiq/${version}`, ...headers };
    if (protocols.length > 0) sent["sec-websocket-protocol"] = protocols.join(", ");
    const path = url.pathname + url.search;
    socket.write(encodeUpgrade({ path, host: url.host, headers: sent, key }));
  });
}

/** A status that a Response cannot have is a server's fault. */
function toResponse(status: number, headers: Headers, body: Uint8Array): Response {
  const kept = new Headers();
  for (const name of ["content-type", "retry-after", "x-should-retry"]) {
    const value = headers.get(name);
    if (value !== null) kept.set(name, value);
  }
  const bodyless = status === 204 || status === 205 || status === 304;
  return new Response(bodyless ? null : body.slice(), {
    status: status >= 200 && status <= 599 ? status : 502,
    headers: kept,
  });
}

interface Limited {
  readonly host: string;
  readonly signal: AbortSignal | undefined;
  readonly clock: Clock;
}

/** The work's end, or a failure when its time is over or the caller is gone; the work goes on unheard. */
function inTime<T>(
  work: Promise<T>,
  limitMs: number,
  { host, signal, clock }: Limited,
): Promise<T> {
  return new Promise((resolve, reject) => {
    const cancel = clock.after(limitMs, () => {
      stop();
      const message = `The server at ${host} opened no WebSocket within ${Math.round(limitMs)} ms.`;
      reject(new GatewayError("upstream_timeout", message));
    });
    const onAbort = () => {
      stop();
      reject(signal?.reason);
    };
    const stop = () => {
      cancel();
      signal?.removeEventListener("abort", onAbort);
    };
    signal?.addEventListener("abort", onAbort, { once: true });
    work.then(resolve, reject).finally(stop);
  });
}

function unreachable(host: string, why: string, cause?: unknown): GatewayError {
  const message = `The server at ${host} cannot be reached: ${why}.`;
  return new GatewayError("upstream_unreachable", message, { cause });
}

function behindProxy(host: string): GatewayError {
  return unreachable(host, "WebSockets do not go through HTTP_PROXY, and everything else must");
}
