/**
 * `reasoning_effort` as Anthropic's thinking: effort on models that adapt, a budget of tokens on
 * older ones. A caller's own `thinking` goes through as it is.
 * Source: https://platform.claude.com/docs/en/build-with-claude/thinking; budgets are LiteLLM's.
 */
import type { ChatRequest } from "../../domain/chat.ts";
import { isObject, type JsonObject } from "../../domain/json.ts";
import type { EncodeOptions } from "../dialect.ts";
import { wrongValue } from "../read.ts";
import type { ModelTraits } from "./models.ts";
import { unsupportedParam } from "./unsupported.ts";

export interface Reasoning {
  readonly thinking?: JsonObject;
  readonly effort?: string;
  /** Thinking counts towards max_tokens, so a default must leave room for it. */
  readonly minMaxTokens: number;
  readonly temperatureFixed: boolean;
}

export interface ReasoningContext {
  readonly own: JsonObject;
  readonly model: string;
  readonly maxTokens: number;
  readonly traits: ModelTraits;
  readonly options: EncodeOptions;
}

const efforts = ["none", "minimal", "low", "medium", "high", "xhigh", "max"];
/** Tokens; Anthropic's least is 1,024. */
export const budgets: Readonly<Record<string, number>> = {
  minimal: 1024,
  low: 1024,
  medium: 2048,
  high: 4096,
  xhigh: 8192,
  max: 16_384,
};
export const minBudget = 1024;
const off: Reasoning = { minMaxTokens: 0, temperatureFixed: false };

export function encodeReasoning(request: ChatRequest, context: ReasoningContext): Reasoning {
  const { own, model, traits, options } = context;
  const sent = request["thinking"] ?? own["thinking"];
  if (isObject(sent)) {
    // Made to fit the model last of all, by fitToModel.
    return { ...off, thinking: sent, temperatureFixed: thinks(sent) && "thinking" in request };
  }
  const effort = request["reasoning_effort"];
  if (effort === undefined || effort === null) return off;
  if (typeof effort !== "string" || !efforts.includes(effort)) {
    throw wrongValue("reasoning_effort", String(effort), efforts);
  }
  if (effort === "none") return withoutThinking(traits);
  if (traits.thinking === "effort") return adaptive(effort);
  if (traits.thinking === "budget") return budgeted(request, effort, context.maxTokens);
  if (options.dropParams) return off;
  throw unsupportedParam("reasoning_effort", model);
}

const thinks = (thinking: JsonObject) => thinking["type"] !== "disabled";

function withoutThinking(traits: ModelTraits): Reasoning {
  if (traits.thinking !== "effort") return off; // older models think only when asked
  return traits.canStopThinking
    ? { ...off, thinking: { type: "disabled" } }
    : { ...off, effort: "low" };
}

function adaptive(effort: string): Reasoning {
  return {
    // Newer models leave the text out unless asked; OpenAI's callers read `reasoning_content`.
    thinking: { type: "adaptive", display: "summarized" },
    effort: effort === "minimal" ? "low" : effort,
    minMaxTokens: 0,
    temperatureFixed: true,
  };
}

function budgeted(request: ChatRequest, effort: string, maxTokens: number): Reasoning {
  // Anthropic refuses thinking beside a forced tool, and in a turn of tool calls begun without it.
  const forced = request.tool_choice === "required" || isObject(request.tool_choice);
  const last = request.messages.findLast((message) => message.role === "assistant");
  const begunWithout = Boolean(last?.tool_calls?.length) && !last?.thinking_blocks?.length;
  if (forced || begunWithout) return off;
  const wanted = budgets[effort] ?? minBudget;
  const isExplicit = (request.max_completion_tokens ?? request.max_tokens) !== undefined;
  const budget = isExplicit ? Math.min(wanted, maxTokens - 1) : wanted;
  if (budget < minBudget) return off; // no room to think within the caller's limit
  return {
    thinking: { type: "enabled", budget_tokens: budget },
    minMaxTokens: isExplicit ? 0 : wanted + minBudget,
    temperatureFixed: true,
  };
}
