/** What each trained strategy costs: a decision from its text on, and the training it took. */
import { createStaticEmbedder } from "../../src/embedding/static.ts";
import { type BenchRow, defineBench } from "./bench.ts";
import {
  budgets,
  inProcess,
  makeQuery,
  makeTable,
  sizeKb,
  timeDecisions,
  timeTraining,
} from "./strategy-cost.ts";

/** With memory and a million calls, a process each: scripts/strategy-costs.ts. */
export const strategiesBench = defineBench("strategies", async ({ size, note, full, random }) => {
  const embedder = createStaticEmbedder();
  const rows: BenchRow[] = [];
  try {
    const trained = { rows: size(40, 10_000), models: size(3, 10) };
    const served = { rows: size(40, 10_000), models: size(3, 20) };
    const forTraining = await makeTable(trained, random, embedder);
    const forServing = full ? await makeTable(served, random, embedder) : forTraining;
    const queries = Array.from({ length: size(20, 1_000) }, () => makeQuery(random).text);
    for (const strategy of inProcess) {
      const { files: first, cpuS, wallS } = await timeTraining(forTraining, strategy, embedder);
      const files =
        forServing === forTraining
          ? first
          : (await timeTraining(forServing, strategy, embedder)).files;
      const rounds = size(1, 5);
      const { p50Us, p99Us } = await timeDecisions(files, queries, { embedder, rounds });
      const measured: BenchRow[] = [
        {
          what: `${strategy}: a decision, ${served.rows} training queries × ${served.models} models`,
          measured: `${p50Us.toFixed(0)} µs`,
          budget: `≤ ${budgets.decisionUs} µs`,
          ok: p50Us <= budgets.decisionUs,
          detail: `p50, from the text to the ranked candidates; p99 ${p99Us.toFixed(0)} µs; the artifact is ${sizeKb(files).toFixed(0)} kB`,
        },
        {
          what: `${strategy}: training, ${trained.rows} × ${trained.models}`,
          measured: `${cpuS.toFixed(1)} s`,
          budget: `≤ ${budgets.trainingS} s`,
          ok: cpuS <= budgets.trainingS,
          detail: `time of the processor, both cross-validations included; ${wallS.toFixed(1)} s by the clock`,
        },
      ];
      rows.push(...measured);
      // A run takes an hour: what is known is told.
      note(measured.map((row) => `${row.what}: ${row.measured}`).join("; "));
    }
  } finally {
    embedder.close();
  }
  return rows;
});
