/** Answers of providers as they are read: whole, within a limit and parsed; or piece by piece. */
import type { ProviderDialect } from "../dialects/dialect.ts";
import type { Call } from "../domain/call.ts";
import { GatewayError, toGatewayError } from "../domain/errors.ts";
import { isObject, type JsonObject } from "../domain/json.ts";
import type { Usage } from "../domain/usage.ts";
import { BodyTooLarge, type Bytes, type OutboundReply, type Piece } from "../security/reply.ts";
import type { Cancel } from "../std/cancel.ts";
import { decodeUtf8 } from "../std/json.ts";

export type UpstreamReply = WholeReply | RawReply | StreamReply;

export interface Replied {
  readonly dialect: ProviderDialect;
  /** The dialect is the caller's, so the bytes may pass. */
  readonly passes: boolean;
  /** Of a whole reply, below `clientLimits.replyBytes`. */
  readonly limitBytes?: number | undefined;
}

/** What a whole reply may hold. */
export function replyLimit({ limitBytes }: Pick<Replied, "limitBytes">): number {
  return limitBytes === undefined
    ? clientLimits.replyBytes
    : Math.min(limitBytes, clientLimits.replyBytes);
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
  /**
   * The next bytes, at once where they are there; undefined at the end.
   * @throws GatewayError stream_truncated, or the cancel's
   */
  read(): Piece | Promise<Piece>;
  /** Lets the connection go: back to its pool where the stream is at its end, closed otherwise. */
  close(): void;
}

export const clientLimits = {
  /** A whole reply beyond this is refused as upstream_invalid. */
  replyBytes: 64 * 1024 * 1024,
  /** Of an error answer, no more than this is read. */
  errorBytes: 64 * 1024,
  /** Of a request's body that passes through and must be signed as a whole. */
  signedBytes: 32 * 1024 * 1024,
} as const;

export const isOk = ({ status }: OutboundReply) => status >= 200 && status < 300;

/** Whether an answer streams in its dialect's framing. */
export function isEventStream(reply: OutboundReply, dialect?: ProviderDialect): boolean {
  const type = reply.header("content-type") ?? "";
  return type.includes(dialect?.framing?.contentType ?? "event-stream");
}

export function toStream(reply: OutboundReply, replied: Replied, cancel: Cancel): StreamReply {
  const explain = (thrown: unknown) => toStreamError(thrown, cancel);
  return {
    kind: "stream",
    ...replied,
    read: () => reply.read(explain),
    close: () => reply.close(),
  };
}

export async function toProviderError(
  reply: OutboundReply,
  dialect: ProviderDialect,
): Promise<GatewayError> {
  const bytes = await readUpTo(reply, clientLimits.errorBytes, "cut");
  return dialect.decodeError(reply.status, new TextDecoder().decode(bytes), reply.headers());
}

/** At once where the answer has come whole. @throws GatewayError */
export function readWhole(
  reply: OutboundReply,
  replied: Replied,
  call: Call,
  fit?: (body: JsonObject) => JsonObject,
): WholeReply | Promise<WholeReply> {
  const sent = readUpTo(reply, replyLimit(replied), "refuse");
  return sent instanceof Promise
    ? sent.then((bytes) => toWhole(bytes, reply, replied, call, fit))
    : toWhole(sent, reply, replied, call, fit);
}

function toWhole(
  sent: Bytes,
  reply: OutboundReply,
  { dialect, passes }: Replied,
  call: Call,
  fit: ((body: JsonObject) => JsonObject) | undefined,
): WholeReply {
  const parsed = parseReply(sent);
  const body = fit ? fit(parsed) : parsed;
  const bytes = body === parsed ? sent : new TextEncoder().encode(JSON.stringify(body));
  const expected = lists[call.operation] ?? contentField[dialect.name];
  const whole = { kind: "whole", bytes, body, dialect, passes } as const;
  if (isReply(body, expected, dialect)) return whole;
  // Some providers answer 200 with an error inside.
  if (isObject(body["error"]) || (expected === undefined && body["error"])) {
    throw dialect.decodeError(500, new TextDecoder().decode(bytes), reply.headers());
  }
  const isAudio = call.operation.startsWith("audio_");
  if (isAudio && typeof body["text"] === "string") return whole;
  const what = isAudio ? "text" : `"${expected ?? "message"}"`;
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
  compaction: "output",
};

export function parseReply(bytes: Bytes): JsonObject {
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
export function readUpTo(
  reply: OutboundReply,
  limitBytes: number,
  beyond: "cut" | "refuse",
): Bytes | Promise<Bytes> {
  try {
    const bytes = reply.whole(limitBytes, beyond);
    if (!(bytes instanceof Promise)) return bytes;
    return bytes.catch((thrown: unknown) => {
      throw orTooLarge(thrown, limitBytes);
    });
  } catch (thrown) {
    throw orTooLarge(thrown, limitBytes);
  }
}

function orTooLarge(thrown: unknown, limitBytes: number): unknown {
  if (!(thrown instanceof BodyTooLarge)) return thrown;
  return new GatewayError(
    "upstream_invalid",
    `The provider's answer is larger than the limit of ${limitBytes} bytes.`,
  );
}

/** The same mapping for what breaks while a stream is read. */
function toStreamError(thrown: unknown, { reason }: Cancel): GatewayError {
  if (reason) return toGatewayError(reason);
  if (thrown instanceof GatewayError) return thrown;
  return new GatewayError("stream_truncated", "The provider's stream broke off.", {
    cause: thrown,
  });
}
