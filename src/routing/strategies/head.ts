/**
 * What the strategies that learn a head over the features share: batches, first weights, the
 * gradients of their losses, and how a score of any scale becomes a quality.
 */
import { nextInt, nextNormal, type Random } from "../../std/random.ts";
import { type Matrix, sigmoid, toInput, toMatrix } from "../../std/tape.ts";
import { clampShare } from "./examples.ts";
import type { Examples } from "./strategy.ts";

/** The features of some rows. */
export function inputOf({ x, d }: Examples, rows: Int32Array): Matrix {
  const values = new Float32Array(rows.length * d);
  rows.forEach((row, i) => {
    values.set(x.subarray(row * d, (row + 1) * d), i * d);
  });
  return toInput(values, rows.length, d);
}

/** rows×columns normal numbers of about unit length a row. */
export function normalWeights(rows: number, columns: number, random: Random, size = 1): Matrix {
  const spread = size / Math.sqrt(columns);
  const values = Float32Array.from({ length: rows * columns }, () => nextNormal(random) * spread);
  return toMatrix(values, rows, columns);
}

export const zeroWeights = (rows: number, columns: number): Matrix =>
  toMatrix(new Float32Array(rows * columns), rows, columns);

/** A row of logits: where a head starts, so that it predicts each model's mean. */
export function logitsOf(mean: Float64Array): Matrix {
  return toMatrix(Float32Array.from(mean, toLogit), 1, mean.length);
}

export function toLogit(share: number): number {
  const q = Math.max(0.01, Math.min(0.99, share));
  return Math.log(q / (1 - q));
}

/** For `descend`: Fisher and Yates, in place. */
export function shuffler(random: Random): (rows: Int32Array) => void {
  return (rows) => {
    for (let i = rows.length - 1; i > 0; i--) {
      const j = nextInt(random, i + 1);
      const held = rows[i] as number;
      rows[i] = rows[j] as number;
      rows[j] = held;
    }
  };
}

/** Cross-entropy of sigmoid(score) against the quality, mean over the batch; NaN counts nothing. */
export function pointwiseLoss(out: Matrix, rows: Int32Array, examples: Examples): void {
  const { quality, weight } = examples;
  const m = out.columns;
  rows.forEach((row, i) => {
    const share = (weight[row] as number) / rows.length;
    for (let j = 0; j < m; j++) {
      const q = quality[row * m + j] as number;
      if (Number.isNaN(q)) continue;
      out.gradient[i * m + j] = (sigmoid(out.values[i * m + j] as number) - q) * share;
    }
  });
}

/**
 * Bradley-Terry over every pair of a row's models: P(i before j) = sigmoid(sᵢ − sⱼ) against
 * ½ + ½(qᵢ − qⱼ), so that a tie pulls the two together and half a win counts half.
 */
export function pairwiseLoss(out: Matrix, rows: Int32Array, examples: Examples): void {
  const { quality, weight } = examples;
  const m = out.columns;
  rows.forEach((row, i) => {
    const share = (weight[row] as number) / rows.length / Math.max(1, m - 1);
    for (let a = 0; a < m; a++) {
      const qa = quality[row * m + a] as number;
      if (Number.isNaN(qa)) continue;
      for (let b = 0; b < a; b++) {
        const qb = quality[row * m + b] as number;
        if (Number.isNaN(qb)) continue;
        const gap = (out.values[i * m + a] as number) - (out.values[i * m + b] as number);
        const error = (sigmoid(gap) - 0.5 - 0.5 * (qa - qb)) * share;
        out.gradient[i * m + a] = (out.gradient[i * m + a] as number) + error;
        out.gradient[i * m + b] = (out.gradient[i * m + b] as number) - error;
      }
    }
  });
}

export interface Calibration {
  /** Shared by all models, so that their order on a query is the scores' but for their levels. */
  readonly slope: number;
  /** m. */
  readonly offset: Float32Array;
}

/** quality ≈ offset[j] + slope·score by least squares, slope ≥ 0; `scores` is n×m. */
export function calibrate(
  scores: Float32Array,
  { n, models, quality, weight }: Examples,
  mean: Float64Array,
): Calibration {
  const m = models.length;
  const centre = new Float64Array(m);
  const mass = new Float64Array(m);
  forEachSeen((row, j, at) => {
    centre[j] = (centre[j] as number) + (weight[row] as number) * (scores[at] as number);
    mass[j] = (mass[j] as number) + (weight[row] as number);
  });
  for (let j = 0; j < m; j++)
    centre[j] = (centre[j] as number) / Math.max(1e-12, mass[j] as number);
  let product = 0;
  let square = 1e-9;
  forEachSeen((row, j, at) => {
    const s = (scores[at] as number) - (centre[j] as number);
    product += (weight[row] as number) * s * ((quality[at] as number) - (mean[j] as number));
    square += (weight[row] as number) * s * s;
  });
  const slope = Math.max(0, product / square);
  const offset = Float32Array.from(mean, (q, j) => q - slope * (centre[j] as number));
  return { slope, offset };

  function forEachSeen(visit: (row: number, j: number, at: number) => void): void {
    for (let row = 0; row < n; row++) {
      for (let j = 0; j < m; j++) {
        const at = row * m + j;
        if (!Number.isNaN(quality[at])) visit(row, j, at);
      }
    }
  }
}

/** In place: offset + slope·score, kept in [0, 1]. */
export function toQuality(scores: Float32Array, { slope, offset }: Calibration): void {
  for (let j = 0; j < scores.length; j++) {
    scores[j] = clampShare((offset[j] as number) + slope * (scores[j] as number));
  }
}

/** In place. */
export function sigmoids(values: Float32Array): void {
  for (let i = 0; i < values.length; i++) values[i] = sigmoid(values[i] as number);
}
