/**
 * The mean of four learners that err differently: nearest neighbours, ridge regression, a small
 * network, and a table of qualities per cluster with a prior weight on each model's global mean.
 * Sources: those of `knn.ts`, `linear.ts` and `mlp.ts`; the table is Avengers-Pro's idea (arXiv 2508.12631)
 * with shrinkage (empirical Bayes) and two clusterings in place of one.
 * Cost of a decision: the sum of its members'.
 */
import { Type } from "@sinclair/typebox";
import { GatewayError } from "../../domain/errors.ts";
import type { Kernels } from "../../kernels/kernels.ts";
import { noPause } from "../../std/pause.ts";
import { f32, takeF32 } from "../safetensors.ts";
import { findClusters } from "./clusters.ts";
import { meanQuality } from "./examples.ts";
import { knn } from "./knn.ts";
import { linear } from "./linear.ts";
import { mlp, mlpDefaults } from "./mlp.ts";
import {
  defineStrategy,
  type Examples,
  type FitContext,
  type Fitted,
  type Scorer,
  type ScorerShape,
  type Scores,
} from "./strategy.ts";

/** Rows' worth of the global mean in each cluster's quality. */
const priorRows = 20;

export const ensemble = defineStrategy({
  name: "llmrouter-ensemble",
  summary: "The mean of neighbours, a linear estimate, a network and a table per cluster.",
  options: Type.Object({
    n_clusters: Type.Integer({
      default: 24,
      minimum: 2,
      maximum: 1024,
      description: "Clusters of the table; a second one has a third as many.",
    }),
  }),
  async fit(examples, options, context) {
    const part = (from: number, to: number): FitContext => ({
      ...context,
      progress: (share) => context.progress(from + (to - from) * share),
    });
    const neighbours = await knn.fit(
      examples,
      { n_neighbors: 160, weights: "distance", max_prototypes: 512 },
      part(0, 0.3),
    );
    const line = await linear.fit(examples, { alpha: 0 }, part(0.3, 0.4));
    const network = await mlp.fit(examples, mlpDefaults, part(0.4, 0.9));
    const fine = fitTable(examples, options.n_clusters, context);
    const coarse = fitTable(examples, Math.max(2, Math.round(options.n_clusters / 3)), context);
    context.progress(1);
    const m = examples.models.length;
    return {
      tensors: {
        ...neighbours.tensors,
        ...line.tensors,
        "table.fine.rows": f32(fine.rows, fine.k, examples.d),
        "table.fine.quality": f32(fine.quality, fine.k, m),
        "table.coarse.rows": f32(coarse.rows, coarse.k, examples.d),
        "table.coarse.quality": f32(coarse.quality, coarse.k, m),
      },
      files: { ...network.files },
      json: { ...neighbours.json, ...line.json, ...network.json },
    };
  },
  async load(fitted, shape, kernels, _openOnnx, pause = noPause) {
    const members: Scorer[] = [];
    for (const { load } of [knn, linear, mlp]) {
      members.push(await load(fitted, shape, kernels, undefined, pause));
      await pause();
    }
    const tables = [
      loadTable(fitted, "table.fine", shape, kernels),
      loadTable(fitted, "table.coarse", shape, kernels),
    ];
    return average(members, tables, shape.m);
  },
});

type Table = (x: Float32Array) => Float32Array;

function average(members: readonly Scorer[], tables: readonly Table[], m: number): Scorer {
  const quality = new Float32Array(m);
  const unknown = new Float32Array(m).fill(Number.NaN);
  return {
    sync: true,
    score(x) {
      // All members answer at once; their contract allows a promise that they never give.
      const scored = members.map((member) => member.score(x) as Scores);
      const parts = scored.length + 1;
      for (let j = 0; j < m; j++) {
        let sum = 0;
        for (const { quality: q } of scored) sum += q[j] as number;
        quality[j] = sum;
      }
      for (const table of tables) {
        const row = table(x);
        for (let j = 0; j < m; j++) {
          quality[j] = (quality[j] as number) + (row[j] as number) / tables.length;
        }
      }
      for (let j = 0; j < m; j++) quality[j] = (quality[j] as number) / parts;
      const [first] = scored;
      return {
        quality,
        uncertainty: first?.uncertainty ?? unknown,
        ...(first?.neighbours ? { neighbours: first.neighbours } : {}),
      };
    },
    close() {
      for (const member of members) member.close();
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
