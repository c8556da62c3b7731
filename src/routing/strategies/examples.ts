/** What the strategies share: means, folds, and the part of the examples that a fold trains on. */
import { createRandom } from "../../std/random.ts";
import type { Examples } from "./strategy.ts";

/** Weighted mean quality per model; 0.5 where nothing was observed. */
export function meanQuality({ quality, weight, n, models }: Examples): Float64Array {
  const m = models.length;
  const sums = new Float64Array(m);
  const weights = new Float64Array(m);
  for (let row = 0; row < n; row++) {
    const w = weight[row] as number;
    for (let j = 0; j < m; j++) {
      const q = quality[row * m + j] as number;
      if (Number.isNaN(q)) continue;
      sums[j] = (sums[j] as number) + w * q;
      weights[j] = (weights[j] as number) + w;
    }
  }
  return sums.map((sum, j) => {
    const w = weights[j] as number;
    return w > 0 ? sum / w : 0.5;
  });
}

/** Quality minus its mean, NaN replaced by 0, so that what was not observed pulls to the mean. */
export function centredQuality(examples: Examples, mean: Float64Array): Float32Array {
  const m = examples.models.length;
  return examples.quality.map((q, i) => (Number.isNaN(q) ? 0 : q - (mean[i % m] as number)));
}

/** A fold per row; rows of one group share it. The seed is fixed: folds are part of a recipe. */
export function assignFolds(group: Int32Array, folds: number): Int8Array {
  const random = createRandom(20);
  const foldOf = new Map<number, number>();
  return Int8Array.from(group, (id) => {
    let fold = foldOf.get(id);
    if (fold === undefined) {
      fold = Math.floor(random.next() * folds);
      foldOf.set(id, fold);
    }
    return fold;
  });
}

/** The rows that `keep` names, copied. */
export function takeRows(examples: Examples, keep: (row: number) => boolean): Examples {
  const { d, n, models } = examples;
  const m = models.length;
  const rows: number[] = [];
  for (let row = 0; row < n; row++) if (keep(row)) rows.push(row);
  const x = new Float32Array(rows.length * d);
  const quality = new Float32Array(rows.length * m);
  const verification = examples.verification && new Float32Array(rows.length * m);
  rows.forEach((row, to) => {
    x.set(examples.x.subarray(row * d, (row + 1) * d), to * d);
    quality.set(examples.quality.subarray(row * m, (row + 1) * m), to * m);
    verification?.set(examples.verification?.subarray(row * m, (row + 1) * m) ?? [], to * m);
  });
  return {
    ...examples,
    x,
    quality,
    ...(verification ? { verification } : {}),
    n: rows.length,
    weight: Float32Array.from(rows, (row) => examples.weight[row] as number),
    group: Int32Array.from(rows, (row) => examples.group[row] as number),
    ...(examples.user ? { user: rows.map((row) => examples.user?.[row]) } : {}),
  };
}

export function clampShare(value: number): number {
  return Math.max(0, Math.min(1, value));
}

/** In place. */
export function clampShares(values: Float32Array): void {
  for (let i = 0; i < values.length; i++) values[i] = clampShare(values[i] as number);
}
