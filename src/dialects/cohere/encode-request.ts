/**
 * Our request as a body of Cohere's chat, second version.
 * Sources: https://docs.cohere.com/reference/chat; LiteLLM's mapping of parameters.
 */
import type { ChatMessage, ChatRequest, ContentPart, ToolCall } from "../../domain/chat.ts";
import { excerpt, GatewayError } from "../../domain/errors.ts";
import { isObject, type Json, type JsonObject } from "../../domain/json.ts";
import type { EncodeOptions } from "../dialect.ts";
import { isServerRemains, textOfDocument, textOfFile } from "../documents.ts";
import { refuseGoogleOnly } from "../gemini/foreign.ts";
import { toFile, toMedia, urlIn } from "../media.ts";
import { requireObject, without } from "../read.ts";
import {
  maxTokensOf,
  refuseParams,
  stopsOf,
  type Unsupported,
  unsupportedParam,
} from "../refuse.ts";
import { wantedThinking } from "../thinking.ts";
import { chooseTools } from "../tool-choice.ts";

const unsupported: Unsupported = {
  n: [1],
  top_logprobs: [0],
  logit_bias: [],
  audio: [],
  prediction: [],
  functions: [],
  function_call: ["none"],
  verbosity: ["medium"],
  moderation: [],
  web_search_options: [],
};

/** Ours, by Cohere's names. */
const renamed: readonly (readonly [ours: string, cohere: string])[] = [
  ["temperature", "temperature"],
  ["top_p", "p"],
  ["top_k", "k"],
  ["seed", "seed"],
  ["frequency_penalty", "frequency_penalty"],
  ["presence_penalty", "presence_penalty"],
];

/** Written elsewhere below, or of no effect on the answer. */
const read: ReadonlySet<string> = new Set([
  ...Object.keys(unsupported),
  ...renamed.map(([ours]) => ours),
  ...["model", "messages", "max_tokens", "max_completion_tokens", "stop", "stream", "logprobs"],
  ...["stream_options", "tools", "tool_choice", "parallel_tool_calls", "response_format", "user"],
  ...["metadata", "safety_identifier", "reasoning_effort", "thinking", "modalities"],
  ...["service_tier", "output_config", "anthropic", "gemini", "store"],
  ...["prompt_cache_key", "prompt_cache_retention", "prompt_cache_options"],
]);

/** @throws GatewayError invalid_request or unsupported_capability, naming what cannot be said. */
export function encodeRequest(
  request: ChatRequest,
  model: string,
  options: EncodeOptions = {},
): JsonObject {
  refuseParams(request, unsupported, { model, at: "Cohere", options });
  refuseGoogleOnly(request, options);
  const maxTokens = maxTokensOf(request, options);
  const stops = stopsOf(request);
  return {
    ...without(request, read), // `documents`, `citation_options`, `safety_mode`, what is newer
    model,
    messages: request.messages.map((message, i) => encodeMessage(message, `messages[${i}]`)),
    ...named(request),
    ...(maxTokens === undefined ? {} : { max_tokens: maxTokens }),
    ...(stops.length > 0 ? { stop_sequences: stops } : {}),
    ...(request["logprobs"] === true ? { logprobs: true } : {}),
    ...encodeTools(request),
    ...responseFormat(request.response_format),
    ...thinkingOf(request, model, options),
    ...(request.stream === true ? { stream: true } : {}),
  };
}

function named(request: ChatRequest): JsonObject {
  const own = isObject(request["anthropic"]) ? request["anthropic"] : {};
  const values = { ...request, top_k: request["top_k"] ?? own["top_k"] } as JsonObject;
  const found = renamed.filter(([ours]) => values[ours] !== undefined && values[ours] !== null);
  return Object.fromEntries(found.map(([ours, cohere]) => [cohere, values[ours]]));
}

/** Cohere cannot be told which tool; it can be told of that one alone. */
function encodeTools(request: ChatRequest): JsonObject {
  const { tools, mode } = chooseTools(request);
  if (tools.length === 0) return {};
  const encoded = tools.map((tool) => {
    const { name, description, parameters } = tool.function ?? { name: "" };
    return {
      type: "function",
      function: {
        name,
        ...(description === undefined ? {} : { description }),
        parameters: { type: "object", properties: {}, ...parameters },
      },
    };
  });
  const strict = tools.every((tool) => tool.function?.["strict"] === true);
  return {
    tools: encoded,
    ...(mode === "auto" ? {} : { tool_choice: mode === "required" ? "REQUIRED" : "NONE" }),
    ...(strict ? { strict_tools: true } : {}),
  };
}

function responseFormat(format: ChatRequest["response_format"]): JsonObject {
  if (!isObject(format) || format["type"] === "text") return {};
  if (format["type"] === "json_object") return { response_format: { type: "json_object" } };
  if (format["type"] !== "json_schema") return {};
  const described = requireObject(format["json_schema"], "response_format.json_schema");
  const { schema } = described;
  const json = isObject(schema) ? { json_schema: schema } : {};
  return { response_format: { type: "json_object", ...json } };
}

/** Models that think do so unless told not to; the others do not know the word. */
function thinkingOf(request: ChatRequest, model: string, options: EncodeOptions): JsonObject {
  const wanted = wantedThinking(request);
  if (!wanted) return {};
  const thinks = options.facts?.capabilities?.reasoning ?? /reasoning/.test(model);
  if (!thinks) {
    if (!wanted.asked || options.dropParams || wanted.effort === "none") return {};
    throw unsupportedParam("reasoning_effort", { model, at: "Cohere" });
  }
  if (wanted.effort === "none") return { thinking: { type: "disabled" } };
  const budget = wanted.budget === undefined ? {} : { token_budget: wanted.budget };
  return { thinking: { type: "enabled", ...budget } };
}

function encodeMessage(message: ChatMessage, path: string): JsonObject {
  const { role } = message;
  if (role === "tool" || role === "function") {
    return {
      role: "tool",
      tool_call_id: message.tool_call_id ?? legacyId(message.name ?? ""),
      content: encodeContent(message, path),
    };
  }
  if (role !== "assistant") {
    return {
      role: role === "developer" ? "system" : role,
      content: encodeContent(message, path),
    };
  }
  const { function_call: legacy, refusal, reasoning_content: plan } = message;
  const calls = [
    ...(message.tool_calls ?? []).map((call, i) => encodeCall(call, `${path}.tool_calls[${i}]`)),
    ...(isObject(legacy) ? [legacyCall(legacy)] : []),
  ];
  const content = encodeContent(message, path) || (typeof refusal === "string" ? refusal : "");
  if (calls.length === 0) return { role, content };
  return {
    role,
    tool_calls: calls,
    ...(plan ? { tool_plan: plan } : {}),
    ...(content.length > 0 ? { content } : {}),
  };
}

function encodeCall(call: ToolCall, path: string): JsonObject {
  if (!isObject(call.function)) {
    throw new GatewayError(
      "unsupported_capability",
      `'${path}' is a call of a custom tool, which Cohere does not have. Use function tools.`,
      { param: path },
    );
  }
  const { name, arguments: args } = call.function;
  return { id: call.id, type: "function", function: { name, arguments: args || "{}" } };
}

const legacyId = (name: string) => `call_${name}`;

function legacyCall(call: JsonObject): JsonObject {
  const name = String(call["name"]);
  const told = { name, arguments: String(call["arguments"] ?? "{}") };
  return { id: legacyId(name), type: "function", function: told };
}

/** A text where it is nothing but text, else parts. */
function encodeContent({ content }: ChatMessage, path: string): string | readonly JsonObject[] {
  if (content === undefined || content === null) return "";
  if (typeof content === "string") return content;
  const parts = content.flatMap((part, i) => encodePart(part, `${path}.content[${i}]`));
  const [only] = parts;
  if (parts.length === 0) return "";
  return parts.length === 1 && typeof only?.["text"] === "string" ? only["text"] : parts;
}

function encodePart(part: ContentPart, path: string): readonly JsonObject[] {
  switch (part.type) {
    case "text":
      return part.text ? [{ type: "text", text: part.text }] : [];
    case "refusal":
      return [{ type: "text", text: String(part["refusal"]) }];
    case "image_url":
      return [encodeImage(part, path)];
    case "file": {
      const { media, name } = toFile(part["file"], `${path}.file`);
      const text = textOfFile(media, name);
      if (text !== undefined) return [{ type: "text", text }];
      throw unread(`${path}.file`, media.kind === "data" ? media.mediaType : "file");
    }
    case "document": {
      const own = part["document"]; // Cohere's, in a tool's result
      if (isObject(own)) return [{ type: "document", document: own }];
      return [textPart(part, path)];
    }
    case "search_result":
      return [textPart(part, path)];
    default:
      if (isServerRemains(part.type)) return [];
      throw unread(path, part.type);
  }
}

function encodeImage(part: ContentPart, path: string): JsonObject {
  const image: unknown = part.image_url;
  const url = urlIn(image as Json);
  toMedia(url, `${path}.image_url`); // an address or data, or it is refused
  const detail = isObject(image) ? image["detail"] : undefined;
  return {
    type: "image_url",
    image_url: { url, ...(typeof detail === "string" ? { detail } : {}) },
  };
}

function textPart(part: ContentPart, path: string): JsonObject {
  const text = textOfDocument(part);
  if (text === undefined) throw unread(path, part.type);
  return { type: "text", text };
}

function unread(path: string, what: string): GatewayError {
  return new GatewayError(
    "unsupported_capability",
    `'${path}' is of type '${excerpt(what)}', which Cohere does not read. Send text or images.`,
    { param: path },
  );
}
