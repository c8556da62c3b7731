/** A model that few rows know is reckoned from those that all rows know. */
import { expect, test } from "bun:test";
import { createRandom } from "../std/random.ts";
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
