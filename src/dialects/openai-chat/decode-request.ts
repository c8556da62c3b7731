/**
 * An OpenAI caller's body is our request already: it is checked, and nothing of it is changed. Null
 * for "not given" is taken out; unknown fields stay.
 * Source: https://platform.openai.com/docs/api-reference/chat/create
 */
import type { ChatRequest } from "../../domain/chat.ts";
import type { Json, JsonObject } from "../../domain/json.ts";
import {
  checkOptional,
  invalid,
  isKind,
  type Kind,
  missing,
  requireArray,
  requireObject,
  requireString,
  wrongType,
  wrongValue,
} from "../read.ts";

const optional: readonly (readonly [string, Kind])[] = [
  ["stream", "boolean"],
  ["stream_options", "object"],
  ["temperature", "number"],
  ["top_p", "number"],
  ["n", "integer"],
  ["max_tokens", "integer"],
  ["max_completion_tokens", "integer"],
  ["tools", "array"],
  ["parallel_tool_calls", "boolean"],
  ["response_format", "object"],
  ["user", "string"],
];
const nullable = new Set([...optional.map(([key]) => key), "stop", "tool_choice"]);
const roles = ["system", "developer", "user", "assistant", "tool", "function"];

/** @throws GatewayError invalid_request with `param`. */
export function decodeRequest(body: JsonObject): ChatRequest {
  requireString(body["model"], "model");
  for (const [key, kind] of optional) checkOptional(body, key, kind);
  for (const key of ["n", "max_tokens", "max_completion_tokens"]) {
    if (typeof body[key] === "number" && body[key] < 1) {
      throw invalid(key, `Invalid value for '${key}': it must be at least 1.`);
    }
  }
  checkStop(body["stop"]);
  checkToolChoice(body["tool_choice"]);
  checkTools(body["tools"]);
  const messages = requireArray(body["messages"], "messages");
  if (messages.length === 0) {
    throw invalid("messages", "'messages' is empty: it needs at least one message.");
  }
  messages.forEach(checkMessage);
  const isAsSent = !Object.entries(body).some(
    ([key, value]) => value === null && nullable.has(key),
  );
  const request = isAsSent
    ? body
    : Object.fromEntries(
        Object.entries(body).filter(([key, value]) => value !== null || !nullable.has(key)),
      );
  return request as ChatRequest; // what the checks above have shown
}

function checkStop(stop: Json | undefined): void {
  if (stop === undefined || stop === null || typeof stop === "string") return;
  if (!Array.isArray(stop)) throw wrongType("stop", "a string or an array of strings", stop);
  for (const [i, each] of stop.entries()) requireString(each, `stop[${i}]`);
}

function checkToolChoice(choice: Json | undefined): void {
  if (choice === undefined || choice === null || typeof choice === "string") return;
  requireObject(choice, "tool_choice");
}

function checkTools(tools: Json | undefined): void {
  if (!Array.isArray(tools)) return;
  tools.forEach((item: Json, i) => {
    const tool = requireObject(item, `tools[${i}]`);
    if (tool["type"] === "function" || tool["type"] === undefined) {
      const named = requireObject(tool["function"], `tools[${i}].function`);
      requireString(named["name"], `tools[${i}].function.name`);
      checkOptional(named, "description", "string", `tools[${i}].function.`);
      checkOptional(named, "parameters", "object", `tools[${i}].function.`);
    } else requireString(tool["type"], `tools[${i}].type`);
  });
}

function checkMessage(item: Json, i: number): void {
  const path = `messages[${i}]`;
  const message = requireObject(item, path);
  const role = requireString(message["role"], `${path}.role`);
  if (!roles.includes(role)) throw wrongValue(`${path}.role`, role, roles);
  checkContent(message["content"], role, `${path}.content`);
  checkOptional(message, "name", "string", `${path}.`);
  if (role === "tool") requireString(message["tool_call_id"], `${path}.tool_call_id`);
  checkOptional(message, "thinking_blocks", "array", `${path}.`);
  checkOptional(message, "reasoning_content", "string", `${path}.`);
  checkOptional(message, "tool_calls", "array", `${path}.`);
  for (const [j, block] of listOf(message["thinking_blocks"]).entries()) {
    requireObject(block, `${path}.thinking_blocks[${j}]`);
  }
  for (const [j, call] of listOf(message["tool_calls"]).entries()) {
    checkCall(call, `${path}.tool_calls[${j}]`);
  }
}

const listOf = (value: Json | undefined): readonly Json[] => (Array.isArray(value) ? value : []);

function checkContent(content: Json | undefined, role: string, path: string): void {
  if (typeof content === "string") return;
  if (content === undefined || content === null) {
    // An assistant that called tools may have said nothing; everybody else must have said it.
    if (role === "assistant" || role === "function") return;
    if (content === undefined) throw missing(path);
    throw wrongType(path, "a string or an array of content parts", content);
  }
  if (!Array.isArray(content))
    throw wrongType(path, "a string or an array of content parts", content);
  content.forEach((item: Json, i) => {
    const part = requireObject(item, `${path}[${i}]`);
    const type = requireString(part["type"], `${path}[${i}].type`);
    if (type === "text") requireString(part["text"], `${path}[${i}].text`);
    if (type === "image_url" && typeof part["image_url"] !== "string") {
      const image = requireObject(part["image_url"], `${path}[${i}].image_url`);
      requireString(image["url"], `${path}[${i}].image_url.url`);
    }
    if (type === "input_audio" || type === "file")
      requireObject(part[type], `${path}[${i}].${type}`);
  });
}

function checkCall(item: Json, path: string): void {
  const call = requireObject(item, path);
  requireString(call["id"], `${path}.id`);
  if (call["type"] === "custom") return;
  const called = requireObject(call["function"], `${path}.function`);
  requireString(called["name"], `${path}.function.name`);
  if (!isKind(called["arguments"], "string")) {
    throw wrongType(`${path}.function.arguments`, "a string of JSON", called["arguments"]);
  }
}
