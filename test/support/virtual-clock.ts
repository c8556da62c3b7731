/** A clock that moves only when told, so that tests of behaviour over time need no sleeping. */
import type { Clock } from "../../src/std/clock.ts";

export interface VirtualClock extends Clock {
  /** Moves on, running timers that come due in their order; lets promises settle in between. */
  advance(ms: number): Promise<void>;
  /** Timers that wait. */
  readonly pending: number;
}

export function createVirtualClock(startMs = 1_764_000_000_000): VirtualClock {
  let nowMs = startMs;
  let timers: { readonly atMs: number; readonly callback: () => void }[] = [];
  const settle = () => new Promise<void>((resolve) => setImmediate(resolve));
  return {
    now: () => nowMs,
    monotonicUs: () => (nowMs - startMs) * 1000,
    after(delayMs, callback) {
      const timer = { atMs: nowMs + Math.max(0, delayMs), callback };
      timers.push(timer);
      return () => {
        timers = timers.filter((one) => one !== timer);
      };
    },
    async advance(ms) {
      const untilMs = nowMs + ms;
      await settle();
      for (;;) {
        const due = timers.filter((one) => one.atMs <= untilMs).sort((a, b) => a.atMs - b.atMs)[0];
        if (!due) break;
        timers = timers.filter((one) => one !== due);
        nowMs = Math.max(nowMs, due.atMs);
        due.callback();
        await settle();
      }
      nowMs = untilMs;
      await settle();
    },
    get pending() {
      return timers.length;
    },
  };
}
