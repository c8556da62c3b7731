/** Whole replies of Converse. */
import type { ChatReply, ToolCall } from "../../domain/chat.ts";
import { isObject, type Json, type JsonObject } from "../../domain/json.ts";
import { jsonToolName } from "../anthropic/wire.ts";
import { decodeWire } from "../decode-wire.ts";
import type { ReplyContext } from "../dialect.ts";
import { tierOf, toWireUsage } from "./usage.ts";
import { ConverseResponse, stopDetails, toFinishReason } from "./wire.ts";

/** @throws GatewayError upstream_invalid */
export function decodeReply(body: JsonObject, context: ReplyContext = {}): ChatReply {
  const { output, stopReason, usage } = decodeWire(ConverseResponse, body, "Converse response");
  const blocks: readonly JsonObject[] = output.message.content;
  const calls = blocks.flatMap((block) => toCalls(block));
  const answered = blocks.some(isAnswerTool);
  const finish = toFinishReason(stopReason);
  const { trace } = body;
  const tier = tierOf(body);
  return {
    id: `chatcmpl-${context.callId ?? ""}`,
    object: "chat.completion",
    created: context.createdS ?? 0,
    model: context.model ?? "",
    choices: [
      {
        index: 0,
        message: toMessage(blocks, calls),
        finish_reason: answered && finish === "tool_calls" && calls.length === 0 ? "stop" : finish,
        ...stopDetails(stopReason, body["additionalModelResponseFields"]),
      },
    ],
    ...(usage ? { usage: toWireUsage(usage) } : {}),
    ...(tier === "flex" || tier === "priority" || tier === "default" ? { service_tier: tier } : {}),
    // What the operator's guardrails found, where they are told to say it; LiteLLM's place for it.
    ...(trace === undefined ? {} : { trace }),
  };
}

function toMessage(
  blocks: readonly JsonObject[],
  calls: readonly ToolCall[],
): ChatReply["choices"][0]["message"] {
  const thinking = blocks.flatMap((block) => toThinking(block["reasoningContent"]));
  const reasoning = thinking.map((block) => text(block["thinking"])).join("");
  const content = blocks.map(textOf).join("");
  const citations = blocks.flatMap(({ citationsContent: cited }) =>
    isObject(cited) && Array.isArray(cited["citations"]) ? cited["citations"] : [],
  );
  return {
    role: "assistant",
    content: content || (calls.length > 0 ? null : ""),
    ...(reasoning ? { reasoning_content: reasoning } : {}),
    ...(thinking.length > 0 ? { thinking_blocks: thinking } : {}),
    ...(calls.length > 0 ? { tool_calls: calls } : {}),
    ...(citations.length > 0 ? { provider_specific_fields: { citations } } : {}),
  };
}

const text = (value: unknown) => (typeof value === "string" ? value : "");

const isAnswerTool = ({ toolUse }: JsonObject) =>
  isObject(toolUse) && toolUse["name"] === jsonToolName;

function textOf(block: JsonObject): string {
  const { toolUse, citationsContent: cited } = block;
  if (isObject(toolUse)) {
    return isAnswerTool(block) ? JSON.stringify(toolUse["input"] ?? {}) : "";
  }
  if (isObject(cited) && Array.isArray(cited["content"])) {
    return cited["content"]
      .map((each: Json) => (isObject(each) ? text(each["text"]) : ""))
      .join("");
  }
  return text(block["text"]);
}

function toCalls(block: JsonObject): ToolCall[] {
  const { toolUse } = block;
  if (!isObject(toolUse) || isAnswerTool(block)) return [];
  const call = { name: text(toolUse["name"]), arguments: JSON.stringify(toolUse["input"] ?? {}) };
  return [{ id: text(toolUse["toolUseId"]), type: "function", function: call }];
}

/** Reasoning in the form that our callers carry from turn to turn: Anthropic's. */
export function toThinking(reasoning: Json | undefined): JsonObject[] {
  if (!isObject(reasoning)) return [];
  const { reasoningText: said, redactedContent: hidden } = reasoning;
  if (typeof hidden === "string") return [{ type: "redacted_thinking", data: hidden }];
  if (!isObject(said)) return [];
  const signature = said["signature"];
  return [
    {
      type: "thinking",
      thinking: text(said["text"]),
      ...(typeof signature === "string" ? { signature } : {}),
    },
  ];
}

export function finishReasonOf(reply: JsonObject): string | undefined {
  const reason = reply["stopReason"];
  return typeof reason === "string" ? toFinishReason(reason) : undefined;
}
