/**
 * Nearest neighbours: a model's quality is its mean on the most similar training queries, drawn to
 * its global mean by a prior weight. Above `max_prototypes` training rows, they are condensed into
 * prototypes (spherical k-means), each standing for its rows by weight; neighbours are then counted
 * in rows, not in prototypes.
 * Sources: Cover & Hart, "Nearest neighbor pattern classification", 1967; "When simple kNN beats
 * complex learned routers", arXiv 2505.12601. LLMRouter's `knnrouter` votes on the best model's
 * name with k = 5; we average each model's quality, with many more neighbours.
 * Cost of a decision: one int8 matrix-vector product over at most `max_prototypes` rows.
 */
import { Type } from "@sinclair/typebox";
import { GatewayError } from "../../domain/errors.ts";
import type { Kernels } from "../../kernels/kernels.ts";
import { quantizeRows } from "../../kernels/quantize-rows.ts";
import { noPause, type Pause } from "../../std/pause.ts";
import { f32, i8, takeF32, takeI8 } from "../safetensors.ts";
import { findClusters } from "./clusters.ts";
import { clampShare, meanQuality } from "./examples.ts";
import {
  defineStrategy,
  type Examples,
  type FitContext,
  type Fitted,
  type OpenOnnx,
  type Scorer,
  type ScorerShape,
  type Scores,
} from "./strategy.ts";

/** Weight of the global mean, in training rows. */
const priorRows = 8;
/** Few neighbours lose to fixed models; from 80 to 320 they win, and more are steadier. */
const usualNeighbours = 240;

export const knn = defineStrategy({
  name: "llmrouter-knn",
  summary: "Mean quality of the most similar training queries.",
  options: Type.Object({
    n_neighbors: Type.Integer({
      default: usualNeighbours,
      minimum: 1,
      maximum: 100_000,
      description: "Training queries that are averaged; at most a third of them all.",
    }),
    weights: Type.Union([Type.Literal("distance"), Type.Literal("uniform")], {
      default: "distance",
      description: "Whether a nearer neighbour counts for more.",
    }),
    max_prototypes: Type.Integer({
      default: 512,
      minimum: 16,
      maximum: 65_536,
      description: "Rows that are searched per decision; more training rows are condensed.",
    }),
  }),
  fit(examples, options, context) {
    const most = Math.max(1, Math.floor(examples.n / 3));
    const wanted = Math.min(options.n_neighbors, most);
    const fitted = fitPrototypes(examples, { ...options, n_neighbors: wanted }, context);
    context.progress(1);
    return fitted;
  },
  load: loadKnn,
});

interface KnnOptions {
  readonly n_neighbors: number;
  readonly weights: "distance" | "uniform";
  readonly max_prototypes: number;
}

function fitPrototypes(examples: Examples, options: KnnOptions, context: FitContext): Fitted {
  const { n, d, models, quality, weight } = examples;
  const m = models.length;
  const condensed = n > options.max_prototypes;
  const clusters = condensed
    ? findClusters(examples.x, n, d, {
        k: options.max_prototypes,
        rounds: 6,
        random: context.random,
        kernels: context.kernels,
      })
    : { centroids: examples.x, k: n, of: Int32Array.from({ length: n }, (_, row) => row) };
  const mean = meanQuality(examples);
  const sums = new Float32Array(clusters.k * m);
  const weights = new Float32Array(clusters.k * m);
  const mass = new Float32Array(clusters.k);
  for (let row = 0; row < n; row++) {
    const c = clusters.of[row] as number;
    const w = weight[row] as number;
    mass[c] = (mass[c] as number) + w;
    for (let j = 0; j < m; j++) {
      const q = quality[row * m + j] as number;
      if (Number.isNaN(q)) continue;
      sums[c * m + j] = (sums[c * m + j] as number) + w * q;
      weights[c * m + j] = (weights[c * m + j] as number) + w;
    }
  }
  const { rows, scales } = quantizeRows(clusters.centroids, clusters.k, d, context.kernels);
  return {
    tensors: {
      "knn.rows": i8(rows, clusters.k, d),
      "knn.scales": f32(scales, clusters.k),
      "knn.quality": f32(sums, clusters.k, m),
      "knn.weight": f32(weights, clusters.k, m),
      "knn.mass": f32(mass, clusters.k),
      "knn.mean": f32(Float32Array.from(mean), m),
    },
    json: { n_neighbors: options.n_neighbors, weights: options.weights },
  };
}

async function loadKnn(
  { tensors, json }: Fitted,
  { d, m }: ScorerShape,
  createKernels: (bytes: number) => Kernels,
  _openOnnx?: OpenOnnx,
  pause: Pause = noPause,
): Promise<Scorer> {
  const mean = takeF32(tensors, "knn.mean", [m]);
  const mass = takeF32(tensors, "knn.mass", [-1]);
  const n = mass.length;
  if (n === 0) throw new GatewayError("artifact_refused", "knn: there is no row to search");
  const rows = takeI8(tensors, "knn.rows", [n, d]);
  const scales = takeF32(tensors, "knn.scales", [n]);
  const sums = takeF32(tensors, "knn.quality", [n, m]);
  const weights = takeF32(tensors, "knn.weight", [n, m]);
  const wanted = Math.max(1, Number(json["n_neighbors"]) || 1);
  const byDistance = json["weights"] !== "uniform";

  const complete = await isMass(weights, mass, pause);
  const kernels = createKernels(
    rows.length + n * 24 + n * m * 8 + m * 8 + d * 5 + binBytes + nearestKept * 8 + 1024,
  );
  const floats = (values: Float32Array) => {
    const at = kernels.alloc(values.byteLength);
    kernels.f32(at, values.length).set(values);
    return at;
  };
  const rowsAt = kernels.alloc(rows.length);
  kernels.i8(rowsAt, rows.length).set(rows);
  const rowSumsAt = kernels.alloc(n * 4);
  await pause();
  kernels.rowSumsI8(rowsAt, n, d, rowSumsAt);
  await pause();
  const xAt = kernels.alloc(d * 4);
  const query = kernels.f32(xAt, d);
  const qualityAt = kernels.alloc(m * 4);
  const gathered = kernels.f32(qualityAt, m);
  const usedAt = kernels.alloc(m * 4);
  const used = kernels.f32(usedAt, m);
  const nearestAt = kernels.alloc(nearestKept * 8);
  const layout = kernels.alloc(96);
  kernels
    .i32(layout, 19)
    .set([
      rowsAt,
      floats(scales),
      rowSumsAt,
      floats(sums),
      complete ? 0 : floats(weights),
      floats(mass),
      xAt,
      kernels.alloc(d),
      kernels.alloc(n * 4 + 12),
      kernels.alloc(n * 4 + 12),
      kernels.alloc(n * 4 + 12),
      qualityAt,
      usedAt,
      kernels.alloc(binBytes),
      nearestAt,
      n,
      d,
      m,
      byDistance ? 1 : 0,
    ]);
  kernels.f64(layout + 80, 1)[0] = wanted;
  const usedMass = kernels.f64(layout + 88, 1);
  const prior = mean.map((value) => priorRows * value);
  const nearestRows = kernels.i32(nearestAt, nearestKept * 2);
  const nearestShares = kernels.f32(nearestAt, nearestKept * 2);
  const quality = new Float32Array(m);
  const uncertainty = new Float32Array(m);

  /** The most similar rows, for the receipt. */
  function nearest(count: number): Neighbour[] {
    const list: Neighbour[] = [];
    for (let i = 0; i < count; i++) {
      const row = nearestRows[2 * i] as number;
      list.push({ row, similarity: nearestShares[2 * i + 1] as number });
    }
    return list;
  }

  return {
    sync: true,
    score(x) {
      query.set(x);
      gathered.set(prior);
      used.fill(priorRows);
      const neighbours = nearest(kernels.averageNearest(layout));
      // Every model was observed on every row: one sum of weights serves them all.
      if (complete) used.fill(priorRows + (usedMass[0] as number));
      for (let j = 0; j < m; j++) {
        const rowsUsed = used[j] as number;
        const q = clampShare((gathered[j] as number) / rowsUsed);
        quality[j] = q;
        uncertainty[j] = Math.sqrt((q * (1 - q) + 0.01) / rowsUsed);
      }
      return { quality, uncertainty, neighbours };
    },
    close: () => undefined,
  };
}

/** Whether the weight of every model on every row is the row's mass. */
async function isMass(weights: Float32Array, mass: Float32Array, pause: Pause): Promise<boolean> {
  const m = weights.length / mass.length;
  for (let row = 0; row < mass.length; row++) {
    for (let j = 0; j < m; j++) if (weights[row * m + j] !== mass[row]) return false;
    if (row % 512 === 0) await pause();
  }
  return true;
}

type Neighbour = NonNullable<Scores["neighbours"]>[number];

/** Of similarity: 512 sums of mass. */
const binBytes = 512 * 8;
/** Rows that a receipt names. */
const nearestKept = 5;
