/** Online learning by example: what is learnt, how sure, and what fades. */
import { describe, expect, test } from "bun:test";
import { correct, onlineInputs, toInputs } from "../../routing/online.ts";
import type { QueryScores } from "../../routing/trained-router.ts";
import { createRandom, nextNormal } from "../../std/random.ts";
import { createOnlineRegression, invert, onlineRules } from "./online-regression.ts";

const random = createRandom(1);
const anyX = () => Float32Array.from({ length: 40 }, () => nextNormal(random) / Math.sqrt(40));

const scoresOf = (quality: number[], x: Float32Array): QueryScores =>
  ({
    x,
    quality: Float32Array.from(quality),
    uncertainty: new Float32Array(quality.length),
  }) as unknown as QueryScores;

test("a matrix times its inverse is the identity", () => {
  const n = 6;
  const root = Float64Array.from({ length: n * n }, () => nextNormal(random));
  const matrix = new Float64Array(n * n);
  for (let i = 0; i < n; i++) {
    for (let j = 0; j < n; j++) {
      for (let k = 0; k < n; k++) {
        matrix[i * n + j] =
          (matrix[i * n + j] ?? 0) + (root[i * n + k] ?? 0) * (root[j * n + k] ?? 0);
      }
      if (i === j) matrix[i * n + j] = (matrix[i * n + j] ?? 0) + 1;
    }
  }
  const inverse = invert(matrix, n);
  for (let i = 0; i < n; i++) {
    for (let j = 0; j < n; j++) {
      let sum = 0;
      for (let k = 0; k < n; k++) sum += (matrix[i * n + k] ?? 0) * (inverse[k * n + j] ?? 0);
      expect(sum).toBeCloseTo(i === j ? 1 : 0, 9);
    }
  }
});

describe("a correction", () => {
  test("is nothing before anything was learnt, and says how unsure it is", () => {
    const { mean, covariance } = createOnlineRegression(2).posterior();
    const x = anyX();
    const corrected = correct(scoresOf([0.4, 0.6], x), toInputs(x), { mean, covariance });
    expect([...corrected.quality].map((q) => q.toFixed(6))).toEqual(["0.400000", "0.600000"]);
    let variance = onlineRules.priorConstant ** 2;
    for (const value of x.subarray(0, onlineInputs - 1)) {
      variance += (onlineRules.priorWeight * value) ** 2;
    }
    expect(corrected.uncertainty[0]).toBeCloseTo(Math.sqrt(variance), 5);
  });

  test("finds what a router has missed, of the model that it is about alone", () => {
    const regression = createOnlineRegression(2);
    // Model 0 is worse than predicted by 0.2, and better where the first direction is positive.
    const truth = (x: Float32Array) => -0.2 + 0.4 * (x[0] ?? 0);
    for (let i = 0; i < 3000; i++) {
      const x = anyX();
      regression.learn(0, toInputs(x), truth(x) + 0.4 * nextNormal(random));
    }
    const posterior = regression.posterior();
    let error = 0;
    for (let i = 0; i < 200; i++) {
      const x = anyX();
      const { quality, uncertainty } = correct(scoresOf([0.5, 0.5], x), toInputs(x), posterior);
      error += Math.abs((quality[0] ?? 0) - 0.5 - truth(x)) / 200;
      expect(quality[1]).toBeCloseTo(0.5, 6);
      expect(uncertainty[0]).toBeLessThan((uncertainty[1] ?? 0) / 2);
    }
    expect(error).toBeLessThan(0.03);
  });

  test("is learnt anew when a model changes: old outcomes fade", () => {
    const regression = createOnlineRegression(1, undefined, { ...onlineRules, memory: 500 });
    const x = anyX();
    for (let i = 0; i < 3000; i++) regression.learn(0, toInputs(x), 0.2);
    for (let i = 0; i < 2000; i++) regression.learn(0, toInputs(x), -0.2);
    const { quality } = correct(scoresOf([0.5], x), toInputs(x), regression.posterior());
    expect(quality[0]).toBeCloseTo(0.3, 1);
  });

  test("stays within what a quality can be", () => {
    const regression = createOnlineRegression(1);
    const x = anyX();
    for (let i = 0; i < 500; i++) regression.learn(0, toInputs(x), 0.9);
    const { quality } = correct(scoresOf([0.8], x), toInputs(x), regression.posterior());
    expect(quality[0]).toBe(1);
  });
});
