/** Training: each strategy on 10,000 queries of 10 models; a million logged calls in how much memory. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { selfCommand } from "../../src/cli/run-self.ts";
import { GatewayError } from "../../src/domain/errors.ts";
import { createFeatureExtractor } from "../../src/embedding/features.ts";
import { createStaticEmbedder } from "../../src/embedding/static.ts";
import { createKernels } from "../../src/kernels/create.ts";
import { readArtifactFolder } from "../../src/learning/artifacts/folder.ts";
import { createTableBuilder, type Table } from "../../src/learning/table.ts";
import { trainRouter } from "../../src/learning/train.ts";
import { decide } from "../../src/routing/decide.ts";
import { loadRouter } from "../../src/routing/load-router.ts";
import { strategyNames } from "../../src/routing/strategies/registry.ts";
import { createRandom, nextInt } from "../../src/std/random.ts";
import { makeText, worth, writeEventFolder } from "../support/event-folder.ts";
import { type BenchContext, type BenchRow, defineBench, median, skipped } from "./bench.ts";

const models = Array.from({ length: 10 }, (_, at) => `model-${at}`);
const topics = 200;

async function makeTable(rows: number): Promise<Table> {
  const random = createRandom(1);
  const { extract } = createFeatureExtractor(createStaticEmbedder());
  const builder = createTableBuilder();
  for (let row = 0; row < rows; row++) {
    const topic = nextInt(random, topics);
    const text = makeText(random, topic);
    const outcomes = models.map((model, at) => {
      const outputTokens = 50 + nextInt(random, 300);
      const score = random.next() < worth(at, topic) ? 1 : 0;
      const costUsd = (1 + at) * 1e-6 * outputTokens;
      return [model, { score, outputTokens, costUsd, latencyMs: 10 * outputTokens }] as const;
    });
    builder.add({
      id: String(row),
      features: await extract({ text, tools: [] }),
      outcomes: new Map(outcomes),
      weight: 1,
      groupKeys: [],
    });
  }
  return builder.finish(new Map(), "all");
}

/** Validation and fit together, as `train --strategy NAME` does. */
export async function timeStrategies(context: BenchContext): Promise<BenchRow[]> {
  const table = await makeTable(context.size(60, 10_000));
  const embedder = createStaticEmbedder();
  const names = context.full ? inProcess : ["llmrouter-knn"];
  const rows: BenchRow[] = [];
  for (const strategy of names) {
    context.note(`train ${strategy}`);
    const what = `train ${strategy}, ${table.n} × ${models.length}`;
    const start = process.cpuUsage();
    try {
      await trainRouter(table, { strategy, seed: 1, embedder, kernels: createKernels });
    } catch (error) {
      // A cascade wants a verifier's verdicts, say.
      if (!(error instanceof GatewayError)) throw error;
      rows.push(skipped(what, error.message));
      continue;
    }
    const { user, system } = process.cpuUsage(start);
    const seconds = (user + system) / 1e6;
    rows.push({
      what,
      measured: `${seconds.toFixed(1)} s`,
      budget: "≤ 60 s",
      ...(context.full ? { ok: seconds <= 60 } : {}),
      detail: "time of the processor; both validations and the fit",
    });
  }
  return rows;
}

const strategyOfLog = "llmrouter-knn";

async function trainOnLog(context: BenchContext): Promise<BenchRow[]> {
  const calls = context.size(300, 1_000_000);
  const folder = mkdtempSync(join(tmpdir(), "routeiq-bench-"));
  try {
    context.note(`writing ${calls} calls`);
    await writeEventFolder(folder, calls);
    const out = join(folder, "router");
    context.note("training on them");
    const child = Bun.spawn(
      [
        ...selfCommand(),
        ...["train", "--events", folder, "--strategy", strategyOfLog, "--out", out, "--json"],
      ],
      { stdout: "ignore", stderr: "ignore", stdin: "ignore" },
    );
    if ((await child.exited) !== 0) throw new Error("training failed");
    const used = child.resourceUsage();
    const gb = (used?.maxRSS ?? Number.NaN) / 1e9;
    const seconds = Number(used?.cpuTime.total ?? 0) / 1e6;
    return [
      {
        what: `train ${strategyOfLog} on ${calls} logged calls: memory`,
        measured: `${gb.toFixed(2)} GB at most`,
        budget: "≤ 2 GB",
        ...(context.full ? { ok: gb <= 2 } : {}),
        detail: `${seconds.toFixed(0)} s of the processor, in a process of its own`,
      },
      await timeDecisions(context, out, calls),
    ];
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** From the query's text to the chosen model. */
async function timeDecisions(
  context: BenchContext,
  folder: string,
  calls: number,
): Promise<BenchRow> {
  const embedder = createStaticEmbedder();
  const { extract } = createFeatureExtractor(embedder);
  const { files } = await readArtifactFolder(folder);
  const identity = { name: "router", version: 0, sha256: "" };
  const router = await loadRouter(files, { identity, embedder, kernels: createKernels });
  const candidates = router.labels.map((model, label) => ({ model, group: "auto", label }));
  const random = createRandom(2);
  const times: number[] = [];
  for (let i = 0; i < context.size(20, 5_000); i++) {
    const text = makeText(random, nextInt(random, topics));
    const start = Bun.nanoseconds();
    const scores = await router.scoreFeatures(await extract({ text, tools: [] }));
    decide({ router, scores, candidates, inputTokens: 100, dial: { tradeoff: 0.5 } });
    times.push((Bun.nanoseconds() - start) / 1000);
  }
  router.close();
  const p50 = median(times);
  const kb = [...files.values()].reduce((sum, bytes) => sum + bytes.length, 0) / 1000;
  return {
    what: `a decision after ${calls} logged calls, ${strategyOfLog}`,
    measured: `p50 ${p50.toFixed(0)} µs`,
    budget: "≤ 1 ms p50",
    ...(context.full ? { ok: p50 <= 1000 } : {}),
    detail: `features and choice included; the artifact is ${kb.toFixed(0)} kB`,
  };
}

/** A cascade learns from verifications, which these rows have not, and decides by asking models. */
const inProcess = strategyNames.filter((name) => name !== "llmrouter-automix");

export const learningBench = defineBench("learning", async (context) => {
  return [...(await timeStrategies(context)), ...(await trainOnLog(context))];
});
