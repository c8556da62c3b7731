/** Against sums of the distribution itself, and against published bounds. */
import { expect, test } from "bun:test";
import { binomialCdf, clopperPearsonUpper, logGamma } from "./binomial.ts";

function summed(k: number, n: number, p: number): number {
  let sum = 0;
  for (let i = 0; i <= k; i++) {
    const ways = logGamma(n + 1) - logGamma(i + 1) - logGamma(n - i + 1);
    sum += Math.exp(ways + i * Math.log(p) + (n - i) * Math.log1p(-p));
  }
  return sum;
}

test.each([
  [0, 10, 0.3],
  [3, 10, 0.3],
  [9, 10, 0.95],
  [40, 1000, 0.05],
  [70, 1000, 0.05],
  [5000, 10_000, 0.5],
])("P(X ≤ %d) of %d at %d", (k, n, p) => {
  expect(binomialCdf(k, n, p)).toBeCloseTo(summed(k, n, p), 10);
});

test("beyond its ends", () => {
  expect([
    binomialCdf(-1, 5, 0.5),
    binomialCdf(5, 5, 0.5),
    binomialCdf(2, 5, 0),
    binomialCdf(2, 5, 1),
  ]).toEqual([0, 1, 1, 0]);
});

// The rule of three, and R's binom.test(k, n, alternative = "less").
test.each([
  [0, 100, 0.95, 0.029513],
  [0, 10, 0.95, 0.258866],
  [5, 100, 0.95, 0.102253],
  [10, 10, 0.95, 1],
])("at most so much, with %d of %d at %d", (k, n, confidence, bound) => {
  expect(clopperPearsonUpper(k, n, confidence)).toBeCloseTo(bound, 5);
});

test.each([
  [1, 0],
  [5, Math.log(24)],
  [0.5, Math.log(Math.sqrt(Math.PI))],
  [101, 363.739375555563],
])("ln Γ(%d)", (x, value) => {
  expect(logGamma(x)).toBeCloseTo(value, 9);
});
