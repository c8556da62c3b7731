/** What many models' predictions share is believed, one model's lonely peak is not. */
import { expect, test } from "bun:test";
import { blendRow } from "../../routing/blend.ts";
import { createRandom, nextNormal } from "../../std/random.ts";
import { fitBlend, withFactor } from "./fit-blend.ts";

const n = 2000;
const m = 8;

/** Models differ along one direction (four gain where four lose); predictions add noise of their own. */
function makeRows(noise: number) {
  const random = createRandom(5);
  const table = new Float32Array(n * m).fill(0.5);
  const predicted = new Float32Array(n * m);
  const quality = new Float32Array(n * m);
  for (let row = 0; row < n; row++) {
    const kind = random.next() < 0.5 ? 0.1 : -0.1;
    for (let j = 0; j < m; j++) {
      const gain = j < m / 2 ? kind : -kind;
      predicted[row * m + j] = 0.5 + gain + noise * nextNormal(random);
      quality[row * m + j] = random.next() < 0.5 + gain ? 1 : 0;
    }
  }
  return { n, m, predicted, table, quality, weight: new Float32Array(n).fill(1) };
}

function squaredError(rows: ReturnType<typeof makeRows>, blend: Float32Array | undefined): number {
  const out = new Float32Array(n * m);
  let error = 0;
  for (let at = 0; at < n * m; at += m) {
    blendRow(blend, 1, { ...rows, out, at, tableAt: at });
  }
  out.forEach((q, at) => {
    error += (q - (rows.quality[at] as number)) ** 2 / out.length;
  });
  return error;
}

test("keeps the shared direction and lets the noise go", () => {
  const rows = makeRows(0.05);
  const blend = fitBlend(rows);
  expect(blend).toHaveLength(m * m);
  const out = new Float32Array(m);
  const table = new Float32Array(m).fill(0.5);
  const gainOf = (predicted: number[]) => {
    const target = { predicted: Float32Array.from(predicted), table, out, at: 0, tableAt: 0, m };
    blendRow(blend, 1, target);
    return [...out].map((q) => q - 0.5);
  };
  const shared = gainOf([0.6, 0.6, 0.6, 0.6, 0.4, 0.4, 0.4, 0.4]);
  expect(shared[0]).toBeGreaterThan(0.08);
  expect(shared[7]).toBeLessThan(-0.08);
  const lonely = gainOf([0.6, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5]);
  expect(lonely[0]).toBeLessThan(0.03);
  expect(squaredError(rows, blend)).toBeLessThan(squaredError(rows, undefined));
});

test("rows that it may not use have no say", () => {
  const rows = makeRows(0.05);
  const half = fitBlend(rows, (row) => row < n / 2);
  rows.quality.fill(0, (n * m) / 2);
  expect(fitBlend(rows, (row) => row < n / 2)).toEqual(half as Float32Array);
});

test.each([
  [
    "too few rows with every outcome",
    (rows: ReturnType<typeof makeRows>) => rows.quality.fill(Number.NaN, 59 * m),
  ],
  [
    "a single model",
    (rows: ReturnType<typeof makeRows>) => Object.assign(rows, { m: 1, n: n * m }),
  ],
])("%s: no blend", (_, change) => {
  const rows = makeRows(0.05);
  change(rows);
  expect(fitBlend(rows)).toBeUndefined();
});

test("a factor shrinks differences and leaves the level", () => {
  const blend = fitBlend(makeRows(0.05)) as Float32Array;
  const half = withFactor(blend, 0.5);
  const times = (b: Float32Array, v: readonly number[], row: number) =>
    v.reduce((sum, value, i) => sum + value * (b[row * m + i] as number), 0);
  const apart = [1, 1, 1, 1, -1, -1, -1, -1];
  expect(times(half, apart, 0)).toBeCloseTo(times(blend, apart, 0) / 2, 5);
  const level = new Array<number>(m).fill(1);
  expect(times(half, level, 0)).toBeCloseTo(times(blend, level, 0), 5);
});

test("a direction that predictions hardly vary in is not believed more than one that they vary in", () => {
  const rows = makeRows(0.05);
  // Along the second direction the outcomes follow by chance: what is predicted is a fifth of it.
  const random = createRandom(9);
  for (let row = 0; row < n; row++) {
    const side = random.next() < 0.5 ? 1 : -1;
    for (let j = 0; j < m; j++) {
      const sign = j % 2 === 0 ? side : -side;
      rows.predicted[row * m + j] = (rows.predicted[row * m + j] as number) + 0.02 * sign;
      rows.quality[row * m + j] = (rows.quality[row * m + j] as number) + 0.1 * sign;
    }
  }
  const blend = fitBlend(rows) as Float32Array;
  const belief = (v: readonly number[]) =>
    v.reduce(
      (sum, a, i) => sum + a * v.reduce((s, b, j) => s + b * (blend[i * m + j] as number), 0),
      0,
    ) / m;
  const leading = belief([1, 1, 1, 1, -1, -1, -1, -1]);
  const second = belief([1, -1, 1, -1, 1, -1, 1, -1]);
  expect(second).toBeGreaterThan(0.5);
  expect(second).toBeLessThanOrEqual(leading + 0.05);
});
