/**
 * Memory after many calls at once. What they left is old by then, and the collector looks at what is
 * old only when there is more to do: until then a thousand ended streams would keep 30 to 60 MB.
 */
import { fullGC } from "bun:jsc";
import type { Clock } from "../std/clock.ts";

/** So many calls at once are a wave. */
export const waveCalls = 256;
/** It has passed when none was there for so long: a full collection stops the thread for some 10 ms. */
export const quietMs = 250;

/**
 * To be told how many calls there are whenever that changes. Calls `collect` once after each wave, in
 * a moment when nobody is being answered. Cost per call: a comparison or two; after a wave, a timer in
 * `quietMs` at most.
 */
export function createWaves(clock: Clock, collect: () => void = fullGC): (calls: number) => void {
  let most = 0;
  let changes = 0;
  let looks = false;
  let none = true;

  function lookLater(): void {
    looks = true;
    const before = changes;
    clock.after(quietMs, () => {
      looks = false;
      if (changes === before) {
        most = 0;
        collect();
      } else if (none) lookLater();
    });
  }

  return (calls) => {
    if (calls > most) most = calls;
    if (most < waveCalls) return;
    changes++;
    none = calls === 0;
    if (none && !looks) lookLater();
  };
}
