/** What each trained strategy costs: a decision from its text on, and the training it took. */
import { createFeatureExtractor } from "../../src/embedding/features.ts";
import { createStaticEmbedder } from "../../src/embedding/static.ts";
import { createKernels } from "../../src/kernels/create.ts";
import { createTableBuilder, type Table } from "../../src/learning/table.ts";
import { trainRouter } from "../../src/learning/train.ts";
import { decide } from "../../src/routing/decide.ts";
import { loadRouter } from "../../src/routing/load-router.ts";
import { strategyNames } from "../../src/routing/strategies/registry.ts";
import { nextInt, type Random } from "../../src/std/random.ts";
import { type BenchContext, type BenchRow, defineBench, median, quantile } from "./bench.ts";

/** Words per subject; a query is of one subject, a model good at some of them. */
const subjects = 12;
const words = Array.from(
  { length: subjects * 60 },
  (_, i) => `word${((i * 7919) % 46_656).toString(36)}`,
);
const budgets = { decisionUs: 200, trainingS: 60 } as const;

/** A cascade learns from verifications, which these rows have not, and decides by asking models. */
const inProcess = strategyNames.filter((name) => name !== "llmrouter-automix");

export const strategiesBench = defineBench("strategies", async (context) => {
  const { size, note, full } = context;
  const embedder = createStaticEmbedder();
  const rows: BenchRow[] = [];
  try {
    const extractor = createFeatureExtractor(embedder);
    const trained = { rows: size(40, 10_000), models: size(3, 10) };
    const served = { rows: size(40, 10_000), models: size(3, 20) };
    const forTraining = await makeTable(trained, context, extractor);
    const forServing = full ? await makeTable(served, context, extractor) : forTraining;
    const queries = Array.from({ length: size(20, 1_000) }, () => makeQuery(context.random).text);
    for (const strategy of inProcess) {
      const measured = await measure(strategy, { forTraining, forServing, queries, embedder });
      rows.push(...measured);
      // A run takes an hour: what is known is told.
      note(measured.map((row) => `${row.what}: ${row.measured}`).join("; "));
    }
  } finally {
    embedder.close();
  }
  return rows;
});

interface Measured {
  readonly forTraining: Table;
  readonly forServing: Table;
  readonly queries: readonly string[];
  readonly embedder: ReturnType<typeof createStaticEmbedder>;
}

async function measure(
  strategy: string,
  { forTraining, forServing, queries, embedder }: Measured,
): Promise<readonly BenchRow[]> {
  const parts = { strategy, seed: 1, embedder, kernels: createKernels };
  const from = process.cpuUsage();
  const startedMs = performance.now();
  const first = await trainRouter(forTraining, parts);
  const wallS = (performance.now() - startedMs) / 1000;
  const { user, system } = process.cpuUsage(from);
  const seconds = (user + system) / 1e6;
  const { files } = forServing === forTraining ? first : await trainRouter(forServing, parts);
  const identity = { name: "bench", version: 0, sha256: "" };
  const router = await loadRouter(files, { identity, embedder, kernels: createKernels });
  const candidates = router.labels.map((model, label) => ({ model, group: "g", label }));
  const times: number[] = [];
  for (const text of [...queries, ...queries]) {
    const start = Bun.nanoseconds();
    const scores = await router.score({ text, tools: [] });
    decide({ router, scores, candidates, inputTokens: 50, dial: { tradeoff: 0.5 } });
    times.push((Bun.nanoseconds() - start) / 1000);
  }
  router.close();
  const warm = times.slice(queries.length);
  const us = median(warm);
  const kb = [...files.values()].reduce((sum, bytes) => sum + bytes.length, 0) / 1000;
  return [
    {
      what: `${strategy}: a decision, ${forServing.n} training queries × ${forServing.labels.length} models`,
      measured: `${us.toFixed(0)} µs`,
      budget: `≤ ${budgets.decisionUs} µs`,
      ok: us <= budgets.decisionUs,
      detail: `p50, from the text to the ranked candidates; p99 ${quantile(warm, 0.99).toFixed(0)} µs; the artifact is ${kb.toFixed(0)} kB`,
    },
    {
      what: `${strategy}: training, ${forTraining.n} × ${forTraining.labels.length}`,
      measured: `${seconds.toFixed(1)} s`,
      budget: `≤ ${budgets.trainingS} s`,
      ok: seconds <= budgets.trainingS,
      detail: `time of the processor, both cross-validations included; ${wallS.toFixed(1)} s by the clock`,
    },
  ];
}

async function makeTable(
  { rows, models }: { readonly rows: number; readonly models: number },
  { random }: BenchContext,
  extractor: ReturnType<typeof createFeatureExtractor>,
): Promise<Table> {
  const builder = createTableBuilder();
  for (let row = 0; row < rows; row++) {
    const { text, subject } = makeQuery(random);
    const outcomes = Array.from({ length: models }, (_, j) => {
      const good = (subject + j) % 3 === 0 ? 0.9 : 0.3 + (0.4 * j) / models;
      const score = random.next() < good ? 1 : 0;
      return [`model-${j}`, { score, costUsd: 1e-4 * (j + 1), outputTokens: 100 }] as const;
    });
    builder.add({
      id: String(row),
      features: await extractor.extract({ text, tools: [] }),
      outcomes: new Map(outcomes),
      weight: 1,
      groupKeys: [String(row)],
    });
  }
  const prices = Array.from(
    { length: models },
    (_, j) => [`model-${j}`, { input: j + 1, output: j + 1, sizeB: j + 1 }] as const,
  );
  return builder.finish(new Map(prices), "all");
}

function makeQuery(random: Random): { readonly text: string; readonly subject: number } {
  const subject = nextInt(random, subjects);
  const text = Array.from({ length: 30 }, () => {
    const of = random.next() < 0.6 ? subject : nextInt(random, subjects);
    return words[of * 60 + nextInt(random, 60)] ?? "";
  }).join(" ");
  return { text, subject };
}
