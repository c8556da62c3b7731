/** Robustness in a line, in a release, and in an HTML report. */
import type { JsonObject } from "../../domain/json.ts";
import { percent, signed } from "../report/report-text.ts";
import type { Robustness } from "./measure.ts";
import { perturbations } from "./perturb.ts";

export function toRobustnessLine({ score, queries, own, kinds, translated }: Robustness): string {
  const flips = perturbations.map((kind) => {
    const { flips, qualityLost } = kinds[kind];
    const lost = Number.isNaN(qualityLost) ? "" : ` (${signed(-qualityLost)})`;
    return `${kind} ${percent(flips)}${lost}`;
  });
  const of = own ? "phrases of our own" : "queries";
  return (
    `robustness ${score.toFixed(3)} on ${queries} ${of}; decisions that flip (change of quality): ` +
    `${flips.join(", ")}; translated ${percent(translated)}`
  );
}

/** Fractions are strings: a release holds whole numbers only. */
export function toRobustnessJson({
  score,
  queries,
  own,
  kinds,
  translated,
}: Robustness): JsonObject {
  const write = (value: number) => (Number.isFinite(value) ? value.toFixed(4) : null);
  return {
    score: score.toFixed(4),
    queries,
    sample: own ? "own phrases" : "training rows",
    kinds: Object.fromEntries(
      perturbations.map((kind) => [
        kind,
        { flips: write(kinds[kind].flips), quality_lost: write(kinds[kind].qualityLost) },
      ]),
    ),
    translated: write(translated),
  };
}

export function robustnessTable({ score, queries, own, kinds, translated }: Robustness): string {
  const rows = perturbations.map((kind) => {
    const { flips, qualityLost } = kinds[kind];
    const change = Number.isNaN(qualityLost) ? "–" : signed(-qualityLost);
    return `<tr><td>${kind}</td><td class="n">${percent(flips)}</td><td class="n">${change}</td></tr>`;
  });
  return `<p>Score ${score.toFixed(3)} (1 is steady) on ${queries} ${own ? "phrases of our own" : "queries"}, worded otherwise by rule.</p>
<table><thead><tr><th>Change</th><th>Decisions that flip</th><th>Change of quality</th></tr></thead><tbody>
${rows.join("\n")}
<tr><td>translated (own phrases, five languages)</td><td class="n">${percent(translated)}</td><td class="n">–</td></tr>
</tbody></table>`;
}
