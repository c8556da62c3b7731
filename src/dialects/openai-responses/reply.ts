/** Whole replies, both ways. */
import {
  type ChatMessage,
  type ChatReply,
  fromWireUsage,
  type ToolCall,
} from "../../domain/chat.ts";
import { isObject, type Json, type JsonObject } from "../../domain/json.ts";
import type { Usage } from "../../domain/usage.ts";
import { decodeWire } from "../decode-wire.ts";
import type { Answer, ReplyContext } from "../dialect.ts";
import { decodeResponseError } from "./errors.ts";
import {
  customItem,
  functionItem,
  messageItem,
  reasoningItem,
  refusalPart,
  textPart,
  toLogprobs,
} from "./items.ts";
import { unpackThinking } from "./reasoning.ts";
import { decodeUsage, responseIdFor, statusFor, toResponse } from "./response.ts";
import { customInputOf, customNames, toCustomArguments } from "./tools.ts";
import { listOf, textOf, toItemId, WireResponse } from "./wire.ts";

/** The first choice alone: the API has no `n`. */
export function encodeReply(reply: ChatReply, answer?: Answer): JsonObject {
  const id = responseIdFor(answer, reply.id);
  const choice = reply.choices[0];
  const state = statusFor(choice?.finish_reason);
  const output = choice ? encodeOutput(choice.message, choice.logprobs, { id, state, answer }) : [];
  return toResponse(
    {
      id,
      createdS: reply.created,
      model: reply.model,
      output,
      usage: reply.usage,
      serviceTier: reply["service_tier"],
      ...state,
    },
    answer,
  );
}

interface Told {
  readonly id: string;
  readonly state: ReturnType<typeof statusFor>;
  readonly answer: Answer | undefined;
}

function encodeOutput(
  message: ChatReply["choices"][0]["message"],
  logprobs: Json | undefined,
  { id, state, answer }: Told,
): JsonObject[] {
  const status = state.status === "incomplete" ? "incomplete" : "completed";
  const output: JsonObject[] = [];
  const { reasoning_content: reasoning = "", thinking_blocks: thinking = [] } = message;
  if (reasoning || thinking.length > 0) {
    output.push(reasoningItem(toItemId("reasoning", id, 0, "output"), reasoning, thinking));
  }
  const parts = contentParts(message, logprobs);
  if (parts.length > 0) {
    output.push(messageItem(toItemId("message", id, output.length, "output"), parts, status));
  }
  const custom = customNames(answer?.body ?? {});
  for (const call of message.tool_calls ?? []) output.push(encodeCall(call, output.length));
  return output;

  function encodeCall({ id: callId, function: called }: ToolCall, index: number): JsonObject {
    const { name, arguments: args } = called;
    if (custom.has(name)) {
      const own = toItemId("custom_tool_call", id, index, "output");
      return customItem({ id: own, callId, name }, customInputOf(args), status);
    }
    const own = toItemId("function_call", id, index, "output");
    return functionItem({ id: own, callId, name }, args, status);
  }
}

function contentParts(
  { content, refusal }: ChatMessage & { readonly refusal?: string | null },
  logprobs: Json | undefined,
): JsonObject[] {
  const text =
    typeof content === "string"
      ? content
      : listOf(content ?? undefined)
          .map(partText)
          .join("");
  return [
    ...(text ? [textPart(text, toLogprobs(logprobs))] : []),
    ...(refusal ? [refusalPart(refusal)] : []),
  ];
}

const partText = (part: Json) => (isObject(part) ? textOf(part["text"]) : "");

/** @throws GatewayError upstream_invalid, or the failure that the response tells */
export function decodeReply(body: JsonObject, context: ReplyContext = {}): ChatReply {
  if (isObject(body["error"])) throw decodeResponseError(body["error"]);
  decodeWire(WireResponse, body, "response");
  const message = decodeOutput(listOf(body["output"]).filter(isObject));
  const usage = decodeUsage(body["usage"]);
  const { created_at: created } = body;
  return {
    id: textOf(body["id"]),
    object: "chat.completion",
    created: typeof created === "number" ? created : (context.createdS ?? 0),
    model: textOf(body["model"]),
    choices: [{ index: 0, message, finish_reason: finishReasonOf(body) ?? "stop" }],
    ...(usage ? { usage } : {}),
  };
}

function decodeOutput(output: readonly JsonObject[]): ChatReply["choices"][0]["message"] {
  const parts = output
    .filter(({ type }) => type === "message")
    .flatMap(({ content }) => listOf(content).filter(isObject));
  const text = parts.map((part) => (part["type"] === "output_text" ? textOf(part["text"]) : ""));
  const refusal = parts.map((part) => textOf(part["refusal"])).join("");
  const items = output.filter(({ type }) => type === "reasoning");
  const reasoning = items.map(reasoningText).filter(Boolean).join("\n\n");
  const thinking = items.flatMap((item) => unpackThinking(item["encrypted_content"]));
  const calls = output.flatMap(toToolCall);
  return {
    role: "assistant",
    content: text.join("") || null,
    ...(refusal ? { refusal } : {}),
    ...(reasoning ? { reasoning_content: reasoning } : {}),
    ...(thinking.length > 0 ? { thinking_blocks: thinking } : {}),
    ...(calls.length > 0 ? { tool_calls: calls } : {}),
  };
}

function reasoningText({ summary, content }: JsonObject): string {
  const parts = listOf(content).length > 0 ? listOf(content) : listOf(summary);
  return parts.map(partText).join("\n\n");
}

function toToolCall(item: JsonObject): ToolCall[] {
  const { type } = item;
  if (type !== "function_call" && type !== "custom_tool_call") return [];
  const args =
    type === "function_call" ? textOf(item["arguments"]) : toCustomArguments(textOf(item["input"]));
  const called = { name: textOf(item["name"]), arguments: args };
  return [{ id: textOf(item["call_id"]), type: "function", function: called }];
}

export function usageOf(reply: JsonObject): Usage | undefined {
  const usage = decodeUsage(reply["usage"]);
  return usage && fromWireUsage(usage);
}

/** In chat's words. None while the response is under way, or where it failed. */
export function finishReasonOf(reply: JsonObject): string | undefined {
  const { status, incomplete_details: details, output } = reply;
  if (status === "incomplete") {
    const reason = isObject(details) ? details["reason"] : undefined;
    return reason === "content_filter" ? reason : "length";
  }
  if (status !== "completed" && status !== undefined) return undefined;
  const calls = listOf(output).some(
    (item) => isObject(item) && /^(function|custom_tool)_call$/.test(textOf(item["type"])),
  );
  return calls ? "tool_calls" : "stop";
}
