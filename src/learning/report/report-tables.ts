/** The tables of a report: figures beside their baselines, budgets, reliability. */
import type { Interval } from "../evidence/bootstrap.ts";
import type { CurveStats, Point } from "../evidence/curve.ts";
import type { Evaluation } from "../evidence/evaluate.ts";
import { fix, percent, signed, toEntities, usd } from "./report-text.ts";

const figures: readonly [string, string, (stats: CurveStats) => number, boolean][] = [
  ["AIQ", "aiq", (stats) => stats.aiq, false],
  ["AIQ, log cost", "aiqLog", (stats) => stats.aiqLog, false],
  ["Best quality", "maxQuality", (stats) => stats.maxQuality, false],
  ["APGR, by cost", "apgr", (stats) => stats.apgr, false],
  ["CPT(50 %)", "cpt50", (stats) => stats.cpt50, true],
  ["CPT(80 %)", "cpt80", (stats) => stats.cpt80, true],
  ["Cost at 100 % of the best", "cost100", (stats) => stats.costAt[100], true],
  ["Cost at 98 %", "cost98", (stats) => stats.costAt[98], true],
  ["Cost at 95 %", "cost95", (stats) => stats.costAt[95], true],
];

export function figureTable({ router, baselines, control, intervals }: Evaluation): string {
  const { zeroRouter, queryLength, category, oracle } = baselines;
  const columns: readonly [string, CurveStats][] = [
    ["Fixed models", zeroRouter],
    ["Query length", queryLength],
    ...(category ? [["Category table", category] as [string, CurveStats]] : []),
    ["Shuffled control", control],
    ["Oracle", oracle],
  ];
  const rows = figures.map(([name, key, pick, share]) => {
    const write = (value: number) => (share ? percent(value) : fix(value));
    const interval = intervals[`router.${key}`];
    const low = interval ? write(interval.low) : "";
    const high = interval ? write(interval.high) : "";
    const cells = columns.map(([, stats]) => `<td class="n">${write(pick(stats))}</td>`).join("");
    return `<tr><td>${name}</td><td class="n"><b>${write(pick(router))}</b> <small>[${low}, ${high}]</small></td>${cells}</tr>`;
  });
  const head = columns.map(([name]) => `<th>${name}</th>`).join("");
  return `<table><thead><tr><th></th><th>Router, 95 % interval</th>${head}</tr></thead><tbody>
${rows.join("\n")}
</tbody></table>`;
}

export function baselineLine({ baselines, oracleGap, oracleGapClosed }: Evaluation): string {
  const { bestSingle, cheapest, random } = baselines;
  const at = (point: Point) => `${fix(point.quality)} at ${usd(point.cost)}`;
  return `<p>Best single model: ${toEntities(bestSingle.name)}, ${at(bestSingle)}. Cheapest: ${toEntities(cheapest.name)}, ${at(cheapest)}. A model drawn by chance: ${fix(random)}. The oracle is ${fix(oracleGap.value)} ${range(oracleGap)} above the router's best quality; ${percent(oracleGapClosed.value)} of its gain is taken.</p>`;
}

export function budgetTable({ budgets }: Evaluation): string {
  const rows = budgets.map(
    ({ model, cost, single, router, gain, gainOverControl, control, zeroRouter }) => {
      const sure = gain.low > 0 ? "good" : gain.high < 0 ? "bad" : "";
      return `<tr><td>${toEntities(model)}</td><td class="n">${usd(cost)}</td><td class="n">${fix(single)}</td><td class="n">${fix(router)}</td>
<td class="n ${sure}">${signed(gain.value)} <small>${range(gain)}</small></td><td class="n">${fix(zeroRouter)}</td><td class="n">${fix(control)}</td><td class="n">${signed(gainOverControl.value)} <small>${range(gainOverControl)}</small></td></tr>`;
    },
  );
  return `<h3>What each model's budget buys</h3>
<table><thead><tr><th>At the cost of</th><th>A query</th><th>Alone</th><th>Router</th><th>Gain over it</th><th>Fixed models</th><th>Control</th><th>Gain over the control</th></tr></thead><tbody>
${rows.join("\n")}
</tbody></table>`;
}

export function reliabilityTable({ reliability }: Evaluation): string {
  const rows = reliability
    .filter(({ count }) => count > 0)
    .map(
      ({ low, high, count, predicted, observed }) =>
        `<tr><td>${low.toFixed(1)} to ${high.toFixed(1)}</td><td class="n">${count}</td><td class="n">${fix(predicted)}</td><td class="n">${fix(observed)}</td></tr>`,
    );
  return `<table><thead><tr><th>Predicted quality</th><th>Predictions</th><th>Their mean</th><th>Came true</th></tr></thead><tbody>
${rows.join("\n")}
</tbody></table>`;
}

export function range({ low, high }: Interval): string {
  return `[${fix(low)}, ${fix(high)}]`;
}
