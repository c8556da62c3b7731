/**
 * Intervals by resampling: Efron, "Bootstrap methods", Annals of Statistics 7(1), 1979. Units are
 * drawn whole: a query, or a session with all its calls.
 */
import { nextInt, type Random } from "../../std/random.ts";

export interface Interval {
  readonly value: number;
  readonly low: number;
  readonly high: number;
}

/** How often each of `units` was drawn in as many draws. */
export function drawWeights(units: number, random: Random): Float64Array {
  const weight = new Float64Array(units);
  for (let i = 0; i < units; i++) {
    const at = nextInt(random, units);
    weight[at] = (weight[at] as number) + 1;
  }
  return weight;
}

/** The middle 95 % of the rounds. NaN (a level that was never reached) counts as infinitely much. */
export function toInterval(value: number, rounds: readonly number[], level = 0.95): Interval {
  const sorted = rounds
    .map((round) => (Number.isNaN(round) ? Number.POSITIVE_INFINITY : round))
    .sort((a, b) => a - b);
  return {
    value,
    low: quantileOf(sorted, (1 - level) / 2),
    high: quantileOf(sorted, (1 + level) / 2),
  };
}

/** Of ascending values, between two by their distance; NaN where there are none. */
export function quantileOf(sorted: ArrayLike<number>, share: number): number {
  const position = share * (sorted.length - 1);
  const below = sorted[Math.floor(position)] ?? Number.NaN;
  const above = sorted[Math.ceil(position)] ?? below;
  if (below === above || !Number.isFinite(above)) return below;
  return below + (above - below) * (position - Math.floor(position));
}
