/**
 * Dual contrastive learning: queries and models in one space, where a query lies near the models
 * that answer it well (sample-LLM loss) and near other queries of its kind (sample-sample loss, kinds
 * by spherical k-means). The encoder that the paper fine-tunes is here a learned head over our
 * features; cosines are then calibrated to quality, one slope for all and a level per model.
 * Source: Chen et al., "RouterDC", NeurIPS 2024, arXiv 2409.19886. Option names are LLMRouter's
 * `dcrouter`'s.
 * Cost of a decision: `hidden_state_dim`×dimensions and models×`hidden_state_dim` multiplications.
 */
import { Type } from "@sinclair/typebox";
import { GatewayError } from "../../domain/errors.ts";
import { nextInt, type Random, shuffle } from "../../std/random.ts";
import { createTape, descend, type Matrix, type Tape } from "../../std/tape.ts";
import { f32, takeF32 } from "../safetensors.ts";
import { findClusters } from "./clusters.ts";
import { meanQuality } from "./examples.ts";
import { calibrate, inputOf, normalWeights, shuffler, toQuality } from "./head.ts";
import { createMatvec } from "./matvec.ts";
import { defineStrategy, type Examples } from "./strategy.ts";

export const routerdc = defineStrategy({
  name: "llmrouter-routerdc",
  summary: "Dual contrastive learning: queries near the models that answer them (RouterDC).",
  options: Type.Object({
    hidden_state_dim: Type.Integer({
      default: 32,
      minimum: 2,
      maximum: 512,
      description: "Dimensions of the space that queries and models share.",
    }),
    top_k: Type.Integer({
      default: 3,
      minimum: 1,
      maximum: 64,
      description: "Best models of a row: its positives.",
    }),
    last_k: Type.Integer({
      default: 3,
      minimum: 1,
      maximum: 64,
      description: "Worst models of a row, those of a quality over 0.5 apart: its negatives.",
    }),
    temperature: Type.Number({
      default: 1,
      exclusiveMinimum: 0,
      description: "Cosines are divided by it.",
    }),
    sample_loss_weight: Type.Number({
      default: 0.3,
      minimum: 0,
      description: "Of the sample-sample loss.",
    }),
    n_clusters: Type.Integer({ default: 12, minimum: 2, maximum: 1024 }),
    H: Type.Integer({
      default: 3,
      minimum: 1,
      maximum: 32,
      description: "Queries of other clusters that one is pushed from.",
    }),
    learning_rate: Type.Number({ default: 0.006, exclusiveMinimum: 0, maximum: 1 }),
    epochs: Type.Integer({ default: 8, minimum: 1, maximum: 1000 }),
    batch_size: Type.Integer({ default: 64, minimum: 4, maximum: 4096 }),
    weight_decay: Type.Number({ default: 0.3, minimum: 0 }),
  }),
  fit(examples, options, { random, kernels, progress }) {
    const { x, n, d, models } = examples;
    const m = models.length;
    const k = options.hidden_state_dim;
    const w = normalWeights(k, d, random);
    const v = normalWeights(m, k, random);
    const clusters = findClusters(x, n, d, { k: options.n_clusters, rounds: 12, random, kernels });
    const embed = (tape: Tape, input: Matrix) => tape.unitRows(tape.times(input, w));
    descend(
      [w, v],
      new Set([w]),
      {
        rows: n,
        rounds: options.epochs,
        batchSize: options.batch_size,
        rate: options.learning_rate,
        decay: options.weight_decay,
        shuffle: shuffler(random),
        progress,
      },
      (tape, rows) => {
        const h = embed(tape, inputOf(examples, rows));
        const cosines = tape.times(h, tape.unitRows(v));
        sampleModelLoss(cosines, rows, examples, options, random);
        if (options.sample_loss_weight > 0) sampleSampleLoss(h, rows, clusters.of, options, random);
      },
    );
    const tape = createTape();
    const unit = tape.unitRows(v);
    const everything = Int32Array.from({ length: n }, (_, row) => row);
    const cosines = tape.times(embed(tape, inputOf(examples, everything)), unit).values;
    const { slope, offset } = calibrate(cosines, examples, meanQuality(examples));
    return {
      tensors: {
        "dc.query": f32(w.values, k, d),
        "dc.model": f32(unit.values, m, k),
        "dc.offset": f32(offset, m),
      },
      json: { slope },
    };
  },
  load({ tensors, json }, { d, m }, createKernels) {
    const w = takeF32(tensors, "dc.query", [-1, d]);
    const k = w.length / d;
    const offset = takeF32(tensors, "dc.offset", [m]);
    const slope = Number(json["slope"]);
    if (!Number.isFinite(slope)) {
      throw new GatewayError("artifact_refused", "routerdc: the slope is not a finite number");
    }
    const embed = createMatvec(w, undefined, d, createKernels);
    const compare = createMatvec(takeF32(tensors, "dc.model", [m, k]), undefined, k, createKernels);
    const uncertainty = new Float32Array(m).fill(Number.NaN);
    const calibration = { slope, offset };
    return {
      sync: true,
      score(x) {
        const h = embed(x);
        let squares = 0;
        for (let i = 0; i < k; i++) squares += (h[i] as number) ** 2;
        const length = Math.max(1e-6, Math.sqrt(squares));
        for (let i = 0; i < k; i++) h[i] = (h[i] as number) / length;
        const quality = compare(h);
        toQuality(quality, calibration);
        return { quality, uncertainty };
      },
      close: () => undefined,
    };
  },
});

interface LossOptions {
  readonly top_k: number;
  readonly last_k: number;
  readonly temperature: number;
  readonly sample_loss_weight: number;
  readonly H: number;
}

/** −log e^{s⁺} / (e^{s⁺} + Σ e^{s⁻}) for each positive of a row, against all its negatives. */
function sampleModelLoss(
  cosines: Matrix,
  rows: Int32Array,
  { quality, weight, models }: Examples,
  { top_k, last_k, temperature }: LossOptions,
  random: Random,
): void {
  const m = models.length;
  rows.forEach((row, i) => {
    const of = (j: number) => quality[row * m + j] as number;
    const seen = models.flatMap((_, j) => (Number.isNaN(of(j)) ? [] : [j]));
    // Which of equals are among the first is a draw, else their order in the file would be learnt.
    shuffle(seen, random).sort((a, b) => of(b) - of(a));
    const best = of(seen[0] ?? 0);
    const negatives = seen.slice(-last_k).filter((j) => of(j) <= 0.5 && of(j) < best);
    const positives = seen.slice(0, top_k).filter((j) => of(j) > of(negatives[0] ?? j));
    const share =
      (weight[row] as number) / rows.length / temperature / Math.max(1, positives.length);
    for (const positive of positives) {
      contrast(cosines.values, i * m, [positive, ...negatives], temperature, (j, error) => {
        cosines.gradient[i * m + j] = (cosines.gradient[i * m + j] as number) + share * error;
      });
    }
  });
}

/** Softmax over the named columns minus one for the first: the gradient of its cross-entropy. */
function contrast(
  values: Float32Array,
  at: number,
  columns: readonly number[],
  temperature: number,
  give: (column: number, error: number) => void,
): void {
  const powers = columns.map((j) => Math.exp(((values[at + j] as number) - 1) / temperature));
  const total = powers.reduce((sum, power) => sum + power, 0);
  columns.forEach((j, i) => {
    give(j, (powers[i] as number) / total - (i === 0 ? 1 : 0));
  });
}

/** The same between queries of a batch: one of its own cluster against H of others. */
function sampleSampleLoss(
  h: Matrix,
  rows: Int32Array,
  clusterOf: Int32Array,
  { H, temperature, sample_loss_weight }: LossOptions,
  random: Random,
): void {
  const k = h.columns;
  const size = rows.length;
  const clusterAt = (i: number) => clusterOf[rows[i] as number];
  for (let i = 0; i < size; i++) {
    const start = nextInt(random, size);
    const others: number[] = [];
    let own = -1;
    for (let step = 0; step < size && (own < 0 || others.length < H); step++) {
      const other = (start + step) % size;
      if (other === i) continue;
      if (clusterAt(other) !== clusterAt(i)) {
        if (others.length < H) others.push(other);
      } else if (own < 0) own = other;
    }
    if (own < 0 || others.length === 0) continue;
    const columns = [own, ...others];
    const cosines = Float32Array.from(columns, (other) => dot(h.values, i * k, other * k, k));
    const share = sample_loss_weight / size / temperature;
    const places = columns.map((_, at) => at);
    contrast(cosines, 0, places, temperature, (at, error) => {
      const other = (columns[at] as number) * k;
      for (let l = 0; l < k; l++) {
        add(h.gradient, i * k + l, share * error * (h.values[other + l] as number));
        add(h.gradient, other + l, share * error * (h.values[i * k + l] as number));
      }
    });
  }
}

function dot(values: Float32Array, a: number, b: number, k: number): number {
  let sum = 0;
  for (let l = 0; l < k; l++) sum += (values[a + l] as number) * (values[b + l] as number);
  return sum;
}

function add(values: Float32Array, at: number, by: number): void {
  values[at] = (values[at] as number) + by;
}
