/**
 * What a strategy costs: a training on made-up rows, and decisions from their text on. Each
 * query is decided on several times and the least time counts, for the machine's other work only ever
 * adds; training is told in time of the processor.
 */
import { createFeatureExtractor } from "../../src/embedding/features.ts";
import type { createStaticEmbedder } from "../../src/embedding/static.ts";
import { createKernels } from "../../src/kernels/create.ts";
import { createTableBuilder, type Table } from "../../src/learning/table.ts";
import { trainRouter } from "../../src/learning/train.ts";
import { decide } from "../../src/routing/decide.ts";
import { loadRouter } from "../../src/routing/load-router.ts";
import { strategyNames } from "../../src/routing/strategies/registry.ts";
import { nextInt, type Random } from "../../src/std/random.ts";
import { median, quantile } from "./bench.ts";

/** A cascade learns from verifications, which made-up rows have not, and decides by asking models. */
export const inProcess = strategyNames.filter((name) => name !== "llmrouter-automix");

export const budgets = { decisionUs: 200, trainingS: 60 } as const;

/** Words per subject; a query is of one subject, a model good at some of them. */
const subjects = 12;
const words = Array.from(
  { length: subjects * 60 },
  (_, i) => `word${((i * 7919) % 46_656).toString(36)}`,
);

export interface Size {
  readonly rows: number;
  readonly models: number;
}

export type Embedder = ReturnType<typeof createStaticEmbedder>;
export type Files = ReadonlyMap<string, Uint8Array>;

export interface TrainingCost {
  readonly files: Files;
  /** Of the processor, all threads; both cross-validations and the fit. */
  readonly cpuS: number;
  readonly wallS: number;
}

export async function timeTraining(
  table: Table,
  strategy: string,
  embedder: Embedder,
): Promise<TrainingCost> {
  const from = process.cpuUsage();
  const startedMs = performance.now();
  const { files } = await trainRouter(table, {
    strategy,
    seed: 1,
    embedder,
    kernels: createKernels,
  });
  const wallS = (performance.now() - startedMs) / 1000;
  const { user, system } = process.cpuUsage(from);
  return { files, cpuS: (user + system) / 1e6, wallS };
}

export interface DecisionCost {
  readonly p50Us: number;
  readonly p99Us: number;
}

/** From the query's text to the ranked candidates, features included; the first round warms up. */
export async function timeDecisions(
  files: Files,
  queries: readonly string[],
  { embedder, rounds }: { readonly embedder: Embedder; readonly rounds: number },
): Promise<DecisionCost> {
  const identity = { name: "bench", version: 0, sha256: "" };
  const router = await loadRouter(files, { identity, embedder, kernels: createKernels });
  const candidates = router.labels.map((model, label) => ({ model, group: "g", label }));
  const least = new Float64Array(queries.length).fill(Number.POSITIVE_INFINITY);
  for (let round = 0; round <= rounds; round++) {
    for (const [at, text] of queries.entries()) {
      const start = Bun.nanoseconds();
      const scores = await router.score({ text, tools: [] });
      decide({ router, scores, candidates, inputTokens: 50, dial: { tradeoff: 0.5 } });
      const us = (Bun.nanoseconds() - start) / 1000;
      if (round > 0) least[at] = Math.min(least[at] as number, us);
    }
  }
  router.close();
  const times = [...least];
  return { p50Us: median(times), p99Us: quantile(times, 0.99) };
}

export const sizeKb = (files: Files) =>
  [...files.values()].reduce((sum, bytes) => sum + bytes.length, 0) / 1000;

export async function makeTable(
  { rows, models }: Size,
  random: Random,
  embedder: Embedder,
): Promise<Table> {
  const extractor = createFeatureExtractor(embedder);
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

export function makeQuery(random: Random): { readonly text: string; readonly subject: number } {
  const subject = nextInt(random, subjects);
  const text = Array.from({ length: 30 }, () => {
    const of = random.next() < 0.6 ? subject : nextInt(random, subjects);
    return words[of * 60 + nextInt(random, 60)] ?? "";
  }).join(" ");
  return { text, subject };
}
