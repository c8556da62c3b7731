/** Which two models HybridLLM routes between, and who decides. */
import { describe, expect, test } from "bun:test";
import { Value } from "@sinclair/typebox/value";
import { createScalarKernels } from "../../kernels/scalar.ts";
import { createRandom, nextNormal } from "../../std/random.ts";
import { hybrid } from "./hybrid.ts";
import type { Examples } from "./strategy.ts";

const d = 16;

/** The small model answers where the first feature is positive; the large one nearly always. */
function makeExamples(changes: Partial<Examples> = {}): Examples {
  const random = createRandom(2);
  const n = 400;
  const x = Float32Array.from({ length: n * d }, () => nextNormal(random) / 4);
  const quality = Float32Array.from({ length: n * 3 }, (_, at) => {
    const easy = (x[Math.floor(at / 3) * d] ?? 0) > 0;
    const share = [easy ? 0.95 : 0.1, 0.5, 0.9][at % 3] ?? 0;
    return Number(random.next() < share);
  });
  return {
    models: ["small", "middle", "large"],
    x,
    n,
    d,
    quality,
    weight: new Float32Array(n).fill(1),
    group: Int32Array.from({ length: n }, (_, row) => row),
    sizeB: Float32Array.of(7, 30, 400),
    priceUsdPerMtok: new Float32Array(3).fill(Number.NaN),
    ...changes,
  };
}

const unknown = new Float32Array(3).fill(Number.NaN);

async function train(options: object, examples = makeExamples()) {
  const filled = Value.Default(hybrid.options, { ...options });
  const fitted = await hybrid.fit(examples, filled as never, {
    random: createRandom(1),
    kernels: createScalarKernels,
    progress: () => undefined,
  });
  const scorer = await hybrid.load(fitted, { d, m: 3 }, createScalarKernels);
  const ask = async (first: number) => {
    const x = new Float32Array(d);
    x[0] = first;
    return Array.from((await scorer.score(x)).quality);
  };
  return { scorer, easy: await ask(0.5), hard: await ask(-0.5) };
}

test.each(["deterministic", "probabilistic", "transformed"])("%s targets", async (router_mode) => {
  const { easy, hard, scorer } = await train({ router_mode });
  expect(scorer.constant).toBe(false);
  const gap = ([small = 0, , large = 0]: number[]) => small - large;
  expect(gap(easy)).toBeGreaterThan(-0.2);
  expect(gap(hard)).toBeLessThan(-0.4);
  // The third model keeps its mean.
  expect(easy[1]).toBeCloseTo(hard[1] ?? 0, 6);
});

test("a threshold decides by itself", async () => {
  const { easy, hard, scorer } = await train({ router_threshold: 0.3 });
  expect(scorer.constant).toBe(true);
  const choice = (quality: number[]) => quality.indexOf(Math.max(...quality));
  expect([choice(easy), choice(hard)]).toEqual([0, 2]);
});

describe("the two", () => {
  test.each([
    ["prices, where no size is known", {}, { priceUsdPerMtok: Float32Array.of(0.1, 1, 9) }],
    ["names", { small: "small", large: "large" }, {}],
    ["one name, the other by size", { small: "small" }, { sizeB: Float32Array.of(7, 30, 400) }],
  ])("by %s", async (_, options, known) => {
    const { easy, hard } = await train(options, makeExamples({ sizeB: unknown, ...known }));
    expect((easy[0] ?? 0) - (hard[0] ?? 0)).toBeGreaterThan(0.3);
  });

  test.each([
    ["nothing tells", {}, /--option small=NAME --option large=NAME/],
    ["a name is wrong", { small: "smal" }, /There are: small, middle, large/],
    ["both are one", { small: "small", large: "small" }, /nothing tells which/],
  ])("refused where %s", async (_, options, message) => {
    await expect(train(options, makeExamples({ sizeB: unknown }))).rejects.toThrow(message);
  });
});
