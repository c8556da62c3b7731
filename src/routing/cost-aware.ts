/**
 * `llmrouter-cost-aware`, as the predecessor computes it: the best trade of quality against list
 * price among the candidates that are good enough, affordable, and not worse than another in both.
 *
 *   cost = (input + output USD per token)·1000 / 2; unknown or free: +∞
 *   quality: 1 without an inner strategy; with a balancer, 1 for its pick and ½ for the others; with
 *            a trained router, what that predicts
 *   drop cost > max_cost_per_1k_tokens, then quality < quality_threshold; where either leaves none,
 *   the best quality of all of them answers, the first among equals
 *   drop x where some y has cost ≤ and quality ≥, one of them strictly (Pareto)
 *   score = quality_weight·quality + cost_weight·(1 − (cost − least) / (most − least, or 1))
 *   the highest score wins, the first among equals
 *
 * What is dropped is still tried after a failure, behind the rest: what costs too much last.
 */
import type { Price } from "../domain/usage.ts";

export interface CostAwareSettings {
  readonly qualityThreshold: number;
  readonly costWeight: number;
  readonly qualityWeight: number;
  /** USD. */
  readonly maxCostPer1k?: number;
}

export const costAwareName = "llmrouter-cost-aware";
export const costAwareDefaults = { qualityThreshold: 0.7, costWeight: 0.7 } as const;

/** The predecessor's options, kept in 0..1 as it keeps them. */
export function toCostAware(args: {
  readonly quality_threshold?: number;
  readonly cost_weight?: number;
  readonly quality_weight?: number;
  readonly max_cost_per_1k_tokens?: number;
}): CostAwareSettings {
  const share = (value: number) => Math.max(0, Math.min(1, value));
  const costWeight = share(args.cost_weight ?? costAwareDefaults.costWeight);
  const most = args.max_cost_per_1k_tokens;
  return {
    qualityThreshold: share(args.quality_threshold ?? costAwareDefaults.qualityThreshold),
    costWeight,
    qualityWeight: share(args.quality_weight ?? 1 - costWeight),
    ...(most === undefined ? {} : { maxCostPer1k: most }),
  };
}

/** USD per 1,000 tokens, input and output alike. */
export function costPer1k(price: Price | undefined): number {
  const both = price ? price.inputUsdPerToken + price.outputUsdPerToken : 0;
  return both > 0 ? (both * 1000) / 2 : Number.POSITIVE_INFINITY;
}

export interface CostAwareInput {
  readonly costPer1k: number;
  readonly quality: number;
}

export interface CostAwareRank {
  /** Places in the input, best first: all of them. */
  readonly order: readonly number[];
  /** By place: the score of those on the Pareto front, NaN for the others. */
  readonly scores: Float64Array;
}

/** @param inputs at least one. Cost: n² comparisons. */
export function rankCostAware(
  inputs: readonly CostAwareInput[],
  settings: CostAwareSettings,
): CostAwareRank {
  const scores = new Float64Array(inputs.length).fill(Number.NaN);
  const most = settings.maxCostPer1k ?? Number.POSITIVE_INFINITY;
  const places = [...inputs.keys()];
  const of = (place: number) => inputs[place] as CostAwareInput;
  const affordable = places.filter((place) => of(place).costPer1k <= most);
  const good = affordable.filter((place) => of(place).quality >= settings.qualityThreshold);
  const byQuality = (a: number, b: number) => of(b).quality - of(a).quality || a - b;
  const rest = (without: readonly number[]) => {
    const left = places.filter((place) => !without.includes(place));
    // What costs too much last; among the others the good ones first.
    const rank = (place: number) =>
      affordable.includes(place) ? (good.includes(place) ? 0 : 1) : 2;
    return left.sort((a, b) => rank(a) - rank(b) || byQuality(a, b));
  };
  if (good.length === 0 || inputs.length === 1) {
    const best = [...places].sort(byQuality).slice(0, 1);
    return { order: [...best, ...rest(best)], scores };
  }
  const front = good.filter((place) => !good.some((other) => dominates(of(other), of(place))));
  const costs = front.map((place) => of(place).costPer1k);
  const least = Math.min(...costs);
  const range = Math.max(...costs) > least ? Math.max(...costs) - least : 1;
  for (const place of front) {
    const { quality, costPer1k: cost } = of(place);
    const above = toShare(cost - least, range);
    scores[place] = settings.qualityWeight * quality + settings.costWeight * (1 - above);
  }
  front.sort((a, b) => (scores[b] as number) - (scores[a] as number) || a - b);
  return { order: [...front, ...rest(front)], scores };
}

/** How far above the least; beside what nobody knows the price of, known prices are alike. */
function toShare(above: number, range: number): number {
  if (Number.isNaN(above)) return 0; // all are unknown
  if (range === Number.POSITIVE_INFINITY) return above === range ? 1 : 0;
  return above / range;
}

function dominates(a: CostAwareInput, b: CostAwareInput): boolean {
  const noWorse = a.costPer1k <= b.costPer1k && a.quality >= b.quality;
  return noWorse && (a.costPer1k < b.costPer1k || a.quality > b.quality);
}
