/**
 * Logged calls beside a shadow set. A call in the log tells what one model did; a shadow row, what every
 * model did on the same query. Learnt from as they are, the two disagree: a model with thousands of
 * logged calls is fitted closely to how hard each query is, the others on the shadow rows alone only
 * loosely, so that the first looks better than them on easy queries and worse on hard ones. So what the
 * others would have done on a logged query is reckoned from its features and from the score that was
 * seen, by ridge regression on the shadow rows, and every strategy learns from whole rows.
 * Source: control variates by regression, as in the missing-data literature (Little & Rubin,
 * "Statistical Analysis with Missing Data", ch. 2).
 */
import { assignFolds } from "../../routing/strategies/examples.ts";
import { fitRidgeByFolds, type Linear } from "../../routing/strategies/ridge.ts";
import type { Table } from "../table.ts";

/** Whole rows below which nothing is reckoned from them. */
const leastWhole = 100;
const triedPenalties = [3, 10, 30, 100, 300];
/** On the score that was seen: it tells more than any one feature. */
const seenPenalty = 0.05;
const folds = 4;

/** x: n×d */
interface Features {
  readonly x: Float32Array;
  readonly d: number;
}

type Rows = Pick<Table, "n" | "labels" | "quality" | "weight" | "group">;

/**
 * n×m: the qualities with the gaps of single outcomes filled; the same array where there are none, or
 * too few whole rows. `x` is n×d.
 * Cost: a ridge regression of d + 1 columns per model that was seen alone, on the whole rows.
 */
export function fillLogged(rows: Rows, { x, d }: Features): Float32Array {
  const { n, labels, quality } = rows;
  const m = labels.length;
  const whole: number[] = [];
  const alone = new Map<number, number[]>();
  for (let row = 0; row < n; row++) {
    const seen = labels.flatMap((_, j) => (Number.isNaN(quality[row * m + j]) ? [] : [j]));
    if (seen.length === m) whole.push(row);
    const [j] = seen;
    if (seen.length === 1 && j !== undefined) alone.set(j, [...(alone.get(j) ?? []), row]);
  }
  if (whole.length < leastWhole || alone.size === 0) return quality;
  const out = quality.slice();
  for (const [j, logged] of alone) {
    const { w, bias } = fitBeside(rows, whole, { x, d }, j);
    for (const row of logged) {
      for (let k = 0; k < m; k++) {
        if (k === j) continue;
        let value = bias[k] as number;
        const at = k * (d + 1);
        for (let i = 0; i < d; i++) value += (w[at + i] as number) * (x[row * d + i] as number);
        value += (w[at + d] as number) * (quality[row * m + j] as number);
        out[row * m + k] = Math.max(0, Math.min(1, value));
      }
    }
  }
  return out;
}

/** Every model's quality on the whole rows, by their features and what model `j` did there. */
function fitBeside(
  { labels, quality, weight, group }: Rows,
  whole: readonly number[],
  { x, d }: Features,
  j: number,
): Linear {
  const m = labels.length;
  const wide = new Float32Array(whole.length * (d + 1));
  const y = new Float32Array(whole.length * m);
  whole.forEach((row, at) => {
    wide.set(x.subarray(row * d, (row + 1) * d), at * (d + 1));
    wide[at * (d + 1) + d] = quality[row * m + j] as number;
    y.set(quality.subarray(row * m, (row + 1) * m), at * m);
  });
  const penalty = new Float32Array(d + 1).fill(1);
  penalty[d] = seenPenalty;
  return fitRidgeByFolds(
    {
      x: wide,
      y,
      n: whole.length,
      d: d + 1,
      m,
      weight: Float32Array.from(whole, (row) => weight[row] as number),
      penalty,
    },
    triedPenalties,
    assignFolds(
      Int32Array.from(whole, (row) => group[row] as number),
      folds,
    ),
    folds,
  );
}
