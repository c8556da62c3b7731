/**
 * OpenAI's realtime API over WebSocket, at its own paths and at Azure's. The key comes as everywhere,
 * from browsers (which cannot send headers) as a subprotocol.
 * Source: https://platform.openai.com/docs/guides/realtime-websocket
 */
import type { Server, ServerWebSocket, WebSocketHandler } from "bun";
import { GatewayError, toGatewayError } from "../../domain/errors.ts";
import { readKey } from "../../pipeline/authenticate.ts";
import { CallFailed } from "../../pipeline/handle.ts";
import { toErrorEvent } from "../../pipeline/realtime/caller-events.ts";
import {
  openSession,
  type RealtimeArrival,
  type RealtimeSession,
} from "../../pipeline/realtime/session.ts";
import type { Services } from "../../pipeline/services.ts";
import { createDeadline } from "../../std/deadline.ts";
import { toErrorResponse } from "../errors.ts";
import { readRequestId } from "../exchange.ts";
import { callHeaders } from "../headers.ts";
import { assertFromHere, type Route } from "../route.ts";

export const realtimePaths: ReadonlySet<string> = new Set([
  "/v1/realtime",
  "/realtime",
  "/openai/v1/realtime",
  "/openai/realtime",
]);

/** For what does not ask for a WebSocket there; and for the API's description. */
export const realtimeRoutes: readonly Route[] = [...realtimePaths].map((path) => ({
  method: "GET",
  path,
  who: "caller",
  errors: "openai",
  summary: "OpenAI's realtime sessions over WebSocket: `?model=`, Azure's `?deployment=`.",
  docs: {
    query: {
      model: "A name of GET /v1/models.",
      deployment: "The same, as Azure's clients say it.",
      intent: "`transcription` for a session that only transcribes.",
    },
    status: "101",
    source: "https://platform.openai.com/docs/guides/realtime-websocket",
  },
  handle() {
    throw new GatewayError(
      "invalid_request",
      "This path speaks WebSocket: connect to it as wss://…/v1/realtime?model=…",
      { status: 426 },
    );
  },
}));

export const isUpgrade = (request: Request) =>
  request.headers.get("upgrade")?.toLowerCase() === "websocket";

/** What a caller's connection carries from its upgrade on. */
export interface SocketData {
  readonly talk: Talk;
}

export interface RealtimeParts {
  readonly server: () => Pick<Server<SocketData>, "upgrade">;
  /** Bytes of one message. */
  readonly maxMessageBytes: number;
}

export interface Realtime {
  /** Undefined where the connection was handed over. */
  answer(request: Request, services: Services): Promise<Response | undefined>;
  readonly handlers: WebSocketHandler<SocketData>;
}

/** With no more than this still to leave, the next message may follow. */
const roomBytes = 64 * 1024;
/** The runtime tells when something has left; this often it is looked for all the same. */
const lookMs = 250;
/** A caller that answers no ping for so long is gone. Seconds; the runtime sends the pings. */
const pingLimitS = 120;

export function createRealtime({ server, maxMessageBytes }: RealtimeParts): Realtime {
  return {
    async answer(request, services) {
      // Of the request alone: the runtime aborts its signal when the connection ends as well.
      const gone = new AbortController();
      const leave = () => gone.abort();
      request.signal.addEventListener("abort", leave, { once: true });
      services.connections?.hold?.(request); // a provider may take its time
      const arrival = toArrival(request, gone.signal, services);
      try {
        if (services.config.general.masterKey === undefined) assertNoStrangePage(request, services);
        const session = await openSession(arrival, services);
        const talk = new Talk(session, services);
        const headers = upgradeHeaders(request, session, services);
        request.signal.removeEventListener("abort", leave);
        if (server().upgrade(request, { data: { talk }, headers })) return undefined;
        talk.closed(1006, "");
        throw new CallFailed(badUpgrade(), session.record);
      } catch (thrown) {
        if (!(thrown instanceof CallFailed)) throw thrown;
        return toErrorResponse(thrown, arrival, services.getDialect("openai-chat"), services);
      }
    },
    handlers: {
      open: (socket) => void socket.data.talk.run(socket),
      message: (socket, message) => socket.data.talk.hear(socket, message),
      drain: (socket) => socket.data.talk.look(),
      close: (socket, code, reason) => socket.data.talk.closed(code, reason),
      maxPayloadLength: maxMessageBytes,
      // One message always fits, so that none is dropped: the next waits until it has left.
      backpressureLimit: maxMessageBytes * 2,
      idleTimeout: pingLimitS,
      sendPings: true,
      perMessageDeflate: false,
    },
  };
}

/** Every page may open a WebSocket anywhere: where no key is asked, only pages of this gateway. */
function assertNoStrangePage(request: Request, services: Services): void {
  const origin = request.headers.get("origin");
  if (origin === null) return;
  try {
    assertFromHere(request, services);
    // Not every browser tells a WebSocket's server how its page stands to it.
    const { corsOrigins } = services.config.routeiq;
    if (corsOrigins.includes("*") || corsOrigins.includes(origin)) return;
    if (URL.canParse(origin) && new URL(origin).host === new URL(request.url).host) return;
    const message = "Pages of other sites may not open sessions here. See cors_origins.";
    throw new GatewayError("permission_denied", message);
  } catch (thrown) {
    throw new CallFailed(toGatewayError(thrown), undefined);
  }
}

function badUpgrade(): GatewayError {
  return new GatewayError("invalid_request", "The request asks for a WebSocket, but not rightly.");
}

const keyProtocol = "openai-insecure-api-key.";
const betaProtocol = "openai-beta.";

const offeredProtocols = ({ headers }: Request) =>
  (headers.get("sec-websocket-protocol") ?? "")
    .split(",")
    .map((name) => name.trim())
    .filter((name) => name !== "");

function toArrival(request: Request, signal: AbortSignal, services: Services): RealtimeArrival {
  const id = Bun.randomUUIDv7();
  const { searchParams: query } = new URL(request.url);
  const offered = offeredProtocols(request);
  return {
    id,
    requestId: readRequestId(request.headers) ?? id,
    headers: withKey(request.headers, offered, query),
    signal,
    atMs: services.clock.now(),
    atUs: services.clock.monotonicUs(),
    model: query.get("model") || query.get("deployment") || undefined,
    intent: query.get("intent") || undefined,
    sent: sentHeaders(request.headers, offered),
  };
}

/** A browser's key: OpenAI's clients put it among the subprotocols, Azure's into the query. */
function withKey(headers: Headers, offered: readonly string[], query: URLSearchParams): Headers {
  if (readKey(headers) !== undefined) return headers;
  const named = offered.find((name) => name.startsWith(keyProtocol))?.slice(keyProtocol.length);
  const asked = query.get("api-key") ?? query.get("Authorization")?.replace(/^Bearer\s+/i, "");
  const key = named ?? asked;
  if (key === undefined || !/^[\x21-\x7e]+$/.test(key)) return headers;
  const keyed = new Headers(headers);
  keyed.set("authorization", `Bearer ${key}`);
  return keyed;
}

/** Which API of the provider's is meant, and whom it is for: the caller's to say. */
function sentHeaders(headers: Headers, offered: readonly string[]): Record<string, string> {
  const sent: Record<string, string> = {};
  const safety = headers.get("openai-safety-identifier");
  if (safety !== null) sent["openai-safety-identifier"] = safety;
  const named = offered.find((name) => name.startsWith(betaProtocol))?.slice(betaProtocol.length);
  const beta = headers.get("openai-beta") ?? named?.replace("-v", "=v");
  if (beta !== undefined) sent["openai-beta"] = beta;
  return sent;
}

/** A browser that offers subprotocols wants one of them chosen; a key is not said aloud for that. */
function upgradeHeaders(request: Request, { record }: RealtimeSession, services: Services) {
  const { "content-type": _, ...own } = callHeaders(record, services);
  const headers = new Headers(own);
  for (const name of ["x-routeiq-cost-usd", "x-litellm-response-cost"]) headers.delete(name);
  const offered = offeredProtocols(request);
  const open = offered.filter((name) => !name.startsWith(keyProtocol));
  const chosen = open.includes("realtime") ? "realtime" : (open[0] ?? offered[0]);
  if (chosen !== undefined) headers.set("sec-websocket-protocol", chosen);
  return headers;
}

type Socket = ServerWebSocket<SocketData>;

/** One caller's connection and its session. Mutable; it ends once, from either side. */
class Talk {
  readonly #session: RealtimeSession;
  readonly #services: Services;
  #ended = false;
  /** Whoever waits for room; told to look whether there is some. */
  #waiting: (() => void) | undefined;

  constructor(session: RealtimeSession, services: Services) {
    this.#session = session;
    this.#services = services;
  }

  /** What the provider says, to the caller, as fast as the caller reads. */
  async run(socket: Socket): Promise<void> {
    try {
      for (;;) {
        const message = await this.#session.next();
        if (!message || this.#ended) break;
        const sent = message.text
          ? socket.sendText(Buffer.from(message.bytes).toString("utf8"))
          : socket.sendBinary(Buffer.from(message.bytes));
        if (sent === 0 && message.bytes.length > 0) return this.#lose(socket, "gone");
        if (sent !== -1) continue;
        await this.#room(socket);
      }
      if (this.#ended) return;
      this.#ended = true;
      const { code, reason } = this.#session.closing;
      socket.close(code, reason);
    } catch (thrown) {
      if (this.#ended) return;
      this.#ended = true;
      const error = toGatewayError(thrown);
      if (error.code === "internal") this.#services.onInternalFailure(thrown);
      socket.sendText(toErrorEvent(error, this.#session.record.call.id));
      socket.close(error.code === "draining" ? 1012 : 1011, error.code);
    }
  }

  /**
   * Resolves when nearly all has left, or the end has come. A caller that takes nothing for
   * `write_stall_ms` is let go; one that takes its time is waited for.
   */
  #room(socket: Socket): Promise<void> {
    const { clock, config } = this.#services;
    const { writeStallMs } = config.routeiq.timeouts;
    let left = Number.POSITIVE_INFINITY;
    return new Promise((resolve) => {
      const stall = createDeadline(clock, () => this.#lose(socket, "stalled"));
      const poll = createDeadline(clock, () => look());
      const look = () => {
        const now = socket.getBufferedAmount();
        if (this.#ended || now <= roomBytes) {
          this.#waiting = undefined;
          stall.clear();
          poll.clear();
          return resolve();
        }
        if (now < left) stall.set(writeStallMs);
        left = now;
        poll.set(lookMs);
      };
      this.#waiting = look;
      look();
    });
  }

  /** The connection is closed, or as good as that. */
  #lose(socket: Socket, why: "gone" | "stalled"): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#session.abandon(why);
    socket.terminate();
    this.look();
  }

  /** What the caller says, to the provider; a provider that does not read stops the caller. */
  hear(socket: Socket, message: string | Buffer): void {
    if (this.#ended) return;
    try {
      if (this.#session.send(message)) return;
    } catch (thrown) {
      const error = toGatewayError(thrown);
      if (error.code === "internal") this.#services.onInternalFailure(thrown);
      socket.sendText(toErrorEvent(error, Bun.randomUUIDv7()));
      return;
    }
    socket.pause();
    void this.#session.drained().then(() => socket.resume());
  }

  /** Something has left. */
  look(): void {
    this.#waiting?.();
  }

  closed(code: number, reason: string): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#waiting?.();
    // 1006: no goodbye was said.
    if (code === 1006) this.#session.abandon("gone");
    else this.#session.end(code, reason);
  }
}
