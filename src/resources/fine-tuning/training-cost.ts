/**
 * What a training costs: trained tokens by a price, which the configuration says, or OpenAI publishes.
 * Source: https://platform.openai.com/docs/pricing (fine-tuning), in USD per million tokens.
 */
import type { FinetuneProvider } from "../../config/finetune.ts";
import type { JsonObject } from "../../domain/json.ts";

/** Supervised and preference training; reinforcement is sold by the hour, and known to nobody here. */
const published: readonly (readonly [model: RegExp, usdPerMillion: number])[] = [
  [/^gpt-4\.1-nano\b/, 1.5],
  [/^gpt-4\.1-mini\b/, 5],
  [/^gpt-4\.1(?!-(mini|nano))\b/, 25],
  [/^gpt-4o-mini\b/, 3],
  [/^gpt-4o(?!-mini)\b/, 25],
  [/^gpt-3\.5-turbo\b/, 8],
];

/** Where OpenAI's own prices hold. */
export const isOpenaisOwn = (baseUrl: string) =>
  /^https:\/\/([\w-]+\.)*openai\.com(\/|$)/.test(baseUrl);

/** Whole micro-USD; `kept`: of its record, where it was begun. Undefined: its price is not known. 0 where nothing was trained. */
export function trainingCostOf(
  job: JsonObject,
  kept: JsonObject,
  rows: readonly FinetuneProvider[],
): number | undefined {
  const tokens = Number(job["trained_tokens"] ?? 0);
  if (!(tokens > 0)) return 0;
  const usdPerToken = priceOf(job, kept, rows);
  return usdPerToken === undefined ? undefined : Math.round(tokens * usdPerToken * 1e6);
}

function priceOf(job: JsonObject, kept: JsonObject, rows: readonly FinetuneProvider[]) {
  const model = String(job["model"] ?? "");
  const row = rows.find((each) => each.custom_llm_provider === kept["provider"]);
  const said = row?.training_cost_per_token ?? {};
  if (Object.hasOwn(said, model)) return said[model];
  // A tuned model that is tuned further costs what its base does.
  const base = model.replace(/^ft:/, "").split(":")[0] ?? model;
  if (Object.hasOwn(said, base)) return said[base];
  const method = job["method"] as JsonObject | null | undefined;
  if (kept["at_home"] !== true || method?.["type"] === "reinforcement") return undefined;
  const usdPerMillion = published.find(([pattern]) => pattern.test(base))?.[1];
  return usdPerMillion === undefined ? undefined : usdPerMillion / 1e6;
}
