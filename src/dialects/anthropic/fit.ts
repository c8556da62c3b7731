/**
 * A body of Anthropic's made to fit the model that gets it: a caller who asked for `auto`, or whose
 * call falls back, cannot know which way of thinking that model takes.
 * Source: https://platform.claude.com/docs/en/build-with-claude/thinking
 */
import { isObject, type Json, type JsonObject } from "../../domain/json.ts";
import { without } from "../read.ts";
import { traitsOf } from "./models.ts";
import { budgets, minBudget } from "./reasoning.ts";

const sampling = ["temperature", "top_p", "top_k"];

/**
 * The body itself (===) where it fits. Thinking is always made to fit, since the model would refuse
 * the call; sampling parameters that it refuses go only where the operator lets parameters be dropped.
 */
export function fitToModel(body: JsonObject, dropParams: boolean): JsonObject {
  const model = String(body["model"]);
  if (!/claude/.test(model)) return body; // other makers' models behind this dialect: as sent
  const fitted = fitThinking(body, model);
  if (!dropParams || traitsOf(model).sampling) return fitted;
  const refused = sampling.filter((key) => fitted[key] !== undefined && fitted[key] !== 1);
  return refused.length === 0 ? fitted : without(fitted, new Set(refused));
}

function fitThinking(body: JsonObject, model: string): JsonObject {
  const traits = traitsOf(model);
  const { thinking } = body;
  const type = isObject(thinking) ? thinking["type"] : undefined;
  const effort = effortOf(body);
  if (traits.thinking === "effort") {
    if (type === "enabled" && !traits.takesBudget && isObject(thinking)) {
      const told = effort ?? toEffort(Number(thinking["budget_tokens"]));
      const { budget_tokens: _, ...rest } = thinking;
      return withEffort({ ...body, thinking: { ...rest, type: "adaptive" } }, told);
    }
    if (type === "disabled" && !traits.canStopThinking) {
      return withEffort(without(body, new Set(["thinking"])), effort ?? "low");
    }
    return body;
  }
  // Opus 4.5 alone of the older ones takes an effort.
  const fitted =
    effort === undefined || /opus-4-5/.test(model) ? body : withEffort(body, undefined);
  if (type !== "adaptive" && type !== "between_tools" && type !== "enabled") return fitted;
  if (traits.thinking === "none") return without(fitted, new Set(["thinking"]));
  if (type === "enabled") return fitted;
  const budget = Math.min(budgets[effort ?? "high"] ?? minBudget, Number(body["max_tokens"]) - 1);
  if (!(budget >= minBudget)) return without(fitted, new Set(["thinking"]));
  return { ...fitted, thinking: { type: "enabled", budget_tokens: budget } };
}

function effortOf(body: JsonObject): string | undefined {
  const config = body["output_config"];
  const effort: Json | undefined = isObject(config) ? config["effort"] : undefined;
  return typeof effort === "string" ? effort : undefined;
}

function withEffort(body: JsonObject, effort: string | undefined): JsonObject {
  const { effort: _, ...others } = isObject(body["output_config"]) ? body["output_config"] : {};
  const config = { ...others, ...(effort === undefined ? {} : { effort }) };
  const { output_config: __, ...rest } = body;
  return Object.keys(config).length === 0 ? rest : { ...rest, output_config: config };
}

/** The efforts in words that a budget of tokens stands for; LiteLLM's thresholds. */
export function toEffort(budgetTokens: number): string {
  if (!(budgetTokens < 10_000)) return "high";
  return budgetTokens >= 5000 ? "medium" : "low";
}
