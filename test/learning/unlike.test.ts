/**
 * Training data unlike that which routing was tuned on: few rows, few or many models, scores that say
 * nothing, gaps, other languages. Training must come through, the dial must be sound, and routing must
 * not do worse than the fixed models, within what chance allows.
 */
import { expect, setDefaultTimeout, test } from "bun:test";
import { createFeatureExtractor } from "../../src/embedding/features.ts";
import { createStaticEmbedder } from "../../src/embedding/static.ts";
import { createKernels } from "../../src/kernels/create.ts";
import type { DataRow, PriceList } from "../../src/learning/dataset.ts";
import { toHull, toStats } from "../../src/learning/evidence/curve.ts";
import { type Evaluation, evaluate } from "../../src/learning/evidence/evaluate.ts";
import { readTable, type Table } from "../../src/learning/table.ts";
import { trainRouter } from "../../src/learning/train.ts";
import { decide } from "../../src/routing/decide.ts";
import { loadRouter } from "../../src/routing/load-router.ts";
import type { TrainedRouter } from "../../src/routing/trained-router.ts";
import { createRandom, type Random } from "../../src/std/random.ts";
import { makeRows, prices, stream } from "../support/routing-data.ts";

setDefaultTimeout(180_000);

const embedder = createStaticEmbedder();
const extractor = createFeatureExtractor(embedder);
const identity = { name: "router", version: 0, sha256: "" };

type Outcome = DataRow["outcomes"] extends ReadonlyMap<string, infer O> ? O : never;
type Change = (row: DataRow, random: Random) => DataRow;

const withOutcomes = (
  row: DataRow,
  change: (model: string, outcome: Outcome) => Outcome | undefined,
): DataRow => {
  const outcomes = new Map<string, Outcome>();
  for (const [model, outcome] of row.outcomes) {
    const changed = change(model, outcome);
    if (changed) outcomes.set(model, changed);
  }
  return { ...row, outcomes };
};

const scored = (score: (model: string, old: number, random: Random) => number): Change => {
  return (row, random) =>
    withOutcomes(row, (model, one) => ({ ...one, score: score(model, one.score, random) }));
};

const many: Change = (row, random) => ({
  ...row,
  outcomes: new Map(
    Array.from({ length: 20 }, (_, copy) =>
      [...row.outcomes].map(([model, one]): [string, Outcome] => [
        `${model}-${copy}`,
        { ...one, score: random.next() < 0.1 * (copy % 3) ? 1 - one.score : one.score },
      ]),
    ).flat(),
  ),
});

interface Condition {
  readonly name: string;
  readonly rows?: number;
  /** Of the training rows and of those that are judged. */
  readonly change?: Change;
  /** Of the training rows only. */
  readonly learnt?: Change;
  readonly keep?: (row: DataRow, training: boolean) => boolean;
  readonly models?: number;
}

const conditions: readonly Condition[] = [
  { name: "forty rows", rows: 40 },
  { name: "two hundred rows", rows: 200 },
  {
    name: "two models",
    models: 2,
    change: (row) => withOutcomes(row, (m, one) => (m === "maths-model" ? undefined : one)),
  },
  { name: "sixty models", models: 60, change: many },
  {
    name: "continuous scores",
    change: scored((_, old, random) => 0.3 + 0.4 * old + 0.2 * random.next()),
  },
  {
    name: "one model that is best everywhere",
    change: scored((m, old) => (m === "big-model" ? 1 : old)),
  },
  {
    name: "scores that are noise",
    change: scored((_m, _old, random) => (random.next() < 0.5 ? 1 : 0)),
  },
  { name: "scores that are all the same", change: scored(() => 1) },
  {
    name: "no word of the language that the embedder knows",
    change: (row) => ({
      ...row,
      query: row.category === "maths" ? `число ${row.id}` : `詩 ${row.id}`,
    }),
  },
  {
    name: "a kind of query that training did not have",
    keep: ({ category }, training) => !training || category === "maths",
  },
  {
    name: "long prompts",
    rows: 60,
    change: (row) => ({ ...row, query: `${row.query} ${"context ".repeat(2_000)}` }),
  },
  {
    name: "the same query again and again",
    change: (row) => ({ ...row, query: row.category ?? "" }),
  },
  {
    name: "a third of the outcomes missing",
    learnt: (row, random) =>
      withOutcomes(row, (_, one) => (random.next() < 0.33 ? undefined : one)),
  },
];

async function toTable(condition: Condition, training: boolean): Promise<Table> {
  const random = createRandom(training ? 8 : 9);
  const rows = makeRows(training ? (condition.rows ?? 240) : 240, training ? 1 : 2)
    .filter((row) => condition.keep?.(row, training) ?? true)
    .map((row) => condition.change?.(row, random) ?? row)
    .map((row) => (training && condition.learnt ? condition.learnt(row, random) : row));
  return readTable([{ rows: stream(rows), prices }], extractor, training ? "all" : "common");
}

async function trainOn(table: Table, strategy: string) {
  const parts = { embedder, kernels: createKernels };
  const { files } = await trainRouter(table, { strategy, seed: 1, ...parts });
  return loadRouter(files, { identity, ...parts });
}

/** AIQ of the fixed models that the training rows' hull has. */
function byTraining(router: TrainedRouter, { singles }: Evaluation): number {
  const known = router.labels.map((name, j) => ({
    name,
    cost: router.labelCostUsd[j] as number,
    quality: router.labelQuality[j] as number,
  }));
  const hull = toHull(known).map(({ name }) => name);
  return toStats(
    singles.filter(({ name }) => hull.includes(name)),
    singles,
  ).aiq;
}

/** What 240 judged rows cannot tell: two standard errors of a mean quality, about. */
const chance = 0.05;

test.each(conditions)("$name: no harm", async (condition) => {
  const train = await toTable(condition, true);
  const held = await toTable(condition, false);
  expect(train.labels.length).toBe(condition.models ?? 3);
  const router = await trainOn(train, "llmrouter-linear");
  const { evaluation } = await evaluate(router, held, { seed: 1, bootstrap: 2 });
  router.close();
  // With the results in hand one knows more than what training rows of one kind could teach.
  const { zeroRouter } = evaluation.baselines;
  const bar = condition.keep ? byTraining(router, evaluation) : zeroRouter.aiq;
  expect(evaluation.dialAiq).toBeGreaterThan(bar - chance);
  for (const { cost, quality } of evaluation.curve) {
    expect(cost).toBeGreaterThanOrEqual(0);
    expect(quality).toBeWithin(0, 1 + 1e-9);
  }
});

test("auto: scores that are noise do no harm", async () => {
  const noise = conditions.find(({ name }) => name === "scores that are noise") as Condition;
  const router = await trainOn(await toTable(noise, true), "auto");
  const { evaluation } = await evaluate(router, await toTable(noise, false), {
    seed: 1,
    bootstrap: 2,
  });
  router.close();
  expect(evaluation.dialAiq).toBeGreaterThan(evaluation.baselines.zeroRouter.aiq - chance);
});

test("neither costs, tokens nor prices: quality alone decides", async () => {
  const rows = makeRows(240, 1).map((row) => withOutcomes(row, (_, { score }) => ({ score })));
  const none: PriceList = new Map();
  const table = await readTable([{ rows: stream(rows), prices: none }], extractor, "all");
  const router = await trainOn(table, "auto");
  const candidates = router.labels.map((model, label) => ({ model, group: "g", label }));
  for (const { query } of makeRows(20, 3)) {
    for (const tradeoff of [0, 0.5, 1]) {
      const scores = await router.score({ text: query, tools: [] });
      const { chosen } = decide({
        router,
        scores,
        candidates,
        inputTokens: 10,
        dial: { tradeoff },
      });
      expect(router.labels).toContain(chosen);
      scores.quality.forEach((q) => {
        expect(q).toBeWithin(0, 1 + 1e-9);
      });
    }
  }
  router.close();
});
