/**
 * Chat inside the gateway: OpenAI's shape, widened so that nothing of another dialect is lost.
 * Source: https://platform.openai.com/docs/api-reference/chat ; the extra fields are LiteLLM's
 * (`reasoning_content`, `thinking_blocks`, `cache_control`). Unknown fields travel on.
 */
import type { HostedEvent } from "./hosted-event.ts";
import type { Json, JsonObject } from "./json.ts";
import type { Usage } from "./usage.ts";

export interface ChatRequest extends JsonObject {
  readonly model: string;
  readonly messages: readonly ChatMessage[];
  readonly stream?: boolean;
  readonly stream_options?: { readonly include_usage?: boolean } & JsonObject;
  readonly tools?: readonly ChatTool[];
  readonly tool_choice?: Json;
  readonly parallel_tool_calls?: boolean;
  readonly response_format?: JsonObject;
  readonly n?: number;
  readonly max_tokens?: number;
  readonly max_completion_tokens?: number;
  readonly temperature?: number;
  readonly top_p?: number;
  readonly stop?: string | readonly string[];
  readonly user?: string;
}

export interface ChatMessage extends JsonObject {
  readonly role: "system" | "developer" | "user" | "assistant" | "tool" | "function";
  readonly content?: string | readonly ContentPart[] | null;
  readonly name?: string;
  readonly tool_calls?: readonly ToolCall[];
  readonly tool_call_id?: string;
  readonly reasoning_content?: string;
  readonly thinking_blocks?: readonly JsonObject[];
}

/** `text`, `image_url`, `input_audio`, `file`; other types travel on as they are. */
export interface ContentPart extends JsonObject {
  readonly type: string;
  readonly text?: string;
  readonly image_url?: { readonly url: string; readonly detail?: string } & JsonObject;
}

export interface ToolCall extends JsonObject {
  readonly id: string;
  readonly type: "function";
  readonly function: { readonly name: string; readonly arguments: string } & JsonObject;
}

export interface ChatTool extends JsonObject {
  readonly type: string;
  readonly function?: {
    readonly name: string;
    readonly description?: string;
    readonly parameters?: JsonObject;
  } & JsonObject;
}

/** `stop length tool_calls content_filter function_call`; a provider's newer word travels on. */
export type FinishReason = string;

export interface ChatReply extends JsonObject {
  readonly id: string;
  readonly object: "chat.completion";
  readonly created: number;
  readonly model: string;
  readonly choices: readonly ChatChoice[];
  readonly usage?: WireUsage;
}

export interface ChatChoice extends JsonObject {
  readonly index: number;
  readonly message: ChatMessage & { readonly refusal?: string | null };
  readonly finish_reason: FinishReason | null;
  readonly logprobs?: Json;
}

/** One event of a stream, in OpenAI's shape: `chat.completion.chunk`. */
export interface ChatChunk extends JsonObject {
  readonly id: string;
  readonly object: "chat.completion.chunk";
  readonly created: number;
  readonly model: string;
  readonly choices: readonly ChunkChoice[];
  readonly usage?: WireUsage | null;
  /** What a tool of the gateway's own does meanwhile; never sent as it is. */
  readonly hosted?: HostedEvent;
}

export interface ChunkChoice extends JsonObject {
  readonly index: number;
  readonly delta: ChunkDelta;
  readonly finish_reason?: FinishReason | null;
  readonly logprobs?: Json;
}

export interface ChunkDelta extends JsonObject {
  readonly role?: string;
  readonly content?: string | null;
  readonly refusal?: string | null;
  readonly reasoning_content?: string;
  readonly thinking_blocks?: readonly JsonObject[];
  readonly tool_calls?: readonly ToolCallDelta[];
}

export interface ToolCallDelta extends JsonObject {
  readonly index: number;
  readonly id?: string;
  readonly type?: string;
  readonly function?: { readonly name?: string; readonly arguments?: string } & JsonObject;
}

export interface WireUsage extends SentUsage {
  readonly completion_tokens: number;
  readonly total_tokens: number;
}

/** As servers send it: some leave the completion out where nothing was said. */
export interface SentUsage extends JsonObject {
  readonly prompt_tokens: number;
  readonly completion_tokens?: number;
  readonly prompt_tokens_details?: JsonObject | null;
  readonly completion_tokens_details?: JsonObject | null;
}

const whole = (value: unknown) => (typeof value === "number" && value > 0 ? value : 0);

/** @param wire its sums need not be there: what they come to is not read */
export function fromWireUsage(wire: SentUsage): Usage {
  // DeepSeek's word for it stands beside the object.
  const cached =
    whole(wire.prompt_tokens_details?.["cached_tokens"]) || whole(wire["prompt_cache_hit_tokens"]);
  const written = whole(wire["cache_creation_input_tokens"]);
  const reasoning = whole(wire.completion_tokens_details?.["reasoning_tokens"]);
  const audioInput = whole(wire.prompt_tokens_details?.["audio_tokens"]);
  const audioOutput = whole(wire.completion_tokens_details?.["audio_tokens"]);
  const usage: { -readonly [K in keyof Usage]: Usage[K] } = {
    inputTokens: whole(wire.prompt_tokens),
    outputTokens: whole(wire.completion_tokens),
  };
  if (cached) usage.cachedInputTokens = cached;
  if (written) usage.cacheWriteTokens = written;
  if (reasoning) usage.reasoningTokens = reasoning;
  if (audioInput || audioOutput) usage.modal = { audioInput, audioOutput };
  return usage;
}
