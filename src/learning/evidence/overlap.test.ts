/** Rows that teach and rows that judge: the same query is found, whatever its row is called. */
import { expect, test } from "bun:test";
import { createFeatureExtractor } from "../../embedding/features.ts";
import { createStaticEmbedder } from "../../embedding/static.ts";
import { findOverlap } from "./overlap.ts";

const { extract } = createFeatureExtractor(createStaticEmbedder());

async function rows(texts: readonly string[]) {
  const features = await Promise.all(texts.map(async (text) => extract({ text, tools: [] })));
  return { features, ids: texts.map((_, at) => `row-${at}`) };
}

test("a query that taught is found among those that judge; one of its words in another order is not", async () => {
  const taught = await rows(["sum 3 and 4", "write a poem on rain", "what is a monad?"]);
  const judging = await rows(["a poem on rain, write", "sum 3 and 4", "sum 3 and 5"]);
  expect(findOverlap(taught, judging)).toEqual({ rows: new Set([1]), ids: ["row-1"] });
  expect(findOverlap(taught, await rows(["something else"]))).toBeUndefined();
});
