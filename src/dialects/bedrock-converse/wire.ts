/**
 * Bedrock's Converse and ConverseStream as far as we read them, and their words. Sources:
 * https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html,
 * .../API_runtime_ConverseStream.html. Schemas are open: a field or a block that AWS adds tomorrow
 * must break nothing.
 */
import { type Static, type TSchema, Type } from "@sinclair/typebox";
import { isObject, type JsonObject } from "../../domain/json.ts";
import { isLossy } from "../anthropic/wire.ts";

const optional = <T extends TSchema>(schema: T) => Type.Optional(Type.Union([schema, Type.Null()]));

export const TokenUsage = Type.Object({
  /** Fresh input only: what the cache gave or took is counted beside it. */
  inputTokens: optional(Type.Number()),
  outputTokens: optional(Type.Number()),
  cacheReadInputTokens: optional(Type.Number()),
  cacheWriteInputTokens: optional(Type.Number()),
});
export type TokenUsage = Static<typeof TokenUsage>;

export const ConverseResponse = Type.Object({
  output: Type.Object({
    message: Type.Object({ content: Type.Array(Type.Object({})) }),
  }),
  stopReason: Type.String(),
  usage: optional(TokenUsage),
});

export const BlockStart = Type.Object({
  contentBlockIndex: Type.Number(),
  start: optional(
    Type.Object({
      toolUse: optional(Type.Object({ toolUseId: Type.String(), name: Type.String() })),
    }),
  ),
});

export const BlockDelta = Type.Object({
  contentBlockIndex: Type.Number(),
  delta: Type.Object({
    text: optional(Type.String()),
    toolUse: optional(Type.Object({ input: optional(Type.String()) })),
    reasoningContent: optional(
      Type.Object({
        text: optional(Type.String()),
        signature: optional(Type.String()),
        redactedContent: optional(Type.String()),
      }),
    ),
    citation: optional(Type.Object({})),
  }),
});

export const BlockStop = Type.Object({ contentBlockIndex: Type.Number() });
export const MessageStop = Type.Object({ stopReason: Type.String() });
export const Metadata = Type.Object({ usage: optional(TokenUsage) });

/** `stopReason` to OpenAI's `finish_reason`. */
const finishReasons: Readonly<Record<string, string>> = {
  end_turn: "stop",
  stop_sequence: "stop",
  max_tokens: "length",
  model_context_window_exceeded: "length",
  tool_use: "tool_calls",
  guardrail_intervened: "content_filter",
  content_filtered: "content_filter",
};

export function toFinishReason(stopReason: string): string {
  // A reason newer than this file must not break a call.
  return Object.hasOwn(finishReasons, stopReason) ? (finishReasons[stopReason] ?? "stop") : "stop";
}

const plain = new Set(["end_turn", "max_tokens", "tool_use"]);

/**
 * What OpenAI's word loses, to travel beside it: AWS's word, and Anthropic's where it is one of
 * theirs, so that their callers read it as from Anthropic itself.
 */
export function stopDetails(stopReason: string, fields: unknown): JsonObject {
  if (plain.has(stopReason)) return {};
  const sequence = isObject(fields) ? fields["stop_sequence"] : undefined;
  const isAnthropics =
    stopReason !== "guardrail_intervened" &&
    Object.hasOwn(finishReasons, stopReason) &&
    stopReason !== "content_filtered" &&
    isLossy(stopReason);
  return {
    provider_specific_fields: {
      stopReason,
      ...(isAnthropics ? { stop_reason: stopReason, stop_sequence: sequence ?? null } : {}),
    },
  };
}
