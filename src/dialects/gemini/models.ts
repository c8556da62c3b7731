/**
 * What Gemini models differ in when they are asked.
 * Source: https://ai.google.dev/gemini-api/docs/thinking
 */
import type { ModelFacts } from "../../domain/model.ts";

export interface ModelTraits {
  /** How thinking is asked for: by level (Gemini 3), by a budget of tokens (2.5), or not at all. */
  readonly thinking: "level" | "budget" | "none";
  /** The levels that it takes, least first. */
  readonly levels: readonly string[];
  /** Its least budget; 0 where it may be told not to think. */
  readonly minBudget: number;
  /** A function call in the current turn must carry a signature. */
  readonly signsCalls: boolean;
}

const level: ModelTraits = {
  thinking: "level",
  levels: ["minimal", "low", "medium", "high"],
  minBudget: 0,
  signsCalls: true,
};
const budget: ModelTraits = { thinking: "budget", levels: [], minBudget: 0, signsCalls: false };
const none: ModelTraits = { ...budget, thinking: "none" };

/** The first match counts. */
const rows: readonly (readonly [RegExp, ModelTraits])[] = [
  [/gemini-3-pro/, { ...level, levels: ["low", "high"] }],
  [/gemini-3(\.\d+)?-pro/, { ...level, levels: ["low", "medium", "high"] }],
  [/gemini-([3-9]|\d\d)|gemini-(pro|flash|flash-lite)-latest/, level],
  [/gemini-2\.5-pro/, { ...budget, minBudget: 128 }],
  [/gemini-2\.5-.*(image|tts)/, none],
  [/gemini-2\.5|gemini-2\.0-flash-thinking/, budget],
];

export function traitsOf(model: string, facts?: ModelFacts): ModelTraits {
  const found = rows.find(([pattern]) => pattern.test(model))?.[1] ?? none;
  // A tuned model's name tells nothing; what the operator wrote does.
  return found === none && facts?.capabilities?.reasoning ? budget : found;
}

export const signsCalls = (model: string) => traitsOf(model).signsCalls;
