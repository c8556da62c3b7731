/** Mistral's moderations and transcripts as OpenAI's clients read them. Source: https://docs.mistral.ai/api */
import { isObject, type Json, type JsonObject } from "../domain/json.ts";
import type { Fit } from "./provider.ts";

/** OpenAI's categories, with those of Mistral's that tell of them. */
const categories: Readonly<Record<string, readonly string[]>> = {
  harassment: [],
  "harassment/threatening": [],
  hate: ["hate_and_discrimination"],
  "hate/threatening": [],
  illicit: ["dangerous_and_criminal_content", "dangerous", "criminal"],
  "illicit/violent": [],
  "self-harm": ["selfharm"],
  "self-harm/intent": [],
  "self-harm/instructions": [],
  sexual: ["sexual"],
  "sexual/minors": [],
  violence: ["violence_and_threats"],
  "violence/graphic": [],
};

/** Mistral's own categories stay beside OpenAI's; whichever it is, the text is flagged. */
function toModeration(body: JsonObject): JsonObject {
  const { results } = body;
  if (!Array.isArray(results)) return body;
  return { ...body, results: results.map(toResult) };
}

function toResult(result: Json): Json {
  if (!isObject(result) || result["flagged"] !== undefined) return result;
  const told = isObject(result["categories"]) ? result["categories"] : {};
  const scores = isObject(result["category_scores"]) ? result["category_scores"] : {};
  const all: Record<string, Json | undefined> = { ...told };
  const allScores: Record<string, Json | undefined> = { ...scores };
  const types: Record<string, Json> = {};
  for (const [name, theirs] of Object.entries(categories)) {
    all[name] = theirs.some((each) => told[each] === true);
    allScores[name] = Math.max(0, ...theirs.map((each) => Number(scores[each] ?? 0) || 0));
    types[name] = theirs.some((each) => told[each] !== undefined) ? ["text"] : [];
  }
  return {
    ...result,
    flagged: Object.values(told).includes(true),
    categories: all,
    category_scores: allScores,
    category_applied_input_types: types,
  };
}

/** Sold by the second, which Mistral tells under a name of its own. */
function toTranscript(body: JsonObject): JsonObject {
  const { usage } = body;
  if (!isObject(usage) || usage["type"] !== undefined) return body;
  const { prompt_audio_seconds: seconds } = usage;
  if (typeof seconds === "number") {
    return { ...body, usage: { ...usage, type: "duration", seconds } };
  }
  const input = Number(usage["prompt_tokens"] ?? 0);
  const output = Number(usage["completion_tokens"] ?? 0);
  const counted = { input_tokens: input, output_tokens: output, total_tokens: input + output };
  return { ...body, usage: { ...usage, type: "tokens", ...counted } };
}

export const mistralModeration: Fit = { reply: toModeration };
export const mistralTranscript: Fit = { reply: toTranscript };
