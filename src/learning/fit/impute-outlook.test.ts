/** Costs of a model that was seen on few rows follow the others'. */
import { expect, test } from "bun:test";
import { createRandom } from "../../std/random.ts";
import type { Table } from "../table.ts";
import { imputePositive } from "./impute-outlook.ts";

const n = 400;
const labels = ["a", "b", "new"];
const random = createRandom(3);
/** Long and short queries; the new model costs three times the others' mean, with noise. */
const whole = Float64Array.from({ length: n * 3 }, () => 0);
for (let row = 0; row < n; row++) {
  const length = Math.exp(4 * random.next());
  const noise = () => Math.exp(0.3 * (random.next() - 0.5));
  whole.set([length * noise(), 2 * length * noise(), 3 * Math.SQRT2 * length * noise()], row * 3);
}
const table = { n, labels } as unknown as Table;
const hide = (known: number) => whole.map((v, at) => (at % 3 === 2 && at / 3 > known ? NaN : v));

test("each gap is near what it would have been, and the mean is the mean", () => {
  const filled = imputePositive(hide(40), table);
  let real = 0;
  let reckoned = 0;
  for (let row = 41; row < n; row++) {
    const [own, guess] = [whole[row * 3 + 2] as number, filled[row * 3 + 2] as number];
    expect(Math.abs(Math.log(guess / own))).toBeLessThan(0.4);
    real += own;
    reckoned += guess;
  }
  expect(reckoned / real).toBeCloseTo(1, 1);
});

test("what was seen stays; of a handful of rows, or where nobody saw all, nothing is reckoned", () => {
  const filled = imputePositive(hide(40), table);
  expect(filled.slice(0, 60)).toEqual(whole.slice(0, 60));
  const few = hide(5);
  expect(imputePositive(few, table)).toBe(few);
  const gaps = whole.map((v, at) => (at % 7 === 0 ? NaN : v));
  expect(imputePositive(gaps, table)).toBe(gaps);
});
