/** Output items as the API has them, whole or begun. */
import { isObject, type Json, type JsonObject } from "../../domain/json.ts";
import { packThinking } from "./reasoning.ts";
import { listOf } from "./wire.ts";

export type ItemStatus = "in_progress" | "completed" | "incomplete";

export function messageItem(
  id: string,
  content: readonly JsonObject[],
  status: ItemStatus,
): JsonObject {
  return { id, type: "message", status, role: "assistant", content };
}

export function textPart(text: string, logprobs: readonly JsonObject[] = []): JsonObject {
  return { type: "output_text", text, annotations: [], logprobs };
}

export const refusalPart = (refusal: string): JsonObject => ({ type: "refusal", refusal });

/** @param thinking signed blocks, which the provider wants back unchanged in the next turn */
export function reasoningItem(
  id: string,
  text: string,
  thinking: readonly JsonObject[],
): JsonObject {
  return {
    id,
    type: "reasoning",
    summary: text ? [{ type: "summary_text", text }] : [],
    ...(thinking.length > 0 ? { encrypted_content: packThinking(thinking) } : {}),
  };
}

export interface CallParts {
  readonly id: string;
  readonly callId: string;
  readonly name: string;
}

export function functionItem(call: CallParts, args: string, status: ItemStatus): JsonObject {
  const { id, callId, name } = call;
  return { id, type: "function_call", status, arguments: args, call_id: callId, name };
}

export function customItem(call: CallParts, input: string, status: ItemStatus): JsonObject {
  const { id, callId, name } = call;
  return { id, type: "custom_tool_call", status, call_id: callId, input, name };
}

/** Chat's log probabilities of text as the Responses API lists them. */
export function toLogprobs(sent: Json | undefined): JsonObject[] {
  const content = isObject(sent) ? sent["content"] : undefined;
  return listOf(content)
    .filter(isObject)
    .map((each) => ({ bytes: [], top_logprobs: [], ...each }));
}
