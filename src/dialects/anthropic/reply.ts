/** Whole replies, both ways. */
import type { ChatMessage, ChatReply, ToolCall } from "../../domain/chat.ts";
import { isObject, type JsonObject } from "../../domain/json.ts";
import { decodeWire } from "../decode-wire.ts";
import type { ReplyContext } from "../dialect.ts";
import { signatureOf, signId } from "../gemini/signatures.ts";
import { toInput, toToolId } from "./encode-messages.ts";
import { fromUsage, toWireUsage } from "./usage.ts";
import { isLossy, jsonToolName, Message, toFinishReason, toStopReason } from "./wire.ts";

/** Blocks that OpenAI's message says in full. */
const sayable = new Set(["text", "tool_use", "thinking", "redacted_thinking"]);

/** @throws GatewayError upstream_invalid */
export function decodeReply(body: JsonObject, context: ReplyContext = {}): ChatReply {
  const message = decodeWire(Message, body, "message");
  const blocks: readonly JsonObject[] = message.content;
  const stopReason = message.stop_reason ?? "end_turn";
  const answered = blocks.some((block) => block["name"] === jsonToolName);
  const finish = toFinishReason(stopReason);
  return {
    id: message.id,
    object: "chat.completion",
    created: context.createdS ?? 0,
    model: message.model,
    choices: [
      {
        index: 0,
        message: toMessage(blocks, stopReason),
        finish_reason: answered && finish === "tool_calls" && !hasCalls(blocks) ? "stop" : finish,
        ...(isLossy(stopReason)
          ? {
              provider_specific_fields: {
                stop_reason: stopReason,
                stop_sequence: message.stop_sequence ?? null,
              },
            }
          : {}),
      },
    ],
    ...(message.usage ? { usage: toWireUsage(message.usage) } : {}),
  };
}

const isCall = (block: JsonObject) =>
  block["type"] === "tool_use" && block["name"] !== jsonToolName;
const hasCalls = (blocks: readonly JsonObject[]) => blocks.some(isCall);
const text = (value: unknown) => (typeof value === "string" ? value : "");

function toMessage(
  blocks: readonly JsonObject[],
  stopReason: string,
): ChatReply["choices"][0]["message"] {
  const thinking = blocks.filter(({ type }) => type === "thinking" || type === "redacted_thinking");
  const reasoning = thinking.map((block) => text(block["thinking"])).join("");
  const answer = blocks.map((block) => {
    if (block["name"] === jsonToolName) return JSON.stringify(block["input"] ?? {});
    return block["type"] === "text" ? text(block["text"]) : "";
  });
  const content = answer.join("");
  const calls: ToolCall[] = blocks.filter(isCall).map((block) => ({
    id: text(block["id"]),
    type: "function",
    function: { name: text(block["name"]), arguments: JSON.stringify(block["input"] ?? {}) },
  }));
  const isSaid = blocks.every((block) => sayable.has(text(block["type"])) && !block["citations"]);
  return {
    role: "assistant",
    content: content || (calls.length > 0 || stopReason === "refusal" ? null : ""),
    ...(reasoning ? { reasoning_content: reasoning } : {}),
    ...(thinking.length > 0 ? { thinking_blocks: thinking } : {}),
    ...(calls.length > 0 ? { tool_calls: calls } : {}),
    // Server tools' blocks and citations: for callers who know Anthropic, nothing is lost.
    ...(isSaid ? {} : { provider_specific_fields: { content_blocks: blocks } }),
  };
}

export function encodeReply(reply: ChatReply): JsonObject {
  const choice = reply.choices[0];
  const original = specific(choice);
  const hasCalls = (choice?.message.tool_calls ?? []).length > 0;
  const stopReason =
    original["stop_reason"] ?? toStopReason(choice?.finish_reason ?? "stop", hasCalls);
  return {
    id: reply.id,
    type: "message",
    role: "assistant",
    model: reply.model,
    content: choice ? toBlocks(choice.message) : [],
    stop_reason: stopReason,
    stop_sequence: original["stop_sequence"] ?? null,
    usage: fromUsage(reply.usage),
  };
}

function specific(holder: JsonObject | undefined): JsonObject {
  const fields = holder?.["provider_specific_fields"];
  return isObject(fields) ? fields : {};
}

function toBlocks(message: ChatMessage): readonly JsonObject[] {
  const kept = specific(message)["content_blocks"];
  if (Array.isArray(kept)) return kept;
  const reasoning = message.reasoning_content ?? text(message["reasoning"]);
  const said = partsText(message.content) || text(message["refusal"]);
  return [
    ...(message.thinking_blocks ??
      (reasoning ? [{ type: "thinking", thinking: reasoning, signature: "" }] : [])),
    ...(said ? [{ type: "text", text: said }] : []),
    ...(message.tool_calls ?? []).map((call) => ({
      type: "tool_use",
      id: signId(toToolId(call.id), signatureOf(call)),
      name: call.function?.name ?? "",
      input: toInput(call.function?.arguments),
    })),
  ];
}

/** Content as text; some providers answer in parts. */
export function partsText(content: unknown): string {
  if (!Array.isArray(content)) return text(content);
  return content.map((part: unknown) => (isObject(part) ? text(part["text"]) : "")).join("");
}
