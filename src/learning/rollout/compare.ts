/** Two arms held against each other: what is worse beyond what is tolerated, and beyond chance. */
import { type Figures, type Metric, type Moments, metrics, momentsOf } from "./figures.ts";
import { logExcessEvidence, lowerShare, meanRadius, upperShare } from "./sequential.ts";

/** What is tolerated of a new arm, and how sure a regression must be. */
export interface Thresholds {
  /** Share of calls that may fail more than before. */
  readonly errorRise: number;
  /** Factor on the geometric mean of latency, and on the mean cost. */
  readonly latencyFactor: number;
  readonly costFactor: number;
  /** Mean feedback score that may be lost. */
  readonly qualityDrop: number;
  /** Chance that a good arm is ever called bad, over all looks and all four metrics together. */
  readonly alpha: number;
  /** Calls in both arms before latency and cost are compared. */
  readonly minCalls: number;
  /** Feedback in both before quality is compared. */
  readonly minFeedback: number;
}

export const standardThresholds: Thresholds = {
  errorRise: 0.02,
  latencyFactor: 1.5,
  costFactor: 1.5,
  qualityDrop: 0.05,
  alpha: 0.04,
  minCalls: 50,
  minFeedback: 20,
};

export interface FoundRegression {
  readonly regression: Metric;
  /** The two figures, in words. */
  readonly message: string;
}

/** The first regression in the order of `judged`. */
export function findRegression(
  control: Figures,
  arm: Figures,
  thresholds: Thresholds,
  judged: readonly Metric[] = metrics,
): FoundRegression | undefined {
  for (const metric of judged) {
    const before = momentsOf[metric](control);
    const now = momentsOf[metric](arm);
    if (!isWorse(metric, before, now, thresholds)) continue;
    return {
      regression: metric,
      message: `${metric}: ${say(metric, now)}, before ${say(metric, before)}`,
    };
  }
  return undefined;
}

function isWorse(metric: Metric, before: Moments, now: Moments, thresholds: Thresholds): boolean {
  const { minCalls, minFeedback } = thresholds;
  const alpha = thresholds.alpha / metrics.length;
  // Errors are judged twice, each at half the chance: exactly from the first call on, which finds
  // what is broken, and by their spread later, which finds what is a little worse.
  const each = metric === "errors" ? alpha / 2 : alpha;
  if (metric === "errors" && hasMoreErrors(before, now, thresholds.errorRise, each)) return true;
  const least = metric === "quality" ? minFeedback : minCalls;
  if (before.n < least || now.n < least) return false;
  const { tolerated, tau } = toScale(metric, before, thresholds);
  const excess = now.mean - before.mean - tolerated;
  if (excess <= 0) return false;
  return logExcessEvidence(excess, before.variance() + now.variance(), tau) >= Math.log(1 / each);
}

/** Exact from the first call on: each side's own bound, at half the chance each. */
function hasMoreErrors(before: Moments, now: Moments, rise: number, alpha: number): boolean {
  if (now.mean - before.mean <= rise) return false;
  const old = upperShare(...effective(before), alpha / 2);
  return lowerShare(...effective(now), alpha / 2) > old + rise;
}

/** Sum and count, as if calls of one user were as many as they tell. */
function effective(moments: Moments): [sum: number, n: number] {
  const each = moments.designEffect();
  return [moments.sum / each, moments.n / each];
}

/** In the units of the moments: what is tolerated, and the size of difference that matters. */
function toScale(metric: Metric, before: Moments, thresholds: Thresholds) {
  if (metric === "latency") {
    const tolerated = Math.log(thresholds.latencyFactor);
    return { tolerated, tau: Math.max(tolerated, 0.1) };
  }
  if (metric === "cost") {
    const tolerated = Math.abs(before.mean) * (thresholds.costFactor - 1);
    return { tolerated, tau: Math.max(tolerated, 0.1 * Math.abs(before.mean)) || 1e-9 };
  }
  if (metric === "errors") {
    return { tolerated: thresholds.errorRise, tau: Math.max(thresholds.errorRise, 0.02) };
  }
  return { tolerated: thresholds.qualityDrop, tau: Math.max(thresholds.qualityDrop, 0.05) };
}

function say(metric: Metric, { mean }: Moments): string {
  if (metric === "errors") return `${(mean * 100).toFixed(1)} %`;
  if (metric === "latency") return `${Math.exp(mean).toFixed(0)} ms`;
  if (metric === "cost") return `${mean.toPrecision(3)} USD a call`;
  return (1 - mean).toFixed(3);
}

/** One metric of an arm beside the control, in a reader's units. */
export interface Difference {
  readonly metric: Metric;
  /** Share of calls; ms (geometric mean); USD a call; score. */
  readonly control: number | null;
  readonly arm: number | null;
  /** Values behind them. */
  readonly control_n: number;
  readonly arm_n: number;
  /** Arm − control; of latency and cost the ratio of the two. */
  readonly difference: number | null;
  /** Holds at every look, however often one looks; null where there is too little yet. */
  readonly interval: readonly [lower: number, upper: number] | null;
  /** The interval leaves out "no difference". */
  readonly significant: boolean;
}

/** All metrics, each at `alpha` over all looks: what admin routes and the CLI show. */
export function toDifferences(
  control: Figures,
  arm: Figures,
  thresholds: Thresholds,
  alpha: number = 0.05,
): readonly Difference[] {
  return metrics.map((metric) => {
    const before = momentsOf[metric](control);
    const now = momentsOf[metric](arm);
    const counts = { metric, control_n: Math.round(before.n), arm_n: Math.round(now.n) };
    const shown = (of: Moments) => (of.n > 0 ? toShown(metric, of.mean) : null);
    const values = { ...counts, control: shown(before), arm: shown(now) };
    const raw = toInterval(metric, before, now, { thresholds, alpha });
    if (!raw) return { ...values, difference: null, interval: null, significant: false };
    const [low, middle, high] = raw.map((value) => toShownDifference(metric, value, before)) as [
      number,
      number,
      number,
    ];
    const interval = [Math.min(low, high), Math.max(low, high)] as const;
    const same = isRatio(metric) ? 1 : 0;
    const finite = interval.every(Number.isFinite);
    const significant = finite && (interval[0] > same || interval[1] < same);
    return { ...values, difference: middle, interval: finite ? interval : null, significant };
  });
}

const isRatio = (metric: Metric) => metric === "latency" || metric === "cost";

function toShown(metric: Metric, mean: number): number {
  if (metric === "latency") return Math.exp(mean);
  return metric === "quality" ? 1 - mean : mean;
}

function toShownDifference(metric: Metric, value: number, before: Moments): number {
  if (metric === "latency") return Math.exp(value);
  if (metric === "cost") return before.mean > 0 ? 1 + value / before.mean : Number.NaN;
  return metric === "quality" ? -value : value;
}

/** Lower, middle, upper of arm − control in the moments' units; undefined with too little. */
function toInterval(
  metric: Metric,
  before: Moments,
  now: Moments,
  { thresholds, alpha }: { readonly thresholds: Thresholds; readonly alpha: number },
): [number, number, number] | undefined {
  if (before.n < 1 || now.n < 1) return undefined;
  const middle = now.mean - before.mean;
  if (metric === "errors") {
    const [old, young] = [effective(before), effective(now)];
    const lower = lowerShare(...young, alpha / 4) - upperShare(...old, alpha / 4);
    return [lower, middle, upperShare(...young, alpha / 4) - lowerShare(...old, alpha / 4)];
  }
  const least = metric === "quality" ? thresholds.minFeedback : thresholds.minCalls;
  const known = before.n >= least && now.n >= least;
  const variance = known ? before.variance() + now.variance() : Number.POSITIVE_INFINITY;
  const radius = meanRadius(variance, toScale(metric, before, thresholds).tau, alpha);
  return [middle - radius, middle, middle + radius];
}
