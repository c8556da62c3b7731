/**
 * The best default: a forest of randomised trees, kernel ridge regression, and tables of qualities per
 * cluster with a prior weight on each model's global mean. They err differently, so their weighted
 * mean is better than each; the weights were chosen by cross-validation on public sets' training rows.
 * Sources: those of `forest.ts` and `kernel-ridge.ts`; the tables are Avengers-Pro's idea (arXiv
 * 2508.12631) with shrinkage (empirical Bayes) and several clusterings in place of one.
 * Cost of a decision: the sum of its members'.
 */
import { Type } from "@sinclair/typebox";
import { GatewayError } from "../../domain/errors.ts";
import type { Kernels } from "../../kernels/kernels.ts";
import { noPause } from "../../std/pause.ts";
import { f32, takeF32 } from "../safetensors.ts";
import { findClusters } from "./clusters.ts";
import { meanQuality } from "./examples.ts";
import { forest } from "./forest.ts";
import { fitKernelRidge } from "./kernel-ridge.ts";
import {
  defineStrategy,
  type Examples,
  type FitContext,
  type Fitted,
  type Scorer,
  type ScorerShape,
  type Scores,
} from "./strategy.ts";
import { loadSvm } from "./svm.ts";

/** Rows' worth of the global mean in each cluster's quality. */
const priorRows = 20;
/**
 * Clusterings that the table part averages: each is a matter of luck. Every other one has half as many
 * clusters, for what a few dozen rows cannot tell.
 */
const clusterings = 6;
const shares = { forest: 0.45, kernel: 0.2, tables: 0.35 } as const;
const forestOptions = { n_estimators: 100, min_samples_leaf: 20, max_features: 0.3 } as const;
const kernelOptions = { n_components: 256, gamma: 1, alpha: 10 } as const;

export const ensemble = defineStrategy({
  name: "llmrouter-ensemble",
  summary: "The weighted mean of a forest, kernel ridge regression and tables per cluster.",
  options: Type.Object({
    n_clusters: Type.Integer({
      default: 24,
      minimum: 2,
      maximum: 1024,
      description: "Clusters of a table; every other one has half as many.",
    }),
  }),
  fit(examples, options, context) {
    const part = (from: number, to: number): FitContext => ({
      ...context,
      progress: (share) => context.progress(from + (to - from) * share),
    });
    const trees = forest.fit(examples, forestOptions, part(0, 0.7)) as Fitted;
    const kernel = fitKernelRidge(examples, kernelOptions, part(0.7, 0.85));
    const tensors: Record<string, Fitted["tensors"][string]> = {
      ...trees.tensors,
      ...kernel.tensors,
    };
    for (let at = 0; at < clusterings; at++) {
      const { rows, k, quality } = fitTable(examples, clustersOf(at, options.n_clusters), context);
      tensors[`table.${at}.rows`] = f32(rows, k, examples.d);
      tensors[`table.${at}.quality`] = f32(quality, k, examples.models.length);
    }
    context.progress(1);
    return { tensors, json: { ...trees.json, ...kernel.json, clusterings } };
  },
  async load(fitted, shape, kernels, _openOnnx, pause = noPause) {
    const trees = (await forest.load(fitted, shape, kernels, undefined, pause)) as Scorer;
    await pause();
    const kernel = loadSvm(fitted, shape, kernels);
    await pause();
    const count = Number(fitted.json["clusterings"]);
    if (!(Number.isSafeInteger(count) && count >= 1 && count <= 16)) {
      throw new GatewayError(
        "artifact_refused",
        "ensemble: it does not say how many tables it has",
      );
    }
    const tables = Array.from({ length: count }, (_, at) =>
      loadTable(fitted, `table.${at}`, shape, kernels),
    );
    return average(trees, kernel, tables, shape.m);
  },
});

const clustersOf = (at: number, clusters: number) =>
  at % 2 === 0 ? clusters : Math.max(2, Math.round(clusters / 2));

type Table = (x: Float32Array) => Float32Array;

function average(trees: Scorer, kernel: Scorer, tables: readonly Table[], m: number): Scorer {
  const quality = new Float32Array(m);
  const each = shares.tables / tables.length;
  return {
    sync: true,
    score(x) {
      // Both answer at once; their contract allows a promise that they never give.
      const stepped = trees.score(x) as Scores;
      const smooth = kernel.score(x) as Scores;
      for (let j = 0; j < m; j++) {
        quality[j] =
          shares.forest * (stepped.quality[j] as number) +
          shares.kernel * (smooth.quality[j] as number);
      }
      for (const table of tables) {
        const row = table(x);
        for (let j = 0; j < m; j++) quality[j] = (quality[j] as number) + each * (row[j] as number);
      }
      return { quality, uncertainty: stepped.uncertainty };
    },
    close() {
      trees.close();
      kernel.close();
    },
  };
}

function fitTable(examples: Examples, clusters: number, context: FitContext) {
  const { x, n, d, models, quality, weight } = examples;
  const m = models.length;
  const { centroids, k, of } = findClusters(x, n, d, {
    k: Math.min(clusters, Math.max(2, Math.floor(n / 20))),
    rounds: 20,
    random: context.random,
    kernels: context.kernels,
  });
  const mean = meanQuality(examples);
  const sums = new Float64Array(k * m);
  const weights = new Float64Array(k * m);
  for (let row = 0; row < n; row++) {
    const at = (of[row] as number) * m;
    for (let j = 0; j < m; j++) {
      const q = quality[row * m + j] as number;
      if (Number.isNaN(q)) continue;
      sums[at + j] = (sums[at + j] as number) + (weight[row] as number) * q;
      weights[at + j] = (weights[at + j] as number) + (weight[row] as number);
    }
  }
  const table = Float32Array.from(
    sums,
    (sum, i) => (sum + priorRows * (mean[i % m] as number)) / ((weights[i] as number) + priorRows),
  );
  return { rows: centroids, k, quality: table };
}

function loadTable(
  { tensors }: Fitted,
  name: string,
  { d, m }: ScorerShape,
  createKernels: (bytes: number) => Kernels,
): Table {
  const rows = takeF32(tensors, `${name}.rows`, [-1, d]);
  const k = rows.length / d;
  if (k < 1) throw new GatewayError("artifact_refused", `${name}: there is no cluster`);
  const quality = takeF32(tensors, `${name}.quality`, [k, m]);
  const kernels = createKernels((rows.length + d + 2) * 4 + 128);
  const rowsAt = kernels.alloc(rows.byteLength);
  kernels.f32(rowsAt, rows.length).set(rows);
  const xAt = kernels.alloc(d * 4);
  const input = kernels.f32(xAt, d);
  const idAt = kernels.alloc(4);
  const id = kernels.i32(idAt, 1);
  const scoreAt = kernels.alloc(4);
  return (x) => {
    input.set(x);
    kernels.topKF32(rowsAt, xAt, k, d, 1, idAt, scoreAt);
    const at = (id[0] as number) * m;
    return quality.subarray(at, at + m);
  };
}
