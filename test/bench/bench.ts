/**
 * What a benchmark is: a name and a run that gives rows of the table in docs/BENCHMARKS.md. In
 * `bun test` it runs small, so that it cannot rot; in `npm run bench` in earnest.
 */
import { createRandom, type Random } from "../../src/std/random.ts";

export interface BenchContext {
  readonly full: boolean;
  readonly random: Random;
  /** How many: the first under test, the second in earnest. */
  size(small: number, full: number): number;
  /** A word on what is going on, for whoever waits. */
  note(text: string): void;
}

export interface BenchRow {
  readonly what: string;
  /** In words with units: "1.14 ×", "12 µs". */
  readonly measured: string;
  readonly budget?: string;
  /** Whether the budget is held; missing where there is none, or nothing was measured. */
  readonly ok?: boolean;
  /** How it came about, in a few words. */
  readonly detail?: string;
}

export interface Bench {
  readonly name: string;
  run(context: BenchContext): Promise<readonly BenchRow[]>;
}

export function defineBench(name: string, run: Bench["run"]): Bench {
  return { name, run };
}

/** A row that says why nothing was measured. */
export function skipped(what: string, reason: string, budget?: string): BenchRow {
  return { what, measured: "not measured", detail: reason, ...(budget ? { budget } : {}) };
}

export function createContext(full: boolean, note: (text: string) => void): BenchContext {
  return {
    full,
    random: createRandom(1),
    size: (small, inEarnest) => (full ? inEarnest : small),
    note,
  };
}

/** The value at a share of the sorted values; NaN of none. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.round((sorted.length - 1) * share)] ?? Number.NaN;
}

export const median = (values: readonly number[]) => quantile(values, 0.5);
