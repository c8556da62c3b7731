/**
 * The direct method's model: the reward of each model for each call, learnt from logged calls in
 * which one model answered. Cross-fitted: a call's prediction comes from folds without its session.
 * Three parts, each a ridge regression on what the one before left over: each model's mean, what all
 * models find hard alike, and what a model finds harder than the others do. Rare models have little
 * of the third, so that thirty calls do not pretend to know a hundred weights.
 */
import { cholesky, gram, solveCholesky } from "../../std/matrix.ts";
import type { LoggedRows } from "./estimators.ts";

const folds = 5;
/** Penalties that are tried, of the shared part; the own part has twice as much. */
const triedPenalties = [1, 6, 30, 150];
/** Calls of the overall mean that a model's own mean is drawn to. */
const priorCalls = 10;

/**
 * n×m predictions, within the range of the rewards. The penalty is the one of least squared error on
 * the calls that the predicting fit had not seen.
 * @param x n×d, of about unit length. Cost: n·d² + penalties·folds·m·d³/3.
 */
export function predictRewards(rows: LoggedRows, x: Float32Array, d: number): Float64Array {
  const { n, m, session, action, reward } = rows;
  const foldOf = Int8Array.from(session, (id) => id % folds);
  const grams = gramsOf(rows, x, d, foldOf);
  const range = rangeOf(reward);
  let best = new Float64Array(n * m);
  let least = Number.POSITIVE_INFINITY;
  for (const penalty of triedPenalties) {
    const predicted = new Float64Array(n * m);
    for (let fold = 0; fold < folds; fold++) {
      const fitted = fit(rows, x, d, penalty, { foldOf, without: fold, grams });
      for (let row = 0; row < n; row++) {
        if (foldOf[row] === fold) predictRow(fitted, x, row, { d, m, range }, predicted);
      }
    }
    let error = 0;
    for (let row = 0; row < n; row++) {
      const expected = predicted[row * m + (action[row] as number)] as number;
      error += ((reward[row] as number) - expected) ** 2;
    }
    if (error >= least) continue;
    least = error;
    best = predicted;
  }
  return best;
}

interface Fitted {
  readonly mean: Float64Array;
  readonly shared: Float64Array;
  /** m×d. */
  readonly own: Float64Array;
}

interface Split {
  readonly foldOf: Int8Array;
  readonly without: number;
  /** By fold and model: XᵀX. */
  readonly grams: readonly (readonly Float64Array[])[];
}

function gramsOf(
  { n, m, action }: LoggedRows,
  x: Float32Array,
  d: number,
  foldOf: Int8Array,
): Float64Array[][] {
  return Array.from({ length: folds }, (_, fold) =>
    Array.from({ length: m }, (_, j) => {
      const rows: number[] = [];
      for (let row = 0; row < n; row++) {
        if (foldOf[row] === fold && action[row] === j) rows.push(row);
      }
      const taken = new Float32Array(rows.length * d);
      rows.forEach((row, to) => {
        taken.set(x.subarray(row * d, (row + 1) * d), to * d);
      });
      return gram(taken, rows.length, d);
    }),
  );
}

function fit(
  rows: LoggedRows,
  x: Float32Array,
  d: number,
  penalty: number,
  { foldOf, without, grams }: Split,
): Fitted {
  const { n, m, action, reward } = rows;
  const kept: number[] = [];
  for (let row = 0; row < n; row++) if (foldOf[row] !== without) kept.push(row);
  const mean = toMeans(rows, kept);
  const left = new Float64Array(n);
  for (const row of kept) {
    left[row] = (reward[row] as number) - (mean[action[row] as number] as number);
  }
  const perModel = Array.from({ length: m }, (_, j) =>
    sumOf(
      grams.flatMap((ofFold, fold) => (fold === without ? [] : [ofFold[j] as Float64Array])),
      d,
    ),
  );
  const shared = solveRidge(sumOf(perModel, d), x, left, kept, { d, penalty });
  for (const row of kept) left[row] = (left[row] as number) - dot(x, row, d, shared, 0);
  const own = new Float64Array(m * d);
  for (let j = 0; j < m; j++) {
    const mine = kept.filter((row) => action[row] === j);
    if (mine.length === 0) continue;
    const ofModel = { d, penalty: 2 * penalty };
    own.set(solveRidge(perModel[j] as Float64Array, x, left, mine, ofModel), j * d);
  }
  return { mean, shared, own };
}

function toMeans({ m, action, reward }: LoggedRows, kept: readonly number[]) {
  const sum = new Float64Array(m);
  const count = new Float64Array(m);
  let total = 0;
  for (const row of kept) {
    const j = action[row] as number;
    sum[j] = (sum[j] as number) + (reward[row] as number);
    count[j] = (count[j] as number) + 1;
    total += reward[row] as number;
  }
  const overall = total / Math.max(1, kept.length);
  return sum.map(
    (value, j) => (value + priorCalls * overall) / ((count[j] as number) + priorCalls),
  );
}

function solveRidge(
  xx: Float64Array,
  x: Float32Array,
  y: Float64Array,
  rows: readonly number[],
  { d, penalty }: { readonly d: number; readonly penalty: number },
): Float64Array {
  const a = Float64Array.from(xx);
  for (let i = 0; i < d; i++) a[i * d + i] = (a[i * d + i] as number) + penalty;
  const b = new Float64Array(d);
  for (const row of rows) {
    const value = y[row] as number;
    for (let i = 0; i < d; i++) b[i] = (b[i] as number) + value * (x[row * d + i] as number);
  }
  return solveCholesky(cholesky(a, d), b, d, 1);
}

function sumOf(matrices: readonly Float64Array[], d: number): Float64Array {
  const out = new Float64Array(d * d);
  for (const matrix of matrices) {
    for (let i = 0; i < out.length; i++) out[i] = (out[i] as number) + (matrix[i] as number);
  }
  return out;
}

function dot(x: Float32Array, row: number, d: number, w: Float64Array, at: number): number {
  let sum = 0;
  for (let i = 0; i < d; i++) sum += (x[row * d + i] as number) * (w[at + i] as number);
  return sum;
}

function predictRow(
  { mean, shared, own }: Fitted,
  x: Float32Array,
  row: number,
  { d, m, range }: { readonly d: number; readonly m: number; readonly range: Range },
  into: Float64Array,
): void {
  const common = dot(x, row, d, shared, 0);
  const [low, high] = range;
  for (let j = 0; j < m; j++) {
    const value = (mean[j] as number) + common + dot(x, row, d, own, j * d);
    into[row * m + j] = Math.max(low, Math.min(high, value));
  }
}

type Range = readonly [low: number, high: number];

function rangeOf(values: Float64Array): Range {
  let low = Number.POSITIVE_INFINITY;
  let high = Number.NEGATIVE_INFINITY;
  for (const value of values) {
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  return [low, high];
}
