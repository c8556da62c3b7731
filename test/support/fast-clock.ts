/**
 * A clock that runs so many times as fast as ours: minutes of behaviour over real sockets in seconds.
 * It goes on with the event loop, at most a step a turn, so that a machine that is busy elsewhere
 * makes the test slower and never the gateway's seconds emptier.
 */
import { type Clock, systemClock } from "../../src/std/clock.ts";

const longestStepUs = 2_000;

export interface FastClock extends Clock {
  /** Stands still from now on; its timers never come. */
  stop(): void;
}

export function createFastClock(factor: number): FastClock {
  const startMs = systemClock.now();
  let nowMs = startMs;
  let seenUs = systemClock.monotonicUs();
  const timers = new Set<{ readonly atMs: number; readonly callback: () => void }>();
  function tick() {
    const realUs = systemClock.monotonicUs();
    nowMs += (Math.min(realUs - seenUs, longestStepUs) / 1000) * factor;
    seenUs = realUs;
    for (const timer of [...timers].filter(({ atMs }) => atMs <= nowMs)) {
      if (timers.delete(timer)) timer.callback();
    }
  }
  const ticks = setInterval(tick, 1);
  return {
    now: () => nowMs,
    monotonicUs: () => (nowMs - startMs) * 1000,
    after(delayMs, callback) {
      const timer = { atMs: nowMs + delayMs, callback };
      timers.add(timer);
      return () => void timers.delete(timer);
    },
    stop: () => clearInterval(ticks),
  };
}
