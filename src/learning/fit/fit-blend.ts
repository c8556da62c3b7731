/**
 * How much of a strategy's predictions to believe, direction by direction: a matrix B that maps a
 * query's predicted gains over the models' mean qualities to what held on rows that the predicting fit
 * had not seen. Models err alike, so a gain that many predictions share is kept, and one model's
 * lonely peak (which is what the best of many noisy numbers is) is drawn to the mean. How hard the
 * query is for all models is a direction of its own. Each direction's belief is measured on few rows
 * and so is itself noisy: it may only fall from the directions that predictions vary most in to those
 * that they hardly vary in.
 * Sources: Breiman & Friedman, "Predicting multivariate responses in multiple linear regression"
 * ("curds and whey"), JRSS B 59(1), 1997; directions are the predictions' principal components.
 * Barlow et al., "Statistical inference under order restrictions", 1972 (pool adjacent violators).
 */
import { eigenSymmetric } from "../../std/matrix.ts";

export interface BlendRows {
  readonly n: number;
  readonly m: number;
  /** n×m: out of fold. */
  readonly predicted: Float32Array;
  /** n×m: the models' mean qualities as the predicting fit knew them. */
  readonly table: Float32Array;
  /** n×m; NaN: not observed. */
  readonly quality: Float32Array;
  readonly weight: Float32Array;
}

/** Rows with every model's outcome that are needed; with fewer there is no blend. */
const leastRows = 60;
/** Jacobi's cost grows with the cube: beyond so many models one factor serves all directions. */
const mostModels = 128;
/** A direction may be believed more than predicted (members of a mean are each too timid), a little. */
const mostBelief = 1.2;

/** m×m, symmetric; undefined where the rows cannot tell. Rows that `use` refuses do not count. */
export function fitBlend(
  rows: BlendRows,
  use: (row: number) => boolean = () => true,
): Float32Array | undefined {
  const { m } = rows;
  if (m < 2 || m > mostModels) return undefined;
  const sums = toProducts(rows, use);
  if (sums.count < leastRows) return undefined;
  const { vectors } = eigenSymmetric(sums.predicted, m);
  const directions = Array.from({ length: m }, (_, k) => {
    const v = Float64Array.from({ length: m }, (_, i) => vectors[i * m + k] as number);
    return { v, both: quadratic(sums.both, v), predicted: quadratic(sums.predicted, v) };
  });
  const beliefs = toFalling(directions);
  const blend = new Float64Array(m * m);
  directions.forEach(({ v }, k) => {
    addDirection(blend, v, beliefs[k] as number);
  });
  // The predictions' differences know nothing of the direction in which all models move as one.
  const level = toBelief(sums.levelBoth, sums.level);
  return Float32Array.from(blend, (value) => value + level / m);
}

interface Sums {
  readonly both: number;
  readonly predicted: number;
}

/**
 * The beliefs of least squares that never rise: neighbours that would rise are taken together.
 * @param directions by falling variance of the predictions
 */
function toFalling(directions: readonly Sums[]): number[] {
  const pools: (Sums & { readonly count: number })[] = [];
  for (const { both, predicted } of directions) {
    let pool = { both, predicted, count: 1 };
    for (let last = pools.at(-1); last && ratioOf(last) <= ratioOf(pool); last = pools.at(-1)) {
      pools.pop();
      pool = {
        both: last.both + pool.both,
        predicted: last.predicted + pool.predicted,
        count: last.count + pool.count,
      };
    }
    pools.push(pool);
  }
  return pools.flatMap((pool) =>
    new Array<number>(pool.count).fill(toBelief(pool.both, pool.predicted)),
  );
}

const ratioOf = ({ both, predicted }: Sums) => (predicted < 1e-9 ? 0 : both / predicted);

/** Where predictions say nothing, nothing is believed. */
function toBelief(both: number, predicted: number): number {
  if (predicted < 1e-9) return 0;
  return Math.max(0, Math.min(mostBelief, both / predicted));
}

/** Products of predicted differences with themselves and with the real ones, over complete rows. */
function toProducts({ n, m, predicted, table, quality, weight }: BlendRows, use: Use) {
  const sums = {
    predicted: new Float64Array(m * m),
    both: new Float64Array(m * m),
    level: 0,
    levelBoth: 0,
    count: 0,
  };
  const z = new Float64Array(m);
  const y = new Float64Array(m);
  for (let row = 0; row < n; row++) {
    if (!use(row) || !isComplete(quality, row, m)) continue;
    const w = weight[row] as number;
    let zMean = 0;
    let yMean = 0;
    for (let j = 0; j < m; j++) {
      const at = row * m + j;
      z[j] = (predicted[at] as number) - (table[at] as number);
      y[j] = (quality[at] as number) - (table[at] as number);
      zMean += (z[j] as number) / m;
      yMean += (y[j] as number) / m;
    }
    for (let j = 0; j < m; j++) {
      const zj = (z[j] as number) - zMean;
      for (let i = 0; i < m; i++) {
        const at = j * m + i;
        sums.predicted[at] = (sums.predicted[at] as number) + w * zj * ((z[i] as number) - zMean);
        sums.both[at] = (sums.both[at] as number) + w * zj * ((y[i] as number) - yMean);
      }
    }
    sums.level += w * zMean * zMean;
    sums.levelBoth += w * zMean * yMean;
    sums.count++;
  }
  return sums;
}

type Use = (row: number) => boolean;

function isComplete(quality: Float32Array, row: number, m: number): boolean {
  for (let j = 0; j < m; j++) if (Number.isNaN(quality[row * m + j])) return false;
  return true;
}

/** vᵀ·A·v */
function quadratic(a: Float64Array, v: Float64Array): number {
  const m = v.length;
  let sum = 0;
  for (let i = 0; i < m; i++) {
    for (let j = 0; j < m; j++) {
      sum += (v[i] as number) * (a[i * m + j] as number) * (v[j] as number);
    }
  }
  return sum;
}

/** blend += belief·v·vᵀ */
function addDirection(blend: Float64Array, v: Float64Array, belief: number): void {
  if (belief === 0) return;
  const m = v.length;
  for (let i = 0; i < m; i++) {
    for (let j = 0; j < m; j++) {
      const at = i * m + j;
      blend[at] = (blend[at] as number) + belief * (v[i] as number) * (v[j] as number);
    }
  }
}

/**
 * A blend with the factor within it: differences between models shrink, the level of all of them does
 * not, for no choice depends on it and calibration does.
 */
export function withFactor(blend: Float32Array, factor: number): Float32Array {
  // Directions of differences sum to nothing, so what is left of the sum is the level's.
  const level = blend.reduce((sum, value) => sum + value, 0) / blend.length;
  return blend.map((value) => factor * (value - level) + level);
}
