/**
 * The rows that routing is judged on. All of them, where every model was observed on each. Where a new
 * model was labelled on some hundred rows, by a shadow set say, and the others on all: all of them, with
 * what is reckoned for it in the gaps (`impute.ts`), for what is measured on a few hundred rows is
 * mostly luck, and would set the whole dial. Else the complete ones: what was never observed would
 * count as predicted, which flatters whatever is predicted too high.
 */
import type { Outcomes } from "../outcomes.ts";

/** Fewer complete rows judge nothing. */
const leastRows = 100;

export interface Judged {
  readonly outcomes: Outcomes;
  /** The judged rows' part of n×m predictions. */
  take(cells: Float32Array): Float32Array;
}

/** What stands in for outcomes that were not observed. */
export interface Reckoned {
  /** n×m: without gaps where the models that were observed everywhere could fill them. */
  readonly quality: Float32Array;
  /** n×m: predicted, USD. */
  readonly costs: Float32Array;
}

/** All rows where all are complete or can be completed, or too few are. */
export function toJudged(outcomes: Outcomes, reckoned: Reckoned): Judged {
  const { n, m, quality, costUsd, mass } = outcomes;
  if (
    reckoned.quality !== quality &&
    !reckoned.quality.some(Number.isNaN) &&
    isOneEverywhere(outcomes)
  ) {
    const filled = costUsd.map((c, at) => (Number.isNaN(c) ? (reckoned.costs[at] as number) : c));
    const whole = { ...outcomes, quality: reckoned.quality, costUsd: filled };
    return { outcomes: whole, take: (cells) => cells };
  }
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

/** Where no model was, most of what is reckoned stands on a single outcome: enough to learn from, not to judge by. */
function isOneEverywhere({ n, m, quality }: Outcomes): boolean {
  for (let j = 0; j < m; j++) {
    let row = 0;
    while (row < n && !Number.isNaN(quality[row * m + j])) row++;
    if (row === n) return true;
  }
  return false;
}

function isComplete(quality: Float32Array, row: number, m: number): boolean {
  for (let j = 0; j < m; j++) if (Number.isNaN(quality[row * m + j])) return false;
  return true;
}
