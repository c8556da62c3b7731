/**
 * Realtime sessions at a provider: opened over a guarded WebSocket, its refusals told apart like any
 * other answer. Source: https://platform.openai.com/docs/guides/realtime-websocket
 */
import { decodeStreamError } from "../dialects/openai-chat/errors.ts";
import { GatewayError } from "../domain/errors.ts";
import { isObject } from "../domain/json.ts";
import { toReply } from "../security/fetch-reply.ts";
import type { SocketMessage, WebSocketConnection } from "../security/web-socket/connection.ts";
import type { WebSocketOutbound } from "../security/web-socket/open.ts";
import type { Clock } from "../std/clock.ts";
import type { Located } from "./client.ts";
import { toProviderError } from "./read-reply.ts";

export interface RealtimeRequest {
  readonly located: Located;
  /** The caller's, of those that a provider reads. */
  readonly headers: Readonly<Record<string, string>>;
  /** `transcription`: then the session names the model, and not the address. */
  readonly intent?: string;
  readonly limitBytes: number;
  readonly signal: AbortSignal;
  readonly connectTimeoutMs: number;
  readonly answerTimeoutMs: number;
}

export interface OpenedSession {
  readonly connection: WebSocketConnection;
  /** The provider speaks first; undefined where it said nothing for a moment. */
  readonly first: SocketMessage | undefined;
}

/** Providers greet at once. Who does not is taken to wait for the caller. */
const greetingMs = 1_000;

/** @throws GatewayError; the signal's reason */
export async function openRealtime(
  request: RealtimeRequest,
  { webSockets, clock }: { readonly webSockets: WebSocketOutbound; readonly clock: Clock },
): Promise<OpenedSession> {
  const { located, intent, signal, limitBytes, connectTimeoutMs, answerTimeoutMs } = request;
  const { "content-type": _, ...own } = located.headers;
  const opened = await webSockets.open({
    url: withIntent(located.url, intent),
    headers: { ...request.headers, ...own },
    trust: "operator",
    limitBytes,
    signal,
    connectTimeoutMs,
    answerTimeoutMs,
  });
  if (opened instanceof Response) {
    if (opened.status >= 400)
      throw await toProviderError(toReply(opened), located.provider.dialect);
    const message = `The provider answered ${opened.status} and opened no WebSocket.`;
    throw new GatewayError("upstream_invalid", message);
  }
  const stop = () => opened.destroy();
  signal.addEventListener("abort", stop, { once: true });
  try {
    const first = await opened.first(greetingMs, clock);
    signal.throwIfAborted();
    if (!first && opened.ended) throw endedEarly(opened.ended.code, opened.ended.reason);
    if (first) assertWelcome(first);
    return { connection: opened, first };
  } catch (thrown) {
    opened.destroy();
    throw thrown;
  } finally {
    signal.removeEventListener("abort", stop);
  }
}

function withIntent(url: string, intent: string | undefined): string {
  if (intent === undefined) return url;
  const at = new URL(url);
  at.searchParams.set("intent", intent);
  if (intent === "transcription") at.searchParams.delete("model");
  return at.href;
}

/** A session that begins with an error is none: the next deployment may have one. */
function assertWelcome({ text, bytes }: SocketMessage): void {
  if (!text || bytes.length > 64 * 1024) return;
  const event = parse(bytes);
  if (event?.["type"] !== "error") return;
  throw decodeStreamError(event);
}

function parse(bytes: Uint8Array) {
  try {
    const event: unknown = JSON.parse(Buffer.from(bytes).toString("utf8"));
    return isObject(event) ? event : undefined;
  } catch {
    return undefined; // somebody else's form: it passes
  }
}

function endedEarly(code: number, reason: string): GatewayError {
  const why = reason === "" ? "" : `: ${reason.slice(0, 200)}`;
  const message = `The provider closed the session at once, with ${code}${why}.`;
  return new GatewayError("upstream_failed", message);
}
