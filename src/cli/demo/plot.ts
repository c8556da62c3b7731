/** Quality against cost, drawn with characters: a point per model or setting, cost on a log scale. */

export interface PlotPoint {
  readonly label: string;
  /** One character. */
  readonly mark: string;
  readonly costUsd: number;
  readonly quality: number;
}

export interface PlotOptions {
  readonly width?: number;
  readonly height?: number;
  readonly costTitle: string;
}

/** Lines of a plot. Where points fall on one cell, the later one shows. */
export function plot(points: readonly PlotPoint[], options: PlotOptions): readonly string[] {
  const { width = 60, height = 14, costTitle } = options;
  const shown = points.filter(({ costUsd }) => costUsd > 0);
  if (shown.length === 0) return ["(nothing to plot: no call had a cost)"];
  const x = createScale(
    shown.map(({ costUsd }) => Math.log10(costUsd)),
    width,
    0.08,
  );
  const y = createScale(
    shown.map(({ quality }) => quality),
    height,
    0.06,
  );
  const cells = Array.from({ length: height }, () => new Array<string>(width).fill(" "));
  for (const { mark, costUsd, quality } of shown) {
    const row = cells[height - 1 - y.cell(quality)];
    if (row) row[x.cell(Math.log10(costUsd))] = mark;
  }
  const lines = cells.map((row, at) => {
    const value = y.value(height - 1 - at);
    const tick = at % 3 === 0 ? value.toFixed(2) : "    ";
    return `${tick} ┤${row.join("")}`;
  });
  const axis = `     └${"─".repeat(width)}`;
  const left = formatUsd(10 ** x.value(0));
  const right = formatUsd(10 ** x.value(width - 1));
  const middle = `${costTitle} →`;
  const gap = Math.max(1, width - left.length - right.length - middle.length);
  const half = " ".repeat(Math.floor(gap / 2));
  const rest = " ".repeat(gap - half.length);
  return [...lines, axis, `      ${left}${half}${middle}${rest}${right}`];
}

/** Dollars with as many digits as tell something: $12.30, $0.0042. */
export function formatUsd(usd: number): string {
  if (usd >= 100) return `$${usd.toFixed(0)}`;
  if (usd >= 1) return `$${usd.toFixed(2)}`;
  return `$${usd.toPrecision(2)}`;
}

/** A linear scale over the values with a margin on both sides, in whole cells. */
function createScale(values: readonly number[], cells: number, margin: number) {
  const low = Math.min(...values);
  const high = Math.max(...values);
  const span = (high - low || 1) * (1 + 2 * margin);
  const start = low - (high - low || 1) * margin;
  const last = cells - 1;
  return {
    cell: (value: number) =>
      Math.min(last, Math.max(0, Math.round(((value - start) / span) * last))),
    value: (cell: number) => start + (cell / last) * span,
  };
}
