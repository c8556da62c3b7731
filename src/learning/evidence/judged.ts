/** Rows on which a router can be judged: every model's quality and cost, known or estimated without bias. */

import { weightClip } from "../off-policy/estimators.ts";
import type { LoggedChoice } from "../off-policy/logged-calls.ts";
import { unitsOf } from "../off-policy/units.ts";
import type { Table } from "../table.ts";

export interface Judged {
  readonly method: "full-information" | "off-policy";
  readonly n: number;
  readonly m: number;
  /** n: the table's rows. */
  readonly rows: Int32Array;
  /** n×m. */
  readonly quality: ArrayLike<number>;
  readonly costUsd: ArrayLike<number>;
  /** n: rows of one unit are near-duplicates, or of one session. */
  readonly unit: Int32Array;
  /** n×m: quality by weights that are not clipped; logged calls have it. */
  readonly unclipped?: ArrayLike<number>;
  /** The least effective sample of some choices; logged calls have it. */
  readonly effectiveSamples?: (choices: readonly Int32Array[]) => number;
}

/** Fewer complete rows than this judge nothing, where the table has others. */
const leastFullRows = 50;

/**
 * The rows that every model answered; undefined where there are too few.
 * @param except rows that must not judge: what is asked there was learnt from
 */
export function toFullRows(
  table: Table,
  except: ReadonlySet<number> = new Set(),
): Judged | undefined {
  const { n, labels, quality, group } = table;
  const m = labels.length;
  const kept: number[] = [];
  for (let row = 0; row < n; row++) {
    let complete = !except.has(row);
    for (let j = 0; j < m && complete; j++) complete = !Number.isNaN(quality[row * m + j]);
    if (complete) kept.push(row);
  }
  if (kept.length < Math.min(Math.max(1, n - except.size), leastFullRows)) return undefined;
  const costOf = toCosts(table);
  const rows = Int32Array.from(kept);
  const cells = <T>(of: (at: number) => T) =>
    kept.flatMap((row) => Array.from({ length: m }, (_, j) => of(row * m + j)));
  return {
    method: "full-information",
    n: rows.length,
    m,
    rows,
    quality: Float64Array.from(cells((at) => quality[at] as number)),
    costUsd: Float64Array.from(cells(costOf)),
    unit: unitsOf(rows, (row) => group[row] as number),
  };
}

/** What the fits that had not seen a row expect of each model. */
export interface Expected {
  /** n×m of the table. */
  readonly predicted: Float32Array;
  readonly costs: Float32Array;
}

/**
 * Doubly robust outcomes of logged calls: what is expected of each model, put right on the one that
 * was drawn by its weighted error. Their mean over any policy's choices is that policy's worth.
 * Source: Dudík, Langford, Li, "Doubly Robust Policy Evaluation and Learning", ICML 2011.
 * @param calls by id; a table's row that is not among them was no exploration
 */
export function toLoggedRows(
  table: Table,
  calls: ReadonlyMap<string, LoggedChoice>,
  { predicted, costs }: Expected,
): Judged | undefined {
  const { ids, labels } = table;
  const m = labels.length;
  const indexOf = new Map(labels.map((label, j) => [label, j]));
  const kept: { row: number; call: LoggedChoice; action: number }[] = [];
  ids.forEach((id, row) => {
    const call = calls.get(id);
    const action = call && indexOf.get(call.chosen);
    if (call && action !== undefined) kept.push({ row, call, action });
  });
  if (kept.length === 0) return undefined;
  const n = kept.length;
  const quality = new Float64Array(n * m);
  const unclipped = new Float64Array(n * m);
  const costUsd = new Float64Array(n * m);
  kept.forEach(({ row, call, action }, i) => {
    for (let j = 0; j < m; j++) {
      quality[i * m + j] = unclipped[i * m + j] = predicted[row * m + j] as number;
      costUsd[i * m + j] = costs[row * m + j] as number;
    }
    const at = i * m + action;
    const weight = 1 / call.propensity;
    const error = call.quality - (quality[at] as number);
    quality[at] = (quality[at] as number) + Math.min(weightClip, weight) * error;
    unclipped[at] = (unclipped[at] as number) + weight * error;
    if (Number.isNaN(call.costUsd)) return;
    const more = call.costUsd - (costUsd[at] as number);
    costUsd[at] = (costUsd[at] as number) + Math.min(weightClip, weight) * more;
  });
  return {
    method: "off-policy",
    n,
    m,
    rows: Int32Array.from(kept, ({ row }) => row),
    quality,
    costUsd,
    unit: unitsOf(kept, ({ call }) => call.session),
    unclipped,
    effectiveSamples: (choices) =>
      Math.min(...choices.map((choice) => samplesOf(kept, choice, labels))),
  };
}

/** As `toOverlap` has it: of the weights that were drawn, and of those that may be expected. */
function samplesOf(
  kept: readonly { readonly call: LoggedChoice; readonly action: number }[],
  choice: Int32Array,
  labels: readonly string[],
): number {
  let [sum, squares, expected] = [0, 0, 0];
  kept.forEach(({ call, action }, i) => {
    const { propensity, top, topChance, leastChance } = call;
    const drawn = choice[i] === action;
    const wanted = labels[choice[i] as number];
    expected += 1 / (drawn ? propensity : wanted === top ? topChance : leastChance);
    if (!drawn) return;
    sum += 1 / propensity;
    squares += 1 / propensity ** 2;
  });
  return squares > 0 ? Math.min(sum ** 2 / squares, kept.length ** 2 / expected) : 0;
}

/** An unknown cost stands for the model's mean; where nothing is known, models cost alike. */
export function toCosts({ n, labels, costUsd }: Table): (at: number) => number {
  const m = labels.length;
  const means = labels.map((_, j) => {
    let sum = 0;
    let known = 0;
    for (let row = 0; row < n; row++) {
      const cost = costUsd[row * m + j] as number;
      if (Number.isNaN(cost)) continue;
      sum += cost;
      known++;
    }
    return known > 0 ? sum / known : 0;
  });
  return (at) => {
    const cost = costUsd[at] as number;
    return Number.isNaN(cost) ? (means[at % m] as number) : cost;
  };
}
