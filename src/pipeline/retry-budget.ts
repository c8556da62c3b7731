/**
 * How many retries the whole gateway may make: a share of the calls of the last seconds and a small
 * floor, so that a failing provider is not hit harder because it fails. Where most calls of the last
 * two seconds failed, nothing is gained by asking again: the share is smaller then.
 * Source: Google SRE Book, "Handling Overload"; Finagle's RetryBudget; gRPC's retry throttling.
 */
import type { Clock } from "../std/clock.ts";

export const retryBudgetLimits = {
  share: 0.2,
  /** Retries in a window that are always there, so that a few calls may be tried again, too. */
  floor: 10,
  windowS: 10,
  stormShare: 0.1,
} as const;

export interface RetryBudget {
  countCall(): void;
  /** Takes one retry, or says that none is left. */
  take(): boolean;
  readonly left: number;
}

/** Ten buckets of a second each, in typed arrays: no object per call. */
export function createRetryBudget(clock: Clock): RetryBudget {
  const { share, floor, windowS, stormShare } = retryBudgetLimits;
  const calls = new Uint32Array(windowS);
  const retries = new Uint32Array(windowS);
  /** Retries that were wanted, given or not. */
  const wanted = new Uint32Array(windowS);
  let atS = Math.floor(clock.now() / 1000);

  function bucket(): number {
    const nowS = Math.floor(clock.now() / 1000);
    const passed = Math.min(windowS, Math.max(0, nowS - atS));
    for (let i = 1; i <= passed; i++) {
      const at = (atS + i) % windowS;
      calls[at] = 0;
      retries[at] = 0;
      wanted[at] = 0;
    }
    atS = Math.max(atS, nowS);
    return atS % windowS;
  }

  const sum = (of: Uint32Array) => of.reduce((total, count) => total + count, 0);
  /** This second and the one before it. */
  const recent = (of: Uint32Array, at: number) =>
    (of[at] ?? 0) + (of[(at + windowS - 1) % windowS] ?? 0);

  function left(): number {
    const at = bucket();
    const inWindow = Math.max(share * sum(calls), floor) - sum(retries);
    const failing = recent(wanted, at);
    // After a stall (a slow disk, a long pause of the process) what fails is of calls from before it.
    const called = Math.max(recent(calls, at), (2 * sum(calls)) / windowS);
    const storm = failing >= floor && failing > called / 2;
    if (!storm) return Math.floor(inWindow);
    return Math.floor(Math.min(inWindow, stormShare * called - recent(retries, at)));
  }

  return {
    countCall() {
      const at = bucket();
      calls[at] = (calls[at] ?? 0) + 1;
    },
    take() {
      const at = bucket();
      wanted[at] = (wanted[at] ?? 0) + 1;
      if (left() <= 0) return false;
      retries[at] = (retries[at] ?? 0) + 1;
      return true;
    },
    get left() {
      return left();
    },
  };
}
