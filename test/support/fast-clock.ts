/** Real time, so many times as fast: minutes of behaviour over real sockets in seconds. */
import { type Clock, systemClock } from "../../src/std/clock.ts";

export function createFastClock(factor: number): Clock {
  const startMs = systemClock.now();
  const startUs = systemClock.monotonicUs();
  return {
    now: () => startMs + ((systemClock.monotonicUs() - startUs) / 1000) * factor,
    monotonicUs: () => startUs + (systemClock.monotonicUs() - startUs) * factor,
    after: (delayMs, callback) => systemClock.after(delayMs / factor, callback),
  };
}
