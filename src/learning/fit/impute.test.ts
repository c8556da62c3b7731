/** A model that few rows know is reckoned from those that all rows know. */
import { expect, test } from "bun:test";
import { createKernels } from "../../kernels/create.ts";
import { createRandom } from "../../std/random.ts";
import { imputeQuality } from "./impute.ts";

const n = 600;

/** c is like a, and unlike b; it is known on the first `labels` rows. */
function makeRows(labels: number) {
  const random = createRandom(4);
  const quality = new Float32Array(n * 3);
  const truth = new Float32Array(n);
  for (let row = 0; row < n; row++) {
    const a = random.next() < 0.5 ? 1 : 0;
    const b = random.next() < 0.5 ? 1 : 0;
    truth[row] = random.next() < 0.9 ? a : 1 - a;
    quality.set([a, b, row < labels ? (truth[row] as number) : Number.NaN], row * 3);
  }
  return {
    rows: { n, labels: ["a", "b", "c"], quality, weight: new Float32Array(n).fill(1) },
    truth,
  };
}

test("the gaps are filled by likeness, and what was seen stays", () => {
  const { rows, truth } = makeRows(200);
  const filled = imputeQuality(rows);
  let right = 0;
  for (let row = 200; row < n; row++) {
    const q = filled[row * 3 + 2] as number;
    expect(q).toBeWithin(0, 1.0001);
    if (q > 0.5 === (truth[row] as number) > 0.5) right++;
  }
  expect(right / 400).toBeGreaterThan(0.85);
  for (let row = 0; row < 200; row++) expect(filled[row * 3 + 2]).toBe(rows.quality[row * 3 + 2]);
});

test("what is reckoned of a model that few rows know is taken for a little less", () => {
  const meanOf = (labels: number) => {
    const filled = imputeQuality(makeRows(labels).rows);
    const truth = makeRows(labels).truth;
    let gap = 0;
    for (let row = 200; row < n; row++) {
      gap += ((filled[row * 3 + 2] as number) - (truth[row] as number)) / (n - 200);
    }
    return gap;
  };
  expect(meanOf(200)).toBeWithin(-0.08, 0.02);
});

test("too few labels fill nothing, and logs of single choices stay as they are", () => {
  expect(imputeQuality(makeRows(20).rows)[n * 3 - 1]).toBeNaN();
  const { rows } = makeRows(200);
  rows.quality.forEach((_, at) => {
    if (at % 3 !== Math.floor(at / 3) % 3) rows.quality[at] = Number.NaN;
  });
  expect(imputeQuality(rows)).toBe(rows.quality);
});

test("a kind of query that the others say nothing of is known by its own labels", () => {
  const random = createRandom(5);
  const x = new Float32Array(n * 2);
  const quality = new Float32Array(n * 3);
  // Of the second kind c answers nothing, whatever a and b do.
  const isSecond = (row: number) => row % 2 === 1;
  for (let row = 0; row < n; row++) {
    x.set(isSecond(row) ? [0, 1] : [1, 0], row * 2);
    const a = random.next() < 0.5 ? 1 : 0;
    const b = random.next() < 0.5 ? 1 : 0;
    quality.set([a, b, row >= 200 ? Number.NaN : isSecond(row) ? 0 : 1], row * 3);
  }
  const rows = { n, labels: ["a", "b", "c"], quality, weight: new Float32Array(n).fill(1) };
  const filled = imputeQuality(rows, { x, d: 2, random: createRandom(1), kernels: createKernels });
  const meanOf = (of: (row: number) => boolean) => {
    let sum = 0;
    for (let row = 200; row < n; row++) if (of(row)) sum += filled[row * 3 + 2] as number;
    return sum / 200;
  };
  expect(meanOf((row) => !isSecond(row))).toBeGreaterThan(0.85);
  expect(meanOf(isSecond)).toBeLessThan(0.15);
});
