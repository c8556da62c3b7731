/**
 * Ollama's own chat as far as we read it. Source: https://docs.ollama.com/api/chat and
 * https://docs.ollama.com/openapi.yaml. Schemas are open: a field that Ollama adds tomorrow must
 * break nothing.
 */
import { type Static, type TSchema, Type } from "@sinclair/typebox";
import { fromWireUsage, type ToolCall, type WireUsage } from "../../domain/chat.ts";
import { isObject, type Json, type JsonObject } from "../../domain/json.ts";
import type { ReplyContext } from "../dialect.ts";

const optional = <T extends TSchema>(schema: T) => Type.Optional(Type.Union([schema, Type.Null()]));

const Call = Type.Object({
  id: optional(Type.String()),
  function: Type.Object({ name: Type.String(), arguments: optional(Type.Unknown()) }),
});

/** A whole reply, and each line of a stream. */
export const ChatResponse = Type.Object({
  model: optional(Type.String()),
  created_at: optional(Type.String()),
  message: Type.Object({
    content: optional(Type.String()),
    thinking: optional(Type.String()),
    tool_calls: optional(Type.Array(Call)),
  }),
  done: optional(Type.Boolean()),
  done_reason: optional(Type.String()),
  prompt_eval_count: optional(Type.Number()),
  eval_count: optional(Type.Number()),
});
export type ChatResponse = Static<typeof ChatResponse>;

/** Ollama says "stop" after calls, too. A reason newer than this file must not break a call. */
export function toFinishReason(reason: string | null | undefined, hasCalls: boolean): string {
  if (reason === "length") return "length";
  return hasCalls ? "tool_calls" : "stop";
}

/** @param from how many calls the answer held before these */
export function toCalls(
  calls: ChatResponse["message"]["tool_calls"],
  { callId = "" }: ReplyContext,
  from = 0,
): ToolCall[] {
  return (calls ?? []).map(({ id, function: called }, i) => ({
    // Older servers give none; OpenAI's clients send the results back by it.
    id: id || `call_${callId.slice(-24)}_${from + i}`,
    type: "function",
    function: {
      name: called.name,
      arguments:
        typeof called.arguments === "string"
          ? called.arguments
          : JSON.stringify(called.arguments ?? {}),
    },
  }));
}

/** A prompt that the server has kept is not counted there. */
export function toWireUsage({
  prompt_eval_count: prompt,
  eval_count: output,
}: JsonObject): WireUsage | undefined {
  if (typeof prompt !== "number" && typeof output !== "number") return undefined;
  const input = typeof prompt === "number" ? prompt : 0;
  const said = typeof output === "number" ? output : 0;
  return { prompt_tokens: input, completion_tokens: said, total_tokens: input + said };
}

export function usageOf(reply: JsonObject) {
  const usage = toWireUsage(reply);
  return usage && fromWireUsage(usage);
}

/** Seconds since the epoch. */
export function createdOf(body: JsonObject, { createdS = 0 }: ReplyContext): number {
  const ms = Date.parse(String(body["created_at"]));
  return Number.isFinite(ms) && ms > 0 ? Math.floor(ms / 1000) : createdS;
}

/** Ollama's log probabilities have OpenAI's fields, without the object around them. */
export function toLogprobs({ logprobs }: JsonObject): JsonObject {
  if (!Array.isArray(logprobs)) return {};
  const content = logprobs.filter(isObject).map((each: JsonObject) => {
    const top: Json | undefined = each["top_logprobs"];
    return { ...withBytes(each), top_logprobs: Array.isArray(top) ? top.map(withBytes) : [] };
  });
  return { logprobs: { content, refusal: null } };
}

function withBytes(each: Json): JsonObject {
  if (!isObject(each)) return {};
  const bytes = Array.isArray(each["bytes"]) ? each["bytes"] : undefined;
  return { ...each, bytes: bytes ?? [...Buffer.from(String(each["token"] ?? ""))] };
}
