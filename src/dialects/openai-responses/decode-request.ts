/**
 * A Responses caller's body as our request. State (`previous_response_id`, stored items) is put in
 * before, by whoever keeps it; what is about the response itself is echoed in the answer.
 * Source: https://platform.openai.com/docs/api-reference/responses/create
 */
import type { ChatMessage, ChatRequest } from "../../domain/chat.ts";
import { GatewayError } from "../../domain/errors.ts";
import { isObject, type Json, type JsonObject } from "../../domain/json.ts";
import {
  checkOptional,
  invalid,
  type Kind,
  requireObject,
  requireString,
  without,
  wrongType,
  wrongValue,
} from "../read.ts";
import { decodeInput } from "./decode-input.ts";
import { decodeTools } from "./tools.ts";
import { listOf } from "./wire.ts";

const optional: readonly (readonly [string, Kind])[] = [
  ["stream", "boolean"],
  ["background", "boolean"],
  ["store", "boolean"],
  ["temperature", "number"],
  ["top_p", "number"],
  ["top_logprobs", "integer"],
  ["max_output_tokens", "integer"],
  ["parallel_tool_calls", "boolean"],
  ["reasoning", "object"],
  ["text", "object"],
  ["metadata", "object"],
  ["include", "array"],
  ["user", "string"],
];

/** Said in other words below, echoed in the response, or without effect on the answer. */
const read: ReadonlySet<string> = new Set([
  ...optional.map(([key]) => key),
  ...["model", "input", "instructions", "tools", "tool_choice", "previous_response_id"],
  ...["conversation", "prompt", "truncation", "max_tool_calls", "stream_options", "service_tier"],
  ...["safety_identifier", "prompt_cache_key", "prompt_cache_retention", "prompt_cache_options"],
  ...["context_management", "moderation"],
]);

/** @throws GatewayError invalid_request with `param`; unsupported_capability */
export function decodeRequest(body: JsonObject): ChatRequest {
  const model = requireString(body["model"], "model");
  for (const [key, kind] of optional) checkOptional(body, key, kind);
  refuseElsewhere(body);
  const limit = body["max_output_tokens"];
  if (typeof limit === "number" && limit < 1) {
    throw invalid("max_output_tokens", "'max_output_tokens' must be at least 1.");
  }
  const { temperature, top_p, user, service_tier: tier, parallel_tool_calls: parallel } = body;
  const tools = decodeTools(body);
  return {
    ...without(body, read),
    model,
    messages: [...decodeInstructions(body["instructions"]), ...decodeInput(body["input"])],
    ...(typeof limit === "number" ? { max_completion_tokens: limit } : {}),
    ...(typeof temperature === "number" ? { temperature } : {}),
    ...(typeof top_p === "number" ? { top_p } : {}),
    ...(typeof user === "string" ? { user } : {}),
    ...(typeof tier === "string" && tier !== "auto" ? { service_tier: tier } : {}),
    ...tools,
    ...(tools.tools && typeof parallel === "boolean" ? { parallel_tool_calls: parallel } : {}),
    ...logprobs(body),
    ...effort(body["reasoning"]),
    ...responseFormat(body["text"]),
    // The last event always tells usage.
    ...(body["stream"] === true ? { stream: true, stream_options: { include_usage: true } } : {}),
  };
}

/** State that only OpenAI holds. */
const elsewhere = { conversation: "a conversation", prompt: "a prompt template" };

function refuseElsewhere(body: JsonObject): void {
  for (const [param, what] of Object.entries(elsewhere)) {
    if (body[param] === undefined || body[param] === null) continue;
    throw new GatewayError(
      "unsupported_capability",
      `'${param}' names ${what} stored at OpenAI, and this model is served elsewhere. Send its content as 'input'${param === "conversation" ? ", or use 'previous_response_id'" : ""}.`,
      { param },
    );
  }
}

function decodeInstructions(sent: Json | undefined): ChatMessage[] {
  if (sent === undefined || sent === null || sent === "") return [];
  if (typeof sent === "string") return [{ role: "system", content: sent }];
  if (!Array.isArray(sent)) throw wrongType("instructions", "a string", sent);
  return decodeInput(sent, "instructions");
}

function logprobs(body: JsonObject): JsonObject {
  const asked = listOf(body["include"]).includes("message.output_text.logprobs");
  const top = body["top_logprobs"];
  if (!asked && !top) return {};
  return { logprobs: true, ...(typeof top === "number" ? { top_logprobs: top } : {}) };
}

function effort(reasoning: Json | undefined): JsonObject {
  const wanted = isObject(reasoning) ? reasoning["effort"] : undefined;
  if (wanted === undefined || wanted === null) return {};
  return { reasoning_effort: requireString(wanted, "reasoning.effort") };
}

const formats = ["text", "json_object", "json_schema"];

function responseFormat(text: Json | undefined): Pick<ChatRequest, "response_format"> {
  const sent = isObject(text) ? text["format"] : undefined;
  if (sent === undefined || sent === null) return {};
  const format = requireObject(sent, "text.format");
  const type = requireString(format["type"], "text.format.type");
  if (!formats.includes(type)) throw wrongValue("text.format.type", type, formats);
  if (type === "text") return {};
  if (type === "json_object") return { response_format: { type } };
  requireString(format["name"], "text.format.name");
  requireObject(format["schema"], "text.format.schema");
  const { type: _, ...schema } = format;
  return { response_format: { type, json_schema: schema } };
}
