/**
 * Our request as a body of Anthropic's Messages API.
 * Sources: https://platform.claude.com/docs/en/api/messages/create; LiteLLM's mapping of parameters.
 */
import type { ChatRequest } from "../../domain/chat.ts";
import { isObject, type Json, type JsonObject } from "../../domain/json.ts";
import type { EncodeOptions } from "../dialect.ts";
import { refuseGoogleOnly } from "../gemini/foreign.ts";
import { without } from "../read.ts";
import { asPlainText, encodeConversation } from "./encode-messages.ts";
import { encodeTools } from "./encode-tools.ts";
import { fitToModel } from "./fit.ts";
import { jsonOutput } from "./json-output.ts";
import { traitsOf } from "./models.ts";
import { encodeReasoning } from "./reasoning.ts";
import { refuseUnsupported, unsupportedNames, unsupportedParam } from "./unsupported.ts";

/** `max_tokens` where neither the caller nor anybody's table says one; Anthropic requires it. */
export const defaultMaxTokens = 4096;

/** Written elsewhere below, or of no effect on the answer. */
const read: ReadonlySet<string> = new Set([
  ...unsupportedNames,
  ...["model", "messages", "max_tokens", "max_completion_tokens", "temperature", "top_p", "top_k"],
  ...["stop", "stream", "stream_options", "tools", "tool_choice", "parallel_tool_calls"],
  ...["response_format", "user", "metadata", "safety_identifier", "reasoning_effort", "thinking"],
  ...["modalities", "web_search_options", "service_tier", "output_config", "anthropic", "gemini"],
  ...["store", "prompt_cache_key", "prompt_cache_retention", "prompt_cache_options"],
]);

export function encodeRequest(
  request: ChatRequest,
  model: string,
  options: EncodeOptions = {},
): JsonObject {
  const traits = traitsOf(model);
  refuseUnsupported(request, model, options);
  refuseGoogleOnly(request, options);
  // What an Anthropic caller sent and OpenAI has no word for; what anybody sent that nobody knows.
  const own = isObject(request["anthropic"]) ? request["anthropic"] : {};
  const { system, messages } = encodeConversation(request.messages);
  const json = jsonOutput(request, traits);
  const maxTokens =
    request.max_completion_tokens ??
    request.max_tokens ??
    options.facts?.maxOutputTokens ??
    (/claude/.test(model) ? traits.maxOutputTokens : defaultMaxTokens);
  const reasoning = encodeReasoning(request, { own, model, maxTokens, traits, options });
  const systemBlocks = [...system, ...json.system];
  const outputConfig = {
    ...(isObject(own["output_config"]) ? own["output_config"] : {}),
    ...(isObject(request["output_config"]) ? request["output_config"] : {}),
    ...(reasoning.effort ? { effort: reasoning.effort } : {}),
    ...(json.format ? { format: json.format } : {}),
  };
  const stop = stopSequences(request.stop);
  const body = {
    ...without(request, read),
    ...own,
    model,
    max_tokens: Math.max(maxTokens, reasoning.minMaxTokens),
    ...(systemBlocks.length ? { system: asPlainText(systemBlocks) ?? systemBlocks } : {}),
    messages,
    ...sampling(request, model, reasoning.temperatureFixed, options),
    ...(stop.length ? { stop_sequences: stop } : {}),
    ...encodeTools(request, { json, traits, model, options }),
    ...(reasoning.thinking ? { thinking: reasoning.thinking } : {}),
    ...(Object.keys(outputConfig).length ? { output_config: outputConfig } : {}),
    ...metadata(request, own),
    ...serviceTier(request["service_tier"]),
    ...(request.stream === undefined ? {} : { stream: request.stream }),
  };
  return fitToModel(body, options.dropParams === true);
}

function sampling(
  request: ChatRequest,
  model: string,
  temperatureFixed: boolean,
  options: EncodeOptions,
): JsonObject {
  const { temperature, top_p } = request;
  const topK = request["top_k"];
  const found = {
    // OpenAI's scale ends at 2, Anthropic's at 1. Beside thinking only 1, the default, is allowed.
    ...(temperature === undefined || temperatureFixed
      ? {}
      : { temperature: Math.min(1, temperature) }),
    ...(top_p === undefined ? {} : { top_p }),
    ...(topK === undefined || topK === null ? {} : { top_k: topK }),
  };
  if (traitsOf(model).sampling) return found;
  const [first] = Object.entries(found).filter(([, value]) => value !== 1);
  if (!first || options.dropParams) return {};
  throw unsupportedParam(first[0], model, ", whose newer models take no sampling parameters");
}

/** Stop sequences of white space alone are refused by Anthropic. */
function stopSequences(stop: ChatRequest["stop"] | null): readonly string[] {
  if (stop === undefined || stop === null) return [];
  const all = typeof stop === "string" ? [stop] : stop;
  return all.filter((sequence) => sequence.trim() !== "");
}

/** Anthropic asks for an opaque id: an address or a telephone number is not passed on. */
function metadata(request: ChatRequest, own: JsonObject): JsonObject {
  if (own["metadata"] !== undefined) return { metadata: own["metadata"] };
  const sent = isObject(request["metadata"]) ? request["metadata"]["user_id"] : undefined;
  const userId = sent ?? request.user ?? request["safety_identifier"];
  if (typeof userId !== "string" || !userId) return {};
  const isPersonal = /^\S+@\S+\.\S+$/.test(userId) || /^\+?[\d\s().-]{7,}$/.test(userId);
  return isPersonal ? {} : { metadata: { user_id: userId } };
}

/** Anthropic knows two tiers; OpenAI's flex and priority are prices that it does not have. */
function serviceTier(tier: Json | undefined): JsonObject {
  if (tier === "auto" || tier === "standard_only") return { service_tier: tier };
  return tier === "default" ? { service_tier: "standard_only" } : {};
}
