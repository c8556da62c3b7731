/**
 * A provider's stream as bytes in the caller's dialect. Where both speak the same one the bytes
 * pass, and only facts are read off; else the events are decoded and encoded anew.
 */
import type {
  Answer,
  Dialect,
  FrameParser,
  ReplyContext,
  StreamWatch,
} from "../dialects/dialect.ts";
import type { ChatChunk, ChatRequest } from "../domain/chat.ts";
import { fromWireUsage } from "../domain/chat.ts";
import { GatewayError } from "../domain/errors.ts";
import { isObject, type JsonObject } from "../domain/json.ts";
import type { Usage } from "../domain/usage.ts";
import type { StreamReply } from "../providers/client.ts";
import { assert } from "../std/assert.ts";
import { createSseParser, encodeSse, type SseFrame, SseFrameTooLarge } from "../std/sse.ts";

export interface Feed {
  /** The next bytes for the caller, at once where they are there; undefined at the end. @throws GatewayError */
  next(): Uint8Array | undefined | Promise<Uint8Array | undefined>;
  /** What the stream has told so far. */
  readonly facts: FeedFacts;
  close(): void;
}

/** Mutable; the feed writes, `stream.ts` reads. */
export interface FeedFacts {
  /** A valid event was seen: the commit point may be passed. */
  started: boolean;
  /** Events that carried something of the answer: about one output token each. */
  tokens: number;
  usage: Usage | undefined;
  finishReason: string | undefined;
  /** The stream itself has told the caller how it failed. */
  told: boolean;
}

export interface FeedOptions {
  /** The caller did not ask for the usage chunk that we asked for. */
  readonly withholdUsage: boolean;
  /** USD for a usage, where `include_cost_in_streaming_usage` wants it in the stream. */
  readonly costUsd?: (usage: Usage) => number | undefined;
  /** Told of every event, so that timers can be moved. */
  readonly heard: (token: boolean) => void;
}

const encoder = new TextEncoder();

function newFacts(): FeedFacts {
  return { started: false, tokens: 0, usage: undefined, finishReason: undefined, told: false };
}

/** Both sides speak the same dialect. A chunk whose frames all pass is handed on as it came. */
export function createPassingFeed(upstream: StreamReply, options: FeedOptions): Feed {
  return new PassingFeed(upstream, options);
}

class PassingFeed implements Feed {
  readonly facts = newFacts();
  readonly #upstream: StreamReply;
  readonly #options: FeedOptions;
  readonly #parser = createSseParser();
  readonly #watch: StreamWatch;
  #ended = false;
  #failure: GatewayError | undefined;
  /** One for the stream's life: no closure per event. */
  readonly #onPiece = (bytes: Uint8Array | undefined) => this.#take(bytes) ?? this.next();

  constructor(upstream: StreamReply, options: FeedOptions) {
    this.#upstream = upstream;
    this.#options = options;
    this.#watch = watchOf(upstream);
  }

  next(): Uint8Array | undefined | Promise<Uint8Array | undefined> {
    while (!this.#ended && !this.#failure) {
      const bytes = this.#upstream.read();
      if (bytes instanceof Promise) return bytes.then(this.#onPiece);
      const out = this.#take(bytes);
      if (out) return out;
    }
    this.facts.usage ??= this.#watch.end().usage;
    if (this.#failure) throw this.#failure;
    return undefined;
  }

  close(): void {
    this.#upstream.close();
  }

  /** What of these bytes goes to the caller; undefined where nothing does. */
  #take(bytes: Uint8Array | undefined): Uint8Array | undefined {
    const frames = bytes ? pushFrames(this.#parser, bytes) : this.#parser.end();
    const [first] = frames;
    const out =
      frames.length === 1 && first && bytes ? this.#admit(first) : this.#admitAll(frames, bytes);
    if (!bytes && !this.#ended && !this.#failure) this.#conclude();
    return out;
  }

  /** Stops at the terminator and at an error. */
  #admitAll(frames: readonly SseFrame[], bytes: Uint8Array | undefined): Uint8Array | undefined {
    const out: Uint8Array[] = [];
    for (const frame of frames) {
      const admitted = this.#admit(frame);
      if (admitted) out.push(admitted);
      if (this.#ended || this.#failure) break;
    }
    if (out.length <= 1) return out[0];
    return bytes && isWhole(bytes, out) ? bytes : Buffer.concat(out);
  }

  #admit(frame: SseFrame): Uint8Array | undefined {
    const { facts } = this;
    const { heard, withholdUsage, costUsd } = this.#options;
    const seen = this.#watch.see(frame);
    if (seen.error) {
      this.#failure = seen.error;
      facts.told = facts.started && this.#upstream.dialect.tellsStreamErrors === true;
      return facts.told ? frame.raw : undefined;
    }
    if (seen.done) {
      this.#conclude();
      return this.#failure ? undefined : frame.raw;
    }
    if (seen.event) {
      facts.started = true;
      if (seen.token) facts.tokens++;
      heard(seen.token);
    }
    if (seen.usageOnly && withholdUsage) return undefined;
    return costUsd ? withCost(frame, costUsd) : frame.raw;
  }

  #conclude(): void {
    const end = this.#watch.end();
    this.facts.finishReason = end.finishReason;
    this.facts.usage = end.usage ?? this.facts.usage;
    if (!end.complete) this.#failure ??= truncated();
    this.#ended = true;
  }
}

function watchOf({ dialect }: StreamReply): StreamWatch {
  const watch = dialect.createStreamWatch?.();
  assert(watch, "only a dialect that callers speak passes as it is");
  return watch;
}

/** Bytes that are no events: sound, say. They end where the connection says so. */
export function createOpaqueFeed(upstream: StreamReply, usage: Usage): Feed {
  const facts: FeedFacts = { ...newFacts(), usage };
  return {
    facts,
    async next() {
      const bytes = await upstream.read();
      if (!bytes && !facts.started) {
        throw new GatewayError("upstream_invalid", "The provider's answer is empty.");
      }
      facts.started = true;
      return bytes;
    },
    close: upstream.close,
  };
}

/** True where the pieces, in order, are the chunk itself. */
function isWhole(bytes: Uint8Array, out: readonly Uint8Array[]): boolean {
  let length = 0;
  for (const piece of out) {
    if (piece.buffer !== bytes.buffer) return false;
    length += piece.length;
  }
  return length === bytes.length;
}

/** The usage of OpenAI's last chunk, with our cost in it. */
function withCost(frame: SseFrame, costUsd: NonNullable<FeedOptions["costUsd"]>): Uint8Array {
  if (!frame.data.includes('"usage"')) return frame.raw;
  const chunk: unknown = JSON.parse(frame.data);
  if (!isObject(chunk) || !isObject(chunk["usage"])) return frame.raw;
  const cost = costUsd(fromWireUsage(chunk["usage"] as never));
  if (cost === undefined) return frame.raw;
  const usage = { ...chunk["usage"], cost };
  return encoder.encode(
    encodeSse({ event: frame.event, data: JSON.stringify({ ...chunk, usage }) }),
  );
}

/** What a stream answers, and in which dialect. */
export interface Asked {
  readonly caller: Dialect;
  readonly request: ChatRequest;
  readonly answer: Answer;
}

/** The dialects differ: decode, read the facts off our own events, encode. */
export function createTranslatingFeed(
  upstream: StreamReply,
  asked: Asked,
  /** For dialects whose streams do not tell it themselves. */
  context: ReplyContext,
  options: FeedOptions,
): Feed {
  const events = upstream.dialect.decodeStream(readFrames(upstream), context);
  return createChunkFeed(() => events, asked, { ...options, close: upstream.close });
}

export interface ChunkFeedOptions extends FeedOptions {
  /** A last change of a chunk, after the facts were read off it. */
  readonly shape?: (chunk: ChatChunk) => ChatChunk;
  readonly close: () => void;
}

/** Our own events, wherever they come from, in the caller's dialect. */
export function createChunkFeed(
  source: (facts: FeedFacts) => AsyncIterable<ChatChunk>,
  { caller, request, answer }: Asked,
  { shape, close, ...options }: ChunkFeedOptions,
): Feed {
  const facts = newFacts();
  const watched = watchChunks(source(facts), facts, options);
  const chunks = shape ? shapeChunks(watched, shape) : watched;
  const texts = caller.encodeStream(chunks, request, answer)[Symbol.asyncIterator]();
  return {
    facts,
    async next() {
      try {
        const { value, done } = await texts.next();
        return done ? undefined : encoder.encode(value);
      } catch (thrown) {
        facts.told = facts.started && caller.tellsStreamErrors === true;
        throw thrown;
      }
    },
    close,
  };
}

async function* shapeChunks(
  chunks: AsyncIterable<ChatChunk>,
  shape: (chunk: ChatChunk) => ChatChunk,
): AsyncGenerator<ChatChunk> {
  for await (const chunk of chunks) yield shape(chunk);
}

async function* watchChunks(
  chunks: AsyncIterable<ChatChunk>,
  facts: FeedFacts,
  { withholdUsage, costUsd, heard }: FeedOptions,
): AsyncGenerator<ChatChunk> {
  for await (const chunk of chunks) {
    facts.started = true;
    const token = chunk.choices.some(({ delta }) => hasAnswer(delta));
    if (token) facts.tokens++;
    heard(token);
    for (const { finish_reason } of chunk.choices) {
      if (finish_reason) facts.finishReason = finish_reason;
    }
    if (!chunk.usage) {
      yield chunk;
      continue;
    }
    facts.usage = fromWireUsage(chunk.usage);
    if (withholdUsage && chunk.choices.length === 0) continue;
    const cost = costUsd?.(facts.usage);
    yield cost === undefined ? chunk : { ...chunk, usage: { ...chunk.usage, cost } };
  }
}

function hasAnswer(delta: JsonObject): boolean {
  return Boolean(
    delta["content"] || delta["tool_calls"] || delta["reasoning_content"] || delta["refusal"],
  );
}

/** A stream's bytes as frames. @throws GatewayError upstream_invalid */
export async function* readFrames(upstream: StreamReply): AsyncGenerator<SseFrame> {
  const { framing } = upstream.dialect;
  const parser = framing ? await framing.createParser() : createSseParser();
  for (;;) {
    const bytes = await upstream.read();
    if (!bytes) break;
    yield* pushFrames(parser, bytes);
  }
  yield* parser.end();
}

function pushFrames(parser: FrameParser, bytes: Uint8Array): readonly SseFrame[] {
  try {
    return parser.push(bytes);
  } catch (cause) {
    if (!(cause instanceof SseFrameTooLarge)) throw cause;
    throw new GatewayError("upstream_invalid", `The provider's stream: ${cause.message}.`, {
      cause,
    });
  }
}

function truncated(): GatewayError {
  return new GatewayError(
    "stream_truncated",
    "The provider's stream ended without a finish reason: the answer is not complete.",
  );
}
