/** Our tools and tool choice as Anthropic's. */
import type { ChatMessage, ChatRequest, ChatTool } from "../../domain/chat.ts";
import { GatewayError } from "../../domain/errors.ts";
import { isObject, type Json, type JsonObject } from "../../domain/json.ts";
import type { EncodeOptions } from "../dialect.ts";
import { withoutGoogleTools } from "../gemini/foreign.ts";
import { invalid, without } from "../read.ts";
import type { JsonOutput } from "./json-output.ts";
import type { ModelTraits } from "./models.ts";
import { unsupportedParam } from "./unsupported.ts";

export interface ToolContext {
  readonly json: JsonOutput;
  readonly traits: ModelTraits;
  readonly model: string;
  readonly options: EncodeOptions;
}

/** `tools` and `tool_choice`, where there are any. */
export function encodeTools(request: ChatRequest, context: ToolContext): JsonObject {
  const { json, traits } = context;
  const offered = (withoutGoogleTools(request.tools) ?? []).map((tool, i) =>
    encodeTool(tool, i, traits),
  );
  const search = request["web_search_options"];
  if (isObject(search)) offered.push(webSearch(search));
  const tools = [...offered, ...(json.tool ? [json.tool] : [])];
  if (tools.length === 0) return toolsOfHistory(request.messages);

  const { choice, allowed } = readChoice(request, context);
  const chosen = json.tool ? forJson(choice, offered.length > 0, json.tool) : choice;
  const kept = allowed ? tools.filter((tool) => allowed.has(String(tool["name"]))) : tools;
  const withParallel =
    request.parallel_tool_calls === false && chosen?.["type"] !== "none"
      ? { ...(chosen ?? { type: "auto" }), disable_parallel_tool_use: true }
      : chosen;
  return { tools: kept, ...(withParallel ? { tool_choice: withParallel } : {}) };
}

function encodeTool(tool: ChatTool, i: number, traits: ModelTraits): JsonObject {
  if (tool.type === "custom" && "custom" in tool) {
    throw new GatewayError(
      "unsupported_capability",
      `'tools[${i}]' is a custom tool, which Anthropic's models do not have. Use a function tool.`,
      { param: `tools[${i}].type` },
    );
  }
  if (tool.type !== "function" || !tool.function) return tool; // Anthropic's own: web search …
  const { name, description, parameters, strict, cache_control: cacheControl } = tool.function;
  return {
    name,
    ...(description === undefined ? {} : { description }),
    input_schema: { properties: {}, ...parameters, type: "object" },
    ...(strict === true && traits.structuredOutput ? { strict } : {}),
    ...(cacheControl ? { cache_control: cacheControl } : {}),
    ...without(tool, functionKeys),
  };
}

const functionKeys = new Set(["type", "function"]);

/** OpenAI's search as Anthropic's server tool; the numbers of searches are LiteLLM's. */
function webSearch(options: JsonObject): JsonObject {
  const uses = { low: 1, medium: 5, high: 10 }[String(options["search_context_size"])] ?? 5;
  const location = options["user_location"];
  const near =
    isObject(location) && isObject(location["approximate"]) ? location["approximate"] : undefined;
  return {
    type: "web_search_20250305",
    name: "web_search",
    max_uses: uses,
    ...(near ? { user_location: { type: "approximate", ...near } } : {}),
  };
}

interface Choice {
  readonly choice?: JsonObject;
  /** Names of the tools that may be used, where the caller narrowed them. */
  readonly allowed?: ReadonlySet<string>;
}

function readChoice(request: ChatRequest, context: ToolContext): Choice {
  const sent = request.tool_choice;
  if (sent === undefined || sent === null) return {};
  if (sent === "auto" || sent === "none") return { choice: { type: sent } };
  if (sent === "required" || sent === "any") return { choice: force({ type: "any" }, context) };
  if (isObject(sent)) {
    const { type } = sent;
    if (type === "function" && isObject(sent["function"])) {
      return { choice: force({ type: "tool", name: sent["function"]["name"] }, context) };
    }
    if (type === "allowed_tools" && isObject(sent["allowed_tools"])) {
      return readAllowed(sent["allowed_tools"], context);
    }
    if (["auto", "any", "tool", "none"].includes(String(type))) return { choice: sent };
  }
  throw invalid(
    "tool_choice",
    "'tool_choice' must be 'auto', 'none', 'required', or name a function.",
  );
}

function readAllowed(allowed: JsonObject, context: ToolContext): Choice {
  const tools = Array.isArray(allowed["tools"]) ? allowed["tools"] : [];
  const names = tools.map((tool: Json) => {
    const named = isObject(tool) && isObject(tool["function"]) ? tool["function"] : tool;
    return isObject(named) ? String(named["name"]) : "";
  });
  const choice =
    allowed["mode"] === "required" ? force({ type: "any" }, context) : { type: "auto" };
  return { choice, allowed: new Set(names) };
}

function force(choice: JsonObject, { traits, model, options }: ToolContext): JsonObject {
  if (traits.forcedTools) return choice;
  if (options.dropParams) return { type: "auto" };
  throw unsupportedParam("tool_choice", model, ", which cannot be made to call a tool");
}

/** With tools of the caller's, the answer may come through them first, but must come through one. */
function forJson(choice: JsonObject | undefined, hasOthers: boolean, tool: JsonObject): JsonObject {
  if (hasOthers && choice?.["type"] !== "none") {
    return choice?.["type"] === "tool" ? choice : { type: "any" };
  }
  return { type: "tool", name: tool["name"] };
}

/**
 * A history with tool calls and no tools: Anthropic wants definitions, OpenAI does not. They are
 * made from the names used, and marked as not to be called.
 */
function toolsOfHistory(messages: readonly ChatMessage[]): JsonObject {
  const names = new Set<string>();
  for (const message of messages) {
    for (const call of message.tool_calls ?? []) if (call.function) names.add(call.function.name);
    const legacy = message["function_call"];
    if (isObject(legacy)) names.add(String(legacy["name"]));
  }
  if (names.size === 0) return {};
  const tools = [...names].map((name) => ({
    name,
    description: "Called earlier in this conversation; cannot be called any more.",
    input_schema: { type: "object", properties: {} },
  }));
  return { tools, tool_choice: { type: "none" } };
}
