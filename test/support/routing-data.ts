/** Made-up full-information data for tests: two kinds of query, three models with different strengths. */
import type { DataRow, PriceList } from "../../src/learning/dataset.ts";
import { createRandom, type Random } from "../../src/std/random.ts";

const kinds = {
  maths: ["integral", "sum", "prime", "matrix", "derivative", "angle", "root", "equation"],
  poetry: ["moon", "sonnet", "rhyme", "verse", "river", "metaphor", "autumn", "stanza"],
} as const;

/** Probability of a right answer per kind and model; costs in USD. */
const skills = {
  "big-model": { maths: 0.9, poetry: 0.9, cost: 0.01 },
  "maths-model": { maths: 0.9, poetry: 0.25, cost: 0.001 },
  "small-model": { maths: 0.3, poetry: 0.7, cost: 0.0002 },
} as const;

export const prices: PriceList = new Map([
  ["big-model", { input: 10, output: 30, sizeB: 400 }],
  ["maths-model", { input: 1, output: 3, sizeB: 30 }],
  ["small-model", { input: 0.2, output: 0.6, sizeB: 7 }],
]);

export function makeRows(count: number, seed: number): DataRow[] {
  const random = createRandom(seed);
  return Array.from({ length: count }, (_, i) => makeRow(random, `${seed}/${i}`));
}

function makeRow(random: Random, id: string): DataRow {
  const kind = random.next() < 0.5 ? "maths" : "poetry";
  const words = kinds[kind];
  const pick = () => words[Math.floor(random.next() * words.length)] ?? "";
  const filler = Math.floor(random.next() * 1000);
  const query = `${id} please ${pick()} about ${pick()} and ${pick()} ${filler} ${pick()}`;
  const outcomes = new Map(
    Object.entries(skills).map(([model, skill]) => {
      const score = random.next() < skill[kind] ? 1 : 0;
      const outputTokens = 50 + Math.floor(random.next() * 100);
      const costUsd = skill.cost * (0.8 + 0.4 * random.next());
      return [model, { score, outputTokens, costUsd, latencyMs: outputTokens * 10 }] as const;
    }),
  );
  return { id, query, tools: [], category: kind, outcomes };
}

export async function* stream(rows: readonly DataRow[]): AsyncGenerator<DataRow> {
  yield* rows;
}

/** As a line of a data file. */
export function toLine({ id, query, category, outcomes }: DataRow): string {
  const models = Object.fromEntries(
    [...outcomes].map(([model, outcome]) => [
      model,
      {
        score: outcome.score,
        output_tokens: outcome.outputTokens,
        cost_usd: outcome.costUsd,
        latency_s: (outcome.latencyMs ?? 0) / 1000,
      },
    ]),
  );
  return `${JSON.stringify({ id, query, category, models })}\n`;
}
