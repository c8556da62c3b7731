/**
 * How many retries the whole gateway may make: a share of the calls of the last seconds and a small
 * floor, so that a failing provider is not hit harder because it fails.
 * Source: Google SRE Book, "Handling Overload"; Finagle's RetryBudget.
 */
import type { Clock } from "../std/clock.ts";

export const retryBudgetLimits = { share: 0.2, floor: 10, windowS: 10 } as const;

export interface RetryBudget {
  countCall(): void;
  /** Takes one retry, or says that none is left. */
  take(): boolean;
  readonly left: number;
}

/** Ten buckets of a second each, in typed arrays: no object per call. */
export function createRetryBudget(clock: Clock): RetryBudget {
  const { share, floor, windowS } = retryBudgetLimits;
  const calls = new Uint32Array(windowS);
  const retries = new Uint32Array(windowS);
  let atS = Math.floor(clock.now() / 1000);

  function bucket(): number {
    const nowS = Math.floor(clock.now() / 1000);
    const passed = Math.min(windowS, Math.max(0, nowS - atS));
    for (let i = 1; i <= passed; i++) {
      calls[(atS + i) % windowS] = 0;
      retries[(atS + i) % windowS] = 0;
    }
    atS = Math.max(atS, nowS);
    return atS % windowS;
  }

  const sum = (of: Uint32Array) => of.reduce((total, count) => total + count, 0);
  const left = () => {
    bucket();
    return Math.floor(share * sum(calls) + floor) - sum(retries);
  };

  return {
    countCall() {
      const at = bucket();
      calls[at] = (calls[at] ?? 0) + 1;
    },
    take() {
      if (left() <= 0) return false;
      const at = bucket();
      retries[at] = (retries[at] ?? 0) + 1;
      return true;
    },
    get left() {
      return left();
    },
  };
}
