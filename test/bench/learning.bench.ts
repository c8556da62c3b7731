/** Training on a million logged calls: in how much memory, and what a decision costs after it. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { selfCommand } from "../../src/cli/run-self.ts";
import { createFeatureExtractor } from "../../src/embedding/features.ts";
import { createStaticEmbedder } from "../../src/embedding/static.ts";
import { createKernels } from "../../src/kernels/create.ts";
import { readArtifactFolder } from "../../src/learning/artifacts/folder.ts";
import { decide } from "../../src/routing/decide.ts";
import { loadRouter } from "../../src/routing/load-router.ts";
import { createRandom, nextInt } from "../../src/std/random.ts";
import { makeText, writeEventFolder } from "../support/event-folder.ts";
import { type BenchContext, type BenchRow, defineBench, median } from "./bench.ts";

const topics = 200;

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

/** Each strategy on 10,000 queries of 10 models: strategies.bench.ts. */
export const learningBench = defineBench("learning", trainOnLog);
