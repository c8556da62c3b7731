/**
 * An Anthropic caller's body as our request. What OpenAI has a word for is said in OpenAI's words;
 * the rest is kept, as it came, under `anthropic`, for a provider of the same dialect.
 * Source: https://platform.claude.com/docs/en/api/messages/create
 */
import type { ChatRequest, ChatTool } from "../../domain/chat.ts";
import { isObject, type Json, type JsonObject } from "../../domain/json.ts";
import {
  checkOptional,
  missing,
  requireArray,
  requireObject,
  requireString,
  without,
  wrongType,
  wrongValue,
} from "../read.ts";
import { decodeMessages, decodeSystem } from "./decode-messages.ts";

const translated = new Set([
  ...["model", "messages", "system", "max_tokens", "temperature", "top_p", "stop_sequences"],
  ...["stream", "tools", "tool_choice"],
]);

/** @throws GatewayError invalid_request with `param`. */
export function decodeRequest(body: JsonObject): ChatRequest {
  const model = requireString(body["model"], "model");
  const messages = requireArray(body["messages"], "messages");
  if (messages.length === 0) throw missing("messages[0]");
  if (body["max_tokens"] === undefined) throw missing("max_tokens");
  if (!isCount(body["max_tokens"]))
    throw wrongType("max_tokens", "an integer of at least 0", body["max_tokens"]);
  checkOptional(body, "temperature", "number");
  checkOptional(body, "top_p", "number");
  checkOptional(body, "top_k", "integer");
  checkOptional(body, "stream", "boolean");
  checkOptional(body, "stop_sequences", "array");
  checkOptional(body, "metadata", "object");
  checkOptional(body, "thinking", "object");
  checkOptional(body, "output_config", "object");
  const own = without(body, translated);
  return {
    model,
    messages: [...decodeSystem(body["system"]), ...decodeMessages(messages)],
    max_tokens: body["max_tokens"],
    ...(typeof body["temperature"] === "number" ? { temperature: body["temperature"] } : {}),
    ...(typeof body["top_p"] === "number" ? { top_p: body["top_p"] } : {}),
    ...stop(body["stop_sequences"]),
    // Anthropic's callers always get usage at the end of a stream.
    ...(body["stream"] === true ? { stream: true, stream_options: { include_usage: true } } : {}),
    ...tools(body["tools"]),
    ...toolChoice(body["tool_choice"]),
    ...responseFormat(body["output_config"]),
    ...user(body["metadata"]),
    anthropic: own, // also where empty: it says where the request came from
  };
}

const isCount = (value: unknown): value is number => Number.isInteger(value) && Number(value) >= 0;

function stop(sequences: Json | undefined): Pick<ChatRequest, "stop"> {
  if (!Array.isArray(sequences) || sequences.length === 0) return {};
  return { stop: sequences.map((each: Json, i) => requireString(each, `stop_sequences[${i}]`)) };
}

function tools(sent: Json | undefined): Pick<ChatRequest, "tools"> {
  if (sent === undefined || sent === null) return {};
  const list = requireArray(sent, "tools");
  return list.length ? { tools: list.map((tool, i) => decodeTool(tool, `tools[${i}]`)) } : {};
}

const toolKeys = new Set(["type", "name", "description", "input_schema", "strict"]);

function decodeTool(item: Json, path: string): ChatTool {
  const tool = requireObject(item, path);
  const { type, description, strict } = tool;
  // A server tool of Anthropic's: web search, code execution … It travels as it is.
  if (typeof type === "string" && type !== "custom") return { ...tool, type };
  checkOptional(tool, "description", "string", `${path}.`);
  return {
    ...without(tool, toolKeys),
    type: "function",
    function: {
      name: requireString(tool["name"], `${path}.name`),
      ...(typeof description === "string" ? { description } : {}),
      parameters: requireObject(tool["input_schema"], `${path}.input_schema`),
      ...(strict === true ? { strict } : {}),
    },
  };
}

const choices = ["auto", "any", "none", "tool"];

function toolChoice(
  sent: Json | undefined,
): Pick<ChatRequest, "tool_choice" | "parallel_tool_calls"> {
  if (sent === undefined || sent === null) return {};
  const choice = requireObject(sent, "tool_choice");
  const type = requireString(choice["type"], "tool_choice.type");
  const parallel =
    choice["disable_parallel_tool_use"] === true ? { parallel_tool_calls: false } : {};
  if (type === "auto" || type === "none") return { tool_choice: type, ...parallel };
  if (type === "any") return { tool_choice: "required", ...parallel };
  if (type !== "tool") throw wrongValue("tool_choice.type", type, choices);
  const name = requireString(choice["name"], "tool_choice.name");
  return { tool_choice: { type: "function", function: { name } }, ...parallel };
}

function responseFormat(config: Json | undefined): Pick<ChatRequest, "response_format"> {
  const format = isObject(config) ? config["format"] : undefined;
  if (!isObject(format) || format["type"] !== "json_schema") return {};
  const schema = requireObject(format["schema"], "output_config.format.schema");
  return {
    response_format: { type: "json_schema", json_schema: { name: "output", schema, strict: true } },
  };
}

function user(metadata: Json | undefined): Pick<ChatRequest, "user"> {
  const id = isObject(metadata) ? metadata["user_id"] : undefined;
  return typeof id === "string" && id ? { user: id } : {};
}
