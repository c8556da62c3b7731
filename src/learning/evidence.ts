/**
 * The evidence for the gate: what a trained router gains over the best single model at no more than
 * that model's cost, on rows that the predicting fit had not seen (out of fold).
 */
import type { JsonObject } from "../domain/json.ts";
import { createRandom, nextInt } from "../std/random.ts";
import type { Table } from "./table.ts";
import type { Trained } from "./train.ts";
import { choose, measure, type Outcomes, toSingles } from "./validate.ts";

const rounds = 1000;

/** `provenance.metrics.gate` as the gate reads it; undefined where the rows cannot tell. */
export function measureEvidence(
  table: Table,
  { evidence }: Trained,
  seed: number,
): JsonObject | undefined {
  const outcomes: Outcomes = { ...table, m: table.labels.length };
  // A gain over a model needs its outcome on every row; logs of single choices have none.
  if (table.quality.some(Number.isNaN)) return undefined;
  const singles = toSingles(outcomes);
  const best = singles.reduce(
    (top, { quality }, j) => (quality > (singles[top]?.quality ?? 0) ? j : top),
    0,
  );
  const gains = gainsAtEqualCost(table, evidence, best);
  const mean = (values: ArrayLike<number>) =>
    Array.from(values).reduce((sum, value) => sum + value, 0) / Math.max(1, values.length);
  const random = createRandom(seed + 9);
  const means = Float64Array.from({ length: rounds }, () => {
    let sum = 0;
    for (let i = 0; i < gains.length; i++) sum += gains[nextInt(random, gains.length)] as number;
    return sum / Math.max(1, gains.length);
  }).sort();
  return {
    confidence: "0.95",
    rows: gains.length,
    best_single: {
      model: table.labels[best] as string,
      gain: mean(gains).toFixed(6),
      gain_lower: (means[Math.floor(0.05 * rounds)] ?? 0).toFixed(6),
    },
  };
}

/**
 * Per row: quality of the router's choice minus the best single model's. The operating point is
 * chosen on one half of the rows and measured on the other, so that choosing it earns nothing.
 */
function gainsAtEqualCost(table: Table, evidence: Trained["evidence"], best: number): Float64Array {
  const { n, labels, quality, group } = table;
  const m = labels.length;
  const { predicted, costs, costRef, lambdas } = evidence;
  const choices = lambdas.map((lambda) => choose(predicted, costs, { n, m, lambda, costRef }));
  const gains = new Float64Array(n);
  for (const half of [0, 1]) {
    const rows = pick(table, (row) => (group[row] as number) % 2 !== half);
    const limit = toSingles({ ...rows.outcomes })[best]?.cost ?? 0;
    let chosen: Int32Array | undefined;
    let top = Number.NEGATIVE_INFINITY;
    for (const choice of choices) {
      const point = measure(
        Int32Array.from(rows.index, (row) => choice[row] as number),
        rows.outcomes,
        predicted,
        costs,
      );
      if (point.cost > limit || point.quality <= top) continue;
      top = point.quality;
      chosen = choice;
    }
    for (let row = 0; row < n; row++) {
      if ((group[row] as number) % 2 !== half) continue;
      const at = row * m;
      const model = chosen ? (chosen[row] as number) : best;
      gains[row] = (quality[at + model] as number) - (quality[at + best] as number);
    }
  }
  return gains;
}

function pick(table: Table, keep: (row: number) => boolean) {
  const m = table.labels.length;
  const index = Array.from({ length: table.n }, (_, row) => row).filter(keep);
  const outcomes: Outcomes = {
    n: index.length,
    m,
    quality: Float32Array.from(
      index.flatMap((row) => Array.from(table.quality.subarray(row * m, (row + 1) * m))),
    ),
    costUsd: Float64Array.from(
      index.flatMap((row) => Array.from(table.costUsd.subarray(row * m, (row + 1) * m))),
    ),
  };
  return { index, outcomes };
}
