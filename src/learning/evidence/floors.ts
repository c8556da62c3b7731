/**
 * Which quality floors a router can be shown to hold. For each model, share and rate of violations,
 * settings of the dial are tested from the most careful to the cheapest, on rows that the predicting
 * fit has not seen; the cheapest that passed is kept, or "infeasible" where none did. Distribution
 * free: rows need only be exchangeable with the queries to come.
 *
 * Sources: Angelopoulos et al., "Learn then Test", arXiv 2110.01052 (fixed-sequence testing with
 * several starts); Clopper and Pearson 1934 for a rate; for a mean the betting martingale of
 * Waudby-Smith and Ramdas, JRSS B 86(1), 2024, which holds at any sample size.
 */
import { type FloorTable, heldByItself, infeasible } from "../../routing/floors.ts";
import { f32 } from "../../routing/safetensors.ts";
import { binomialCdf } from "../../std/binomial.ts";
import { createRandom, shuffle } from "../../std/random.ts";
import { choose } from "../fit/validate.ts";
import type { Outcomes } from "../outcomes.ts";

export interface FloorInput {
  readonly outcomes: Outcomes;
  /** n×m, out of fold, as the router gives them. */
  readonly predicted: Float32Array;
  /** n×m, USD, as the router predicts them. */
  readonly costs: Float32Array;
  readonly costRef: number;
  readonly seed: number;
  /** Whose floors are wanted; all where it is not said. */
  readonly labels?: readonly number[];
}

/** The chance that one entry of the table is wrong is at most one less this. */
export const floorConfidence = 0.95;
export const floorShares = [0.8, 0.85, 0.9, 0.925, 0.95, 0.96, 0.97, 0.98, 0.99, 1];
/** The first stands for "the mean is held". */
export const floorRates = [0, 0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3];

/** Settings that are tested, fixed before any row is looked at: as far as the dial reaches. */
const lambdas = Array.from({ length: 64 }, (_, i) =>
  i === 0 ? 0 : 1e-3 * 30_000 ** ((i - 1) / 62),
);
/** Tests begin at so many places of the grid, each with its part of the error that is allowed. */
const starts = 4;
/** More rows than this say little more. */
const mostRows = 20_000;
/** Fewer say nothing. */
const leastRows = 50;

/** Undefined where rows lack outcomes: then nothing is known of what another model would have done. */
export function fitFloors(input: FloorInput): FloorTable | undefined {
  const { n, m, quality } = input.outcomes;
  if (n < leastRows || quality.some(Number.isNaN)) return undefined;
  const rows = shuffle(
    Array.from({ length: n }, (_, row) => row),
    createRandom(input.seed),
  ).slice(0, mostRows);
  const settings = lambdas.map((lambda) => toSetting(input, lambda, rows));
  const table = new Float32Array(m * floorShares.length * floorRates.length);
  let at = 0;
  for (let label = 0; label < m; label++) {
    if (input.labels && !input.labels.includes(label)) {
      at = fillInfeasible(table, at);
      continue;
    }
    const own = Float32Array.from(rows, (row) => quality[row * m + label] as number);
    const ownCost = meanCost(input, rows, () => label);
    for (const share of floorShares) {
      const violations = new Map<Tested, number>();
      for (const rate of floorRates) {
        const passes = (setting: Tested, error: number) => {
          if (rate === 0) return holdsMean(setting.quality, own, share, error);
          const seen = violations.get(setting) ?? countViolations(setting.quality, own, share);
          violations.set(setting, seen);
          return binomialCdf(seen, rows.length, rate) <= error;
        };
        const found = cheapestHolding(settings, passes);
        table[at++] = !found ? infeasible : found.cost < ownCost ? found.lambda : heldByItself;
      }
    }
  }
  return {
    confidence: floorConfidence,
    rows: rows.length,
    shares: floorShares,
    rates: floorRates,
    lambdas: table,
  };
}

function fillInfeasible(table: Float32Array, at: number): number {
  const next = at + floorShares.length * floorRates.length;
  table.fill(infeasible, at, next);
  return next;
}

/** As an artifact holds them: axes in `router.json`, the table among the tensors. */
export function toFloorFiles(floors: FloorTable | undefined) {
  if (!floors) return undefined;
  const { lambdas, shares, rates, confidence, rows } = floors;
  const labels = lambdas.length / (shares.length * rates.length);
  return {
    file: { confidence, rows, shares: [...shares], rates: [...rates] },
    tensor: f32(lambdas, labels, shares.length, rates.length),
  };
}

interface Tested {
  readonly lambda: number;
  readonly cost: number;
  /** Of what the setting chose, row by row. */
  readonly quality: Float32Array;
}

function toSetting(input: FloorInput, lambda: number, rows: readonly number[]): Tested {
  const { outcomes, predicted, costs, costRef } = input;
  const { n, m, quality } = outcomes;
  const chosen = choose(predicted, costs, { n, m, lambda: Math.fround(lambda), costRef });
  return {
    lambda,
    cost: meanCost(input, rows, (row) => chosen[row] as number),
    quality: Float32Array.from(rows, (row) => quality[row * m + (chosen[row] as number)] as number),
  };
}

function meanCost(
  { outcomes: { m, costUsd }, costs }: FloorInput,
  rows: readonly number[],
  chosenOf: (row: number) => number,
): number {
  let sum = 0;
  for (const row of rows) {
    const at = row * m + chosenOf(row);
    const cost = costUsd[at] as number;
    sum += Number.isNaN(cost) ? (costs[at] as number) : cost;
  }
  return sum / rows.length;
}

/**
 * From each start towards the cheap end, until a test fails: a later one is looked at only where the
 * one before passed, so that their number costs nothing (fixed-sequence testing).
 */
function cheapestHolding(
  settings: readonly Tested[],
  passes: (setting: Tested, error: number) => boolean,
): Tested | undefined {
  const error = (1 - floorConfidence) / starts;
  let cheapest: Tested | undefined;
  for (let start = 0; start < starts; start++) {
    const from = Math.floor((start * settings.length) / starts);
    for (const setting of settings.slice(from)) {
      if (!passes(setting, error)) break;
      if (!cheapest || setting.cost < cheapest.cost) cheapest = setting;
    }
  }
  return cheapest;
}

/** So much worse is no violation, but rounding. */
const rounding = 1e-6;

/** Answers worse than `share` of the model's own. */
function countViolations(got: Float32Array, own: Float32Array, share: number): number {
  let violations = 0;
  for (let i = 0; i < got.length; i++) {
    if ((got[i] as number) < share * (own[i] as number) - rounding) violations++;
  }
  return violations;
}

/**
 * Whether the mean quality is at least `share` of the model's. A gambler bets at each row that the
 * routing is better; where it is not, the stake grows 1/error-fold with probability at most `error`
 * (Ville). The bet is Kelly's for what was seen so far, so it looks at no row that it bets on.
 */
function holdsMean(got: Float32Array, own: Float32Array, share: number, error: number): boolean {
  const enough = Math.log(1 / error);
  let wealth = 0;
  // As if one row of no gain and the widest spread had been seen.
  let [sum, squares] = [0, 0.25];
  for (let i = 0; i < got.length; i++) {
    // In [−1/2, 1/2].
    const gain = ((got[i] as number) - share * (own[i] as number)) / 2;
    const bet = Math.max(0, Math.min(mostBet, sum / squares));
    wealth += Math.log1p(bet * gain);
    if (wealth >= enough) return true;
    sum += gain;
    squares += gain * gain;
  }
  return false;
}

/** A whole loss, of 1/2, must not ruin the gambler. */
const mostBet = 1.8;
