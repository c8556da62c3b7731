/**
 * Cohere's chat, second version, as far as we read it, and its words.
 * Source: https://docs.cohere.com/reference/chat, https://docs.cohere.com/reference/chat-stream.
 * Schemas are open: a field or a block that Cohere adds tomorrow must break nothing.
 */
import { type Static, type TSchema, Type } from "@sinclair/typebox";
import { fromWireUsage, type WireUsage } from "../../domain/chat.ts";
import { isObject, type Json, type JsonObject } from "../../domain/json.ts";

const optional = <T extends TSchema>(schema: T) => Type.Optional(Type.Union([schema, Type.Null()]));

const Block = Type.Object({
  type: optional(Type.String()),
  text: optional(Type.String()),
  thinking: optional(Type.String()),
});

const Call = Type.Object({
  id: optional(Type.String()),
  function: optional(
    Type.Object({ name: optional(Type.String()), arguments: optional(Type.String()) }),
  ),
});
export type Call = Static<typeof Call>;

export const ChatResponse = Type.Object({
  id: optional(Type.String()),
  finish_reason: Type.String(),
  message: Type.Object({
    content: optional(Type.Array(Block)),
    tool_plan: optional(Type.String()),
    tool_calls: optional(Type.Array(Call)),
    citations: optional(Type.Array(Type.Object({}))),
  }),
});

/** Every event of a stream: they differ in what of this they hold. */
export const StreamEvent = Type.Object({
  type: Type.String(),
  id: optional(Type.String()),
  index: optional(Type.Number()),
  delta: optional(
    Type.Object({
      message: optional(
        Type.Object({
          content: optional(Type.Union([Block, Type.Array(Type.Unknown())])),
          tool_plan: optional(Type.String()),
          tool_calls: optional(Type.Union([Call, Type.Array(Call)])),
          citations: optional(Type.Unknown()),
        }),
      ),
      finish_reason: optional(Type.String()),
      error: optional(Type.String()),
    }),
  ),
});
export type StreamEvent = Static<typeof StreamEvent>;

/** `finish_reason` to OpenAI's. ERROR and TIMEOUT are failures, told by errors.ts. */
const finishReasons: Readonly<Record<string, string>> = {
  COMPLETE: "stop",
  STOP_SEQUENCE: "stop",
  MAX_TOKENS: "length",
  ERROR_LIMIT: "length",
  TOOL_CALL: "tool_calls",
  ERROR_TOXIC: "content_filter",
};

export function toFinishReason(reason: string): string {
  // A reason newer than this file must not break a call.
  return Object.hasOwn(finishReasons, reason) ? (finishReasons[reason] ?? "stop") : "stop";
}

/** What is billed: Cohere's own count also holds the words that it puts around a prompt, for free. */
export function toWireUsage(usage: Json | undefined): WireUsage | undefined {
  if (!isObject(usage)) return undefined;
  const billed = countsIn(usage["billed_units"]) ?? countsIn(usage["tokens"]);
  if (!billed) return undefined;
  const [input, output] = billed;
  const cached = numberIn(usage["cached_tokens"]);
  return {
    prompt_tokens: input,
    completion_tokens: output,
    total_tokens: input + output,
    ...(cached ? { prompt_tokens_details: { cached_tokens: Math.min(cached, input) } } : {}),
  };
}

function countsIn(units: Json | undefined): readonly [number, number] | undefined {
  if (!isObject(units)) return undefined;
  const { input_tokens: input, output_tokens: output } = units;
  if (typeof input !== "number" && typeof output !== "number") return undefined;
  return [numberIn(input), numberIn(output)];
}

const numberIn = (value: Json | undefined) =>
  typeof value === "number" && Number.isFinite(value) && value > 0 ? value : 0;

export function usageOf(reply: JsonObject) {
  const usage = toWireUsage(reply["usage"]);
  return usage && fromWireUsage(usage);
}

/** Cohere gives a log probability for each token of a piece of text; OpenAI's entries are tokens. */
export function toLogprobs(logprobs: Json | undefined): JsonObject {
  if (!Array.isArray(logprobs)) return {};
  const content = logprobs.filter(isObject).map(({ text, logprobs: each }) => {
    const token = typeof text === "string" ? text : "";
    const sum = Array.isArray(each) ? each.reduce<number>((all, one) => all + Number(one), 0) : 0;
    return { token, logprob: sum, bytes: [...Buffer.from(token)], top_logprobs: [] };
  });
  return { logprobs: { content, refusal: null } };
}
