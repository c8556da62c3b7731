/**
 * What the makers' models on Bedrock differ in when they are asked. The first match counts. Sources:
 * https://docs.aws.amazon.com/bedrock/latest/userguide/conversation-inference-supported-models-features.html,
 * .../structured-output.html, .../prompt-caching.html, and API_runtime_ToolChoice.html.
 */
import { traitsOf as claudeTraitsOf } from "../anthropic/models.ts";

export interface BedrockTraits {
  readonly family: "claude" | "nova" | "other" | "unknown";
  /** Which choices beside "auto" the model takes. */
  readonly forces: "tool" | "any" | "none";
  /** How an answer by schema is asked for: by the API, through a tool, in words. */
  readonly schema: "native" | "tool" | "words";
  /** Takes cache points. */
  readonly caches: boolean;
  /** Takes a system prompt. */
  readonly system: boolean;
  readonly reasoning: "claude" | "nova" | "effort" | "none";
}

const open: BedrockTraits = {
  family: "other",
  forces: "none",
  schema: "native",
  caches: false,
  system: true,
  reasoning: "none",
};
const older: BedrockTraits = { ...open, schema: "words" };
const oldest: BedrockTraits = { ...older, system: false };
/** A profile's ARN tells nothing of the model behind it: all is sent as asked. */
const unknown: BedrockTraits = {
  ...open,
  family: "unknown",
  forces: "tool",
  caches: true,
  reasoning: "claude",
};

const rows: readonly (readonly [RegExp, BedrockTraits])[] = [
  [
    /amazon\.nova-2/,
    {
      ...older,
      family: "nova",
      forces: "tool",
      schema: "tool",
      caches: true,
      reasoning: "nova",
    },
  ],
  [/amazon\.nova/, { ...older, family: "nova", forces: "tool", schema: "tool", caches: true }],
  [/amazon\.titan|mistral\.(mistral-7b|mixtral)|cohere\.command-(text|light)|ai21\.j2/, oldest],
  [/mistral\.mistral-(large|small)-24/, { ...older, forces: "any", schema: "tool" }],
  [/mistral\./, { ...open, forces: "any" }],
  [/meta\.|cohere\.|ai21\.|writer\.|deepseek\.r1/, older],
  [/openai\./, { ...open, reasoning: "effort" }],
  [/(^|\.)(qwen|deepseek|google|nvidia|minimax|moonshot|moonshotai|zai)\./, open],
];

/** @param model an id, an inference profile's (`us.anthropic.…`), or an ARN */
export function traitsOf(model: string): BedrockTraits {
  if (/claude/.test(model)) {
    const { forcedTools, structuredOutput } = claudeTraitsOf(model);
    return {
      family: "claude",
      forces: forcedTools ? "tool" : "none",
      schema: structuredOutput ? "native" : "tool",
      caches: true,
      system: true,
      reasoning: "claude",
    };
  }
  return rows.find(([pattern]) => pattern.test(model))?.[1] ?? unknown;
}
