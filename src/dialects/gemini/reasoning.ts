/**
 * `reasoning_effort`, and Anthropic's thinking, as Gemini's: a level for Gemini 3, a budget for 2.5.
 * Source: https://ai.google.dev/gemini-api/docs/thinking; budgets are LiteLLM's.
 */
import type { ChatRequest } from "../../domain/chat.ts";
import { isObject, type Json, type JsonObject } from "../../domain/json.ts";
import { toEffort } from "../anthropic/fit.ts";
import type { EncodeOptions } from "../dialect.ts";
import { invalid, wrongValue } from "../read.ts";
import { type ModelTraits, traitsOf } from "./models.ts";

const efforts = ["none", "minimal", "low", "medium", "high", "xhigh", "max"];

/** Tokens. Flash Lite thinks from 512 up, Pro from 128. */
const budgets: Readonly<Record<string, number>> = {
  minimal: 128,
  low: 1024,
  medium: 2048,
  high: 4096,
  xhigh: 8192,
  max: 24_576,
};

/** `thinkingConfig`, where the request says anything of it. */
export function encodeThinking(
  request: ChatRequest,
  model: string,
  options: EncodeOptions,
): JsonObject {
  const traits = traitsOf(model, options.facts);
  const own = isObject(request["anthropic"]) ? request["anthropic"] : {};
  const thinking = request["thinking"] ?? own["thinking"];
  const effort = request["reasoning_effort"] ?? effortOf(own) ?? undefined;
  if (effort === undefined && !isObject(thinking)) return {};
  if (traits.thinking === "none") {
    // Of Anthropic's callers, thinking is a wish; a model that cannot answers without.
    const asked = request["reasoning_effort"] !== undefined && effort !== "none";
    if (!asked || options.dropParams || isObject(request["gemini"])) return {};
    throw invalid(
      "reasoning_effort",
      `'reasoning_effort' is not supported by ${model}, which does not think. Leave it out, or set \`litellm_settings.drop_params: true\` to have it dropped.`,
    );
  }
  if (effort === undefined || (isObject(thinking) && thinking["type"] === "disabled")) {
    return isObject(thinking) ? fromThinking(thinking, model, traits) : {};
  }
  if (typeof effort !== "string" || !efforts.includes(effort)) {
    throw wrongValue("reasoning_effort", String(effort), efforts);
  }
  return fromEffort(effort, model, traits);
}

function effortOf(own: JsonObject): Json | undefined {
  const config = own["output_config"];
  return isObject(config) ? config["effort"] : undefined;
}

function fromThinking(thinking: JsonObject, model: string, traits: ModelTraits): JsonObject {
  const { type, budget_tokens: budget } = thinking;
  if (type === "disabled") return fromEffort("none", model, traits);
  if (typeof budget !== "number") return { thinkingConfig: { includeThoughts: true } }; // adaptive
  if (traits.thinking === "level") return fromEffort(toEffort(budget), model, traits);
  const thinkingBudget = Math.max(traits.minBudget, budget);
  return { thinkingConfig: { thinkingBudget, includeThoughts: true } };
}

function fromEffort(effort: string, model: string, traits: ModelTraits): JsonObject {
  const includeThoughts = effort !== "none";
  if (traits.thinking === "level") {
    return { thinkingConfig: { thinkingLevel: levelFor(effort, traits.levels), includeThoughts } };
  }
  if (effort === "none")
    return { thinkingConfig: { thinkingBudget: traits.minBudget, includeThoughts } };
  const least = /flash-lite/.test(model) ? 512 : traits.minBudget;
  const thinkingBudget = Math.max(least, budgets[effort] ?? 1024);
  return { thinkingConfig: { thinkingBudget, includeThoughts } };
}

const ranks = ["minimal", "low", "medium", "high"];

/** The model's nearest level that is not below what is asked; Gemini 3 cannot be told not to think. */
function levelFor(effort: string, levels: readonly string[]): string {
  const wanted =
    effort === "none" ? 0 : effort === "xhigh" || effort === "max" ? 3 : ranks.indexOf(effort);
  return levels.find((level) => ranks.indexOf(level) >= wanted) ?? levels.at(-1) ?? "high";
}
