/**
 * Our request as a body that any OpenAI-compatible server takes. A request of an OpenAI caller goes
 * out as it came; what came from an Anthropic caller loses what OpenAI has no word for.
 * Source: https://platform.openai.com/docs/api-reference/chat/create
 */
import type { ChatRequest, ChatTool } from "../../domain/chat.ts";
import { GatewayError } from "../../domain/errors.ts";
import { isObject, type Json, type JsonObject } from "../../domain/json.ts";
import { toEffort } from "../anthropic/fit.ts";
import type { EncodeOptions } from "../dialect.ts";
import { refuseGoogleOnly, withoutGoogleTools } from "../gemini/foreign.ts";
import { without } from "../read.ts";
import { encodeMessages } from "./encode-messages.ts";
import { reasons } from "./models.ts";

/** OpenAI refuses a longer `user`; Anthropic's clients send far longer ids. */
const maxUserLength = 64;

const rewritten = new Set([
  ...["anthropic", "gemini", "model", "messages", "tools", "user", "max_tokens"],
]);
/** Of a Gemini caller: what OpenAI has no word for, and what depends on the model. */
const ofGemini = new Set([...rewritten, "top_k", "reasoning_effort"]);

/** @throws GatewayError unsupported_capability for tools and blocks that only Anthropic runs. */
export function encodeRequest(
  request: ChatRequest,
  model: string,
  options: EncodeOptions = {},
): JsonObject {
  const foreign = isObject(request["anthropic"]) ? request["anthropic"] : undefined;
  refuseServerSide(foreign, options);
  refuseGoogleOnly(request, options);
  const isGemini = request["gemini"] !== undefined;
  return {
    ...without(request, isGemini ? ofGemini : rewritten),
    model,
    messages: encodeMessages(request.messages),
    ...tools(withoutGoogleTools(request.tools), options),
    ...(request.user === undefined
      ? {}
      : { user: foreign ? request.user.slice(0, maxUserLength) : request.user }),
    ...maxTokens(request, foreign !== undefined, options),
    ...(foreign ? effort(foreign, model, options) : {}),
    ...(isGemini ? wantedEffort(request, model, options) : {}),
  };
}

/** An Anthropic caller must give a limit, often the largest of its own model: cut to this one's. */
function maxTokens(request: ChatRequest, isForeign: boolean, options: EncodeOptions): JsonObject {
  const { max_tokens: wanted } = request;
  if (wanted === undefined) return {};
  const limit = isForeign ? (options.facts?.maxOutputTokens ?? wanted) : wanted;
  return { max_tokens: Math.max(1, Math.min(wanted, limit)) };
}

/** Fields with which Anthropic itself does something that another provider would not do. */
const serverSide = ["mcp_servers", "container"];

function refuseServerSide(foreign: JsonObject | undefined, options: EncodeOptions): void {
  if (!foreign || options.dropParams) return;
  for (const key of serverSide) {
    const value = foreign[key];
    if (value === undefined || value === null || (Array.isArray(value) && !value.length)) continue;
    throw new GatewayError(
      "unsupported_capability",
      `'${key}' works only with an Anthropic model, and this one is not. Leave it out, or set \`litellm_settings.drop_params: true\`.`,
      { param: key },
    );
  }
}

/** Thinking as an effort, for models that reason. */
function effort(foreign: JsonObject, model: string, options: EncodeOptions): JsonObject {
  if (!reasons(model, options.facts)) return {};
  const config = foreign["output_config"];
  const told = isObject(config) ? config["effort"] : undefined;
  const thinking = isObject(foreign["thinking"]) ? foreign["thinking"] : undefined;
  if (thinking?.["type"] === "disabled") return {};
  if (typeof told === "string") return { reasoning_effort: told === "max" ? "xhigh" : told };
  if (!thinking) return {};
  const budget = thinking["budget_tokens"];
  return { reasoning_effort: typeof budget === "number" ? toEffort(budget) : "medium" };
}

/** A Gemini caller's wish to think; one not to think is a model's default where it may be had. */
function wantedEffort(request: ChatRequest, model: string, options: EncodeOptions): JsonObject {
  const wanted = request["reasoning_effort"];
  const isAsked = typeof wanted === "string" && wanted !== "none";
  return isAsked && reasons(model, options.facts) ? { reasoning_effort: wanted } : {};
}

const outer = new Set(["type", "function"]);

function tools(sent: readonly ChatTool[] | undefined, options: EncodeOptions): JsonObject {
  if (!sent) return {};
  const found = sent.flatMap((tool, i): Json[] => {
    if (!isServerTool(tool)) return [onlyOpenai(tool)];
    if (options.dropParams) return [];
    throw new GatewayError(
      "unsupported_capability",
      `'tools[${i}]' is the server tool '${tool.type}', which runs only at Anthropic. Leave it out, or set \`litellm_settings.drop_params: true\`.`,
      { param: `tools[${i}]` },
    );
  });
  return found.length ? { tools: found } : {};
}

/** Anthropic's own tools carry a date in their type: `web_search_20250305`. */
const isServerTool = (tool: ChatTool) => /_20\d{6}$/.test(tool.type) && !tool.function;

/** A function tool without what Anthropic's callers put beside it (`cache_control` …). */
function onlyOpenai(tool: ChatTool): ChatTool {
  if (tool.type !== "function" || !tool.function) return tool;
  const named = without(tool.function, new Set(["cache_control"]));
  const isPure = named === tool.function && Object.keys(tool).every((key) => outer.has(key));
  return isPure ? tool : { type: tool.type, function: named as ChatTool["function"] & JsonObject };
}
