/** Logged calls beside a shadow set: what the others would have done is reckoned from both. */
import { expect, test } from "bun:test";
import { createRandom } from "../../std/random.ts";
import { fillLogged } from "./fill-log.ts";

const n = 900;

/** b answers where x > 0 and a did; c whatever it is asked, half the time. Model a answers the log. */
function makeRows(whole: number) {
  const random = createRandom(7);
  const quality = new Float32Array(n * 3);
  const truth = new Float32Array(n);
  const x = new Float32Array(n * 2);
  for (let row = 0; row < n; row++) {
    x[row * 2] = random.next() * 2 - 1;
    const a = random.next() < 0.5 ? 1 : 0;
    const b = (x[row * 2] as number) > 0 && a === 1 ? 1 : 0;
    truth[row] = b;
    const known = row < whole;
    quality.set([a, known ? b : Number.NaN, known && random.next() < 0.5 ? 1 : 0], row * 3);
    if (!known) quality[row * 3 + 2] = Number.NaN;
  }
  const weight = new Float32Array(n).fill(1);
  const group = Int32Array.from({ length: n }, (_, row) => row);
  return {
    rows: { n, labels: ["a", "b", "c"], quality, weight, group },
    features: { x, d: 2 },
    truth,
  };
}

test("the gaps are filled by the query and by the score that was seen; what was seen stays", () => {
  const { rows, features, truth } = makeRows(300);
  const filled = fillLogged(rows, features);
  let error = 0;
  for (let row = 300; row < n; row++) {
    const q = filled[row * 3 + 1] as number;
    expect(q).toBeWithin(0, 1.0001);
    error += (q - (truth[row] as number)) ** 2 / (n - 300);
    expect(filled[row * 3]).toBe(rows.quality[row * 3]);
  }
  // Its variance is .19; a linear function of both explains most of it.
  expect(error).toBeLessThan(0.1);
  expect(filled.subarray(0, 900)).toEqual(rows.quality.subarray(0, 900));
});

test("too few whole rows, or none of a single model, leave all as it was", () => {
  const few = makeRows(60);
  expect(fillLogged(few.rows, few.features)).toBe(few.rows.quality);
  const all = makeRows(n);
  expect(fillLogged(all.rows, all.features)).toBe(all.rows.quality);
});
