/**
 * Quality floors that a router was shown to hold when it was trained: for each model, share and rate
 * of violations the cheapest setting of the dial that held them with the stated confidence
 * (`learning/floors.ts` says how). Serving only looks up.
 */
import type { Floor } from "../domain/decision.ts";

export interface FloorTable {
  /** Of the certificate: the chance that it is wrong is at most one less this. */
  readonly confidence: number;
  /** Rows that it rests on. */
  readonly rows: number;
  /** Ascending, in (0, 1]. */
  readonly shares: readonly number[];
  /** Rates of violation, ascending; the first is 0 and stands for "the mean quality is held". */
  readonly rates: readonly number[];
  /** labels × shares × rates: λ, or one of the two below. */
  readonly lambdas: Float32Array;
}

/** No routing could be shown to hold it. */
export const infeasible = -1;
/** Some could, but none cheaper than the model itself. */
export const heldByItself = -2;

/**
 * λ of the cheapest routing that holds a floor, "itself" where its own model is cheapest; undefined
 * where none could be shown to. What lies
 * between two entries has the stricter one: a floor is never lower than it was meant.
 */
export function findFloor(
  table: FloorTable,
  label: number,
  floor: Floor,
): number | "itself" | undefined {
  const { shares, rates, lambdas } = table;
  const share = shares.findIndex((one) => one >= floor.share - 1e-9);
  const rate = floor.violations === undefined ? 0 : lastAtMost(rates, floor.violations);
  if (share < 0 || (floor.violations !== undefined && rate < 1)) return undefined;
  const lambda = lambdas[(label * shares.length + share) * rates.length + rate] ?? infeasible;
  if (lambda === heldByItself) return "itself";
  return lambda < 0 ? undefined : lambda;
}

function lastAtMost(rates: readonly number[], limit: number): number {
  let last = -1;
  for (let i = 1; i < rates.length; i++) if ((rates[i] as number) <= limit + 1e-9) last = i;
  return last;
}
