/**
 * Anthropic's Messages API as far as we read it: replies, stream events, and its words.
 * Source: https://platform.claude.com/docs/en/api/messages, and the types of @anthropic-ai/sdk 1.14.
 * Schemas are open: a field or a block that Anthropic adds tomorrow must break nothing.
 */
import { type Static, Type } from "@sinclair/typebox";

const nullable = <T extends Parameters<typeof Type.Union>[0][number]>(schema: T) =>
  Type.Optional(Type.Union([schema, Type.Null()]));

export const AnthropicUsage = Type.Object({
  /** Fresh input only: what the cache gave or took is counted beside it. */
  input_tokens: nullable(Type.Number()),
  output_tokens: nullable(Type.Number()),
  cache_creation_input_tokens: nullable(Type.Number()),
  cache_read_input_tokens: nullable(Type.Number()),
  output_tokens_details: nullable(Type.Object({ thinking_tokens: nullable(Type.Number()) })),
});
export type AnthropicUsage = Static<typeof AnthropicUsage>;

export const ContentBlock = Type.Object({ type: Type.String() });

export const Message = Type.Object({
  id: Type.String(),
  model: Type.String(),
  content: Type.Array(ContentBlock),
  stop_reason: nullable(Type.String()),
  stop_sequence: nullable(Type.String()),
  usage: Type.Optional(AnthropicUsage),
});

export const MessageStart = Type.Object({
  message: Type.Object({
    id: Type.String(),
    model: Type.String(),
    usage: Type.Optional(AnthropicUsage),
  }),
});

export const ContentBlockStart = Type.Object({
  index: Type.Number(),
  content_block: ContentBlock,
});

export const ContentBlockDelta = Type.Object({
  index: Type.Number(),
  delta: Type.Object({
    type: Type.String(),
    text: Type.Optional(Type.String()),
    partial_json: Type.Optional(Type.String()),
    thinking: Type.Optional(Type.String()),
    signature: Type.Optional(Type.String()),
  }),
});

export const ContentBlockStop = Type.Object({ index: Type.Number() });

export const MessageDelta = Type.Object({
  delta: Type.Object({
    stop_reason: nullable(Type.String()),
    stop_sequence: nullable(Type.String()),
  }),
  usage: Type.Optional(AnthropicUsage),
});

/** `stop_reason` to OpenAI's `finish_reason`. */
const finishReasons: Readonly<Record<string, string>> = {
  end_turn: "stop",
  stop_sequence: "stop",
  max_tokens: "length",
  model_context_window_exceeded: "length",
  tool_use: "tool_calls",
  refusal: "content_filter",
  pause_turn: "stop", // a server tool's long turn: the caller may send the reply back to go on
  compaction: "stop",
};

export function toFinishReason(stopReason: string): string {
  // A reason newer than this file must not break a call.
  return Object.hasOwn(finishReasons, stopReason) ? (finishReasons[stopReason] ?? "stop") : "stop";
}

/** OpenAI's `finish_reason` to `stop_reason`. */
const stopReasons: Readonly<Record<string, string>> = {
  stop: "end_turn",
  length: "max_tokens",
  tool_calls: "tool_use",
  function_call: "tool_use",
  content_filter: "refusal",
};

/** Some servers say `stop` after tool calls (Gemini's, Ollama's); Anthropic's clients go by the word. */
export function toStopReason(finishReason: string, hasCalls = false): string {
  if (hasCalls && finishReason === "stop") return "tool_use";
  return Object.hasOwn(stopReasons, finishReason)
    ? (stopReasons[finishReason] ?? "end_turn")
    : "end_turn";
}

/** Whether OpenAI's word loses something, so that the original must travel beside it. */
export function isLossy(stopReason: string): boolean {
  return toStopReason(toFinishReason(stopReason)) !== stopReason;
}

/** Name of the tool that stands in for a JSON schema on models without structured output. */
export const jsonToolName = "routeiq_json_output";
