/** What callers may write into assistants, threads, messages and runs. */
import { GatewayError } from "../../domain/errors.ts";
import { isObject, type Json, type JsonObject } from "../../domain/json.ts";
import {
  invalid,
  optionalBoolean,
  optionalList,
  optionalNumber,
  optionalObject,
  optionalText,
  optionalWhole,
  requiredText,
} from "../fields.ts";
import { readMetadata } from "../metadata.ts";

export const assistantLimits = {
  nameChars: 256,
  descriptionChars: 512,
  instructionChars: 256_000,
  tools: 128,
  contentParts: 100,
  /** Messages of a new thread, and of a run's `additional_messages`. */
  messages: 100,
  attachments: 20,
} as const;

const modelChars = 512;

/** The fields that are there; those that are not stay as they were. @throws GatewayError invalid_request */
export function readAssistant(body: JsonObject, isNew: boolean): JsonObject {
  const { nameChars, descriptionChars, instructionChars } = assistantLimits;
  const model = isNew
    ? requiredText(body, "model", modelChars)
    : optionalText(body, "model", modelChars);
  return given(body, {
    model,
    name: optionalText(body, "name", nameChars),
    description: optionalText(body, "description", descriptionChars),
    instructions: optionalText(body, "instructions", instructionChars),
    tools: readTools(body),
    tool_resources: optionalObject(body, "tool_resources"),
    metadata: readMetadata(body["metadata"]),
    ...readSampling(body),
  });
}

function readSampling(body: JsonObject) {
  return {
    temperature: optionalNumber(body, "temperature", { least: 0, most: 2 }),
    top_p: optionalNumber(body, "top_p", { least: 0, most: 1 }),
    reasoning_effort: optionalText(body, "reasoning_effort", 32),
    response_format: readResponseFormat(body["response_format"]),
  };
}

function readResponseFormat(value: Json | undefined): Json | undefined {
  if (value === undefined || value === null) return undefined;
  if (value === "auto" || isObject(value)) return value;
  throw invalid("response_format", "must be 'auto' or an object");
}

/** `code_interpreter` needs a sandbox of the provider's, so it is refused where it is asked for, not later. */
function readTools(body: JsonObject): Json | undefined {
  const tools = optionalList(body, "tools", assistantLimits.tools);
  for (const [i, tool] of (tools ?? []).entries()) {
    const at = `tools[${i}]`;
    if (!isObject(tool)) throw invalid(at, "must be an object");
    const { type } = tool;
    if (type === "function") {
      const { function: called } = tool;
      if (isObject(called) && typeof called["name"] === "string" && called["name"] !== "") continue;
      throw invalid(`${at}.function.name`, "is missing");
    }
    if (type === "file_search") continue;
    if (type === "mcp" || type === "skill") {
      assertKeepable(tool, at);
      continue;
    }
    if (type === "code_interpreter") {
      throw invalid(`${at}.type`, "cannot be 'code_interpreter' here: give the model a function");
    }
    throw invalid(`${at}.type`, "must be 'function', 'file_search', 'mcp' or 'skill'");
  }
  return tools as Json | undefined;
}

/** What is kept is shown again to whoever may see the assistant: no credentials stand in it. */
function assertKeepable(tool: JsonObject, at: string): void {
  const secret = ["authorization", "headers"].find((name) => tool[name] !== undefined);
  if (secret === undefined) return;
  throw invalid(
    `${at}.${secret}`,
    "cannot be kept with an assistant: register the server with the gateway (docs/mcp.md)",
  );
}

export function readThread(body: JsonObject): JsonObject {
  return given(body, {
    tool_resources: optionalObject(body, "tool_resources"),
    metadata: readMetadata(body["metadata"]),
  });
}

/** @param at for messages: `thread.messages[0]` */
export function readMessage(body: Json | undefined, at = ""): JsonObject {
  const prefix = at === "" ? "" : `${at}.`;
  if (!isObject(body)) throw invalid(at === "" ? "body" : at, "must be an object");
  const { role, content } = body;
  if (role !== "user" && role !== "assistant") {
    throw invalid(`${prefix}role`, "must be 'user' or 'assistant'");
  }
  return {
    role,
    content: readContent(content, `${prefix}content`),
    attachments: (optionalList(body, "attachments", assistantLimits.attachments) ?? []) as Json,
    metadata: readMetadata(body["metadata"]) ?? {},
  };
}

export function readMessages(body: JsonObject, name: string, at: string): readonly JsonObject[] {
  const messages = optionalList(body, name, assistantLimits.messages) ?? [];
  return messages.map((message, i) => readMessage(message, `${at}[${i}]`));
}

/** In the form of answers: texts with their annotations. */
function readContent(content: Json | undefined, at: string): Json {
  if (typeof content === "string") {
    if (content === "") throw invalid(at, "must not be empty");
    return [textPart(content)];
  }
  if (!Array.isArray(content) || content.length === 0) {
    throw invalid(at, "must be a text or a list of parts");
  }
  if (content.length > assistantLimits.contentParts) {
    throw invalid(at, `has more than ${assistantLimits.contentParts} parts`);
  }
  return content.map((part: Json, i) => readPart(part, `${at}[${i}]`));
}

function readPart(part: Json, at: string): JsonObject {
  if (!isObject(part)) throw invalid(at, "must be an object");
  const { type, text } = part;
  if (type === "text" && typeof text === "string") return textPart(text);
  if (type === "text" && isObject(text) && typeof text["value"] === "string") {
    return textPart(text["value"]);
  }
  const image = type === "image_url" || type === "image_file" ? part[type] : undefined;
  const key = type === "image_url" ? "url" : "file_id";
  if (isObject(image) && typeof image[key] === "string") return part;
  throw invalid(at, "must be a text, an image_url or an image_file");
}

export const textPart = (value: string): JsonObject => ({
  type: "text",
  text: { value, annotations: [] },
});

/** A run's own settings, above its assistant's. */
export function readRunSettings(body: JsonObject): JsonObject {
  const tokens = { least: 1, most: 100_000_000 };
  const { instructionChars } = assistantLimits;
  return given(body, {
    model: optionalText(body, "model", modelChars),
    instructions: optionalText(body, "instructions", instructionChars),
    tools: readTools(body),
    max_prompt_tokens: optionalWhole(body, "max_prompt_tokens", tokens),
    max_completion_tokens: optionalWhole(body, "max_completion_tokens", tokens),
    truncation_strategy: readTruncation(body),
    tool_choice: readToolChoice(body["tool_choice"]),
    parallel_tool_calls: optionalBoolean(body, "parallel_tool_calls"),
    ...readSampling(body),
  });
}

function readToolChoice(value: Json | undefined): Json | undefined {
  if (value === undefined || value === null) return undefined;
  if (typeof value === "string" && /^(none|auto|required)$/.test(value)) return value;
  if (isObject(value)) return value;
  throw invalid("tool_choice", "must be none, auto, required or a tool");
}

function readTruncation(body: JsonObject): JsonObject | undefined {
  const strategy = optionalObject(body, "truncation_strategy");
  if (!strategy) return undefined;
  const { type } = strategy;
  if (type === "auto") return { type, last_messages: null };
  const last = optionalWhole(strategy, "last_messages", { least: 1, most: 100_000 });
  if (type === "last_messages" && last !== undefined) return { type, last_messages: last };
  throw invalid("truncation_strategy", "must be auto, or last_messages with a number");
}

export interface ToolOutput {
  readonly id: string;
  readonly output: string;
}

export function readToolOutputs(body: JsonObject): readonly ToolOutput[] {
  const outputs = optionalList(body, "tool_outputs", assistantLimits.tools);
  if (!outputs) throw invalid("tool_outputs", "is missing");
  return outputs.map((each, i) => {
    const at = `tool_outputs[${i}]`;
    if (!isObject(each)) throw invalid(at, "must be an object");
    const { tool_call_id: id, output } = each;
    if (typeof id !== "string") throw invalid(`${at}.tool_call_id`, "is missing");
    if (typeof output !== "string") throw invalid(`${at}.output`, "must be a text");
    return { id, output };
  });
}

/** Null in a change takes a field away; what is not in the body stays out. */
function given(body: JsonObject, fields: Readonly<Record<string, Json | undefined>>): JsonObject {
  const entries = Object.entries(fields).filter(
    ([name, value]) => value !== undefined || body[name] === null,
  );
  return Object.fromEntries(entries.map(([name, value]) => [name, value ?? null]));
}

export function conflict(message: string): GatewayError {
  return new GatewayError("invalid_request", message);
}
