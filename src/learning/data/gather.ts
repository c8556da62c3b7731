/**
 * Rows that come one (query, model) at a time, gathered by query: LLMRouter's `routing_data` and its
 * kin. Handed out at the end of a file, or when there are too many to hold.
 */
import { basename } from "node:path";
import type { DataRow, LabelSource, Outcome } from "./row.ts";

/** Queries that are held; more are handed out early, and a query seen again later is a row again. */
export const gatherLimit = 500_000;

export interface GatheredOutcome {
  /** What makes a query the same one. */
  readonly key: string;
  readonly query: string;
  readonly model: string;
  readonly outcome: Outcome;
  readonly category?: string | undefined;
  readonly user?: string | undefined;
  readonly label?: LabelSource;
}

export interface Gatherer {
  add(outcome: GatheredOutcome): void;
  readonly size: number;
  /** All that is held, in the order of coming; then nothing is. */
  take(): Generator<DataRow>;
}

interface Pending {
  readonly first: GatheredOutcome;
  readonly outcomes: Map<string, Outcome>;
}

/** @param name of the file, for the rows' ids */
export function createGatherer(name: string): Gatherer {
  const pending = new Map<string, Pending>();
  let index = 0;
  return {
    add(next) {
      const entry = pending.get(next.key);
      if (entry) entry.outcomes.set(next.model, next.outcome);
      else {
        pending.set(next.key, { first: next, outcomes: new Map([[next.model, next.outcome]]) });
      }
    },
    get size() {
      return pending.size;
    },
    *take() {
      for (const { first, outcomes } of pending.values()) {
        const { query, category, user, label } = first;
        yield {
          id: `${basename(name)}#${++index}`,
          query,
          tools: [],
          outcomes,
          ...(category === undefined ? {} : { category }),
          ...(user === undefined ? {} : { user }),
          ...(label === undefined ? {} : { label }),
        };
      }
      pending.clear();
    },
  };
}
