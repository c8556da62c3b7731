/**
 * How much a query needs an able model, from its shape alone (`embedding/shape.ts`): long ones, and
 * those with numbers and formulas, gain more from ability than short plain ones.
 *
 * The weights are one ridge regression (`scripts/fit-prior.ts`) on what abler models gained per query
 * in the train splits of four public sets: MMLU-Pro (MIT, results Apache-2.0), LLMRouter's default
 * data (MIT), RouterBench (MIT), RouteLLM's MMLU (Apache-2.0). Sixteen numbers; no text, no embedding.
 */

/** In the order of `shapeNames`, for the features as they are; tools say nothing in those sets. */
export const needWeights: readonly number[] = [
  0.2846, 0.3011, -0.0386, -2.9446, 1.0162, -0.5345, 5.5631, -0.0647, 0.1097, 0.0794, 0.0587,
  -0.3038, -0.1122, -0.0847, 0, 0,
];
const bias = -2.2722;
const leastLog = -1.5;
const mostLog = 0.7;

/** Deciles of the need over those sets: the queries that the dial is laid out for. */
export const usualNeeds: readonly number[] = [
  0.43, 0.56, 0.69, 0.79, 0.9, 1.02, 1.17, 1.39, 1.76, 2.01,
];

/** About 1 for the usual query, from 0.22 to 2. */
export function needOf(shape: ArrayLike<number>, weights: readonly number[] = needWeights): number {
  let sum = bias;
  for (let i = 0; i < weights.length; i++) sum += (weights[i] as number) * (shape[i] ?? 0);
  return Math.exp(Math.max(leastLog, Math.min(mostLog, sum)));
}
