/**
 * Ridge regression, the workhorse: W = (XᵀDX + λI)⁻¹ XᵀDY over centred targets, λ by folds.
 * Source: Hoerl & Kennard, "Ridge Regression", Technometrics 12(1), 1970.
 */
import { cholesky, crossProduct, gram, solveCholesky } from "../../std/matrix.ts";

export interface RidgeProblem {
  readonly x: Float32Array;
  /** n×m. Rows of weight 0 do not count. */
  readonly y: Float32Array;
  readonly n: number;
  readonly d: number;
  readonly m: number;
  readonly weight: Float32Array;
  /** d: multiplies λ per column; missing: 1. */
  readonly penalty?: Float32Array;
}

export interface Linear {
  /** m×d, row-major. */
  readonly w: Float32Array;
  /** m. */
  readonly bias: Float32Array;
}

interface Moments {
  readonly xx: Float64Array;
  readonly xy: Float64Array;
  readonly xSum: Float64Array;
  readonly ySum: Float64Array;
  total: number;
}

function toMoments(problem: RidgeProblem, weight: Float32Array): Moments {
  const { x, y, n, d, m } = problem;
  const xSum = new Float64Array(d);
  const ySum = new Float64Array(m);
  let total = 0;
  for (let row = 0; row < n; row++) {
    const w = weight[row] as number;
    if (w === 0) continue;
    total += w;
    for (let i = 0; i < d; i++) xSum[i] = (xSum[i] as number) + w * (x[row * d + i] as number);
    for (let j = 0; j < m; j++) ySum[j] = (ySum[j] as number) + w * (y[row * m + j] as number);
  }
  return {
    xx: gram(x, n, d, weight),
    xy: crossProduct(x, y, { n, d, m }, weight),
    xSum,
    ySum,
    total,
  };
}

function solve(moments: Moments, problem: RidgeProblem, lambda: number): Linear {
  const { d, m } = problem;
  const { xx, xy, xSum, ySum } = moments;
  const total = Math.max(moments.total, 1e-12);
  const a = new Float64Array(d * d);
  const b = new Float64Array(d * m);
  for (let i = 0; i < d; i++) {
    const mean = (xSum[i] as number) / total;
    for (let j = 0; j < d; j++)
      a[i * d + j] = (xx[i * d + j] as number) - mean * (xSum[j] as number);
    a[i * d + i] = (a[i * d + i] as number) + lambda * (problem.penalty?.[i] ?? 1) + 1e-9;
    for (let j = 0; j < m; j++)
      b[i * m + j] = (xy[i * m + j] as number) - mean * (ySum[j] as number);
  }
  const solved = solveCholesky(cholesky(a, d), b, d, m);
  const w = new Float32Array(m * d);
  const bias = new Float32Array(m);
  for (let j = 0; j < m; j++) {
    let offset = (ySum[j] as number) / total;
    for (let i = 0; i < d; i++) {
      const value = solved[i * m + j] as number;
      w[j * d + i] = value;
      offset -= ((xSum[i] as number) / total) * value;
    }
    bias[j] = offset;
  }
  return { w, bias };
}

export function fitRidge(problem: RidgeProblem, lambda: number): Linear {
  return solve(toMoments(problem, problem.weight), problem, lambda);
}

/** The λ of least squared error over the folds, and its fit on all rows. */
export function fitRidgeByFolds(
  problem: RidgeProblem,
  lambdas: readonly number[],
  foldOf: Int8Array,
  folds: number,
): Linear & { readonly lambda: number } {
  const errors = lambdas.map(() => 0);
  for (let fold = 0; fold < folds; fold++) {
    const weight = problem.weight.map((w, row) => (foldOf[row] === fold ? 0 : w));
    const moments = toMoments(problem, weight);
    if (moments.total === 0) continue;
    lambdas.forEach((lambda, at) => {
      const linear = solve(moments, problem, lambda);
      errors[at] = (errors[at] as number) + squaredError(problem, linear, foldOf, fold);
    });
  }
  let best = 0;
  errors.forEach((error, at) => {
    if (error < (errors[best] as number)) best = at;
  });
  const lambda = lambdas[best] ?? 1;
  return { ...fitRidge(problem, lambda), lambda };
}

function squaredError(
  { x, y, n, d, m, weight }: RidgeProblem,
  { w, bias }: Linear,
  foldOf: Int8Array,
  fold: number,
): number {
  let error = 0;
  for (let row = 0; row < n; row++) {
    if (foldOf[row] !== fold || weight[row] === 0) continue;
    for (let j = 0; j < m; j++) {
      let value = bias[j] as number;
      for (let i = 0; i < d; i++) value += (w[j * d + i] as number) * (x[row * d + i] as number);
      error += (weight[row] as number) * (value - (y[row * m + j] as number)) ** 2;
    }
  }
  return error;
}
