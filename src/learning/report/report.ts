/** An evaluation as one self-contained HTML page: curves, tables, light and dark, no script. */
import type { Evaluation } from "../evidence/evaluate.ts";
import type { Robustness } from "../robustness/measure.ts";
import { robustnessTable } from "../robustness/report.ts";
import { toCurvePlot, toReliabilityPlot } from "./report-plot.ts";
import {
  baselineLine,
  budgetTable,
  figureTable,
  range,
  reliabilityTable,
} from "./report-tables.ts";
import { fix, percent, signed, style, toEntities } from "./report-text.ts";

export interface ReportEntry {
  /** Name of the data. */
  readonly data: string;
  readonly evaluation: Evaluation;
  readonly robustness: Robustness;
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
<footer>Made by routeiq ${toEntities(version)}. AIQ: mean height of the hull between the cheapest and the dearest model (RouterBench). The router's policies are its dial and the fixed models that its training found worth having. Gain: of the dial alone over the fixed models, with a 95 % interval by paired bootstrap. Control: the same choices dealt to other queries, at equal cost on average and without knowledge. APGR and CPT by cost: the share of the gap between the cheapest model and the best that is recovered, over the costs between them.</footer>
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

function toSection({ data, evaluation, robustness }: ReportEntry): string {
  const { pair, reliability, intervals } = evaluation;
  const unknown = evaluation.unknownModels.map(toEntities).join(", ");
  const foreign = unknown ? `<p>Not known to the router: ${unknown}.</p>` : "";
  const calibration = intervals["calibrationError"];
  const calls = pair
    ? `<p>By calls, ${toEntities(pair.strong)} over ${toEntities(pair.weak)}: APGR ${fix(pair.apgr)} ${range(pair.intervals.apgr)}, CPT 50 % ${percent(pair.cpt50)} ${range(pair.intervals.cpt50)}, CPT 80 % ${percent(pair.cpt80)} ${range(pair.intervals.cpt80)}.</p>`
    : "";
  return `<section>
<h2>${toEntities(data)} <small>${toEntities(evaluation.strategy)} · ${toEntities(evaluation.artifact)}</small></h2>
<figure>${toCurvePlot(evaluation)}</figure>
${figureTable(evaluation)}
${baselineLine(evaluation)}
${calls}
${budgetTable(evaluation)}
<h3>Calibration</h3>
<p>Calibration error ${fix(evaluation.calibrationError)}${calibration ? ` ${range(calibration)}` : ""}; mean novelty ${fix(evaluation.novelty)}; ${evaluation.abstained} of ${evaluation.rows} queries abstained.</p>
<figure class="small">${toReliabilityPlot(reliability)}</figure>
${reliabilityTable(evaluation)}
<h3>Robustness</h3>
${robustnessTable(robustness)}
${foreign}
</section>`;
}
