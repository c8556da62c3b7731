/**
 * Multidimensional item response theory: P(model right) = sigmoid(a(x)ᵀθ_M − b(x)), with a query's
 * discriminations a(x) = softplus(A·x) ≥ 0 and difficulty b(x) = w·x + b₀ out of its features, and
 * abilities θ_M per model. Difficulty is common to all models, so rows that only some were seen on
 * still teach it. Learning starts where ridge regression ends: its weights, as logits, are split into
 * what all models share (the difficulty) and the leading directions in which they differ.
 * Source: Song et al., "IRT-Router", ACL 2025, arXiv 2506.01048 (MIRT); Reckase,
 * "Multidimensional Item Response Theory", 2009.
 * Cost of a decision: a matrix-vector product of `dimensions` + 1 rows, and one of a row per model.
 */
import { Type } from "@sinclair/typebox";
import { eigenSymmetric } from "../../std/matrix.ts";
import { descend, type Matrix, type Tape, toMatrix } from "../../std/tape.ts";
import { f32, takeF32 } from "../safetensors.ts";
import { assignFolds, centredQuality, meanQuality } from "./examples.ts";
import { inputOf, logitsOf, pointwiseLoss, shuffler, sigmoids, zeroWeights } from "./head.ts";
import { createMatvec } from "./matvec.ts";
import { fitRidgeByFolds } from "./ridge.ts";
import { defineStrategy, type Examples } from "./strategy.ts";

export const irt = defineStrategy({
  name: "llmrouter-irt",
  summary: "Item response theory: a query's difficulty and demands against a model's abilities.",
  options: Type.Object({
    dimensions: Type.Integer({
      default: 16,
      minimum: 1,
      maximum: 256,
      description: "Abilities that a model has.",
    }),
    lr: Type.Number({ default: 0.003, exclusiveMinimum: 0, maximum: 1, description: "Step size." }),
    epochs: Type.Integer({ default: 5, minimum: 1, maximum: 1000 }),
    batch_size: Type.Integer({ default: 64, minimum: 1, maximum: 4096 }),
    weight_decay: Type.Number({ default: 0.1, minimum: 0 }),
  }),
  fit(examples, options, { random, progress }) {
    const { n, d, models } = examples;
    const m = models.length;
    const k = options.dimensions;
    const { demand, demandBias, difficulty, ability, level } = start(examples, k);
    const minus = new Float32Array(m).fill(-1);
    const spread = toMatrix(minus, m, 1);
    const scoreOf = (tape: Tape, input: Matrix) => {
      const a = tape.softplus(tape.addRow(tape.times(input, demand), demandBias));
      const b = tape.times(tape.times(input, difficulty), spread);
      return tape.addRow(tape.add(tape.times(a, ability), b), level);
    };
    descend(
      [demand, demandBias, difficulty, ability, level],
      new Set([demand, difficulty, ability]),
      {
        rows: n,
        rounds: options.epochs,
        batchSize: options.batch_size,
        rate: options.lr,
        decay: options.weight_decay,
        shuffle: shuffler(random),
        progress,
      },
      (tape, rows) => pointwiseLoss(scoreOf(tape, inputOf(examples, rows)), rows, examples),
    );
    return {
      tensors: {
        "irt.demand": f32(demand.values, k, d),
        "irt.demand_bias": f32(demandBias.values, k),
        "irt.difficulty": f32(difficulty.values, d),
        "irt.ability": f32(ability.values, m, k),
        "irt.level": f32(level.values, m),
      },
      json: { dimensions: k },
    };
  },
  load({ tensors }, { d, m }, createKernels) {
    const demand = takeF32(tensors, "irt.demand", [-1, d]);
    const k = demand.length / d;
    const bias = takeF32(tensors, "irt.demand_bias", [k]);
    // Difficulty is the last row of one product.
    const rows = new Float32Array((k + 1) * d);
    rows.set(demand);
    rows.set(takeF32(tensors, "irt.difficulty", [d]), k * d);
    const biases = new Float32Array(k + 1);
    biases.set(bias);
    const demands = createMatvec(rows, biases, d, createKernels);
    // A column of −1 takes the difficulty off.
    const ability = takeF32(tensors, "irt.ability", [m, k]);
    const table = new Float32Array(m * (k + 1));
    for (let j = 0; j < m; j++) {
      table.set(ability.subarray(j * k, (j + 1) * k), j * (k + 1));
      table[j * (k + 1) + k] = -1;
    }
    const answer = createMatvec(table, takeF32(tensors, "irt.level", [m]), k + 1, createKernels);
    const uncertainty = new Float32Array(m).fill(Number.NaN);
    return {
      sync: true,
      score(x) {
        const query = demands(x);
        for (let i = 0; i < k; i++) query[i] = softplus(query[i] as number);
        const quality = answer(query);
        sigmoids(quality);
        return { quality, uncertainty };
      },
      close: () => undefined,
    };
  },
});

/** Where softplus is 1, and its slope there. */
const [even, slope] = [0.5413, 0.632];
const triedAlphas = [3, 10, 30, 100, 300];
const folds = 4;
/** A rare success or failure must not make a step of quality too large a step of logits. */
const mostLogitsPerQuality = 10;

/** A linear estimate in the form of the model: a low-rank part per model, and a common one. */
function start(examples: Examples, k: number) {
  const { x, n, d, models, weight } = examples;
  const m = models.length;
  const mean = meanQuality(examples);
  const problem = { x, y: centredQuality(examples, mean), n, d, m, weight };
  const { w } = fitRidgeByFolds(problem, triedAlphas, assignFolds(examples.group, folds), folds);
  const demand = zeroWeights(k, d);
  const demandBias = toMatrix(new Float32Array(k).fill(even), 1, k);
  const difficulty = zeroWeights(1, d);
  const ability = zeroWeights(m, k);
  const level = logitsOf(mean);
  const own = new Float64Array(m * d);
  for (let j = 0; j < m; j++) {
    const q = mean[j] as number;
    const factor = Math.min(mostLogitsPerQuality, 1 / Math.max(1e-6, q * (1 - q)));
    for (let i = 0; i < d; i++) {
      own[j * d + i] = factor * (w[j * d + i] as number);
      difficulty.values[i] = (difficulty.values[i] as number) - (own[j * d + i] as number) / m;
    }
  }
  for (let at = 0; at < m * d; at++) {
    own[at] = (own[at] as number) + (difficulty.values[at % d] as number);
  }
  const products = new Float64Array(m * m);
  for (let a = 0; a < m; a++) {
    for (let b = 0; b <= a; b++) {
      let sum = 0;
      for (let i = 0; i < d; i++) sum += (own[a * d + i] as number) * (own[b * d + i] as number);
      products[a * m + b] = sum;
      products[b * m + a] = sum;
    }
  }
  const { values, vectors } = eigenSymmetric(products, m);
  for (let l = 0; l < Math.min(k, m); l++) {
    const size = Math.sqrt(Math.max(0, values[l] as number));
    if (size < 1e-6) break;
    // Both ends of the product get the same share of its size.
    const half = Math.sqrt(size / slope);
    for (let j = 0; j < m; j++) {
      const u = vectors[j * m + l] as number;
      ability.values[j * k + l] = u * half;
      level.values[j] = (level.values[j] as number) - u * half;
      for (let i = 0; i < d; i++) {
        const at = l * d + i;
        const share = (u * (own[j * d + i] as number) * half) / size;
        demand.values[at] = (demand.values[at] as number) + share;
      }
    }
  }
  return { demand, demandBias, difficulty, ability, level };
}

const softplus = (x: number) => (x > 30 ? x : Math.log1p(Math.exp(x)));
