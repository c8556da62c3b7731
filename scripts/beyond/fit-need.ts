/**
 * Fits the weights of `src/routing/prior/need.ts`: which shapes of query gain from an able model. The
 * target per query: how much better the abler of the set's worthwhile models did than their means say,
 * plus a quarter of how hard it was for all. Centred within each set, so that no set's own habits count.
 */
import { shapeNames } from "../../src/embedding/shape.ts";
import { toHull } from "../../src/learning/evidence/curve.ts";
import type { Table } from "../../src/learning/table.ts";
import { fitRidge } from "../../src/routing/strategies/ridge.ts";

const d = shapeNames.length;
const penalty = 1000;
/** Rows that each set counts as, however many it has. */
const rowsPerSet = 1000;
const hardShare = 0.25;
/** From standardised gain to the logarithm of the need. */
const scale = 4;
/** A model counts as worthwhile within so much quality of the hull, at no more than so many times its cost. */
const near = { quality: 0.03, cost: 2 } as const;

export interface NeedFit {
  readonly weights: number[];
  readonly bias: number;
}

export function fitNeed(sets: readonly Table[]): NeedFit {
  const { mean, deviation } = toScale(sets);
  const n = sets.reduce((sum, set) => sum + set.n, 0);
  const x = new Float32Array(n * d);
  const y = new Float32Array(n);
  const weight = new Float32Array(n);
  let at = 0;
  for (const set of sets) {
    const target = toTarget(set);
    const centre = new Float64Array(d);
    const rows = set.features.map(({ shape }) =>
      Float64Array.from(shape, (value, i) => (value - (mean[i] ?? 0)) / (deviation[i] ?? 1)),
    );
    for (const row of rows)
      row.forEach((v, i) => {
        centre[i] = (centre[i] ?? 0) + v / set.n;
      });
    rows.forEach((row, i) => {
      row.forEach((v, k) => {
        x[at * d + k] = v - (centre[k] ?? 0);
      });
      y[at] = target[i] ?? 0;
      weight[at] = rowsPerSet / set.n;
      at++;
    });
  }
  const { w } = fitRidge(
    { x, y, n, d, m: 1, weight, penalty: new Float32Array(d).fill(1) },
    penalty,
  );
  const weights = [...w].map((value, i) => (scale * value) / (deviation[i] ?? 1));
  const bias = -weights.reduce((sum, value, i) => sum + value * (mean[i] ?? 0), 0);
  return { weights, bias };
}

function toScale(sets: readonly Table[]) {
  const mean = new Float64Array(d);
  const square = new Float64Array(d);
  for (const { features, n } of sets) {
    for (const { shape } of features) {
      shape.forEach((value, i) => {
        mean[i] = (mean[i] ?? 0) + value / n / sets.length;
        square[i] = (square[i] ?? 0) + value ** 2 / n / sets.length;
      });
    }
  }
  const deviation = square.map((value, i) =>
    Math.sqrt(Math.max(1e-6, value - (mean[i] ?? 0) ** 2)),
  );
  return { mean, deviation };
}

function toTarget(table: Table): Float64Array {
  const { n, labels, quality } = table;
  const m = labels.length;
  const singles = labels.map((_, j) => ({ j, ...pointOf(table, j) }));
  const worthwhile = toWorthwhile(singles);
  const centre = worthwhile.reduce((sum, one) => sum + one.quality, 0) / worthwhile.length;
  const gain = new Float64Array(n);
  const hard = new Float64Array(n);
  for (let row = 0; row < n; row++) {
    const residual = (j: number) => (quality[row * m + j] as number) - (singles[j]?.quality ?? 0);
    for (const one of worthwhile) {
      gain[row] = (gain[row] ?? 0) + residual(one.j) * (one.quality - centre);
    }
    for (let j = 0; j < m; j++) hard[row] = (hard[row] ?? 0) - residual(j) / m;
  }
  const [a, b] = [rootMeanSquare(gain), rootMeanSquare(hard)];
  return gain.map((value, row) => value / a + (hardShare * (hard[row] ?? 0)) / b);
}

interface Single {
  readonly j: number;
  readonly cost: number;
  readonly quality: number;
}

function toWorthwhile(singles: readonly Single[]): readonly Single[] {
  const hull = toHull(singles);
  return singles.filter((one) =>
    hull.some(
      ({ cost, quality }) => one.quality > quality - near.quality && one.cost <= cost * near.cost,
    ),
  );
}

export function pointOf({ n, labels, quality, costUsd }: Table, j: number) {
  let q = 0;
  let cost = 0;
  for (let row = 0; row < n; row++) {
    q += (quality[row * labels.length + j] as number) / n;
    cost += (costUsd[row * labels.length + j] as number) / n;
  }
  return { cost, quality: q };
}

function rootMeanSquare(values: Float64Array): number {
  return Math.sqrt(values.reduce((sum, value) => sum + value ** 2, 0) / values.length) || 1;
}
