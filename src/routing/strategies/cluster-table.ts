/**
 * A capability table: queries fall into clusters, and a model is its row of qualities per cluster.
 * A new model needs only enough labels for that row, drawn to what its level and the cluster's
 * difficulty predict; a query averages its nearest clusters.
 * Sources: Jitkrittum et al., "Universal Model Routing" (UniRoute), arXiv 2502.08773; Zhang et al.,
 * "Avengers-Pro", arXiv 2508.12631 (`top_k`, `beta`); shrinkage: Efron & Morris, "Data analysis
 * using Stein's estimator", JASA 70, 1975.
 * Cost of a decision: a matrix-vector product over the clusters.
 */
import { Type } from "@sinclair/typebox";
import { GatewayError } from "../../domain/errors.ts";
import { f32, takeF32 } from "../safetensors.ts";
import { findClusters } from "./clusters.ts";
import { clampShare, meanQuality } from "./examples.ts";
import { createMatvec } from "./matvec.ts";
import { defineStrategy, type Examples } from "./strategy.ts";

export const clusterTable = defineStrategy({
  name: "llmrouter-cluster",
  summary: "A table of each model's quality per cluster of queries; a new model needs few labels.",
  options: Type.Object({
    n_clusters: Type.Integer({
      default: 32,
      minimum: 2,
      maximum: 4096,
      description: "Clusters of queries; at most one for every twenty rows.",
    }),
    top_k: Type.Integer({
      default: 4,
      minimum: 1,
      maximum: 64,
      description: "Nearest clusters that are averaged.",
    }),
    beta: Type.Number({
      default: 8,
      minimum: 0,
      maximum: 1000,
      description: "How much the nearest one counts for more: weights are exp(beta·similarity).",
    }),
    prior_rows: Type.Number({
      default: 20,
      exclusiveMinimum: 0,
      description: "Rows' worth of what is expected of a model in a cluster before any is seen.",
    }),
  }),
  fit(examples, options, context) {
    const { x, n, d, models } = examples;
    const m = models.length;
    const wanted = Math.min(options.n_clusters, Math.max(2, Math.floor(n / 20)));
    const { random, kernels } = context;
    const { centroids, k, of } = findClusters(x, n, d, { k: wanted, rounds: 20, random, kernels });
    const { quality, rows } = fillTable(examples, of, k, options.prior_rows);
    context.progress(1);
    return {
      tensors: {
        "cluster.rows": f32(centroids, k, d),
        "cluster.quality": f32(quality, k, m),
        "cluster.weight": f32(rows, k, m),
      },
      json: { top_k: Math.min(options.top_k, k), beta: options.beta },
    };
  },
  load({ tensors, json }, { d, m }, createKernels) {
    const centroids = takeF32(tensors, "cluster.rows", [-1, d]);
    const k = centroids.length / d;
    const table = takeF32(tensors, "cluster.quality", [k, m]);
    const rows = takeF32(tensors, "cluster.weight", [k, m]);
    const top = Number(json["top_k"]);
    const beta = Number(json["beta"]);
    if (k < 1 || !(top >= 1 && top <= k && Number.isSafeInteger(top)) || !(beta >= 0)) {
      throw new GatewayError("artifact_refused", "cluster: top_k or beta does not fit the table");
    }
    const similarities = createMatvec(centroids, undefined, d, createKernels);
    const variance = table.map(
      (q, at) => (q * (1 - q) + 0.01) / Math.max(1e-3, rows[at] as number),
    );
    const nearest = new Int32Array(top);
    const quality = new Float32Array(m);
    const uncertainty = new Float32Array(m);
    const scores = { quality, uncertainty };
    return {
      sync: true,
      score(x) {
        const similarity = similarities(x);
        pickNearest(similarity, nearest);
        const best = similarity[nearest[0] as number] as number;
        quality.fill(0);
        uncertainty.fill(0);
        let total = 0;
        for (const cluster of nearest) {
          const share = Math.exp(beta * ((similarity[cluster] as number) - best));
          total += share;
          for (let j = 0; j < m; j++) {
            const at = cluster * m + j;
            quality[j] = (quality[j] as number) + share * (table[at] as number);
            uncertainty[j] = (uncertainty[j] as number) + share * share * (variance[at] as number);
          }
        }
        for (let j = 0; j < m; j++) {
          quality[j] = clampShare((quality[j] as number) / total);
          uncertainty[j] = Math.sqrt(uncertainty[j] as number) / total;
        }
        return scores;
      },
      close: () => undefined,
    };
  },
});

/** The largest values' places, largest first; ties keep the lower one. */
function pickNearest(values: Float32Array, into: Int32Array): void {
  into.fill(-1);
  const last = into.length - 1;
  for (let i = 0; i < values.length; i++) {
    const value = values[i] as number;
    const worst = into[last] as number;
    if (worst >= 0 && value <= (values[worst] as number)) continue;
    let to = last;
    while (to > 0) {
      const above = into[to - 1] as number;
      if (above >= 0 && (values[above] as number) >= value) break;
      into[to] = above;
      to--;
    }
    into[to] = i;
  }
}

/**
 * Quality per cluster and model: what was seen, drawn to the model's level plus the cluster's
 * difficulty (how far all models that were seen there stand from their own levels).
 */
function fillTable(examples: Examples, of: Int32Array, k: number, priorRows: number) {
  const { n, models, quality, weight } = examples;
  const m = models.length;
  const mean = meanQuality(examples);
  const sums = new Float64Array(k * m);
  const rows = new Float32Array(k * m);
  for (let row = 0; row < n; row++) {
    const at = (of[row] as number) * m;
    const w = weight[row] as number;
    for (let j = 0; j < m; j++) {
      const q = quality[row * m + j] as number;
      if (Number.isNaN(q)) continue;
      sums[at + j] = (sums[at + j] as number) + w * (q - (mean[j] as number));
      rows[at + j] = (rows[at + j] as number) + w;
    }
  }
  const table = new Float32Array(k * m);
  for (let cluster = 0; cluster < k; cluster++) {
    let gap = 0;
    let mass = priorRows;
    for (let j = 0; j < m; j++) {
      gap += sums[cluster * m + j] as number;
      mass += rows[cluster * m + j] as number;
    }
    const difficulty = gap / mass;
    for (let j = 0; j < m; j++) {
      const at = cluster * m + j;
      const seen = rows[at] as number;
      const gapHere = ((sums[at] as number) + priorRows * difficulty) / (seen + priorRows);
      table[at] = clampShare((mean[j] as number) + gapHere);
      rows[at] = seen + priorRows;
    }
  }
  return { quality: table, rows };
}
