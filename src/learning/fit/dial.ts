/** The dial: a grid of trade-offs with what each was worth on rows that were not trained on. */
import type { DialPoint } from "../../routing/trained-router.ts";
import type { Outcomes } from "../outcomes.ts";
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
 * left out, so that "best quality" is the best that was measured, not what a λ of 0 hopes for. But
 * the best of many is partly luck: where a dearer fixed model is as good, as far as the rows can tell,
 * that model is the first point and no trade-off is left out, so that few rows, or scores that say
 * nothing, do not cut off the dear end of the dial. The policies that we choose from include the
 * fixed models, so that routing does no harm.
 */
export function fitDial(input: DialInput): DialPoint[] {
  const { outcomes, predicted, costs, costRef, constant } = input;
  const { n, m } = outcomes;
  const choiceAt = (lambda: number) => choose(predicted, costs, { n, m, lambda, costRef });
  const at = (lambda: number): DialPoint => {
    const { cost, quality } = measure(choiceAt(lambda), outcomes, predicted, costs);
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
  const top = points[best] as DialPoint;
  const fixed = bestFixed(outcomes);
  if (!fixed || isBeaten(fixed, top, outcomes, () => choiceAt(top.lambda))) {
    return spread(points.slice(best));
  }
  return [fixed, ...spread(fixed.meanCostUsd > top.meanCostUsd ? points : points.slice(best))];
}

type FixedPoint = DialPoint & { readonly fixed: number };

/** Standard errors by which routing must be better than a dearer fixed model. */
const proof = 1;

/** Whether a trade-off is better than the best fixed model: by chance's measure, where it is cheaper. */
function isBeaten(
  { fixed, meanQuality, meanCostUsd }: FixedPoint,
  top: DialPoint,
  outcomes: Outcomes,
  choice: () => Int32Array,
): boolean {
  const lead = top.meanQuality - meanQuality;
  if (lead < 0 || meanCostUsd <= top.meanCostUsd) return lead >= 0;
  const { n, m, quality, mass } = outcomes;
  const chosen = choice();
  let squares = 0;
  let total = 0;
  for (let row = 0; row < n; row++) {
    const weight = mass?.[row] ?? 1;
    const routed = quality[row * m + (chosen[row] as number)] as number;
    squares += weight * (routed - (quality[row * m + fixed] as number) - lead) ** 2;
    total += weight;
  }
  return lead > (proof * Math.sqrt(squares)) / total;
}

function bestFixed(outcomes: Outcomes): FixedPoint | undefined {
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
