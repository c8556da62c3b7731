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
export function toHull(points: readonly Point[]): Point[] {
  const hull: Point[] = [];
  const sorted = [...points].sort((a, b) => a.cost - b.cost || a.quality - b.quality);
  for (const point of sorted) {
    while (hull.length >= 2 && isUnder(hull.at(-2) as Point, hull.at(-1) as Point, point))
      hull.pop();
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
  for (let i = 0; i <= steps; i++) {
    const share = i / steps;
    const cost =
      axis === "log"
        ? Math.exp(Math.log(from) + (Math.log(to) - Math.log(from)) * share)
        : from + (to - from) * share;
    sum += heightAt(hull, cost);
  }
  return sum / (steps + 1);
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
  };
}

/** The point of highest quality; the first among equals. */
export function bestOf(points: readonly Point[]): Point {
  return points.reduce((best, point) => (point.quality > best.quality ? point : best));
}
