/**
 * AWS's binary event stream: length-prefixed messages of headers and a body, each with checksums,
 * read by AWS's own codec. A frame's name is the event's, or "exception/…" with the exception's.
 * Source: https://docs.aws.amazon.com/AmazonS3/latest/API/RESTSelectObjectAppendix.html
 */
import { GatewayError } from "../../domain/errors.ts";
import { maxSseFrameBytes, type SseFrame } from "../../std/sse.ts";
import type { FrameParser, Framing } from "../dialect.ts";

/** Of a message: its length, its headers' length, and two checksums. */
const leastBytes = 16;

export const eventStream: Framing = {
  contentType: "vnd.amazon.eventstream",
  async createParser() {
    const { EventStreamCodec } = await import("@smithy/core/event-streams");
    const decoder = new TextDecoder();
    const toUtf8 = (bytes: Uint8Array | string) =>
      typeof bytes === "string" ? bytes : decoder.decode(bytes);
    const codec = new EventStreamCodec(toUtf8 as (bytes: Uint8Array) => string, Buffer.from);
    return createEventStreamParser((message) => {
      const { headers, body } = codec.decode(message);
      const header = (name: string) => String(headers[name]?.value ?? "");
      return { header, body: decoder.decode(body) };
    });
  },
};

type Decode = (message: Uint8Array) => {
  readonly header: (name: string) => string;
  readonly body: string;
};

/** @param decode throws where a checksum is wrong */
export function createEventStreamParser(decode: Decode): FrameParser {
  let pieces: Uint8Array[] = [];
  let size = 0;
  let needed = 4; // bytes, until there is something to read
  return {
    push(chunk) {
      pieces.push(chunk);
      size += chunk.length;
      const frames: SseFrame[] = [];
      if (size < needed) return frames;
      const bytes = pieces.length === 1 ? chunk : Buffer.concat(pieces, size);
      let at = 0;
      for (needed = 4; bytes.length - at >= 4; at += needed, needed = 4) {
        needed = lengthAt(bytes, at);
        if (bytes.length - at < needed) break;
        frames.push(toFrame(bytes.subarray(at, at + needed), decode));
      }
      const rest = bytes.subarray(at);
      pieces = rest.length === 0 ? [] : [rest];
      size = rest.length;
      return frames;
    },
    end: () => [], // half a message is none: the reader misses the end, and says so
  };
}

function lengthAt(bytes: Uint8Array, at: number): number {
  const length = new DataView(bytes.buffer, bytes.byteOffset + at, 4).getUint32(0);
  if (length >= leastBytes && length <= maxSseFrameBytes) return length;
  throw broken(`a message of ${length} bytes`);
}

function toFrame(raw: Uint8Array, decode: Decode): SseFrame {
  try {
    const { header, body } = decode(raw);
    const type = header(":message-type");
    if (type === "exception") {
      return { event: `exception/${header(":exception-type")}`, data: body || "{}", raw };
    }
    if (type === "error") {
      const data = JSON.stringify({ message: header(":error-message") });
      return { event: `exception/${header(":error-code")}`, data, raw };
    }
    return { event: header(":event-type"), data: body, raw };
  } catch (cause) {
    throw broken("a message that is damaged", cause);
  }
}

function broken(what: string, cause?: unknown): GatewayError {
  const message = `The provider's event stream holds ${what}.`;
  return new GatewayError("upstream_invalid", message, cause === undefined ? {} : { cause });
}
