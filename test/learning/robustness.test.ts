/** Robustness of routers: one that ignores the query never flips, one that reads its letters does. */
import { expect, test } from "bun:test";
import { createFeatureExtractor } from "../../src/embedding/features.ts";
import { createStaticEmbedder } from "../../src/embedding/static.ts";
import { createKernels } from "../../src/kernels/create.ts";
import { measureRobustness } from "../../src/learning/robustness/measure.ts";
import { toRobustnessJson, toRobustnessLine } from "../../src/learning/robustness/report.ts";
import { createRowSample } from "../../src/learning/robustness/sample.ts";
import { readTable } from "../../src/learning/table.ts";
import { trainRouter } from "../../src/learning/train.ts";
import { loadRouter } from "../../src/routing/load-router.ts";
import { makeRows, prices, stream } from "../support/routing-data.ts";

const embedder = createStaticEmbedder();
const extractor = createFeatureExtractor(embedder);

async function measure(strategy: string, withText = true) {
  const sample = createRowSample(40, 1);
  const rows = sample.watch(stream(makeRows(300, 1)));
  const table = await readTable([{ rows, prices }], extractor, "all");
  const parts = { embedder, kernels: createKernels };
  const trained = await trainRouter(table, { strategy, seed: 1, ...parts });
  const identity = { name: "router", version: 0, sha256: "" };
  const router = await loadRouter(trained.files, { identity, ...parts });
  return measureRobustness(router, withText ? sample.rows : [], extractor);
}

test("a fixed model never flips", async () => {
  const found = await measure("llmrouter-largest");
  expect(found).toMatchObject({ queries: 40, own: false, score: 1, translated: 0 });
  expect(found.kinds.typos).toEqual({ flips: 0, qualityLost: 0 });
});

test("a learned router flips a little, and what that costs is told", async () => {
  const found = await measure("llmrouter-linear");
  expect(found.score).toBeGreaterThan(0.5);
  expect(found.score).toBeLessThan(1);
  expect(Object.keys(found.kinds)).toEqual(["typos", "case", "padding", "paraphrase", "language"]);
  expect(toRobustnessLine(found)).toContain("40 queries");
  expect(JSON.stringify(toRobustnessJson(found))).not.toMatch(/:\d*\.\d/); // no fractions
});

test("without text, our own phrases stand in", async () => {
  const found = await measure("llmrouter-linear", false);
  expect(found).toMatchObject({ queries: 12, own: true });
  expect(found.kinds.case.qualityLost).toBeNaN();
});

test("a sample has every row at the same chance, and no more than its limit", async () => {
  const sample = createRowSample(10, 4);
  const rows = makeRows(200, 3);
  let count = 0;
  for await (const _row of sample.watch(stream(rows))) count++;
  expect([count, sample.rows.length]).toEqual([200, 10]);
  expect(new Set(sample.rows.map(({ id }) => id)).size).toBe(10);
  expect(sample.rows.some(({ id }) => Number(id.split("/")[1]) > 100)).toBe(true);
});
