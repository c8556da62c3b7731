/** What the demo shows at its end: a table, a plot, and a verdict in words, all from measured calls. */
import { formatUsd, type PlotPoint, plot } from "./plot.ts";
import type { DialResult } from "./scenes.ts";
import type { Summary } from "./traffic.ts";

export interface Finale {
  readonly before: Summary;
  readonly dial: readonly DialResult[];
  readonly singles: readonly (Summary & { readonly model: string })[];
}

/** The dial's default. */
const headline = 0.5;

export function finaleLines(finale: Finale, colour: boolean): readonly string[] {
  const rows = toRows(finale);
  const points: PlotPoint[] = rows.map(({ mark, name, summary }) => ({
    mark,
    label: name,
    costUsd: summary.costPer1000Usd,
    quality: summary.quality,
  }));
  const drawn = plot(points, { costTitle: "USD per 1,000 calls (log)" });
  const paint = colour ? paintMarks : (line: string) => line;
  return [
    `   ${"".padEnd(26)}quality   per 1,000 calls   calls by model`,
    ...rows.map(({ mark, name, summary, shares }) =>
      paint(
        ` ${mark} ${name.padEnd(26)}${summary.quality.toFixed(3).padStart(7)}` +
          `${formatUsd(summary.costPer1000Usd).padStart(18)}   ${shares}`,
      ),
    ),
    "",
    "quality",
    ...drawn.map(paint),
    "",
    ...verdict(finale),
  ];
}

interface Row {
  readonly mark: string;
  readonly name: string;
  readonly summary: Summary;
  readonly shares: string;
}

function toRows({ before, dial, singles }: Finale): readonly Row[] {
  const single = singles.map((summary, at): Row => {
    const mark = String.fromCharCode("a".charCodeAt(0) + at);
    return { mark, name: `${summary.model} alone`, summary, shares: "" };
  });
  const shuffled = { mark: "○", name: "before: simple-shuffle", summary: before };
  const routed = dial.map((summary): Row => {
    const name = `after: router, dial ${summary.tradeoff}`;
    return { mark: "◆", name, summary, shares: toShares(summary) };
  });
  return [...single, { ...shuffled, shares: toShares(before) }, ...routed];
}

/** `coder 31 %, swift 20 %`: most used first, at most three. */
function toShares({ models, calls }: Summary): string {
  return Object.entries(models)
    .sort(([, a], [, b]) => b - a)
    .slice(0, 3)
    .map(([name, count]) => `${name.replace("sim-", "")} ${Math.round((100 * count) / calls)} %`)
    .join(", ");
}

/** Says what the figures say, be it good or bad. */
export function verdict({ before, dial, singles }: Finale): readonly string[] {
  const best = [...singles].sort((a, b) => b.quality - a.quality)[0];
  if (!best) return [];
  const cheapest = [...dial]
    .filter(({ quality }) => quality >= best.quality)
    .sort((a, b) => a.costPer1000Usd - b.costPer1000Usd)[0];
  const affordable = [...dial]
    .filter(({ costPer1000Usd }) => costPer1000Usd <= before.costPer1000Usd)
    .sort((a, b) => b.quality - a.quality)[0];
  const usual = dial.find(({ tradeoff }) => tradeoff === headline);
  return [
    ...(cheapest
      ? against(cheapest, best, `the best single model, ${best.model}`)
      : [`No setting of the dial is as good as the best single model, ${best.model}.`]),
    ...(affordable
      ? against(affordable, before, "simple-shuffle before")
      : ["No setting of the dial is as cheap as simple-shuffle was before."]),
    ...(usual ? against(usual, best, `${best.model}; it is the default`) : []),
  ];
}

function against(own: DialResult, other: Summary, name: string): readonly string[] {
  const percent = (share: number) => `${Math.round(100 * share)} %`;
  const quality = `${own.quality.toFixed(3)} against ${other.quality.toFixed(3)}`;
  const costs = `${formatUsd(own.costPer1000Usd)} against ${formatUsd(other.costPer1000Usd)}`;
  return [
    `Dial ${own.tradeoff}: ${percent(own.quality / other.quality)} of the quality for ` +
      `${percent(own.costPer1000Usd / other.costPer1000Usd)} of the cost of ${name}`,
    `  (quality ${quality}; ${costs} per 1,000 calls).`,
  ];
}

function paintMarks(line: string): string {
  return line.replace(/◆/g, "\x1b[32m◆\x1b[0m").replace(/○/g, "\x1b[33m○\x1b[0m");
}
