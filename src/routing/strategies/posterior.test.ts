/** The posterior against closed forms, and its uncertainty against how far off it really is. */
import { expect, test } from "bun:test";
import { createKernels } from "../../kernels/create.ts";
import { createRandom, nextInt, nextNormal } from "../../std/random.ts";
import { fitPosterior, loadPosterior } from "./posterior.ts";
import type { Examples } from "./strategy.ts";

const [d, m] = [8, 3];
const truth = (x: Float32Array, j: number) =>
  0.5 + 0.1 * j + 0.2 * (x[j] ?? 0) - 0.1 * (x[j + 1] ?? 0);

function makeExamples(n: number, seed: number, complete: boolean): Examples {
  const random = createRandom(seed);
  const x = Float32Array.from({ length: n * d }, () => nextNormal(random));
  const quality = new Float32Array(n * m).fill(Number.NaN);
  for (let row = 0; row < n; row++) {
    const only = nextInt(random, m);
    for (let j = 0; j < m; j++) {
      if (!complete && j !== only) continue;
      const value = truth(x.subarray(row * d, (row + 1) * d), j);
      quality[row * m + j] = value + 0.1 * nextNormal(random);
    }
  }
  return {
    models: ["a", "b", "c"],
    x,
    n,
    d,
    quality,
    weight: new Float32Array(n).fill(1),
    group: Int32Array.from({ length: n }, (_, row) => row),
    sizeB: new Float32Array(m),
    priceUsdPerMtok: new Float32Array(m),
  };
}

function estimator(examples: Examples, lambda = 1) {
  const fitted = fitPosterior(examples, { lambda }, () => undefined);
  return loadPosterior(fitted, { d, m }, createKernels);
}

test.each([true, false])("the interval holds what it says (complete rows: %p)", (complete) => {
  const random = createRandom(77);
  let inside = 0;
  let asked = 0;
  for (let round = 0; round < 20; round++) {
    const estimate = estimator(makeExamples(90, 100 + round, complete));
    for (let i = 0; i < 20; i++) {
      const x = Float32Array.from({ length: d }, () => nextNormal(random));
      const { mean, deviation } = estimate(x);
      for (let j = 0; j < m; j++) {
        asked++;
        const off = Math.abs((mean[j] ?? 0) - truth(x, j));
        if (off < 1.96 * (deviation[j] ?? 0)) inside++;
      }
    }
  }
  expect(inside / asked).toBeGreaterThan(0.9);
  expect(inside / asked).toBeLessThan(1);
});

test("more rows, less uncertainty: as one over the root", () => {
  const x = new Float32Array(d).fill(0.5);
  const small = estimator(makeExamples(200, 1, true))(x).deviation[0] ?? 0;
  const large = estimator(makeExamples(3200, 1, true))(x).deviation[0] ?? 0;
  expect(small / large).toBeGreaterThan(3);
  expect(small / large).toBeLessThan(5.5);
});

test("a model that was never seen is as good as all, and quite unsure", () => {
  const examples = makeExamples(300, 4, true);
  const quality = examples.quality.map((q, at) => (at % m === 2 ? Number.NaN : q));
  const { mean, deviation } = estimator({ ...examples, quality })(new Float32Array(d));
  expect(mean[2]).toBeCloseTo(((mean[0] ?? 0) + (mean[1] ?? 0)) / 2, 1);
  expect(deviation[2]).toBeGreaterThan(5 * (deviation[0] ?? 1));
});
