/**
 * Quality against cost: hulls and areas, exactly as the reference scorer computes them.
 * Source: Hu et al., "RouterBench", arXiv 2403.12031 (AIQ: the mean height of the concave,
 * non-decreasing hull between the cheapest and the dearest single model).
 */

export interface Point {
  readonly cost: number;
  readonly quality: number;
}

/** Upper concave non-decreasing hull, by ascending cost. */
export function toHull<P extends Point>(points: readonly P[]): P[] {
  const hull: P[] = [];
  const sorted = [...points].sort((a, b) => a.cost - b.cost || a.quality - b.quality);
  for (const point of sorted) {
    while (hull.length >= 2 && isUnder(hull.at(-2) as P, hull.at(-1) as P, point)) hull.pop();
    const last = hull.at(-1);
    if (last && point.quality <= last.quality) continue;
    if (last && point.cost === last.cost) hull.pop();
    hull.push(point);
  }
  return hull;
}

/** Whether `b` lies on or under the line from `a` to `c`. */
function isUnder(a: Point, b: Point, c: Point): boolean {
  return (b.quality - a.quality) * (c.cost - a.cost) <= (c.quality - a.quality) * (b.cost - a.cost);
}

/** Height of a hull at a cost. */
export function heightAt(hull: readonly Point[], cost: number): number {
  const first = hull[0];
  if (!first) return Number.NaN;
  if (cost <= first.cost) return first.quality;
  for (let i = 1; i < hull.length; i++) {
    const a = hull[i - 1] as Point;
    const b = hull[i] as Point;
    if (cost <= b.cost) {
      return a.quality + ((b.quality - a.quality) * (cost - a.cost)) / (b.cost - a.cost);
    }
  }
  return (hull.at(-1) as Point).quality;
}

const steps = 2000;

/** Mean height between two costs, on a linear or a logarithmic axis. */
export function meanHeight(
  hull: readonly Point[],
  from: number,
  to: number,
  axis: "linear" | "log" = "linear",
): number {
  let sum = 0;
  let segment = 1; // costs ascend, and so does the piece of the hull that they lie on
  const logFrom = Math.log(from);
  const logRange = Math.log(to) - logFrom;
  for (let i = 0; i <= steps; i++) {
    const share = i / steps;
    const cost = axis === "log" ? Math.exp(logFrom + logRange * share) : from + (to - from) * share;
    while (segment < hull.length - 1 && cost > (hull[segment] as Point).cost) segment++;
    sum += heightOn(hull, segment, cost);
  }
  return sum / (steps + 1);
}

function heightOn(hull: readonly Point[], segment: number, cost: number): number {
  const a = hull[segment - 1];
  const b = hull[segment];
  if (!a) return Number.NaN;
  if (!b || cost <= a.cost) return a.quality;
  if (cost >= b.cost) return b.quality;
  return a.quality + ((b.quality - a.quality) * (cost - a.cost)) / (b.cost - a.cost);
}

/** Least cost at which a hull reaches a quality; NaN where it never does. */
export function costAt(hull: readonly Point[], quality: number): number {
  const first = hull[0];
  if (first && first.quality >= quality) return first.cost;
  for (let i = 1; i < hull.length; i++) {
    const a = hull[i - 1] as Point;
    const b = hull[i] as Point;
    if (b.quality >= quality) {
      return a.cost + ((quality - a.quality) / (b.quality - a.quality)) * (b.cost - a.cost);
    }
  }
  return Number.NaN;
}

export interface CurveStats {
  readonly aiq: number;
  readonly aiqLog: number;
  readonly maxQuality: number;
  /** maxQuality over the best single model's, minus 1. */
  readonly perfGain: number;
  /** Cost that reaches 100, 98, 95 % of the best single model's quality, over that model's cost. */
  readonly costAt: Readonly<Record<"100" | "98" | "95", number>>;
  /**
   * RouteLLM's measures for any number of models, by cost instead of strong calls: the share of the
   * gap between the cheapest model and the best that is recovered, averaged over the costs between
   * them. A coin between the two gives 0.5. NaN where the cheapest model is the best.
   */
  readonly apgr: number;
  /** Least share of that cost range that recovers 50 and 80 % of the gap; NaN where none does. */
  readonly cpt50: number;
  readonly cpt80: number;
}

/** @param singles one point per model: they set the range, the cheapest joins the curve. */
export function toStats(points: readonly Point[], singles: readonly Point[]): CurveStats {
  const sorted = [...singles].sort((a, b) => a.cost - b.cost || a.quality - b.quality);
  const cheapest = sorted[0] as Point;
  const dearest = sorted.at(-1) as Point;
  const best = bestOf(singles);
  const hull = toHull([...points, cheapest]);
  const maxQuality = points.reduce((max, { quality }) => Math.max(max, quality), -Infinity);
  const share = (percent: number) => costAt(hull, (best.quality * percent) / 100) / best.cost;
  return {
    aiq: meanHeight(hull, cheapest.cost, dearest.cost),
    aiqLog: meanHeight(hull, cheapest.cost, dearest.cost, "log"),
    maxQuality,
    perfGain: maxQuality / best.quality - 1,
    costAt: { 100: share(100), 98: share(98), 95: share(95) },
    ...toRecovery(hull, cheapest, best),
  };
}

function toRecovery(hull: readonly Point[], weak: Point, strong: Point) {
  const gap = strong.quality - weak.quality;
  const range = strong.cost - weak.cost;
  if (!(gap > 0 && range > 0)) return { apgr: Number.NaN, cpt50: Number.NaN, cpt80: Number.NaN };
  const least = (share: number) =>
    Math.max(0, (costAt(hull, weak.quality + share * gap) - weak.cost) / range);
  return {
    apgr: (meanHeight(hull, weak.cost, strong.cost) - weak.quality) / gap,
    cpt50: least(0.5),
    cpt80: least(0.8),
  };
}

/** The point of highest quality; the first among equals. */
export function bestOf(points: readonly Point[]): Point {
  return points.reduce((best, point) => (point.quality > best.quality ? point : best));
}
