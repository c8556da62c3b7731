/** When a gateway looks at its repository, and at what its other processes have decided. */
import type { Random } from "../../std/random.ts";

export const longestPauseMs = 15 * 60_000;
/** How often processes that keep one copy look what the others have decided. */
export const followEveryMs = 5_000;
/** Freshness is looked at when it is due to end, and this often at least: clocks are set, too. */
export const freshnessCheckMs = 60 * 60_000;
/** How long the end waits for what is being written. */
export const closeWaitMs = 1_000;

/** The interval, doubled per failure up to 15 minutes, and ±20 % so that a fleet does not march in step. */
export function nextPauseMs(intervalMs: number, failures: number, random: Random): number {
  const backedOff = Math.min(intervalMs * 2 ** Math.min(failures, 30), longestPauseMs);
  return Math.max(intervalMs, backedOff) * (0.8 + 0.4 * random.next());
}
