/**
 * Our tools and tool choice as Converse's.
 * Source: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ToolConfiguration.html
 */
import type { ChatMessage, ChatRequest, ChatTool } from "../../domain/chat.ts";
import { GatewayError } from "../../domain/errors.ts";
import { isObject, type Json, type JsonObject } from "../../domain/json.ts";
import { traitsOf as claudeTraitsOf } from "../anthropic/models.ts";
import type { EncodeOptions } from "../dialect.ts";
import { withoutGoogleTools } from "../gemini/foreign.ts";
import { invalid } from "../read.ts";
import { unsupportedParam } from "../refuse.ts";
import { cachePoint } from "./encode-messages.ts";
import type { BedrockTraits } from "./models.ts";

export interface ToolContext {
  readonly traits: BedrockTraits;
  readonly model: string;
  readonly options: EncodeOptions;
  /** The tool that an answer by schema must come through. */
  readonly answer: JsonObject | undefined;
}

export interface EncodedTools {
  readonly toolConfig?: JsonObject;
  /** What Claude is told beside Converse's own words. */
  readonly additional?: JsonObject;
}

export function encodeTools(request: ChatRequest, context: ToolContext): EncodedTools {
  const { answer, traits } = context;
  const offered = withoutGoogleTools(request.tools) ?? [];
  const read = readChoice(request.tool_choice, context);
  const kept = read.allowed ? offered.filter((tool) => read.allowed?.has(nameOf(tool))) : offered;
  const off = read.choice === "none" || (kept.length === 0 && !answer);
  if (off && !answer) return toolsOfHistory(request.messages, offered, context);
  const specs = off ? [] : kept.flatMap((tool, i) => encodeTool(tool, i, context));
  const tools = [...specs, ...(answer ? [answer] : [])];
  const choice = answer
    ? forAnswer(specs.length > 0, answer, read.choice, traits)
    : read.choice === "none"
      ? undefined
      : read.choice;
  if (request.parallel_tool_calls === false) return oneAtATime(tools, choice, context);
  return { toolConfig: { tools, ...(choice ? { toolChoice: choice } : {}) } };
}

const nameOf = (tool: ChatTool) => tool.function?.name ?? String(tool["name"] ?? "");

function encodeTool(tool: ChatTool, i: number, context: ToolContext): JsonObject[] {
  const { model, traits, options } = context;
  const own = ["systemTool", "toolSpec", "cachePoint"].find((key) => isObject(tool[key]));
  if (own) return [{ [own]: tool[own] }];
  if (tool.type !== "function" || !tool.function) {
    if (options.dropParams) return [];
    throw new GatewayError(
      "unsupported_capability",
      `'tools[${i}]' is '${String(tool.type).slice(0, 60)}', which Bedrock does not run. Use function tools, or set \`litellm_settings.drop_params: true\`.`,
      { param: `tools[${i}]` },
    );
  }
  const { name, description, parameters, strict } = tool.function;
  const holds =
    strict === true && traits.family === "claude" && claudeTraitsOf(model).structuredOutput;
  const spec = {
    name,
    ...(description ? { description } : {}), // an empty one is refused
    inputSchema: { json: { properties: {}, ...parameters, type: "object" } },
    ...(holds ? { strict } : {}),
  };
  const mark = tool["cache_control"] ?? tool.function["cache_control"];
  return [{ toolSpec: spec }, ...cachePoint(mark as Json, context)];
}

interface ReadChoice {
  readonly choice?: JsonObject | "none";
  /** Names of the tools that may be used, where the caller narrowed them. */
  readonly allowed?: ReadonlySet<string>;
}

function readChoice(sent: Json | undefined, context: ToolContext): ReadChoice {
  if (sent === undefined || sent === null) return {};
  if (sent === "none") return { choice: "none" };
  if (sent === "auto") return { choice: { auto: {} } };
  if (sent === "required" || sent === "any") return { choice: force({ any: {} }, context) };
  if (isObject(sent)) {
    const { type, function: named, allowed_tools: narrowed } = sent;
    if (type === "function" && isObject(named)) {
      return { choice: force({ tool: { name: named["name"] } }, context) };
    }
    if (type === "allowed_tools" && isObject(narrowed)) return readAllowed(narrowed, context);
    if (["auto", "any", "tool"].some((key) => isObject(sent[key]))) return { choice: sent };
  }
  throw invalid(
    "tool_choice",
    "'tool_choice' must be 'auto', 'none', 'required', or name a function.",
  );
}

function readAllowed(narrowed: JsonObject, context: ToolContext): ReadChoice {
  const tools = Array.isArray(narrowed["tools"]) ? narrowed["tools"] : [];
  const names = tools.map((tool: Json) => {
    const named = isObject(tool) && isObject(tool["function"]) ? tool["function"] : tool;
    return isObject(named) ? String(named["name"]) : "";
  });
  const choice = narrowed["mode"] === "required" ? force({ any: {} }, context) : { auto: {} };
  return { choice, allowed: new Set(names) };
}

function force(choice: JsonObject, { traits, model, options }: ToolContext): JsonObject {
  if (traits.forces === "tool" || (traits.forces === "any" && choice["any"])) return choice;
  if (traits.forces === "any" && options.dropParams) return { any: {} };
  if (options.dropParams) return { auto: {} };
  throw unsupportedParam(
    "tool_choice",
    { model, at: "Bedrock" },
    ", which cannot be made to call a tool",
  );
}

/** With tools of the caller's, the answer may come through them first, but must come through one. */
function forAnswer(
  hasOthers: boolean,
  answer: JsonObject,
  choice: ReadChoice["choice"],
  { forces }: BedrockTraits,
): JsonObject | undefined {
  if (forces === "none") return undefined;
  if (hasOthers && isObject(choice) && choice["tool"]) return choice;
  if (hasOthers || forces === "any") return { any: {} };
  const { toolSpec } = answer;
  return { tool: { name: isObject(toolSpec) ? toolSpec["name"] : "" } };
}

/** Only Claude can be held to one call at a time, and in Anthropic's words. */
function oneAtATime(
  tools: readonly JsonObject[],
  choice: JsonObject | undefined,
  { traits, model, options }: ToolContext,
): EncodedTools {
  if (traits.family !== "claude") {
    if (!options.dropParams) {
      throw unsupportedParam("parallel_tool_calls", { model, at: "Bedrock" });
    }
    return { toolConfig: { tools, ...(choice ? { toolChoice: choice } : {}) } };
  }
  const named = isObject(choice?.["tool"]) ? choice["tool"] : undefined;
  const type = named ? "tool" : choice?.["any"] ? "any" : "auto";
  const said = { type, ...(named ? { name: named["name"] } : {}) };
  return {
    toolConfig: { tools },
    additional: { tool_choice: { ...said, disable_parallel_tool_use: true } },
  };
}

/**
 * A history with tool calls, and no tools that may be called: Converse wants definitions, OpenAI does
 * not. They are the caller's, or made from the names used; that they may not be called stands in them.
 */
function toolsOfHistory(
  messages: readonly ChatMessage[],
  offered: readonly ChatTool[],
  context: ToolContext,
): EncodedTools {
  const names = new Set<string>();
  for (const message of messages) {
    for (const call of message.tool_calls ?? []) if (call.function) names.add(call.function.name);
    const legacy = message["function_call"];
    if (isObject(legacy)) names.add(String(legacy["name"]));
  }
  if (names.size === 0) return {};
  const description = "Called earlier in this conversation; cannot be called any more.";
  const known = new Map(offered.map((tool) => [nameOf(tool), tool.function?.parameters]));
  const tools = [...names].map((name) => ({
    toolSpec: {
      name,
      description,
      inputSchema: { json: { properties: {}, ...known.get(name), type: "object" } },
    },
  }));
  const isClaude = context.traits.family === "claude";
  return {
    toolConfig: { tools },
    ...(isClaude ? { additional: { tool_choice: { type: "none" } } } : {}),
  };
}
