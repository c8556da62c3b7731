/**
 * Outcomes of a log, where each query has one model's, as if every model's were known: the model's
 * mean where it was not asked; where it was, the mean and the inverse of its probability times what
 * the outcome differs from it. What a policy would have made of the log, on average over these, is
 * the doubly robust estimate with the mean as its model: right on average, whatever the policy.
 * Source: Dudík, Langford & Li, "Doubly robust policy evaluation and learning", ICML 2011.
 */
import type { Outcomes } from "../outcomes.ts";

export interface LoggedOutcomes {
  readonly outcomes: Outcomes;
  /** n: inverse probabilities, summed over the calls that a row stands for. */
  readonly weight: Float32Array;
  /** n×m: what a model is worth on the whole, by a fold that has not seen the row. */
  readonly table: Float32Array;
  /** n×m: predicted cost, USD. */
  readonly costs: Float32Array;
}

/** Costs: as predicted where the model was not asked. */
export function fillOutcomes({ outcomes, weight, table, costs }: LoggedOutcomes): Outcomes {
  const { n, m, quality, costUsd, mass } = outcomes;
  const filled = new Float32Array(n * m);
  const filledCost = new Float64Array(n * m);
  for (let row = 0; row < n; row++) {
    // A row of many calls stands for its mean; its weight is their sum.
    const inverse = (weight[row] as number) / (mass?.[row] ?? 1);
    for (let at = row * m; at < (row + 1) * m; at++) {
      const mean = table[at] as number;
      const q = quality[at] as number;
      const cost = costUsd[at] as number;
      filled[at] = Number.isNaN(q) ? mean : mean + inverse * (q - mean);
      filledCost[at] = Number.isNaN(cost) ? (costs[at] as number) : cost;
    }
  }
  return { n, m, quality: filled, costUsd: filledCost, ...(mass ? { mass } : {}) };
}

/** How much wider intervals are than with every outcome known: the mean inverse probability's root. */
export function widening({ n, mass }: Outcomes, weight: Float32Array): number {
  let sum = 0;
  for (let row = 0; row < n; row++) sum += (weight[row] as number) / (mass?.[row] ?? 1);
  return Math.sqrt(Math.max(1, sum / Math.max(1, n)));
}
