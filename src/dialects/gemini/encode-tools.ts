/** Our tools and tool choice as Gemini's. */
import type { ChatRequest, ChatTool } from "../../domain/chat.ts";
import { GatewayError } from "../../domain/errors.ts";
import { isObject, type Json, type JsonObject } from "../../domain/json.ts";
import type { EncodeOptions } from "../dialect.ts";
import { invalid } from "../read.ts";

/** Google's own tools, by the type that an OpenAI caller gives them, and their field. */
const googleTools: Readonly<Record<string, string>> = {
  google_search: "googleSearch",
  google_search_retrieval: "googleSearchRetrieval",
  google_maps: "googleMaps",
  code_execution: "codeExecution",
  url_context: "urlContext",
  computer_use: "computerUse",
  enterprise_web_search: "enterpriseWebSearch",
  file_search: "fileSearch",
  retrieval: "retrieval",
};

/** Whether a tool runs at Google alone. */
export const isGoogleTool = (tool: ChatTool) =>
  !tool.function && Object.hasOwn(googleTools, tool.type);

/** `tools` and `toolConfig`, where there are any. */
export function encodeTools(request: ChatRequest, options: EncodeOptions): JsonObject {
  const { choice, allowed } = readChoice(request.tool_choice);
  const declared: JsonObject[] = [];
  const own: JsonObject[] = [];
  (request.tools ?? []).forEach((tool, i) => {
    if (tool.type === "function" || tool.function) {
      if (!allowed || allowed.has(tool.function?.name ?? "")) declared.push(declare(tool));
      return;
    }
    const name = googleTools[tool.type];
    if (name) own.push({ [name]: tool[tool.type] ?? {} });
    else if (!options.dropParams) throw unsupportedTool(tool, i);
  });
  if (isObject(request["web_search_options"])) own.push({ googleSearch: {} });
  if (request.parallel_tool_calls === false && declared.length > 1 && !options.dropParams) {
    throw invalid(
      "parallel_tool_calls",
      "'parallel_tool_calls: false' is not supported by Gemini, which may call several tools at once. Leave it out, or set `litellm_settings.drop_params: true` to have it dropped.",
    );
  }
  const tools = [...(declared.length ? [{ functionDeclarations: declared }] : []), ...own];
  return {
    ...(tools.length ? { tools } : {}),
    ...(choice && declared.length ? { toolConfig: { functionCallingConfig: choice } } : {}),
  };
}

function unsupportedTool(tool: ChatTool, i: number): GatewayError {
  return new GatewayError(
    "unsupported_capability",
    `'tools[${i}]' is of type '${tool.type.slice(0, 60)}', which Gemini does not have. Use a function tool, or set \`litellm_settings.drop_params: true\`.`,
    { param: `tools[${i}]` },
  );
}

/** The whole of JSON Schema goes in its own field; Gemini leaves out of account what it does not know. */
function declare(tool: ChatTool): JsonObject {
  const { name = "", description, parameters } = tool.function ?? {};
  return {
    name,
    ...(description === undefined ? {} : { description }),
    ...(parameters && Object.keys(parameters).length > 0
      ? { parametersJsonSchema: parameters }
      : {}),
  };
}

interface Choice {
  readonly choice?: JsonObject;
  /** Names of the tools that may be used, where the choice itself cannot say it. */
  readonly allowed?: ReadonlySet<string>;
}

function readChoice(sent: Json | undefined): Choice {
  if (sent === undefined || sent === null) return {};
  if (sent === "auto") return { choice: { mode: "AUTO" } };
  if (sent === "none") return { choice: { mode: "NONE" } };
  if (sent === "required" || sent === "any") return { choice: { mode: "ANY" } };
  if (isObject(sent)) {
    const { type } = sent;
    const called = sent["function"];
    if (type === "function" && isObject(called)) return { choice: anyOf([String(called["name"])]) };
    if (type === "allowed_tools" && isObject(sent["allowed_tools"])) {
      return readAllowed(sent["allowed_tools"]);
    }
  }
  throw invalid(
    "tool_choice",
    "'tool_choice' must be 'auto', 'none', 'required', or name a function.",
  );
}

const anyOf = (names: readonly string[]) => ({ mode: "ANY", allowedFunctionNames: names });

/** Gemini takes names with ANY only; with AUTO, the other tools are not declared. */
function readAllowed(allowed: JsonObject): Choice {
  const tools = Array.isArray(allowed["tools"]) ? allowed["tools"] : [];
  const names = tools.map((tool: Json) => {
    const named = isObject(tool) && isObject(tool["function"]) ? tool["function"] : tool;
    return isObject(named) ? String(named["name"]) : "";
  });
  if (allowed["mode"] === "required") return { choice: anyOf(names) };
  return { choice: { mode: "AUTO" }, allowed: new Set(names) };
}
