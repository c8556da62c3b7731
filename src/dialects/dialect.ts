/**
 * The contract of a wire format, read and written on both sides: a caller's and a provider's.
 * Dialects do no I/O and keep no state outside the objects they hand out.
 */
import type { ChatChunk, ChatReply, ChatRequest } from "../domain/chat.ts";
import type { GatewayError } from "../domain/errors.ts";
import type { JsonObject } from "../domain/json.ts";
import type { ModelFacts } from "../domain/model.ts";
import type { Usage } from "../domain/usage.ts";
import type { SseFrame } from "../std/sse.ts";

export type DialectName = "openai-chat" | "openai-responses" | "anthropic" | "gemini";
/** Formats that cannot say all that chat can: callers speak them, and few providers. */
export type NarrowDialectName = "openai-completions";

/** Formats that providers speak and callers do not. */
export type ProviderDialectName = "bedrock-converse" | "cohere" | "ollama";

/** What a request's encoder may use beside the request. */
export interface EncodeOptions {
  /**
   * LiteLLM's `drop_params`: what the dialect cannot say is left out. Otherwise it is refused by
   * name, unless leaving it out changes nothing of the answer (`store`, say). Set it, too, where the
   * caller did not choose the model (`auto`, a fallback).
   */
  readonly dropParams?: boolean;
  /** What is known of the model: its output limit, whether it reasons. */
  readonly facts?: ModelFacts;
  /** Anthropic's beta features that caller or operator name by header, for Claude in other dialects. */
  readonly betas?: readonly string[];
}

/** What a reply's decoder cannot read off the reply. */
export interface ReplyContext {
  /** Seconds since the epoch, for dialects whose replies carry no time. Default 0. */
  readonly createdS?: number;
  /** The call's id, for dialects whose replies carry none. Default "". */
  readonly callId?: string;
  /** The provider's name of the model, for dialects whose replies do not tell it. Default "". */
  readonly model?: string;
}

/** What an answer's encoder may use beside the answer, for dialects that repeat the question. */
export interface Answer {
  /** Ours; answers that need an id of our making derive it from this. */
  readonly callId: string;
  /** When the call came. Seconds since the epoch. */
  readonly createdS: number;
  /** The caller's body. */
  readonly body: JsonObject;
  /** Fields that the answer repeats and the body no longer holds. */
  readonly echo?: JsonObject;
}

/** How a stream's bytes fall into frames, where it is not by server-sent events. */
export interface Framing {
  /** What the answer's `content-type` holds; an answer of another type is no stream. */
  readonly contentType: string;
  /** A parser for one stream; its code is loaded when first needed. */
  createParser(): FrameParser | Promise<FrameParser>;
}

/** As std/sse.ts's parser: frames have what the framing knows of a name, and the text. */
export interface FrameParser {
  /** The frames that this chunk completes. @throws GatewayError upstream_invalid */
  push(chunk: Uint8Array): readonly SseFrame[];
  /** What is left at the end, where it is whole. */
  end(): readonly SseFrame[];
}

/** What lay at an address. */
export interface FetchedMedia {
  readonly mediaType: string;
  readonly base64: string;
}

/** What it takes to call a provider, and to read its answers. */
export interface ProviderDialect {
  readonly name: DialectName | NarrowDialectName | ProviderDialectName;
  /**
   * Its streams tell a failure after their first event themselves: `encodeStream` writes the event,
   * then throws on, and a provider's own passes as it is.
   */
  readonly tellsStreamErrors?: boolean;
  /** Missing: server-sent events. */
  readonly framing?: Framing;
  /** Whether a body of status 200 is a reply, for dialects whose replies hold no list to know them by. */
  isReply?(body: JsonObject): boolean;

  /**
   * Ours to a provider's body; `model` is the name the provider knows.
   * @throws GatewayError invalid_request or unsupported_capability, naming what cannot be said.
   */
  encodeRequest(request: ChatRequest, model: string, options?: EncodeOptions): JsonObject;
  /**
   * The body with what lies at the addresses in it, for dialects that take bytes alone: `take` is
   * asked for every http(s) address, and where it gives nothing the address stays.
   * @throws GatewayError unsupported_capability for a type that the provider does not read.
   */
  withMedia?(body: JsonObject, take: (url: string) => FetchedMedia | undefined): JsonObject;
  /** @throws GatewayError upstream_invalid when the reply is not of this dialect. */
  decodeReply(body: JsonObject, context?: ReplyContext): ChatReply;
  /**
   * A provider's frames to our events. Ends normally only after the dialect's own end of stream;
   * @throws GatewayError stream_truncated when the frames end without a finish reason, and the
   * provider's in-band error (mapped as decodeError would) when one arrives.
   */
  decodeStream(frames: AsyncIterable<SseFrame>, context?: ReplyContext): AsyncGenerator<ChatChunk>;
  /** A provider's error answer, mapped to our table; `body` is its text, JSON or not. */
  decodeError(status: number, body: string, headers: Headers): GatewayError;

  /** Usage of a whole reply. */
  usageOf(reply: JsonObject): Usage | undefined;
  finishReasonOf(reply: JsonObject): string | undefined;
  /** For streams that pass as they are. Missing where no caller speaks it, so that none passes. */
  createStreamWatch?(): StreamWatch;
}

/** A format that callers speak, too. */
export interface Dialect extends ProviderDialect {
  readonly name: DialectName | NarrowDialectName;
  /** A caller's body to ours. @throws GatewayError invalid_request with `param`. */
  decodeRequest(body: JsonObject): ChatRequest;
  encodeReply(reply: ChatReply, answer?: Answer): JsonObject;
  /** Our events as the dialect's SSE text, terminator included (`data: [DONE]`, `message_stop`). */
  encodeStream(
    chunks: AsyncIterable<ChatChunk>,
    request: ChatRequest,
    answer?: Answer,
  ): AsyncIterable<string>;
  encodeError(error: GatewayError): JsonObject;
  /** One in-band SSE event that ends a stream after its commit point. No terminator follows. */
  encodeStreamError(error: GatewayError): string;
  createStreamWatch(): StreamWatch;
}

export type WideDialect = Dialect & { readonly name: DialectName };

/** What one frame of a passing stream tells. */
export interface FrameFacts {
  /** The frame is a valid event of the dialect, not a comment, a ping or `[DONE]`. */
  readonly event: boolean;
  /** The frame carries something of the answer (text, a tool call, reasoning …). */
  readonly token: boolean;
  /** A frame that exists only to report usage (OpenAI's last chunk, `choices: []`). */
  readonly usageOnly: boolean;
  /** The dialect's terminator. */
  readonly done: boolean;
  /** The provider's in-band error. */
  readonly error?: GatewayError;
}

/** Reads facts off a stream whose bytes pass untouched. One per stream; cheap per frame. */
export interface StreamWatch {
  see(frame: SseFrame): FrameFacts;
  /** Facts at the end. `complete`: a finish reason was seen. */
  end(): { readonly complete: boolean; readonly finishReason?: string; readonly usage?: Usage };
}
