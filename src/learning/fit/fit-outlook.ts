/** Learns what `routing/outlook.ts` predicts: log-linear output tokens, cost and latency per model. */
import type { Kernels } from "../../kernels/kernels.ts";
import { outlookTargets, toSimilarity } from "../../routing/outlook.ts";
import { f32, type Tensors } from "../../routing/safetensors.ts";
import { findClusters } from "../../routing/strategies/clusters.ts";
import { fitRidge } from "../../routing/strategies/ridge.ts";
import type { Random } from "../../std/random.ts";
import type { Table } from "../table.ts";
import { imputePositive } from "./impute-outlook.ts";

const ridgePenalty = 3;
/** The shape features lie at a small scale within x; they say most about length, so they cost less. */
const shapePenalty = 0.1;
const noveltyClusters = 128;

interface X {
  readonly x: Float32Array;
  readonly d: number;
  /** Where the shape features begin. */
  readonly shapeAt: number;
}

export function fitOutlook(table: Table, input: X): Tensors {
  const sources = {
    tokens: table.outputTokens,
    cost: table.costUsd,
    latency: table.latencyMs,
  } as const;
  const tensors: Record<string, Tensors[string]> = {};
  const m = table.labels.length;
  for (const target of outlookTargets) {
    const fit = fitTarget(imputePositive(sources[target], table), table, input);
    tensors[`outlook.${target}.w`] = f32(fit.w, m, input.d);
    for (const name of ["bias", "low", "high", "known"] as const) {
      tensors[`outlook.${target}.${name}`] = f32(fit[name], m);
    }
  }
  return tensors;
}

function fitTarget(values: Float32Array | Float64Array, table: Table, { x, d, shapeAt }: X) {
  const { n, labels } = table;
  const m = labels.length;
  const out = {
    w: new Float32Array(m * d),
    bias: new Float32Array(m),
    low: new Float32Array(m),
    high: new Float32Array(m),
    known: new Float32Array(m),
  };
  const penalty = Float32Array.from({ length: d }, (_, i) => (i >= shapeAt ? shapePenalty : 1));
  const floor = smallestPositive(values) / 2;
  const whole = isWhole(values, n, m);
  const columns = whole ? [Array.from({ length: m }, (_, j) => j)] : labels.map((_, j) => [j]);
  for (const models of columns) {
    const problem = toProblem(values, table, models, floor);
    if (problem.count < 10) continue;
    const linear = fitRidge(
      { x, y: problem.y, n, d, m: models.length, weight: problem.weight, penalty },
      ridgePenalty,
    );
    models.forEach((j, at) => {
      const w = linear.w.subarray(at * d, (at + 1) * d);
      const bias = linear.bias[at] as number;
      out.w.set(w, j * d);
      const range = toRange(problem, at, models.length);
      out.low[j] = range.low;
      out.high[j] = range.high;
      out.bias[j] = bias + toSmear(problem, x, d, { w, bias, at, width: models.length }, range);
      out.known[j] = 1;
    });
  }
  return out;
}

interface Problem {
  /** n×width, logarithms. */
  readonly y: Float32Array;
  readonly weight: Float32Array;
  readonly count: number;
}

function toProblem(
  values: Float32Array | Float64Array,
  { n, labels, weight }: Table,
  models: readonly number[],
  floor: number,
): Problem {
  const m = labels.length;
  const y = new Float32Array(n * models.length);
  const weights = new Float32Array(n);
  let count = 0;
  for (let row = 0; row < n; row++) {
    if (models.some((j) => Number.isNaN(values[row * m + j]))) continue;
    count++;
    weights[row] = weight[row] as number;
    models.forEach((j, at) => {
      y[row * models.length + at] = Math.log(Math.max(values[row * m + j] as number, floor));
    });
  }
  return { y, weight: weights, count };
}

function toRange({ y, weight }: Problem, at: number, width: number) {
  let low = Number.POSITIVE_INFINITY;
  let high = Number.NEGATIVE_INFINITY;
  weight.forEach((w, row) => {
    if (w === 0) return;
    const value = y[row * width + at] as number;
    low = Math.min(low, value);
    high = Math.max(high, value);
  });
  return { low, high };
}

/** Added to the bias so that the mean prediction is the mean (Duan's smearing, as one factor). */
function toSmear(
  { y, weight }: Problem,
  x: Float32Array,
  d: number,
  fit: {
    readonly w: Float32Array;
    readonly bias: number;
    readonly at: number;
    readonly width: number;
  },
  range: { readonly low: number; readonly high: number },
): number {
  let real = 0;
  let predicted = 0;
  weight.forEach((weightOf, row) => {
    if (weightOf === 0) return;
    let value = fit.bias;
    for (let i = 0; i < d; i++) value += (fit.w[i] as number) * (x[row * d + i] as number);
    real += weightOf * Math.exp(y[row * fit.width + fit.at] as number);
    predicted += weightOf * Math.exp(Math.min(range.high, Math.max(range.low, value)));
  });
  return real > 0 && predicted > 0 ? Math.log(real / predicted) : 0;
}

function smallestPositive(values: Float32Array | Float64Array): number {
  let least = Number.POSITIVE_INFINITY;
  for (const value of values) if (value > 0 && value < least) least = value;
  return Number.isFinite(least) ? least : 1e-9;
}

/** Whether every row has either all models' values or none: then one factorisation serves all. */
function isWhole(values: Float32Array | Float64Array, n: number, m: number): boolean {
  for (let row = 0; row < n; row++) {
    let missing = 0;
    for (let j = 0; j < m; j++) if (Number.isNaN(values[row * m + j])) missing++;
    if (missing > 0 && missing < m) return false;
  }
  return true;
}

/** Cluster centres, and the similarities at which a query counts as known and as novel. */
export function fitNovelty(
  { x, d }: Pick<X, "x" | "d">,
  kept: Float32Array,
  context: { readonly random: Random; readonly kernels: (bytes: number) => Kernels },
): { readonly tensors: Tensors; readonly near: number; readonly far: number } {
  const n = kept.length;
  const k = Math.max(1, Math.min(noveltyClusters, Math.floor(n / 8)));
  const { centroids, of } = findClusters(x, n, d, { k, rounds: 10, ...context });
  const similarities = Float64Array.from({ length: n }, (_, row) => {
    let dot = 0;
    const c = (of[row] as number) * d;
    for (let i = 0; i < d; i++) dot += (x[row * d + i] as number) * (centroids[c + i] as number);
    return toSimilarity(dot, kept[row] as number);
  }).sort();
  const quantile = (share: number) => similarities[Math.floor(share * (n - 1))] ?? 0;
  const near = quantile(0.05);
  // Where all queries are alike, a small distance is no novelty.
  const spread = Math.max(0.15, quantile(0.5) - near);
  return {
    tensors: { "novelty.rows": f32(centroids, centroids.length / d, d) },
    near,
    far: near - 1.5 * spread,
  };
}
