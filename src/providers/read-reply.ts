/** Answers of providers as they are read: whole, within a limit and parsed; or piece by piece. */
import type { ProviderDialect } from "../dialects/dialect.ts";
import type { Call } from "../domain/call.ts";
import { GatewayError, toGatewayError } from "../domain/errors.ts";
import { isObject, type JsonObject } from "../domain/json.ts";
import type { Usage } from "../domain/usage.ts";
import { decodeUtf8 } from "../std/json.ts";

export type UpstreamReply = WholeReply | RawReply | StreamReply;

export interface Replied {
  readonly dialect: ProviderDialect;
  /** The dialect is the caller's, so the bytes may pass. */
  readonly passes: boolean;
}

export interface WholeReply extends Replied {
  readonly kind: "whole";
  readonly bytes: Uint8Array | ArrayBuffer;
  readonly body: JsonObject;
}

/** Bytes that are no JSON and pass as they are: subtitles, say. */
export interface RawReply {
  readonly kind: "raw";
  readonly bytes: Uint8Array | ArrayBuffer;
  readonly contentType: string;
  readonly usage: Usage;
}

export interface StreamReply extends Replied {
  readonly kind: "stream";
  /** Where it is set, the stream is no events but bytes of this type, such as sound. */
  readonly opaque?: { readonly contentType: string; readonly usage: Usage };
  /** The next bytes; undefined at the end. @throws GatewayError stream_truncated, or the signal's. */
  read(): Promise<Uint8Array | undefined>;
  /** Lets the connection go: back to its pool where the stream is at its end, closed otherwise. */
  close(): void;
}

export const clientLimits = {
  /** A whole reply beyond this is refused as upstream_invalid. */
  replyBytes: 64 * 1024 * 1024,
  /** Of an error answer, no more than this is read. */
  errorBytes: 64 * 1024,
} as const;

/** Whether an answer streams in its dialect's framing. */
export function isEventStream(response: Response, dialect?: ProviderDialect): boolean {
  const type = response.headers.get("content-type") ?? "";
  return type.includes(dialect?.framing?.contentType ?? "event-stream");
}

export function toStream(response: Response, replied: Replied, signal: AbortSignal): StreamReply {
  if (!response.body) {
    throw new GatewayError("upstream_invalid", "The provider answered a stream without a body.");
  }
  const reader = response.body.getReader() as ReadableStreamDefaultReader<Uint8Array>;
  return {
    kind: "stream",
    ...replied,
    async read() {
      try {
        const { value, done } = await reader.read();
        return done ? undefined : value;
      } catch (thrown) {
        throw toStreamError(thrown, signal);
      }
    },
    // A stream that broke is closed already; there is nobody left to tell.
    close: () => void reader.cancel().catch(() => undefined),
  };
}

export async function toProviderError(
  response: Response,
  dialect: ProviderDialect,
): Promise<GatewayError> {
  const bytes = await readUpTo(response, clientLimits.errorBytes, "cut");
  return dialect.decodeError(response.status, new TextDecoder().decode(bytes), response.headers);
}

export async function readWhole(
  response: Response,
  replied: Replied,
  call: Call,
  fit?: (body: JsonObject) => JsonObject,
): Promise<WholeReply> {
  const sent = await readUpTo(response, clientLimits.replyBytes, "refuse");
  const parsed = parseReply(sent);
  const body = fit ? fit(parsed) : parsed;
  const bytes = body === parsed ? sent : new TextEncoder().encode(JSON.stringify(body));
  const expected = lists[call.operation] ?? contentField[replied.dialect.name];
  if (isReply(body, expected, replied.dialect)) return { kind: "whole", bytes, body, ...replied };
  // Some providers answer 200 with an error inside.
  if (isObject(body["error"]) || (expected === undefined && body["error"])) {
    throw replied.dialect.decodeError(500, new TextDecoder().decode(bytes), response.headers);
  }
  if (call.operation.startsWith("audio_") && typeof body["text"] === "string") {
    return { kind: "whole", bytes, body, ...replied };
  }
  const what = call.operation.startsWith("audio_") ? "text" : `"${expected ?? "message"}"`;
  throw new GatewayError("upstream_invalid", `The provider's answer has no ${what}.`);
}

function isReply(
  body: JsonObject,
  expected: string | undefined,
  dialect: ProviderDialect,
): boolean {
  if (expected === undefined) return dialect.isReply?.(body) ?? false;
  // Of a prompt that it refused, Gemini says only that.
  const isBlocked = expected === "candidates" && isObject(body["promptFeedback"]);
  return Array.isArray(body[expected]) || isBlocked;
}

const contentField: Readonly<Record<string, string>> = {
  "openai-responses": "output",
  "openai-chat": "choices",
  "openai-completions": "choices",
  anthropic: "content",
  gemini: "candidates",
};

/** The list that an answer has whatever the provider. */
const lists: Readonly<Partial<Record<Call["operation"], string>>> = {
  embedding: "data",
  moderation: "results",
  rerank: "results",
  image_generation: "data",
  image_edit: "data",
  image_variation: "data",
};

export function parseReply(bytes: Uint8Array | ArrayBuffer): JsonObject {
  try {
    const body: unknown = JSON.parse(decodeUtf8(bytes));
    if (isObject(body)) return body;
  } catch (cause) {
    throw new GatewayError("upstream_invalid", "The provider's answer is not valid JSON.", {
      cause,
    });
  }
  throw new GatewayError("upstream_invalid", "The provider's answer is not a JSON object.");
}

/** The body's bytes within a limit; beyond it the rest is cut off, or the reply refused. */
export async function readUpTo(
  response: Response,
  limitBytes: number,
  beyond: "cut" | "refuse",
): Promise<Uint8Array | ArrayBuffer> {
  const declared = Number(response.headers.get("content-length") ?? Number.NaN);
  const plain = response.headers.get("content-encoding") === null;
  if (plain && declared <= limitBytes) return response.arrayBuffer();
  if (!response.body) return new Uint8Array(0);
  const parts: Uint8Array[] = [];
  let length = 0;
  for await (const part of response.body) {
    length += part.length;
    parts.push(part);
    if (length <= limitBytes) continue;
    if (beyond === "cut") break;
    throw new GatewayError(
      "upstream_invalid",
      `The provider's answer is larger than the limit of ${limitBytes} bytes.`,
    );
  }
  return Buffer.concat(parts);
}

/** The same mapping for what breaks while a stream is read. */
function toStreamError(thrown: unknown, signal: AbortSignal): GatewayError {
  if (signal.aborted) return toGatewayError(signal.reason);
  if (thrown instanceof GatewayError) return thrown;
  return new GatewayError("stream_truncated", "The provider's stream broke off.", {
    cause: thrown,
  });
}
