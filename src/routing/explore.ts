/**
 * Exploration: now and then another model than the best one answers, so that its worth is learnt.
 * Only among arms that may be best (no other is better and cheaper, intervals overlap), only within
 * a limit of money, and by a draw whose probabilities are exact: they are computed first, of every
 * arm, and the draw is made from them. An arm is whatever has a cost and an outcome.
 */
import type { CandidateScore, Exploration, ExplorationMode } from "../domain/decision.ts";
import { normalCdf } from "../std/normal.ts";
import type { Random } from "../std/random.ts";
import type { ExplorationBudget } from "./exploration-budget.ts";

export interface ExplorationOptions {
  readonly mode: ExplorationMode;
  /** Share of draws that are even among the arms, in [0, 1]. */
  readonly rate: number;
  /** Standard deviations of an interval; the scale of a posterior; LinUCB's α. */
  readonly width: number;
  /** Most arms of a draw. */
  readonly arms: number;
}

export interface Drawn {
  /** Places among the candidates, and their probabilities, in that order; they sum to 1. */
  readonly arms: readonly number[];
  readonly probabilities: readonly number[];
  /** Place of the one that was drawn, in the candidates. */
  readonly chosen: number;
  readonly exploration: Exploration;
  /** Held back from the budget until the call's cost is known. */
  readonly reservedUsd: number;
  /** What the call would have cost without the draw, by prediction. */
  readonly greedyUsd: number;
}

/** Standard deviation of a quality whose strategy gives none, and of a model that nobody measured. */
export const usualUncertainty = 0.05;
export const priorUncertainty = 0.15;

/**
 * The arms of a draw, as places among the candidates (best first, filtered ones last): those that no
 * other beats in both predicted quality and cost, and whose interval reaches the best one's.
 */
export function findArms(
  candidates: readonly CandidateScore[],
  { width, arms: most }: Pick<ExplorationOptions, "width" | "arms">,
): number[] {
  const [best] = candidates;
  if (!best || best.filtered) return [];
  const bar = (best.utility ?? 0) - width * deviationOf(best);
  const arms = [0];
  for (let i = 1; i < candidates.length && arms.length < most; i++) {
    const one = candidates[i] as CandidateScore;
    if (one.filtered) break;
    if ((one.utility ?? 0) + width * deviationOf(one) < bar) continue;
    if (!isDominated(one, candidates)) arms.push(i);
  }
  return arms;
}

export function deviationOf({ uncertainty, prior }: CandidateScore): number {
  if (uncertainty !== undefined && uncertainty > 0) return uncertainty;
  return prior ? priorUncertainty : usualUncertainty;
}

function isDominated(one: CandidateScore, candidates: readonly CandidateScore[]): boolean {
  const { quality = 0, costUsd = 0 } = one;
  for (const other of candidates) {
    if (other.filtered) break;
    const q = other.quality ?? 0;
    const c = other.costUsd ?? 0;
    if (q >= quality && c <= costUsd && (q > quality || c < costUsd)) return true;
  }
  return false;
}

/**
 * Of each arm, the probability that it is drawn. They sum to 1 but for rounding.
 * - `epsilon`: even with `rate`, else the best.
 * - `thompson`: as often as it is best under independent normal posteriors (Thompson 1933), by
 *   Gauss–Hermite quadrature; `rate` of it even, so that none is under `rate`/arms.
 * - `linucb`: the one of highest utility + `width` deviations (Li et al. 2010), `rate` of it even.
 */
export function toProbabilities(
  candidates: readonly CandidateScore[],
  arms: readonly number[],
  { mode, rate, width }: ExplorationOptions,
): number[] {
  const even = rate / arms.length;
  const means = arms.map((at) => candidates[at]?.utility ?? 0);
  const deviations = arms.map((at) => width * deviationOf(candidates[at] as CandidateScore));
  const shares = sharesOf(mode, means, deviations);
  return shares.map((share) => even + (1 - rate) * share);
}

function sharesOf(mode: ExplorationMode, means: number[], deviations: number[]): number[] {
  if (mode === "thompson") return thompsonShares(means, deviations);
  const merits =
    mode === "epsilon" ? means : means.map((mean, i) => mean + (deviations[i] as number));
  // The first stands before its equals, as it does in the ranking.
  const first = mode === "epsilon" ? 0 : merits.indexOf(Math.max(...merits));
  return merits.map((_, i) => (i === first ? 1 : 0));
}

/** P(arm i is the largest of independent normals), each by 16 nodes over its own density. */
export function thompsonShares(means: readonly number[], deviations: readonly number[]): number[] {
  const shares = means.map((mean, i) => {
    const scale = Math.SQRT2 * Math.max(leastDeviation, deviations[i] as number);
    let sum = 0;
    for (let node = 0; node < hermiteNodes.length; node++) {
      const at = scale * (hermiteNodes[node] as number);
      sum += (hermiteWeights[node] as number) * (below(mean + at, i) + below(mean - at, i));
    }
    return sum;
  });
  const total = shares.reduce((sum, share) => sum + share, 0);
  return total > 0 ? shares.map((share) => share / total) : shares.map(() => 1 / shares.length);

  /** That all others lie below x. */
  function below(x: number, i: number): number {
    let product = 1;
    for (let j = 0; j < means.length; j++) {
      if (j === i) continue;
      const deviation = Math.max(leastDeviation, deviations[j] as number);
      product *= normalCdf((x - (means[j] as number)) / deviation);
    }
    return product;
  }
}

const leastDeviation = 1e-9;

/** Gauss–Hermite, 16 nodes, the positive half; Abramowitz and Stegun, table 25.10. */
const hermiteNodes = [
  0.27348104613815, 0.82295144914466, 1.38025853919888, 1.95178799091625, 2.54620215784748,
  3.17699916197996, 3.86944790486012, 4.68873893930582,
];
const hermiteWeights = [
  0.50792947901661, 0.28064745852853, 0.08381004139899, 0.01288031153551, 9.322840086242e-4,
  2.711860092538e-5, 2.320980844865e-7, 2.654807474011e-10,
];

/** Which arm a uniform number in [0, 1) falls to. */
export function armAt(probabilities: readonly number[], draw: number): number {
  let sum = 0;
  for (let i = 0; i < probabilities.length - 1; i++) {
    sum += probabilities[i] as number;
    if (draw < sum) return i;
  }
  return probabilities.length - 1;
}

export interface Explorer {
  readonly options: ExplorationOptions;
  /**
   * A draw among candidates ranked best first, as far as the money goes; undefined where there is
   * nothing to draw: the best answers then, for certain.
   */
  draw(candidates: readonly CandidateScore[]): Drawn | undefined;
  /** What the call cost in the end takes the place of what was held back for it. */
  settle(drawn: Drawn, costUsd: number | undefined): void;
}

export function createExplorer(
  options: ExplorationOptions,
  { random, budget }: { readonly random: Random; readonly budget: ExplorationBudget },
): Explorer {
  return {
    options,
    draw(candidates) {
      const all = findArms(candidates, options);
      if (all.length < 2) return undefined;
      const greedy = candidates[0] as CandidateScore;
      const greedyUsd = greedy.costUsd ?? 0;
      const extraOf = (at: number) => Math.max(0, (candidates[at]?.costUsd ?? 0) - greedyUsd);
      // Before the draw, not after it: its probabilities are those of the arms that can be paid for.
      const leftUsd = budget.leftUsd();
      const arms = all.filter((at) => extraOf(at) <= leftUsd);
      if (arms.length < 2) return undefined;
      const probabilities = toProbabilities(candidates, arms, options);
      const draw = random.next();
      const chosen = arms[armAt(probabilities, draw)] as number;
      const reservedUsd = extraOf(chosen);
      budget.spend(reservedUsd);
      const { mode, rate, width, arms: most } = options;
      return {
        arms,
        probabilities,
        chosen,
        reservedUsd,
        greedyUsd,
        exploration: {
          mode,
          greedy: greedy.model,
          draw,
          rate,
          width,
          arms: most,
        },
      };
    },
    settle({ reservedUsd, greedyUsd, chosen }, costUsd) {
      if (costUsd === undefined || chosen === 0) return;
      budget.spend(Math.max(0, costUsd - greedyUsd) - reservedUsd);
    },
  };
}
