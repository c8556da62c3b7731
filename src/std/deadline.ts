/** A timer that is moved far more often than it fires: moving it is an assignment, not a new timer. */
import type { Clock } from "./clock.ts";

export interface Deadline {
  /** Fires after a delay from now; replaces what was set before. */
  set(delayMs: number): void;
  clear(): void;
}

/**
 * One underlying timer, re-armed only when it rings too early. A stream that moves its deadline at
 * each event so costs one addition per event. `onExpire` runs at most once per `set`.
 */
export function createDeadline(clock: Clock, onExpire: () => void): Deadline {
  let dueMs = Number.POSITIVE_INFINITY;
  let ringsAtMs = Number.POSITIVE_INFINITY;
  let cancel: (() => void) | undefined;

  const ring = () => {
    cancel = undefined;
    ringsAtMs = Number.POSITIVE_INFINITY;
    if (dueMs === Number.POSITIVE_INFINITY) return;
    const leftMs = dueMs - clock.now();
    if (leftMs > 0) return arm(leftMs);
    dueMs = Number.POSITIVE_INFINITY;
    onExpire();
  };
  const arm = (delayMs: number) => {
    cancel?.();
    ringsAtMs = clock.now() + delayMs;
    cancel = clock.after(delayMs, ring);
  };

  return {
    set(delayMs) {
      dueMs = clock.now() + delayMs;
      if (ringsAtMs > dueMs) arm(delayMs);
    },
    clear() {
      dueMs = Number.POSITIVE_INFINITY;
      cancel?.();
      cancel = undefined;
      ringsAtMs = Number.POSITIVE_INFINITY;
    },
  };
}
