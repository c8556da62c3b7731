/**
 * What any router must be held against, as choices on the rows of a table: fixed models, the oracle,
 * query length, a table of qualities per category. Each is a curve of operating points, so that all
 * are measured by the same rule.
 */
import { assignFolds } from "../../routing/strategies/examples.ts";
import type { Table } from "../table.ts";
import { bestOf, type Point } from "./curve.ts";
import type { OperatingPoint } from "./route-table.ts";

/** Mean cost and quality of a choice per row, under weights per row (missing: each counts once). */
export function pointOf(table: Table, chosen: Int32Array, weight?: ArrayLike<number>): Point {
  const { n, costUsd, quality, labels } = table;
  const m = labels.length;
  let cost = 0;
  let sum = 0;
  let total = 0;
  for (let row = 0; row < n; row++) {
    const w = weight ? (weight[row] as number) : 1;
    if (w === 0) continue;
    const at = row * m + (chosen[row] as number);
    cost += w * (costUsd[at] as number);
    sum += w * (quality[at] as number);
    total += w;
  }
  return { cost: cost / total, quality: sum / total };
}

/** One point per model: always that one. */
export function singlePoints({ n, labels }: Table): OperatingPoint[] {
  return labels.map((name, j) => ({ name, chosen: new Int32Array(n).fill(j) }));
}

/** The cheapest model among those of best quality, query by query. */
export function oraclePoint({ n, labels, quality, costUsd }: Table): OperatingPoint {
  const m = labels.length;
  const chosen = Int32Array.from({ length: n }, (_, row) => {
    let best = 0;
    for (let j = 1; j < m; j++) {
      const q = (quality[row * m + j] as number) - (quality[row * m + best] as number);
      const cheaper = (costUsd[row * m + j] as number) < (costUsd[row * m + best] as number);
      if (q > 1e-9 || (q > -1e-9 && cheaper)) best = j;
    }
    return best;
  });
  return { name: "oracle", chosen };
}

/** The longest share of the queries to the best model, the rest to the cheapest. */
export function lengthPoints(table: Table, singles: readonly Point[]): OperatingPoint[] {
  const best = singles.indexOf(bestOf(singles));
  const cheapest = singles.reduce(
    (least, point, j) => (point.cost < (singles[least] as Point).cost ? j : least),
    0,
  );
  const rows = Int32Array.from({ length: table.n }, (_, row) => row);
  // The first shape feature is the logarithm of the length.
  const lengthOf = (row: number) => table.features[row]?.shape[0] ?? 0;
  const order = [...rows].sort((a, b) => lengthOf(b) - lengthOf(a) || a - b);
  return Array.from({ length: 21 }, (_, i) => {
    const chosen = new Int32Array(table.n).fill(cheapest);
    for (const row of order.slice(0, Math.round((table.n * i) / 20))) chosen[row] = best;
    return { name: `longest ${i * 5} %`, chosen };
  });
}

const folds = 5;
/** Rows of prior: a category's mean is drawn to the model's own by so many. */
const priorRows = 20;
/** λ·cost/(dearest model's mean cost): from quality alone to cost alone. */
const tableLambdas = [0, ...Array.from({ length: 24 }, (_, i) => 1e-3 * 1.55 ** i)];

/**
 * A capability table: each model's mean quality and cost per category, learnt on the other folds of
 * these very rows. It knows what a router may not: a row's category. Undefined without categories.
 */
export function categoryPoints(table: Table): OperatingPoint[] | undefined {
  const { n, labels, categories, group } = table;
  if (new Set(categories.filter((name) => name !== undefined)).size < 2) return undefined;
  const m = labels.length;
  const foldOf = assignFolds(group, folds);
  const quality = new Float64Array(n * m);
  const cost = new Float64Array(n * m);
  for (let fold = 0; fold < folds; fold++) fillTable(table, foldOf, fold, quality, cost);
  let costRef = 1e-12;
  for (let j = 0; j < m; j++) {
    let sum = 0;
    for (let row = 0; row < n; row++) sum += cost[row * m + j] as number;
    costRef = Math.max(costRef, sum / n);
  }
  return tableLambdas.map((lambda) => ({
    name: `category λ=${lambda.toPrecision(3)}`,
    chosen: Int32Array.from({ length: n }, (_, row) => {
      let best = 0;
      let top = Number.NEGATIVE_INFINITY;
      for (let j = 0; j < m; j++) {
        const at = row * m + j;
        const utility = (quality[at] as number) - (lambda * (cost[at] as number)) / costRef;
        if (utility <= top) continue;
        top = utility;
        best = j;
      }
      return best;
    }),
  }));
}

/** Fills the rows of one fold from the others. */
function fillTable(
  { n, labels, categories, quality, costUsd }: Table,
  foldOf: Int8Array,
  fold: number,
  intoQuality: Float64Array,
  intoCost: Float64Array,
): void {
  const m = labels.length;
  const all = { count: 0, quality: new Float64Array(m), cost: new Float64Array(m) };
  const own = new Map<string, typeof all>();
  const add = (sums: typeof all, row: number) => {
    sums.count++;
    for (let j = 0; j < m; j++) {
      sums.quality[j] = (sums.quality[j] as number) + (quality[row * m + j] as number);
      sums.cost[j] = (sums.cost[j] as number) + (costUsd[row * m + j] as number);
    }
  };
  for (let row = 0; row < n; row++) {
    if (foldOf[row] === fold) continue;
    const name = categories[row] ?? "";
    const sums = own.get(name) ?? {
      count: 0,
      quality: new Float64Array(m),
      cost: new Float64Array(m),
    };
    own.set(name, sums);
    add(sums, row);
    add(all, row);
  }
  for (let row = 0; row < n; row++) {
    if (foldOf[row] !== fold) continue;
    const sums = own.get(categories[row] ?? "");
    for (let j = 0; j < m; j++) {
      const mean = (of: "quality" | "cost") => {
        const overall = (all[of][j] as number) / Math.max(1, all.count);
        return ((sums?.[of][j] ?? 0) + priorRows * overall) / ((sums?.count ?? 0) + priorRows);
      };
      intoQuality[row * m + j] = mean("quality");
      intoCost[row * m + j] = mean("cost");
    }
  }
}
