/**
 * Rows on which every model was observed, where only some are so: a new model that a shadow set has
 * labelled on a few hundred queries, say. What routing is worth is measured on these alone; what was
 * never observed would count as predicted, which flatters whatever is predicted too high.
 */
import type { Outcomes } from "./outcomes.ts";

/** Fewer complete rows judge nothing. */
const leastRows = 100;

export interface Judged {
  readonly outcomes: Outcomes;
  /** The judged rows' part of n×m predictions. */
  take(cells: Float32Array): Float32Array;
}

/** All rows where all are complete, or too few are. */
export function toJudged(outcomes: Outcomes): Judged {
  const { n, m, quality, costUsd, mass } = outcomes;
  const rows: number[] = [];
  for (let row = 0; row < n; row++) {
    if (isComplete(quality, row, m)) rows.push(row);
  }
  if (rows.length === n || rows.length < leastRows) return { outcomes, take: (cells) => cells };
  const copy = <T extends Float32Array | Float64Array>(values: T, out: T): T => {
    rows.forEach((row, to) => {
      out.set(values.subarray(row * m, (row + 1) * m), to * m);
    });
    return out;
  };
  const size = rows.length * m;
  return {
    outcomes: {
      n: rows.length,
      m,
      quality: copy(quality, new Float32Array(size)),
      costUsd: copy(costUsd, new Float64Array(size)),
      ...(mass ? { mass: Float32Array.from(rows, (row) => mass[row] as number) } : {}),
    },
    take: (cells) => copy(cells, new Float32Array(size)),
  };
}

function isComplete(quality: Float32Array, row: number, m: number): boolean {
  for (let j = 0; j < m; j++) if (Number.isNaN(quality[row * m + j])) return false;
  return true;
}
