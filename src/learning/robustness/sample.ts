/** A few rows with their text, kept while many are read and let go. */
import { createRandom, nextInt } from "../../std/random.ts";
import type { DataRow } from "../data/row.ts";

export interface RowSample {
  readonly rows: readonly DataRow[];
  /** Every row passes through; each has the same chance to be kept. */
  watch(rows: AsyncIterable<DataRow>): AsyncGenerator<DataRow>;
}

/** Source: Vitter, "Random Sampling with a Reservoir", ACM TOMS 11(1), 1985 (algorithm R). */
export function createRowSample(limit: number, seed: number): RowSample {
  const kept: DataRow[] = [];
  const random = createRandom(seed + 31);
  let seen = 0;
  return {
    rows: kept,
    async *watch(rows) {
      for await (const row of rows) {
        seen++;
        if (kept.length < limit) kept.push(row);
        else {
          const at = nextInt(random, seen);
          if (at < limit) kept[at] = row;
        }
        yield row;
      }
    },
  };
}
