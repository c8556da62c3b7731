/**
 * Tools, both ways. A function of the Responses API is flat, one of chat is wrapped. A custom tool
 * (free text in, no schema) is carried as a function with one text argument, so that every model
 * that calls functions can use it. Tools that OpenAI itself runs cannot be carried.
 */
import type { ChatRequest, ChatTool } from "../../domain/chat.ts";
import { GatewayError } from "../../domain/errors.ts";
import { isObject, type Json, type JsonObject } from "../../domain/json.ts";
import { checkOptional, requireArray, requireObject, requireString, wrongValue } from "../read.ts";
import { listOf, present, textOf } from "./wire.ts";

/** @throws GatewayError invalid_request; unsupported_capability for a tool that OpenAI runs. */
export function decodeTools(body: JsonObject): Pick<ChatRequest, "tools" | "tool_choice"> {
  const { tools, tool_choice: choice } = body;
  const all = tools === undefined || tools === null ? [] : requireArray(tools, "tools");
  const decoded = all.map((tool, i) => decodeTool(tool, `tools[${i}]`));
  const { allowed, ...chosen } = decodeChoice(choice);
  const named = allowed
    ? decoded.filter(({ function: called }) => called && allowed.has(called.name))
    : decoded;
  return named.length > 0 ? { tools: named, ...chosen } : {};
}

function decodeTool(sent: Json, path: string): ChatTool {
  const tool = requireObject(sent, path);
  const type = requireString(tool["type"], `${path}.type`);
  if (type === "function") return decodeFunction(tool, path);
  if (type === "custom") return decodeCustom(tool, path);
  throw hosted(path, type);
}

/** A tool that is OpenAI's own to run, wherever in a request it is named. */
function hosted(param: string, type: string): GatewayError {
  return new GatewayError(
    "unsupported_capability",
    `'${param}' asks for the hosted tool '${type.slice(0, 60)}', which runs only at OpenAI, and this model is served elsewhere. Use function tools, or ask for a model of OpenAI's.`,
    { param, wireCode: "unsupported_tool" },
  );
}

function decodeFunction(tool: JsonObject, path: string): ChatTool {
  checkOptional(tool, "description", "string", `${path}.`);
  checkOptional(tool, "parameters", "object", `${path}.`);
  const { name, description, parameters, strict } = tool;
  return {
    type: "function",
    function: {
      name: requireString(name, `${path}.name`),
      ...present({ description, parameters }),
      ...(strict === true ? { strict } : {}),
    },
  };
}

const customInput = {
  type: "object",
  properties: { input: { type: "string" } },
  required: ["input"],
  additionalProperties: false,
};

function decodeCustom(tool: JsonObject, path: string): ChatTool {
  checkOptional(tool, "description", "string", `${path}.`);
  const format = isObject(tool["format"]) ? tool["format"] : {};
  const grammar =
    format["type"] === "grammar"
      ? `The input follows this ${textOf(format["syntax"])} grammar:\n${textOf(format["definition"])}`
      : "";
  const description = [textOf(tool["description"]), grammar].filter(Boolean).join("\n\n");
  return {
    type: "function",
    function: {
      name: requireString(tool["name"], `${path}.name`),
      ...(description ? { description } : {}),
      parameters: customInput,
    },
  };
}

/** Names of a request's custom tools: calls of these are told as such. */
export function customNames(body: JsonObject): ReadonlySet<string> {
  const names = listOf(body["tools"]).map((tool) =>
    isObject(tool) && tool["type"] === "custom" ? tool["name"] : undefined,
  );
  return new Set(names.filter((name) => typeof name === "string"));
}

/** What a model wrote for a custom tool. */
export function customInputOf(args: string): string {
  try {
    const value: unknown = JSON.parse(args);
    if (isObject(value) && typeof value["input"] === "string") return value["input"];
  } catch {
    // A model that left the form out wrote the input itself.
  }
  return args;
}

export const toCustomArguments = (input: string) => JSON.stringify({ input });

interface Choice {
  readonly tool_choice?: Json;
  /** Names of the only tools that may be called. */
  readonly allowed?: ReadonlySet<string>;
}

const choices = ["none", "auto", "required"];

function decodeChoice(sent: Json | undefined): Choice {
  if (sent === undefined || sent === null) return {};
  if (typeof sent === "string") {
    if (!choices.includes(sent)) throw wrongValue("tool_choice", sent, choices);
    return { tool_choice: sent };
  }
  const choice = requireObject(sent, "tool_choice");
  const type = requireString(choice["type"], "tool_choice.type");
  if (type === "function" || type === "custom") {
    const name = requireString(choice["name"], "tool_choice.name");
    return { tool_choice: { type: "function", function: { name } } };
  }
  if (type !== "allowed_tools") throw hosted("tool_choice", type);
  const tools = requireArray(choice["tools"], "tool_choice.tools");
  const allowed = new Set(
    tools.map((tool, i) => {
      const path = `tool_choice.tools[${i}]`;
      return requireString(requireObject(tool, path)["name"], `${path}.name`);
    }),
  );
  return { tool_choice: choice["mode"] === "required" ? "required" : "auto", allowed };
}

/** Our tools in the Responses form. */
export function encodeTools({ tools, tool_choice: choice }: ChatRequest): JsonObject {
  if (!tools?.length) return {};
  return {
    tools: tools.map((tool) =>
      tool.type === "function" && tool.function
        ? { type: "function", parameters: {}, strict: false, ...tool.function }
        : encodeCustom(tool),
    ),
    ...(choice === undefined || choice === null ? {} : { tool_choice: encodeChoice(choice) }),
  };
}

function encodeCustom(tool: ChatTool): JsonObject {
  const { custom } = tool;
  return isObject(custom) ? { type: "custom", ...custom } : tool;
}

function encodeChoice(choice: Json): Json {
  if (!isObject(choice)) return choice;
  const type = textOf(choice["type"]);
  const named = choice[type];
  return isObject(named) ? { type, ...named } : choice;
}
