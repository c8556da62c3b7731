/**
 * What another policy would have been worth on calls that were logged with their probabilities.
 * Sources: Horvitz and Thompson, JASA 47, 1952 (IPS); Swaminathan and Joachims, NeurIPS 2015
 * (SNIPS); Dudík, Langford, Li, "Doubly Robust Policy Evaluation and Learning", ICML 2011;
 * Chernozhukov et al., The Econometrics Journal 21(1), 2018 (cross-fitting).
 */
import type { Random } from "../../std/random.ts";
import { drawWeights, type Interval, toInterval } from "../evidence/bootstrap.ts";

/** Calls as they were logged. Only rows that chance decided (0 < propensity < 1) belong here. */
export interface LoggedRows {
  readonly n: number;
  readonly m: number;
  /** n: the model that was drawn. */
  readonly action: Int32Array;
  /** n: the probability with which it was drawn. */
  readonly propensity: Float64Array;
  /** n. */
  readonly reward: Float64Array;
  /** n: calls of one session depend on one another, so they are drawn together. */
  readonly session: Int32Array;
}

export const estimatorNames = [
  "ips",
  "snips",
  "clipped",
  "direct",
  "doublyRobust",
  "doublyRobustClipped",
] as const;
export type EstimatorName = (typeof estimatorNames)[number];
export type Estimates = Readonly<Record<EstimatorName, number>>;

/** Weights stop here: beyond it one call would outvote a day. */
export const weightClip = 20;

/** What a policy would pick, and how likely the logging policy was to draw that. */
export interface Policy {
  /** n: a model, or `asServed` for whatever was drawn. */
  readonly choice: Int32Array;
  /** n: the logged probability of that choice; 1 for `asServed`. */
  readonly probability: Float64Array;
}

/** As a choice: what was drawn itself, so that the policy is the one that ran. */
export const asServed = -1;

export interface Overlap {
  /**
   * As many equally weighted calls would say as much: (Σw)²/Σw² of the weights that were drawn, and
   * not more than the logged probabilities let expect, since what is seldom drawn may not be there.
   */
  readonly effectiveSamples: number;
  /** Share of the calls on which the policy picks what was drawn. */
  readonly matched: number;
  /** Should be 1: far from it, the logged probabilities are not those that ran. */
  readonly meanWeight: number;
  readonly maxWeight: number;
  /** Share of the policy's calls that clipping takes from the log and leaves to the model. */
  readonly clipped: number;
  /** Share of the calls on which the policy picks what had no chance: there, the model alone speaks. */
  readonly unsupported: number;
}

export function toOverlap({ n, action, propensity }: LoggedRows, policy: Policy): Overlap {
  let [sum, squares, max, matched, clipped, unsupported, expected] = [0, 0, 0, 0, 0, 0, 0];
  for (let row = 0; row < n; row++) {
    const choice = policy.choice[row] as number;
    const probability = policy.probability[row] as number;
    clipped += 1 - Math.min(1, weightClip * probability);
    if (probability === 0) unsupported++;
    else expected += 1 / probability;
    if (choice !== asServed && choice !== action[row]) continue;
    const w = choice === asServed ? 1 : 1 / (propensity[row] as number);
    sum += w;
    squares += w * w;
    max = Math.max(max, w);
    matched++;
  }
  const count = Math.max(1, n);
  return {
    effectiveSamples:
      squares > 0 ? Math.min(sum ** 2 / squares, (n - unsupported) ** 2 / expected) : 0,
    matched: matched / count,
    meanWeight: sum / count,
    maxWeight: max,
    clipped: clipped / count,
    unsupported: unsupported / count,
  };
}

/** Sums per session, out of which every estimate and every round of the bootstrap is made. */
interface Sums {
  readonly sessions: number;
  /** sessions × `columns`. */
  readonly values: Float64Array;
}

const column = { n: 0, wr: 1, w: 2, cr: 3, c: 4, dm: 5, we: 6, ce: 7 } as const;
const columns = 8;

/** @param predicted n×m: the reward that a model which has not seen the row expects */
function sumUp(rows: LoggedRows, { choice }: Policy, predicted: Float64Array): Sums {
  const { n, m, action, propensity, reward, session } = rows;
  let sessions = 0;
  for (let row = 0; row < n; row++) sessions = Math.max(sessions, (session[row] as number) + 1);
  const values = new Float64Array(sessions * columns);
  for (let row = 0; row < n; row++) {
    const j = choice[row] as number;
    const r = reward[row] as number;
    const served = j === asServed;
    const expected = served ? r : (predicted[row * m + j] as number);
    const at = (session[row] as number) * columns;
    add(values, at + column.n, 1);
    add(values, at + column.dm, expected);
    if (!served && j !== action[row]) continue;
    const w = served ? 1 : 1 / (propensity[row] as number);
    const c = Math.min(weightClip, w);
    add(values, at + column.wr, w * r);
    add(values, at + column.w, w);
    add(values, at + column.cr, c * r);
    add(values, at + column.c, c);
    add(values, at + column.we, w * (r - expected));
    add(values, at + column.ce, c * (r - expected));
  }
  return { sessions, values };
}

function add(values: Float64Array, at: number, value: number): void {
  values[at] = (values[at] as number) + value;
}

/** @param weight sessions: how often each was drawn; missing: once */
function toEstimates({ sessions, values }: Sums, weight?: Float64Array): Estimates {
  const sum = new Float64Array(columns);
  for (let s = 0; s < sessions; s++) {
    const times = weight ? (weight[s] as number) : 1;
    if (times === 0) continue;
    for (let i = 0; i < columns; i++) add(sum, i, times * (values[s * columns + i] as number));
  }
  const of = (name: keyof typeof column) => sum[column[name]] as number;
  const n = Math.max(1, of("n"));
  const direct = of("dm") / n;
  return {
    ips: of("wr") / n,
    snips: of("w") > 0 ? of("wr") / of("w") : Number.NaN,
    // Normalised: clipped weights that are not would miss what was clipped away.
    clipped: of("c") > 0 ? of("cr") / of("c") : Number.NaN,
    direct,
    doublyRobust: direct + of("we") / n,
    doublyRobustClipped: direct + of("ce") / n,
  };
}

export type EstimateIntervals = Readonly<Record<EstimatorName, Interval>>;

export interface Compared {
  readonly policy: EstimateIntervals;
  readonly rival: EstimateIntervals;
  /** Policy minus rival, on the same draws. */
  readonly gain: EstimateIntervals;
}

export interface Rounds {
  readonly rounds: number;
  readonly random: Random;
}

/**
 * Both on the same sessions, and their difference, with 95 % intervals by bootstrap over sessions.
 * Resampling is blind to weights that were never drawn and to what clipping hides, so intervals are
 * at least as wide as the logged probabilities say (`errorOf`), and those of clipped estimates reach
 * further by what may be off in the share that clipping leaves to the model. The direct method's
 * interval knows nothing of its model's error: no verdict may rest on it.
 * Cost: rounds × sessions.
 */
export function compare(
  rows: LoggedRows,
  policies: { readonly policy: Policy; readonly rival: Policy },
  predicted: Float64Array,
  { rounds, random }: Rounds,
): Compared {
  const { policy, rival } = policies;
  const sums = [sumUp(rows, policy, predicted), sumUp(rows, rival, predicted)] as const;
  const drawn = Array.from({ length: rounds }, () => {
    const weight = drawWeights(sums[0].sessions, random);
    return [toEstimates(sums[0], weight), toEstimates(sums[1], weight)] as const;
  });
  const values = [toEstimates(sums[0]), toEstimates(sums[1])] as const;
  const spread = toSpread(rows, predicted);
  const of = (parts: readonly Policy[], pick: (pair: Pair, name: EstimatorName) => number) =>
    collect(values, drawn, pick, { spread, error: errorOf(rows, parts) });
  return {
    policy: of([policy], ([own], name) => own[name]),
    rival: of([rival], ([, other], name) => other[name]),
    gain: of([policy, rival], ([own, other], name) => own[name] - other[name]),
  };
}

type Pair = readonly [Estimates, Estimates];

/** Standard deviations: of what the model left over on calls it has not seen, of rewards, from 0. */
interface Spread {
  readonly residual: number;
  readonly reward: number;
  readonly origin: number;
}

function toSpread({ n, m, action, reward }: LoggedRows, predicted: Float64Array): Spread {
  let [residuals, squares, sum] = [0, 0, 0];
  for (let row = 0; row < n; row++) {
    const r = reward[row] as number;
    residuals += (r - (predicted[row * m + (action[row] as number)] as number)) ** 2;
    squares += r * r;
    sum += r;
  }
  const count = Math.max(1, n);
  return {
    residual: Math.sqrt(residuals / count),
    reward: Math.sqrt(Math.max(0, squares / count - (sum / count) ** 2)),
    origin: Math.sqrt(squares / count),
  };
}

/** What the logged probabilities say of an estimate's error, drawn or not, for a spread of 1. */
interface ExpectedError {
  readonly plain: number;
  readonly clipped: number;
  /** Share that clipping leaves to the model. */
  readonly hidden: number;
}

/** Where two policies agree, their errors cancel, so those rows say nothing of their difference. */
function errorOf({ n }: LoggedRows, parts: readonly Policy[]): ExpectedError {
  const [first, second] = parts;
  let [plain, clipped, hidden] = [0, 0, 0];
  for (let row = 0; row < n; row++) {
    if (second && first?.choice[row] === second.choice[row]) continue;
    for (const { probability } of parts) {
      const p = probability[row] as number;
      hidden += 1 - Math.min(1, weightClip * p);
      if (p === 0) continue;
      plain += 1 / p;
      clipped += p * Math.min(weightClip, 1 / p) ** 2;
    }
  }
  const count = Math.max(1, n);
  return {
    plain: Math.sqrt(plain) / count,
    clipped: Math.sqrt(clipped) / count,
    hidden: hidden / count,
  };
}

/** The model's mean error where it alone speaks, over the spread of its residuals: an allowance. */
const modelBias = 0.1;

function collect(
  values: Pair,
  drawn: readonly Pair[],
  pick: (pair: Pair, name: EstimatorName) => number,
  { spread, error }: { readonly spread: Spread; readonly error: ExpectedError },
): EstimateIntervals {
  const of = (name: EstimatorName) =>
    toInterval(
      pick(values, name),
      drawn.map((pair) => pick(pair, name)),
    );
  const bias = modelBias * error.hidden;
  const snips = widen(of("snips"), spread.reward * error.plain, 0);
  const robust = widen(of("doublyRobust"), spread.residual * error.plain, 0);
  const clipped = widen(of("clipped"), spread.reward * error.clipped, spread.reward * bias);
  const both = widen(
    of("doublyRobustClipped"),
    spread.residual * error.clipped,
    spread.residual * bias,
  );
  return {
    ips: widen(of("ips"), spread.origin * error.plain, 0),
    snips,
    clipped: reach(clipped, snips.value),
    direct: of("direct"),
    doublyRobust: robust,
    doublyRobustClipped: reach(both, robust.value),
  };
}

const normal95 = 1.96;

function widen({ value, low, high }: Interval, error: number, bias: number): Interval {
  return {
    value,
    low: Math.min(low, value - normal95 * error) - bias,
    high: Math.max(high, value + normal95 * error) + bias,
  };
}

/** As far as clipping is known to have moved it: where there is much data, that is the bias. */
function reach({ value, low, high }: Interval, unclipped: number): Interval {
  return {
    value,
    low: Math.min(low, low + unclipped - value),
    high: Math.max(high, high + unclipped - value),
  };
}
