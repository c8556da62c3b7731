/** Smallest and largest, with sizes, with prices alone, and with neither. */
import { expect, test } from "bun:test";
import type { Deployment, ModelFacts } from "../../domain/model.ts";
import { createRandom } from "../../std/random.ts";
import type { PickContext } from "./balancer.ts";
import { largestModel, smallestModel } from "./by-size.ts";

const context = {
  random: createRandom(1),
  stream: false,
  inputTokens: 0,
  latencyBuffer: 0,
} as PickContext;
const priced = (usd: number): ModelFacts => ({
  price: { inputUsdPerToken: usd, outputUsdPerToken: usd },
});

const cases: readonly (readonly [string, Readonly<Record<string, ModelFacts>>, string, string])[] =
  [
    ["sizes", { a: { sizeB: 8 }, b: { sizeB: 70 }, c: { sizeB: 3 } }, "c", "b"],
    [
      "sizes before prices",
      { a: { sizeB: 8, ...priced(9) }, b: { sizeB: 70, ...priced(1) } },
      "a",
      "b",
    ],
    ["an unknown size comes last", { a: priced(0), b: { sizeB: 70 } }, "b", "b"],
    ["prices where no size is known", { a: priced(3), b: priced(1), c: {} }, "b", "a"],
  ];
test.each(cases)("%s", (_name, facts, smallest, largest) => {
  const deployments = Object.entries(facts).map(
    ([id, known]) => ({ id, facts: known }) as Deployment,
  );
  expect(smallestModel.pick(deployments, context).id).toBe(smallest);
  expect(largestModel.pick(deployments, context).id).toBe(largest);
});

test("among equals each has its share, and the probabilities say so", () => {
  const deployments = ["a", "b", "c"].map(
    (id) => ({ id, facts: { sizeB: id === "c" ? 9 : 2 } }) as Deployment,
  );
  expect(smallestModel.probabilities?.(deployments)).toEqual([0.5, 0.5, 0]);
  const picked = new Set(
    Array.from({ length: 50 }, () => smallestModel.pick(deployments, context).id),
  );
  expect([...picked].sort()).toEqual(["a", "b"]);
  expect(largestModel.probabilities?.([deployments[0] as Deployment])).toEqual([1]);
});
