/**
 * Kernel methods on landmarks: kernel values against cluster centres, whitened, so that a linear method
 * on them is the kernel method on the rows, nearly.
 * Source: Williams & Seeger, "Using the Nyström method to speed up kernel machines", 2001.
 */
import type { Kernels } from "../../kernels/kernels.ts";
import { cholesky } from "../../std/matrix.ts";
import { findClusters } from "./clusters.ts";
import type { Examples, FitContext } from "./strategy.ts";

export interface Landmarks {
  /** k×d. */
  readonly centroids: Float32Array;
  readonly k: number;
  /** n×k: the examples' whitened kernel values. */
  readonly mapped: Float32Array;
  /** m×k weights on whitened values to weights on kernel values. */
  unmap(w: Float32Array, m: number): Float32Array;
}

export interface LandmarkOptions {
  readonly n_components: number;
  readonly gamma: number;
}

export function fitLandmarks(
  { x, n, d }: Examples,
  options: LandmarkOptions,
  { random, kernels }: FitContext,
): Landmarks {
  const wanted = { k: options.n_components, rounds: 6, random, kernels };
  const { centroids, k } = findClusters(x, n, d, wanted);
  const evaluate = createRbf(centroids, k, d, options.gamma, kernels);
  const whiten = toWhitening(centroids, k, d, evaluate);
  const mapped = new Float32Array(n * k);
  for (let row = 0; row < n; row++) {
    const values = evaluate(x.subarray(row * d, (row + 1) * d));
    multiplyRow(whiten, values, mapped.subarray(row * k, (row + 1) * k), k);
  }
  return {
    centroids,
    k,
    mapped,
    unmap(w, m) {
      const beta = new Float32Array(m * k);
      for (let j = 0; j < m; j++) {
        for (let i = 0; i < k; i++) {
          const factor = w[j * k + i] as number;
          for (let l = 0; l <= i; l++) {
            beta[j * k + l] = (beta[j * k + l] as number) + factor * (whiten[i * k + l] as number);
          }
        }
      }
      return beta;
    },
  };
}

/** L⁻¹ of the landmarks' kernel matrix K = L·Lᵀ: kernel values times it have K's inner product. */
function toWhitening(
  centroids: Float32Array,
  k: number,
  d: number,
  evaluate: (x: Float32Array) => Float32Array,
): Float64Array {
  const kernel = new Float64Array(k * k);
  for (let i = 0; i < k; i++) {
    kernel.set(evaluate(centroids.subarray(i * d, (i + 1) * d)), i * k);
    kernel[i * k + i] = (kernel[i * k + i] as number) + ridge;
  }
  const l = cholesky(kernel, k);
  const out = new Float64Array(k * k);
  for (let column = 0; column < k; column++) {
    for (let i = column; i < k; i++) {
      let value = i === column ? 1 : 0;
      for (let j = column; j < i; j++) {
        value -= (l[i * k + j] as number) * (out[j * k + column] as number);
      }
      out[i * k + column] = value / (l[i * k + i] as number);
    }
  }
  return out;
}

/** Keeps landmarks that lie close together apart. */
const ridge = 1e-3;

/** out = A·x for a lower triangular A. */
function multiplyRow(a: Float64Array, x: Float32Array, out: Float32Array, k: number): void {
  for (let i = 0; i < k; i++) {
    let sum = 0;
    for (let l = 0; l <= i; l++) sum += (a[i * k + l] as number) * (x[l] as number);
    out[i] = sum;
  }
}

/** Kernel values of a query against the rows; the answer is overwritten by the next call. */
export function createRbf(
  rows: Float32Array,
  n: number,
  d: number,
  gamma: number,
  createKernels: (bytes: number) => Kernels,
): (x: Float32Array) => Float32Array {
  const kernels = createKernels((n * d + d + n) * 4 + 128);
  const rowsAt = kernels.alloc(n * d * 4);
  kernels.f32(rowsAt, n * d).set(rows);
  const xAt = kernels.alloc(d * 4);
  const input = kernels.f32(xAt, d);
  const outAt = kernels.alloc(n * 4);
  const out = kernels.f32(outAt, n);
  return (x) => {
    input.set(x);
    kernels.rbfF32(rowsAt, xAt, gamma, n, d, outAt);
    return out;
  };
}
