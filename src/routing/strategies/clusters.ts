/** Spherical k-means over unit rows: prototypes for nearest neighbours, clusters, and the novelty guard. */
import type { Kernels } from "../../kernels/kernels.ts";
import { type Random, shuffle } from "../../std/random.ts";

export interface Clusters {
  /** k×d, unit length. */
  readonly centroids: Float32Array;
  readonly k: number;
  /** n: the cluster of each row. */
  readonly of: Int32Array;
}

export interface ClusterOptions {
  readonly k: number;
  readonly rounds: number;
  readonly random: Random;
  readonly kernels: (bytes: number) => Kernels;
}

/**
 * Lloyd's rounds from k distinct rows; a cluster that loses its last row keeps its centroid.
 * @param x n×d, about unit length; k is cut to n. Cost: rounds·n·k·d in the kernels.
 */
export function findClusters(
  x: Float32Array,
  n: number,
  d: number,
  options: ClusterOptions,
): Clusters {
  const k = Math.min(options.k, n);
  const kernels = options.kernels((k * d + d + 4) * 4 + 256);
  const rowsAt = kernels.alloc(k * d * 4);
  const centroids = kernels.f32(rowsAt, k * d);
  const queryAt = kernels.alloc(d * 4);
  const query = kernels.f32(queryAt, d);
  const idAt = kernels.alloc(4);
  const id = kernels.i32(idAt, 1);
  const scoreAt = kernels.alloc(4);
  const order = shuffle(
    Array.from({ length: n }, (_, row) => row),
    options.random,
  );
  for (let c = 0; c < k; c++) {
    const row = order[c] as number;
    centroids.set(x.subarray(row * d, (row + 1) * d), c * d);
  }
  const of = new Int32Array(n);
  for (let round = 0; round <= options.rounds; round++) {
    for (let row = 0; row < n; row++) {
      query.set(x.subarray(row * d, (row + 1) * d));
      kernels.topKF32(rowsAt, queryAt, k, d, 1, idAt, scoreAt);
      of[row] = id[0] as number;
    }
    // The last assignment belongs to the centroids that are handed out.
    if (round < options.rounds) moveCentroids(x, of, centroids, { n, d, k });
  }
  return { centroids: centroids.slice(), k, of };
}

function moveCentroids(
  x: Float32Array,
  of: Int32Array,
  centroids: Float32Array,
  { n, d, k }: { readonly n: number; readonly d: number; readonly k: number },
): void {
  const sums = new Float64Array(k * d);
  for (let row = 0; row < n; row++) {
    const to = (of[row] as number) * d;
    for (let i = 0; i < d; i++)
      sums[to + i] = (sums[to + i] as number) + (x[row * d + i] as number);
  }
  for (let c = 0; c < k; c++) {
    let squares = 0;
    for (let i = 0; i < d; i++) squares += (sums[c * d + i] as number) ** 2;
    if (squares === 0) continue;
    const factor = 1 / Math.sqrt(squares);
    for (let i = 0; i < d; i++) centroids[c * d + i] = (sums[c * d + i] as number) * factor;
  }
}
