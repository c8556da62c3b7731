/**
 * A Gemini caller's body as our request. What OpenAI has a word for is said in OpenAI's words; the
 * rest is kept, as it came, under `gemini`. The model and whether to stream stand in the path of
 * such a call; the HTTP side puts them into the body before it comes here.
 * Source: https://ai.google.dev/api/generate-content
 */
import type { ChatRequest, ChatTool } from "../../domain/chat.ts";
import { isObject, type Json, type JsonObject } from "../../domain/json.ts";
import {
  checkOptional,
  invalid,
  isKind,
  type Kind,
  requireArray,
  requireObject,
  requireString,
  without,
  wrongType,
  wrongValue,
} from "../read.ts";
import { decodeContents, decodeSystem } from "./decode-contents.ts";
import { toJsonSchema } from "./schema.ts";
import { field, toSnake } from "./wire.ts";

const camel = ["systemInstruction", "generationConfig", "toolConfig"];
const translated = new Set([
  ...["model", "stream", "contents", "tools", ...camel, ...camel.map(toSnake)],
]);

/** @throws GatewayError invalid_request with `param`. */
export function decodeRequest(body: JsonObject): ChatRequest {
  const model = requireString(body["model"], "model");
  const sent = body["contents"];
  const contents = isObject(sent) ? [sent] : requireArray(sent, "contents");
  const messages = decodeContents(contents);
  if (messages.length === 0) throw invalid("contents", "'contents' is empty: it needs a part.");
  checkOptional(body, "stream", "boolean");
  const config = optionalObject(body, "generationConfig");
  return {
    model,
    messages: [...decodeSystem(field(body, "systemInstruction")), ...messages],
    // Gemini's callers always get usage at the end of a stream.
    ...(body["stream"] === true ? { stream: true, stream_options: { include_usage: true } } : {}),
    ...decodeConfig(config),
    ...decodeTools(body["tools"]),
    ...decodeToolConfig(optionalObject(body, "toolConfig")),
    gemini: without(body, translated), // also where empty: it says where the request came from
  };
}

function optionalObject(body: JsonObject, name: string): JsonObject {
  const value = field(body, name);
  return value === undefined || value === null ? {} : requireObject(value, name);
}

/** `generationConfig`'s words and ours; each of its kind. */
const settings: readonly (readonly [gemini: string, ours: string, kind: Kind])[] = [
  ["temperature", "temperature", "number"],
  ["topP", "top_p", "number"],
  ["topK", "top_k", "number"],
  ["maxOutputTokens", "max_tokens", "count"],
  ["candidateCount", "n", "count"],
  ["seed", "seed", "integer"],
  ["frequencyPenalty", "frequency_penalty", "number"],
  ["presencePenalty", "presence_penalty", "number"],
  ["responseLogprobs", "logprobs", "boolean"],
  ["logprobs", "top_logprobs", "count"],
];

/** What has its own place below, or steers what only Gemini does. */
function decodeConfig(config: JsonObject): JsonObject {
  const out: Record<string, Json | undefined> = {};
  for (const [name, ours, kind] of settings) {
    const value = field(config, name);
    if (value === undefined || value === null) continue;
    if (!isKind(value, kind)) throw wrongType(`generationConfig.${name}`, `of kind ${kind}`, value);
    out[ours] = value;
  }
  // One is what everybody gives unasked; some providers refuse the parameter.
  if (out["n"] === 1) delete out["n"];
  return {
    ...out,
    ...decodeStop(field(config, "stopSequences")),
    ...decodeFormat(config),
    ...decodeThinking(field(config, "thinkingConfig")),
    ...decodeModalities(field(config, "responseModalities")),
  };
}

function decodeStop(sent: Json | undefined): JsonObject {
  if (sent === undefined || sent === null) return {};
  const path = "generationConfig.stopSequences";
  const list = requireArray(sent, path);
  return list.length ? { stop: list.map((each, i) => requireString(each, `${path}[${i}]`)) } : {};
}

function decodeFormat(config: JsonObject): JsonObject {
  const own = field(config, "responseSchema");
  const json = field(config, "responseJsonSchema");
  const schema = isObject(json) ? json : isObject(own) ? toJsonSchema(own) : undefined;
  if (schema) {
    return { response_format: { type: "json_schema", json_schema: { name: "output", schema } } };
  }
  const type = field(config, "responseMimeType");
  return type === "application/json" ? { response_format: { type: "json_object" } } : {};
}

/** Tokens of thinking to an effort: the inverse of LiteLLM's budgets. */
function decodeThinking(thinking: Json | undefined): JsonObject {
  if (thinking === undefined || thinking === null) return {};
  const config = requireObject(thinking, "generationConfig.thinkingConfig");
  const level = field(config, "thinkingLevel");
  if (typeof level === "string" && level !== "THINKING_LEVEL_UNSPECIFIED") {
    return { reasoning_effort: level.toLowerCase() };
  }
  const budget = field(config, "thinkingBudget");
  if (typeof budget !== "number" || budget < 0) return {}; // -1: as the model thinks best
  if (budget === 0) return { reasoning_effort: "none" };
  return { reasoning_effort: budget <= 1024 ? "low" : budget <= 8192 ? "medium" : "high" };
}

function decodeModalities(sent: Json | undefined): JsonObject {
  if (!Array.isArray(sent)) return {};
  const words = sent.map((each: Json) => String(each).toLowerCase());
  return words.every((word) => word === "text") ? {} : { modalities: words };
}

function decodeTools(sent: Json | undefined): JsonObject {
  if (sent === undefined || sent === null) return {};
  const list = isObject(sent) ? [sent] : requireArray(sent, "tools");
  const tools = list.flatMap((item, i): ChatTool[] => {
    const path = `tools[${i}]`;
    const tool = requireObject(item, path);
    return Object.entries(tool).flatMap(([key, value]): ChatTool[] => {
      if (value === undefined || value === null) return [];
      if (key !== "functionDeclarations" && key !== "function_declarations") {
        if (!Array.isArray(value)) requireObject(value, `${path}.${key}`);
        return [{ [toSnake(key)]: value, type: toSnake(key) }]; // Google's own: search, code …
      }
      const at = `${path}.functionDeclarations`;
      return requireArray(value, at).map((each, j) => decodeDeclaration(each, `${at}[${j}]`));
    });
  });
  return tools.length ? { tools } : {};
}

function decodeDeclaration(item: Json, path: string): ChatTool {
  const declared = requireObject(item, path);
  const { description } = declared;
  checkOptional(declared, "description", "string", `${path}.`);
  checkOptional(declared, "parameters", "object", `${path}.`);
  const json = field(declared, "parametersJsonSchema");
  const own = declared["parameters"];
  const parameters = isObject(json) ? json : isObject(own) ? toJsonSchema(own) : undefined;
  return {
    type: "function",
    function: {
      name: requireString(declared["name"], `${path}.name`),
      ...(typeof description === "string" ? { description } : {}),
      parameters: parameters ?? { type: "object", properties: {} },
    },
  };
}

const modes = ["AUTO", "ANY", "NONE", "VALIDATED"];

function decodeToolConfig(toolConfig: JsonObject): Pick<ChatRequest, "tool_choice"> {
  const sent = field(toolConfig, "functionCallingConfig");
  if (sent === undefined || sent === null) return {};
  const path = "toolConfig.functionCallingConfig";
  const config = requireObject(sent, path);
  const mode = config["mode"] ?? "AUTO";
  const word = requireString(mode, `${path}.mode`).toUpperCase();
  if (word === "MODE_UNSPECIFIED") return {};
  if (!modes.includes(word)) throw wrongValue(`${path}.mode`, word, modes);
  const allowed = field(config, "allowedFunctionNames");
  const names =
    allowed === undefined || allowed === null
      ? []
      : requireArray(allowed, `${path}.allowedFunctionNames`);
  if (word === "NONE") return { tool_choice: "none" };
  const functions = names.map((name, i) => ({
    type: "function",
    function: { name: requireString(name, `${path}.allowedFunctionNames[${i}]`) },
  }));
  const [only] = functions;
  if (word === "ANY" && functions.length === 1 && only) return { tool_choice: only };
  if (functions.length === 0) return { tool_choice: word === "ANY" ? "required" : "auto" };
  const kind = word === "ANY" ? "required" : "auto";
  return {
    tool_choice: { type: "allowed_tools", allowed_tools: { mode: kind, tools: functions } },
  };
}
