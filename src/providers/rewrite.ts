/**
 * A stream in OpenAI's events whose pieces a provider writes in a form of its own, put right as it
 * passes. Frames that need nothing pass as they came.
 */
import { GatewayError } from "../domain/errors.ts";
import { isObject, type JsonObject } from "../domain/json.ts";
import { createSseParser, encodeSse, type SseFrame, SseFrameTooLarge } from "../std/sse.ts";
import type { StreamReply } from "./read-reply.ts";

/** The event's body put right; the body itself (===) where it is right already. */
export type Rewrite = (body: JsonObject) => JsonObject;

const encoder = new TextEncoder();

export function rewriteStream(stream: StreamReply, rewrite: Rewrite): StreamReply {
  const parser = createSseParser();
  let ended = false;

  function put(frame: SseFrame): Uint8Array {
    if (!frame.data.startsWith("{")) return frame.raw;
    let body: unknown;
    try {
      body = JSON.parse(frame.data);
    } catch {
      return frame.raw; // whoever reads it says so
    }
    if (!isObject(body)) return frame.raw;
    const fresh = rewrite(body);
    if (fresh === body) return frame.raw;
    return encoder.encode(encodeSse({ event: frame.event, data: JSON.stringify(fresh) }));
  }

  function take(bytes: Uint8Array | undefined): readonly SseFrame[] {
    try {
      return bytes ? parser.push(bytes) : parser.end();
    } catch (cause) {
      if (!(cause instanceof SseFrameTooLarge)) throw cause;
      const message = `The provider's stream: ${cause.message}.`;
      throw new GatewayError("upstream_invalid", message, { cause });
    }
  }

  return {
    ...stream,
    async read() {
      while (!ended) {
        const bytes = await stream.read();
        ended = bytes === undefined;
        const pieces = take(bytes).map(put);
        if (pieces.length > 0) return pieces.length === 1 ? pieces[0] : Buffer.concat(pieces);
      }
      return undefined;
    },
  };
}
