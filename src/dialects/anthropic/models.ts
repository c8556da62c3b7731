/**
 * What Claude models differ in when they are asked. Newest first: the first match counts.
 * Sources: https://platform.claude.com/docs/en/build-with-claude/thinking, .../structured-outputs,
 * .../about-claude/models/overview; the capability table of @ai-sdk/anthropic 3.0 (Apache-2.0).
 */
export interface ModelTraits {
  readonly maxOutputTokens: number;
  /** Takes `output_config.format` and strict tools. */
  readonly structuredOutput: boolean;
  /** Takes temperature, top_p, top_k. */
  readonly sampling: boolean;
  /** How reasoning is asked for: by effort, by a budget of tokens, or not at all. */
  readonly thinking: "effort" | "budget" | "none";
  /** Still takes a budget, where effort is the way. */
  readonly takesBudget: boolean;
  /** May be told not to think. */
  readonly canStopThinking: boolean;
  /** Takes tool_choice `any` and `tool`. */
  readonly forcedTools: boolean;
}

const newest: ModelTraits = {
  maxOutputTokens: 128_000,
  structuredOutput: true,
  sampling: false,
  thinking: "effort",
  takesBudget: true,
  canStopThinking: true,
  forcedTools: true,
};
const effortOnly: ModelTraits = { ...newest, takesBudget: false };
const alwaysThinks: ModelTraits = { ...effortOnly, canStopThinking: false, forcedTools: false };
const gen46: ModelTraits = { ...newest, sampling: true };
const gen45: ModelTraits = {
  ...gen46,
  maxOutputTokens: 64_000,
  thinking: "budget",
  takesBudget: true,
};
const gen3: ModelTraits = {
  maxOutputTokens: 4096,
  structuredOutput: false,
  sampling: true,
  thinking: "none",
  takesBudget: false,
  canStopThinking: true,
  forcedTools: true,
};

const rows: readonly (readonly [RegExp, ModelTraits])[] = [
  [/sonnet-5-5|opus-5-5|(fable|mythos)-5-[12]/, alwaysThinks],
  [/(fable|mythos)-5/, { ...alwaysThinks, forcedTools: true }],
  [/haiku-5-5/, effortOnly],
  [/haiku-5|opus-5|sonnet-5|opus-4-[78]|mythos/, newest],
  [/(sonnet|opus)-4-6/, gen46],
  [/(sonnet|opus|haiku)-4-5/, gen45],
  [/opus-4-1/, { ...gen45, maxOutputTokens: 32_000 }],
  [/sonnet-4/, { ...gen45, structuredOutput: false }],
  [/opus-4/, { ...gen45, maxOutputTokens: 32_000, structuredOutput: false }],
  [/claude-3-7/, { ...gen3, maxOutputTokens: 64_000, thinking: "budget", takesBudget: true }],
  [/claude-3-5/, { ...gen3, maxOutputTokens: 8192 }],
  [/claude-(3|2|v2|instant)/, gen3],
  [/claude/, newest], // newer than this file
];

/** Other makers' models behind Anthropic's dialect: the least that all of them take. */
const foreign: ModelTraits = { ...gen3, thinking: "budget", takesBudget: true };

export function traitsOf(model: string): ModelTraits {
  return rows.find(([pattern]) => pattern.test(model))?.[1] ?? foreign;
}
