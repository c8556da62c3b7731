/**
 * A second attempt beside a first one that is slow to begin: whoever answers first is the answer, the
 * other is let go. Off unless configured; few calls are hedged (those slower than nearly all others),
 * and a budget bounds them.
 * Source: Dean & Barroso, "The Tail at Scale", Communications of the ACM 56(2), 2013.
 */
import type { Call } from "../domain/call.ts";
import type { Deployment, Operation } from "../domain/model.ts";
import { createLru } from "../std/lru.ts";

export interface HedgingSettings {
  /** A fixed wait; undefined: the quantile of what the deployment took lately. */
  readonly afterMs?: number;
  readonly quantile: number;
  /** A learnt wait is never shorter. */
  readonly minDelayMs: number;
  /** Hedges per call, over all calls. */
  readonly budgetShare: number;
}

export interface Hedging {
  /**
   * How long to wait for a first attempt: Infinity where that is still being learnt; undefined where
   * it is not hedged. Counts the call.
   */
  delayMs(deployment: Deployment, call: Call): number | undefined;
  /** Takes one hedge from the budget, or says that none is left. */
  take(): boolean;
  /** How long an attempt took to its answer's beginning, or at least took until it was let go. */
  sample(deployment: Deployment, stream: boolean, ms: number): void;
  follow(settings: HedgingSettings): void;
}

const sampleLimit = 100;
/** Before so many samples nothing is known of the slow ones. */
const sampleMinimum = 20;
/** The quantile is worked out anew after so many. */
const renewAfter = 10;
const deploymentLimit = 10_000;
/** Unused hedges are kept, but not more of them. */
const savedHedges = 10;

/** What may be asked twice: it leaves nothing behind at the provider, and costs little. */
const hedged: ReadonlySet<Operation> = new Set<Operation>([
  ...(["chat", "completion", "embedding", "moderation", "rerank"] as const),
]);

interface Times {
  readonly values: Float64Array;
  count: number;
  quantileMs: number | undefined;
}

export function createHedging(initial: HedgingSettings): Hedging {
  let settings = initial;
  let left = savedHedges;
  const streams = createLru<string, Times>(deploymentLimit);
  const wholes = createLru<string, Times>(deploymentLimit);

  function learnt(id: string, stream: boolean): number {
    const quantileMs = (stream ? streams : wholes).get(id)?.quantileMs;
    return Math.max(settings.minDelayMs, quantileMs ?? Number.POSITIVE_INFINITY);
  }

  return {
    delayMs(deployment, { operation, stream, upload, pin, options }) {
      left = Math.min(savedHedges, left + settings.budgetShare);
      if (!hedged.has(operation) || upload || pin || options.mock) return undefined;
      return settings.afterMs ?? learnt(deployment.id, stream);
    },
    take() {
      if (left < 1) return false;
      left--;
      return true;
    },
    sample({ id }, stream, ms) {
      const of = stream ? streams : wholes;
      let times = of.get(id);
      if (!times) {
        times = { values: new Float64Array(sampleLimit), count: 0, quantileMs: undefined };
        of.set(id, times);
      }
      times.values[times.count % sampleLimit] = ms;
      times.count++;
      if (times.count < sampleMinimum || times.count % renewAfter !== 0) return;
      const known = times.values.slice(0, Math.min(times.count, sampleLimit)).sort();
      times.quantileMs = known[Math.floor(settings.quantile * (known.length - 1))];
    },
    follow(next) {
      settings = next;
    },
  };
}
