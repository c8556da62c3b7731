/** The dial: a grid of trade-offs with what each was worth on rows that were not trained on. */
import type { DialPoint } from "../routing/trained-router.ts";
import type { Outcomes } from "./outcomes.ts";
import { choose, measure, toSingles } from "./validate.ts";

const finest = 385;
const lambdaRange = { from: 1e-4, to: 30 } as const;
/** Points of the grid: enough that neighbours differ little, few enough to read. */
const kept = 97;

export interface DialInput {
  readonly outcomes: Outcomes;
  /** n×m, out of fold, shrunk. */
  readonly predicted: Float32Array;
  /** n×m, USD. */
  readonly costs: Float32Array;
  readonly costRef: number;
  readonly constant: boolean;
}

/**
 * From best quality to least cost. Trade-offs that cost more and are no better than a later one are
 * left out, so that "best quality" is the best that was measured, not what a λ of 0 hopes for. Where
 * a fixed model was better than all of them, it is the first point: the policies that we choose from
 * include the fixed models, so that routing does no harm.
 */
export function fitDial({ outcomes, predicted, costs, costRef, constant }: DialInput): DialPoint[] {
  const { n, m } = outcomes;
  const at = (lambda: number): DialPoint => {
    const chosen = choose(predicted, costs, { n, m, lambda, costRef });
    const { cost, quality } = measure(chosen, outcomes, predicted, costs);
    return { lambda, meanQuality: quality, meanCostUsd: cost };
  };
  if (constant || n === 0) return n === 0 ? [] : [at(0)];
  const ratio = lambdaRange.to / lambdaRange.from;
  const grid = [
    0,
    ...Array.from({ length: finest }, (_, i) => lambdaRange.from * ratio ** (i / (finest - 1))),
  ];
  const points = grid.map(at);
  // Of equals the cheapest; where they cost the same here, prices elsewhere may not: the least λ.
  const best = points.reduce((top, point, i) => {
    const { meanQuality, meanCostUsd } = points[top] as DialPoint;
    const saves = point.meanQuality === meanQuality && point.meanCostUsd < meanCostUsd;
    return point.meanQuality > meanQuality || saves ? i : top;
  }, 0);
  const routed = spread(points.slice(best));
  const fixed = bestFixed(outcomes);
  return fixed && fixed.meanQuality > (routed[0] as DialPoint).meanQuality
    ? [fixed, ...routed]
    : routed;
}

function bestFixed(outcomes: Outcomes): DialPoint | undefined {
  // Logs of single choices say of no model what it would have done on all rows.
  if (outcomes.quality.some(Number.isNaN)) return undefined;
  return toSingles(outcomes)
    .map(({ cost, quality }, j) => ({
      lambda: 0,
      meanQuality: quality,
      meanCostUsd: cost,
      fixed: j,
    }))
    .reduce((best, point) => (point.meanQuality > best.meanQuality ? point : best));
}

/**
 * At most `kept` points, first and last included, evenly spaced in cost: half on a logarithmic scale,
 * where the cheap end is wide, half on a linear one, where money is spent.
 */
function spread(points: readonly DialPoint[]): DialPoint[] {
  if (points.length <= kept) return [...points];
  const position = createScale(points.map(({ meanCostUsd }) => meanCostUsd));
  const first = position(points[0] as DialPoint);
  const last = position(points.at(-1) as DialPoint);
  const step = (first - last) / (kept - 1);
  const chosen: DialPoint[] = [];
  let next = first;
  points.forEach((point, i) => {
    const due = position(point) <= next + 1e-9;
    const must = i === 0 || i === points.length - 1;
    // Whatever is left must still fit.
    const room = kept - chosen.length > 1 || i === points.length - 1;
    if (!must && !(due && room)) return;
    chosen.push(point);
    while (step > 0 && next >= position(point)) next -= step;
  });
  return chosen;
}

/** 0 at the least cost, 1 at the largest; never falling. */
function createScale(costs: readonly number[]): (point: DialPoint) => number {
  const low = Math.max(Math.min(...costs), 1e-12);
  const high = Math.max(Math.max(...costs), low);
  const logs = Math.log(high / low) || 1;
  const width = high - low || 1;
  return ({ meanCostUsd }) => {
    const cost = Math.max(meanCostUsd, 1e-12);
    return 0.5 * (Math.log(cost / low) / logs) + 0.5 * ((cost - low) / width);
  };
}
