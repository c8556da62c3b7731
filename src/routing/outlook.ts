/**
 * What is predicted beside quality, alike for every strategy: output tokens, cost and latency per
 * model (log-linear in the features), and how novel the query is.
 */
import type { Kernels } from "../kernels/kernels.ts";
import { type Tensors, takeF32 } from "./safetensors.ts";
import type { ScorerShape } from "./strategies/strategy.ts";

export interface Outlook {
  readonly outputTokens: Float32Array;
  readonly costUsd: Float32Array;
  readonly latencyMs: Float32Array;
  readonly novelty: number;
}

/** Per model: w (d), then bias, smallest and largest value seen (as logarithms), and 1 where known. */
export const outlookTargets = ["tokens", "cost", "latency"] as const;
export type OutlookTarget = (typeof outlookTargets)[number];

/**
 * The outlook of x, in arrays that the next one overwrites. `kept` is the featurizer's: the share of the query's words that its projection
 * holds, which scales the similarity down for words never seen.
 */
export function loadOutlook(
  tensors: Tensors,
  { d, m }: ScorerShape,
  novelty: { readonly near: number; readonly far: number },
  createKernels: (bytes: number) => Kernels,
): (x: Float32Array, kept: number) => Outlook {
  const rows = outlookTargets.length * m;
  const centroids = takeF32(tensors, "novelty.rows", [-1, d]);
  const clusters = centroids.length / d;
  const kernels = createKernels((centroids.length + rows * (d + 2) + d) * 4 + 512);
  const wAt = kernels.alloc(rows * d * 4);
  const w = kernels.f32(wAt, rows * d);
  const biasAt = kernels.alloc(rows * 4);
  const bias = kernels.f32(biasAt, rows);
  const low = new Float32Array(rows);
  const high = new Float32Array(rows);
  const known = new Float32Array(rows);
  outlookTargets.forEach((target, at) => {
    w.set(takeF32(tensors, `outlook.${target}.w`, [m, d]), at * m * d);
    bias.set(takeF32(tensors, `outlook.${target}.bias`, [m]), at * m);
    low.set(takeF32(tensors, `outlook.${target}.low`, [m]), at * m);
    high.set(takeF32(tensors, `outlook.${target}.high`, [m]), at * m);
    known.set(takeF32(tensors, `outlook.${target}.known`, [m]), at * m);
  });
  const centroidsAt = kernels.alloc(centroids.byteLength);
  kernels.f32(centroidsAt, centroids.length).set(centroids);
  const xAt = kernels.alloc(d * 4);
  const input = kernels.f32(xAt, d);
  const outAt = kernels.alloc(rows * 4);
  const out = kernels.f32(outAt, rows);

  /** e^(prediction), within what was seen in training. */
  function read(at: number, values: Float32Array): void {
    for (let j = 0; j < m; j++) {
      const row = at * m + j;
      const value = Math.min(high[row] as number, Math.max(low[row] as number, out[row] as number));
      values[j] = known[row] === 1 ? Math.exp(value) : Number.NaN;
    }
  }

  const outputTokens = new Float32Array(m);
  const costUsd = new Float32Array(m);
  const latencyMs = new Float32Array(m);

  return (x, kept) => {
    input.set(x);
    kernels.matvecF32(wAt, xAt, biasAt, outAt, rows, d);
    const similarity = kernels.largestDotF32(centroidsAt, xAt, clusters, d);
    read(0, outputTokens);
    read(1, costUsd);
    read(2, latencyMs);
    return {
      outputTokens,
      costUsd,
      latencyMs,
      novelty: toNovelty(toSimilarity(similarity, kept), novelty),
    };
  };
}

/** Words never seen make a query less similar than its known part suggests. */
export function toSimilarity(similarity: number, kept: number): number {
  return similarity * Math.sqrt(Math.min(1, kept));
}

function toNovelty(similarity: number, { near, far }: { near: number; far: number }): number {
  if (!(near > far)) return 0;
  return Math.max(0, Math.min(1, (near - similarity) / (near - far)));
}
