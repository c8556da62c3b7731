/**
 * How much a query needs an able model, from its shape alone (`embedding/shape.ts`): long ones, and
 * those with numbers and formulas, gain more from ability than short plain ones.
 *
 * The weights are one ridge regression (`bun scripts/beyond.ts --fit`) on what abler models gained per query
 * in the train splits of four public sets: MMLU-Pro (MIT, results Apache-2.0), LLMRouter's default
 * data (MIT), RouterBench (MIT), RouteLLM's MMLU (Apache-2.0). Sixteen numbers; no text, no embedding.
 */

export interface Need {
  /** In the order of `shapeNames`, for the features as they are. */
  readonly weights: readonly number[];
  readonly bias: number;
}

/** Tools say nothing in those sets. */
export const usualNeed: Need = {
  weights: [
    0.2921, 0.3109, -0.039, -2.7381, 1.1485, -0.4626, 5.3002, -0.0745, 0.1016, 0.0753, 0.0567,
    -0.3069, -0.1114, -0.1006, 0, 0,
  ],
  bias: -2.3607,
};
const leastLog = -1.5;
const mostLog = 0.7;

/** Deciles of the need over those sets: the queries that the dial is laid out for. */
export const usualNeeds: readonly number[] = [
  0.43, 0.56, 0.69, 0.79, 0.9, 1.02, 1.17, 1.39, 1.76, 2.01,
];

/** About 1 for the usual query, from 0.22 to 2. */
export function needOf(shape: ArrayLike<number>, { weights, bias }: Need = usualNeed): number {
  let sum = bias;
  for (let i = 0; i < weights.length; i++) sum += (weights[i] as number) * (shape[i] ?? 0);
  return Math.exp(Math.max(leastLog, Math.min(mostLog, sum)));
}
