/** Estimated outcomes of a log are right on average, whatever policy they judge. */
import { expect, test } from "bun:test";
import { createRandom } from "../../std/random.ts";
import { fillOutcomes, widening } from "./logged-outcomes.ts";

const n = 20_000;
const m = 3;

/** Each query's true worth per model; the log asks model 0 for most, the others seldom. */
function makeLog() {
  const random = createRandom(5);
  const truth = new Float32Array(n * m);
  const quality = new Float32Array(n * m).fill(Number.NaN);
  const weight = new Float32Array(n);
  const asked = [0.8, 0.15, 0.05];
  for (let row = 0; row < n; row++) {
    const kind = row % 2;
    for (let j = 0; j < m; j++) truth[row * m + j] = j === 0 ? 0.5 : kind === j - 1 ? 0.9 : 0.1;
    const draw = random.next();
    const model = draw < 0.8 ? 0 : draw < 0.95 ? 1 : 2;
    quality[row * m + model] = random.next() < (truth[row * m + model] as number) ? 1 : 0;
    weight[row] = 1 / (asked[model] as number);
  }
  return { truth, quality, weight };
}

test("a policy is worth by them what it is worth in truth", () => {
  const { truth, quality, weight } = makeLog();
  const costUsd = new Float64Array(n * m).fill(Number.NaN);
  const filled = fillOutcomes({
    outcomes: { n, m, quality, costUsd },
    weight,
    table: new Float32Array(n * m).fill(0.5),
    costs: new Float32Array(n * m).fill(0.001),
  });
  const worth = (values: Float32Array, policy: (row: number) => number) => {
    let sum = 0;
    for (let row = 0; row < n; row++) sum += (values[row * m + policy(row)] as number) / n;
    return sum;
  };
  const policies = [() => 0, () => 1, () => 2, (row: number) => 1 + (row % 2)];
  for (const policy of policies) {
    expect(Math.abs(worth(filled.quality, policy) - worth(truth, policy))).toBeLessThan(0.04);
  }
  expect(filled.costUsd.every((cost) => Math.abs(cost - 0.001) < 1e-9)).toBe(true);
});

test("a row that stands for many calls counts as their mean", () => {
  const outcomes = {
    n: 1,
    m: 2,
    quality: Float32Array.of(0.75, Number.NaN),
    costUsd: Float64Array.of(0.002, Number.NaN),
    mass: Float32Array.of(10),
  };
  const weight = Float32Array.of(20);
  const table = Float32Array.of(0.5, 0.25);
  const filled = fillOutcomes({ outcomes, weight, table, costs: Float32Array.of(1, 1) });
  expect([...filled.quality]).toEqual([0.5 + 2 * 0.25, 0.25]);
  expect(widening(outcomes, weight)).toBeCloseTo(Math.SQRT2, 6);
});
