/** Off-policy estimates as one self-contained HTML page. */
import { range } from "../report/report-tables.ts";
import { fix, percent, style, toEntities } from "../report/report-text.ts";
import { type EstimatorName, estimatorNames } from "./estimators.ts";
import type { LogEvaluation } from "./evaluate-log.ts";

export interface LogReportEntry {
  readonly events: string;
  readonly evaluation: LogEvaluation;
}

export function toLogReport(entries: readonly LogReportEntry[], version: string): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>RouteIQ: estimates from logged calls</title>
<style>${style}</style>
</head>
<body>
<main>
<h1>Estimates from logged calls</h1>
<p class="lead">What a router would have been worth on calls that another policy served. Only calls that chance decided tell anything of other models; each counts as often as its logged probability says.</p>
${entries.map(toSection).join("\n")}
<footer>Made by routeiq ${toEntities(version)}. 95 % intervals by bootstrap over sessions, at least as wide as the logged probabilities say. The direct method's interval does not know its model's error. Weights are clipped at 20.</footer>
</main>
</body>
</html>
`;
}

const titles: Readonly<Record<EstimatorName, string>> = {
  ips: "Inverse propensity (IPS)",
  snips: "Self-normalised (SNIPS)",
  clipped: "SNIPS, weights clipped",
  direct: "Direct method",
  doublyRobust: "Doubly robust",
  doublyRobustClipped: "Doubly robust, weights clipped",
};

function toSection({ events, evaluation: e }: LogReportEntry): string {
  const { counts, overlap, verdict } = e;
  const mark = { better: "good", worse: "bad", refused: "" }[verdict.verdict];
  const rows = estimatorNames.map((name) => {
    const cell = (one: { readonly value: number; readonly low: number; readonly high: number }) =>
      `<td class="n">${fix(one.value)} <small>${range(one)}</small></td>`;
    return `<tr><td>${titles[name]}</td>${cell(e.quality.policy[name])}${cell(e.quality.gain[name])}${cell(e.utility.gain[name])}</tr>`;
  });
  const facts: readonly [string, string][] = [
    ["Calls in the log", String(counts.seen)],
    ["Used: decided by chance, with a label", `${counts.used} of ${e.sessions} sessions`],
    ["Certain choices (probability 1), left out", String(counts.deterministic)],
    ["Without a label", String(counts.unlabelled)],
    ["Effective sample", overlap.effectiveSamples.toFixed(0)],
    [
      "Mean weight (should be 1), largest",
      `${overlap.meanWeight.toFixed(2)}, ${overlap.maxWeight.toFixed(0)}`,
    ],
    ["Calls on which the router picks what was drawn", percent(overlap.matched)],
    ["Left to the model by clipping", percent(overlap.clipped)],
    ["Picks that had no chance", percent(overlap.unsupported)],
    ["Same choice as before", percent(overlap.agreed)],
    ["Quality as served", fix(e.served.quality)],
  ];
  return `<section>
<h2>${toEntities(events)} <small>${toEntities(e.strategy)} · ${toEntities(e.artifact)}</small></h2>
<p class="${mark}">${verdict.verdict === "refused" ? "No verdict" : verdict.verdict}: ${toEntities(verdict.reason)}.</p>
<table><thead><tr><th>Estimator</th><th>Quality of the router</th><th>Gain in quality</th><th>Gain in utility</th></tr></thead><tbody>
${rows.join("\n")}
</tbody></table>
<h3>What the log can tell</h3>
<table><tbody>${facts.map(([name, value]) => `<tr><td>${name}</td><td class="n">${value}</td></tr>`).join("\n")}</tbody></table>
</section>`;
}
