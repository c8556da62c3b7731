/** The pictures of a report, as SVG: quality over cost, and what predictions came to. */
import type { ReliabilityBin } from "../evidence/calibration.ts";
import { type Point, toHull } from "../evidence/curve.ts";
import type { Evaluation, NamedPoint } from "../evidence/evaluate.ts";
import { fix, toEntities, usd } from "./report-text.ts";

const plot = { width: 760, height: 400, left: 62, right: 18, top: 16, bottom: 46 } as const;

/** Quality over cost on a logarithmic axis: the hulls as lines, single models as labelled dots. */
export function toCurvePlot({ curve, singles }: Evaluation): string {
  const all = [...curve, ...singles];
  const costs = all.map(({ cost }) => Math.max(cost, 1e-12));
  const qualities = all.map(({ quality }) => quality);
  const low = Math.log(Math.min(...costs));
  const high = Math.max(Math.log(Math.max(...costs)), low + 1e-6);
  const bottom = Math.min(...qualities) - 0.01;
  const top = Math.max(...qualities) + 0.02;
  const x = (cost: number) =>
    plot.left +
    ((Math.log(Math.max(cost, 1e-12)) - low) / (high - low)) *
      (plot.width - plot.left - plot.right);
  const y = (quality: number) =>
    plot.height -
    plot.bottom -
    ((quality - bottom) / (top - bottom)) * (plot.height - plot.top - plot.bottom);
  // The hull is straight on a linear cost axis, so on this one it is drawn in short pieces.
  const line = (points: readonly Point[]) =>
    bend(toHull(points))
      .map(({ cost, quality }) => `${x(cost).toFixed(1)},${y(quality).toFixed(1)}`)
      .join(" ");
  const cheapest = singles.reduce((least, point) => (point.cost < least.cost ? point : least));
  return `<svg viewBox="0 0 ${plot.width} ${plot.height}" role="img" aria-label="Quality against cost">
${grid(bottom, top, y)}${costAxis(Math.exp(low), Math.exp(high), x)}
<polyline class="zero" points="${line(singles)}"/>
<polyline class="router" points="${line([...curve, cheapest])}"/>
${curve.map((p) => `<circle class="point" cx="${x(p.cost).toFixed(1)}" cy="${y(p.quality).toFixed(1)}" r="2.2"><title>${toEntities(p.name)}: ${fix(p.quality)} at ${usd(p.cost)}</title></circle>`).join("")}
${labels(singles, x, y)}
<text class="axis" x="${plot.width / 2}" y="${plot.height - 6}" text-anchor="middle">mean cost per query, USD (log)</text>
<text class="axis" transform="translate(14 ${plot.height / 2}) rotate(-90)" text-anchor="middle">mean quality</text>
</svg>
<figcaption><span class="key router"></span>router <span class="key zero"></span>fixed models <span class="dot"></span>single model</figcaption>`;
}

function bend(hull: readonly Point[]): Point[] {
  const last = hull.at(-1);
  const pieces = hull.slice(0, -1).flatMap((a, i) => {
    const b = hull[i + 1] as Point;
    return Array.from({ length: 16 }, (_, step) => ({
      cost: a.cost + ((b.cost - a.cost) * step) / 16,
      quality: a.quality + ((b.quality - a.quality) * step) / 16,
    }));
  });
  return last ? [...pieces, last] : pieces;
}

/** Names of single models, left out where they would overlap one already written. */
function labels(
  singles: readonly NamedPoint[],
  x: (cost: number) => number,
  y: (quality: number) => number,
): string {
  const taken: { x: number; y: number; width: number }[] = [];
  const byQuality = [...singles].sort((a, b) => b.quality - a.quality);
  return byQuality
    .map((point) => {
      const at = { x: x(point.cost), y: y(point.quality) };
      const dot = `<circle class="single" cx="${at.x.toFixed(1)}" cy="${at.y.toFixed(1)}" r="4"><title>${toEntities(point.name)}: ${fix(point.quality)} at ${usd(point.cost)}</title></circle>`;
      const width = point.name.length * 6;
      const left = at.x + 8 + width > plot.width;
      const start = left ? at.x - 8 - width : at.x + 8;
      const clash = taken.some(
        (other) =>
          Math.abs(other.y - at.y) < 11 && start < other.x + other.width && other.x < start + width,
      );
      if (clash) return dot;
      taken.push({ x: start, y: at.y, width });
      const anchor = left
        ? `x="${(at.x - 8).toFixed(1)}" text-anchor="end"`
        : `x="${(at.x + 8).toFixed(1)}"`;
      return `${dot}<text class="name" ${anchor} y="${(at.y + 3.5).toFixed(1)}">${toEntities(point.name)}</text>`;
    })
    .join("");
}

function grid(bottom: number, top: number, y: (quality: number) => number): string {
  const step = [0.01, 0.02, 0.05, 0.1, 0.2].find((size) => (top - bottom) / size <= 8) ?? 0.25;
  const lines: string[] = [];
  for (let q = Math.ceil(bottom / step) * step; q <= top; q += step) {
    const at = y(q).toFixed(1);
    lines.push(
      `<line class="grid" x1="${plot.left}" x2="${plot.width - plot.right}" y1="${at}" y2="${at}"/><text class="tick" x="${plot.left - 8}" y="${(y(q) + 4).toFixed(1)}" text-anchor="end">${q.toFixed(2)}</text>`,
    );
  }
  return lines.join("");
}

function costAxis(low: number, high: number, x: (cost: number) => number): string {
  const ticks: string[] = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power++) {
    for (const digit of [1, 3]) {
      const cost = digit * 10 ** power;
      if (cost < low * 0.999 || cost > high * 1.001) continue;
      const at = x(cost).toFixed(1);
      ticks.push(
        `<line class="grid" x1="${at}" x2="${at}" y1="${plot.top}" y2="${plot.height - plot.bottom}"/><text class="tick" x="${at}" y="${plot.height - plot.bottom + 16}" text-anchor="middle">${usd(cost)}</text>`,
      );
    }
  }
  return ticks.join("");
}

const square = { size: 260, pad: 36 } as const;

/** Predicted quality against what came true; the area of a dot is its share of the predictions. */
export function toReliabilityPlot(bins: readonly ReliabilityBin[]): string {
  const total = bins.reduce((sum, { count }) => sum + count, 0);
  const inner = square.size - 2 * square.pad;
  const x = (share: number) => (square.pad + share * inner).toFixed(1);
  const y = (share: number) => (square.size - square.pad - share * inner).toFixed(1);
  const dots = bins
    .filter(({ count }) => count > 0)
    .map(({ count, predicted, observed }) => {
      const radius = 3 + 9 * Math.sqrt(count / Math.max(1, total));
      return `<circle class="point" cx="${x(predicted)}" cy="${y(observed)}" r="${radius.toFixed(1)}" fill-opacity="0.7"><title>${fix(predicted)} predicted, ${fix(observed)} came true, ${count}</title></circle>`;
    });
  const ticks = [0, 0.5, 1].map(
    (share) =>
      `<text class="tick" x="${x(share)}" y="${square.size - square.pad + 16}" text-anchor="middle">${share}</text><text class="tick" x="${square.pad - 8}" y="${y(share)}" text-anchor="end">${share}</text>`,
  );
  return `<svg viewBox="0 0 ${square.size} ${square.size}" role="img" aria-label="Reliability of predictions">
<polyline class="zero" points="${x(0)},${y(0)} ${x(1)},${y(1)}"/>${ticks.join("")}${dots.join("")}
<text class="axis" x="${square.size / 2}" y="${square.size - 4}" text-anchor="middle">predicted</text>
<text class="axis" transform="translate(10 ${square.size / 2}) rotate(-90)" text-anchor="middle">came true</text>
</svg>`;
}
