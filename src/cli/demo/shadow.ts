/** Full-information rows: each prompt answered by every model, scored by a simulated judge. */
import { nextNormal, type Random } from "../../std/random.ts";
import { simulatedVendors } from "./simulated-models.ts";
import type { Topic } from "./topics.ts";
import type { CallResult } from "./traffic.ts";

/** How far a judge's score is off, as a standard deviation. */
const judgeNoise = 0.08;

export interface ShadowRow {
  readonly topic: Topic;
  /** Training data (DESIGN §5), one line of JSON. */
  readonly line: string;
}

export function toShadowRows(
  results: readonly (readonly CallResult[])[],
  random: Random,
): readonly ShadowRow[] {
  const byPrompt = new Map<string, CallResult[]>();
  for (const result of results.flat()) {
    if (result.status !== 200) continue;
    byPrompt.set(result.prompt.id, [...(byPrompt.get(result.prompt.id) ?? []), result]);
  }
  return [...byPrompt.values()].flatMap((answers) => {
    const prompt = answers[0]?.prompt;
    if (!prompt) return [];
    const line = JSON.stringify({
      id: prompt.id,
      query: prompt.text,
      benchmark: "demo",
      category: prompt.topic,
      models: Object.fromEntries(answers.map((answer) => [labelOf(answer.model), score(answer)])),
    });
    return [{ topic: prompt.topic, line }];
  });

  function score(answer: CallResult) {
    const judged = answer.quality + judgeNoise * nextNormal(random);
    return {
      score: Number(Math.min(1, Math.max(0, judged)).toFixed(4)),
      input_tokens: answer.inputTokens,
      output_tokens: answer.outputTokens,
      cost_usd: answer.costUsd,
      latency_ms: Number(answer.latencyMs.toFixed(2)),
    };
  }
}

/** `litellm_params.model` of a simulated model: what an artifact's labels are matched by. */
export function labelOf(model: string): string {
  const vendor = simulatedVendors.find(({ models }) => models.some(({ name }) => name === model));
  return `${vendor?.dialect === "anthropic" ? "anthropic" : "openai"}/${model}`;
}

/** `models.json` beside the rows: the prices, as DESIGN §5 reads them. */
export function toPriceFile(): string {
  const models = simulatedVendors.flatMap(({ models }) => models);
  return JSON.stringify(
    Object.fromEntries(
      models.map((model) => [
        labelOf(model.name),
        {
          input_usd_per_mtok: model.inputUsdPerMtok,
          output_usd_per_mtok: model.outputUsdPerMtok,
          size_b: model.sizeB,
        },
      ]),
    ),
    undefined,
    2,
  );
}
