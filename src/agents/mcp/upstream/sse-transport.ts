/**
 * The transport of 2024-11-05 for older clients: one stream that tells where to post, and posts.
 * Source: https://modelcontextprotocol.io/specification/2024-11-05/basic/transports
 */

import type { Clock } from "../../../std/clock.ts";
import { type JSONRPCMessage, JSONRPCMessageSchema, type Transport } from "../sdk.ts";

const pingMs = 15_000;

export interface SseTransport extends Transport {
  readonly sessionId: string;
  readonly response: Response;
  /** A message that the client posted. @throws where it is none */
  receive(message: unknown): void;
}

/** `endpoint`: the path to post to; the session's id is added. */
export function createSseTransport(endpoint: string, clock: Clock): SseTransport {
  const sessionId = crypto.randomUUID();
  const encoder = new TextEncoder();
  let controller: ReadableStreamDefaultController<Uint8Array> | undefined;
  let stopPing: () => void = () => undefined;
  const write = (text: string) => controller?.enqueue(encoder.encode(text));
  const ping = () => {
    write(": ping\n\n");
    stopPing = clock.after(pingMs, ping);
  };
  const end = () => {
    if (!controller) return;
    controller = undefined;
    stopPing();
    transport.onclose?.();
  };
  const body = new ReadableStream<Uint8Array>({
    start(made) {
      controller = made;
      write(`event: endpoint\ndata: ${endpoint}?sessionId=${sessionId}\n\n`);
      stopPing = clock.after(pingMs, ping);
    },
    cancel: end,
  });
  const transport: SseTransport = {
    sessionId,
    response: new Response(body, {
      headers: {
        "content-type": "text/event-stream",
        "cache-control": "no-cache, no-transform",
        "x-accel-buffering": "no",
        "x-sse-session-id": sessionId,
      },
    }),
    start: () => Promise.resolve(),
    send(message: JSONRPCMessage) {
      if (!controller) return Promise.reject(new Error("the client has left"));
      write(`event: message\ndata: ${JSON.stringify(message)}\n\n`);
      return Promise.resolve();
    },
    close() {
      try {
        controller?.close();
      } catch {
        // The client closed it first.
      }
      end();
      return Promise.resolve();
    },
    receive(message) {
      transport.onmessage?.(JSONRPCMessageSchema.parse(message));
    },
  };
  return transport;
}
