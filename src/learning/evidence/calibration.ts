/** Whether predicted qualities mean what they say: ten bins of prediction against what came true. */

export interface ReliabilityBin {
  /** Predictions from `low` up to `high`. */
  readonly low: number;
  readonly high: number;
  readonly count: number;
  /** Means in the bin; NaN where it is empty. */
  readonly predicted: number;
  readonly observed: number;
}

const bins = 10;

/**
 * The reliability table over all queries and models. What was not observed (NaN) is left out.
 * @param predicted, observed n×m
 * @param weight n: how often each row counts; missing: once
 */
export function toReliability(
  predicted: Float32Array,
  observed: Float32Array,
  m: number,
  weight?: ArrayLike<number>,
): readonly ReliabilityBin[] {
  const sums = Array.from({ length: bins }, () => ({ predicted: 0, observed: 0, count: 0 }));
  for (let at = 0; at < predicted.length; at++) {
    const p = predicted[at] as number;
    const q = observed[at] as number;
    const w = weight ? (weight[Math.floor(at / m)] as number) : 1;
    const bin = sums[Math.max(0, Math.min(bins - 1, Math.floor(p * bins)))];
    if (!bin || w === 0 || Number.isNaN(q)) continue;
    bin.predicted += w * p;
    bin.observed += w * q;
    bin.count += w;
  }
  return sums.map((bin, i) => ({
    low: i / bins,
    high: (i + 1) / bins,
    count: bin.count,
    predicted: bin.predicted / bin.count,
    observed: bin.observed / bin.count,
  }));
}

/** Expected calibration error: the mean distance of a bin's prediction from what came true. */
export function toCalibrationError(table: readonly ReliabilityBin[]): number {
  let error = 0;
  let total = 0;
  for (const { count, predicted, observed } of table) {
    if (count === 0) continue;
    error += count * Math.abs(predicted - observed);
    total += count;
  }
  return error / Math.max(1, total);
}
