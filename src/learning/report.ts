/** An evaluation as one self-contained HTML page: curves, tables, light and dark, no script. */

import { type Point, toHull } from "./curve.ts";
import type { Evaluation, NamedPoint } from "./evaluate.ts";

export interface ReportEntry {
  /** Name of the data. */
  readonly data: string;
  readonly evaluation: Evaluation;
}

export function toReport(entries: readonly ReportEntry[], version: string): string {
  const sections = entries.map(toSection).join("\n");
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>RouteIQ evaluation</title>
<style>${style}</style>
</head>
<body>
<main>
<h1>RouteIQ evaluation</h1>
<p class="lead">Quality against cost of learned routing, on queries that the router was not trained on. The grey line is what fixed models and coins between them give: only what lies above it is worth anything.</p>
${summary(entries)}
${sections}
<footer>Made by routeiq ${toEntities(version)}. AIQ: mean height of the hull between the cheapest and the dearest model (RouterBench). The router's policies are its dial and the fixed models that its training found worth having. Gain: of the dial alone over the fixed models, with a 95 % interval by paired bootstrap. Control: the same choices dealt to other queries at equal cost.</footer>
</main>
</body>
</html>
`;
}

function summary(entries: readonly ReportEntry[]): string {
  const rows = entries.map(({ data, evaluation: e }) => {
    const sure = e.gain.low > 0 ? "good" : e.gain.high < 0 ? "bad" : "";
    return `<tr><td>${toEntities(data)}</td><td>${toEntities(e.strategy)}</td><td class="n">${e.rows}</td>
<td class="n">${e.models}</td><td class="n">${fix(e.router.aiq)}</td>
<td class="n">${fix(e.baselines.zeroRouter.aiq)}</td>
<td class="n ${sure}">${signed(e.gain.value)} <small>[${signed(e.gain.low)}, ${signed(e.gain.high)}]</small></td>
<td class="n">${signed(e.control.aiq - e.baselines.zeroRouter.aiq)}</td>
<td class="n">${percent(e.router.costAt["98"])}</td></tr>`;
  });
  return `<table class="wide"><thead><tr><th>Data</th><th>Strategy</th><th>Queries</th><th>Models</th><th>AIQ</th><th>Fixed models</th><th>Gain</th><th>Control's gain</th><th>Cost at 98 % of the best</th></tr></thead>
<tbody>${rows.join("\n")}</tbody></table>`;
}

function toSection({ data, evaluation }: ReportEntry): string {
  const { router, baselines, control, pair } = evaluation;
  const { zeroRouter, oracle, bestSingle, cheapest, queryLength } = baselines;
  const row = (name: string, ...cells: string[]) =>
    `<tr><td>${name}</td>${cells.map((cell) => `<td class="n">${cell}</td>`).join("")}</tr>`;
  const curve = (name: string, stats: typeof router) =>
    row(
      name,
      fix(stats.aiq),
      fix(stats.aiqLog),
      fix(stats.maxQuality),
      "",
      percent(stats.costAt["100"]),
      percent(stats.costAt["98"]),
      percent(stats.costAt["95"]),
    );
  const point = (name: string, at: Point) =>
    row(name, "–", "–", fix(at.quality), usd(at.cost), "", "", "");
  const unknown = evaluation.unknownModels.map(toEntities).join(", ");
  const foreign = unknown ? `<p>Not known to the router: ${unknown}.</p>` : "";
  return `<section>
<h2>${toEntities(data)} <small>${toEntities(evaluation.strategy)} · ${toEntities(evaluation.artifact)}</small></h2>
<figure>${toPlot(evaluation)}</figure>
<table><thead><tr><th></th><th>AIQ</th><th>AIQ, log cost</th><th>Best quality</th><th>Mean cost</th><th>Cost at 100 %</th><th>at 98 %</th><th>at 95 %</th></tr></thead><tbody>
${curve("<b>Router</b>", router)}
${curve("Fixed models (zero-router)", zeroRouter)}
${curve("By query length", queryLength)}
${row("Shuffled control", fix(control.aiq), "", "", "", "", "", "")}
${point(`Best single: ${toEntities(bestSingle.name)}`, bestSingle)}
${point(`Cheapest: ${toEntities(cheapest.name)}`, cheapest)}
${row("Random", "–", "–", fix(baselines.random), "", "", "", "")}
${curve("Oracle", oracle)}
</tbody></table>
<p>Calibration error ${fix(evaluation.calibrationError)}; mean novelty ${fix(evaluation.novelty)}; ${evaluation.abstained} of ${evaluation.rows} queries abstained.${pair ? ` APGR ${fix(pair.apgr)}, CPT 50 % ${percent(pair.cpt50)}, CPT 80 % ${percent(pair.cpt80)}.` : ""}</p>
${foreign}
</section>`;
}

const plot = { width: 760, height: 400, left: 62, right: 18, top: 16, bottom: 46 } as const;

/** Quality over cost on a logarithmic axis: the hulls as lines, single models as labelled dots. */
function toPlot({ curve, singles }: Evaluation): string {
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

const fix = (value: number) => (Number.isFinite(value) ? value.toFixed(4) : "–");
const signed = (value: number) => `${value >= 0 ? "+" : "−"}${Math.abs(value).toFixed(4)}`;
const percent = (share: number) =>
  Number.isFinite(share) ? `${(share * 100).toFixed(1)} %` : "not reached";
const usd = (value: number) => `$${value >= 0.01 ? value.toFixed(3) : value.toPrecision(1)}`;

function toEntities(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}

const style = `
:root{color-scheme:light dark;--ink:#1c2430;--soft:#5b6675;--line:#dfe4ea;--back:#fbfcfd;--card:#fff;--router:#0a7d55;--zero:#98a2b0;--single:#c9722b;--good:#0a7d55;--bad:#b3261e}
@media(prefers-color-scheme:dark){:root{--ink:#e6eaf0;--soft:#9aa6b5;--line:#2b3440;--back:#12161c;--card:#191f27;--router:#3ecf97;--zero:#6b7787;--single:#e39a5c;--good:#3ecf97;--bad:#f2857c}}
*{box-sizing:border-box}body{margin:0;background:var(--back);color:var(--ink);font:15px/1.5 system-ui,sans-serif}
main{max-width:960px;margin:0 auto;padding:32px 20px 60px}h1{font-size:26px;margin:0 0 4px}h2{font-size:19px;margin:0 0 12px}h2 small{color:var(--soft);font-weight:400;font-size:14px}
.lead{color:var(--soft);max-width:70ch;margin:0 0 20px}section{background:var(--card);border:1px solid var(--line);border-radius:10px;padding:20px;margin:22px 0;overflow-x:auto}
table{border-collapse:collapse;width:100%;font-size:13.5px}th{text-align:left;font-weight:600;color:var(--soft);border-bottom:1px solid var(--line);padding:6px 8px}td{padding:5px 8px;border-bottom:1px solid var(--line)}
.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}.n small{color:var(--soft)}.good{color:var(--good);font-weight:600}.bad{color:var(--bad);font-weight:600}
figure{margin:0 0 14px}svg{width:100%;height:auto;display:block}.grid{stroke:var(--line)}.tick,.axis,.name{font:11px system-ui,sans-serif;fill:var(--soft)}.name{fill:var(--ink);stroke:var(--card);stroke-width:3px;paint-order:stroke;stroke-linejoin:round}
polyline{fill:none;stroke-width:2.2;stroke-linejoin:round}.router{stroke:var(--router)}.zero{stroke:var(--zero);stroke-dasharray:5 4}.point{fill:var(--router)}.single{fill:var(--single)}
figcaption{font-size:12.5px;color:var(--soft)}.key{display:inline-block;width:20px;border-top:2.5px solid var(--router);margin:0 5px 3px 10px;vertical-align:middle}.key.zero{border-top:2.5px dashed var(--zero)}.dot{display:inline-block;width:8px;height:8px;border-radius:50%;background:var(--single);margin:0 5px 0 10px}
footer{color:var(--soft);font-size:12.5px;margin-top:26px}.wide{display:block;overflow-x:auto}`;
