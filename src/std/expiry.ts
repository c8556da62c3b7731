/**
 * Deadlines of things that nearly always end before them. A timer for each costs the runtime two
 * calls and an object; here all share one timer, and a thing that ends in time costs its place in a
 * bag and that place's return.
 */
import { Bag, type Placed } from "./bag.ts";
import type { Clock } from "./clock.ts";

export interface Expiring extends Placed {
  /** Milliseconds since the epoch. May be moved later at will; `ExpiryQueue.sooner` tells of the other way. */
  dueMs: number;
  /** Called once, and the thing is out of the queue by then. */
  expire(): void;
}

/**
 * Rings are exact: the one timer is set to the earliest deadline that was added, and when it rings
 * too early (that thing ended, or was moved) to the earliest of what is left. A ring looks at every
 * entry; rings are rarer than the shortest time that things are given.
 */
export class ExpiryQueue {
  readonly #clock: Clock;
  readonly #entries = new Bag<Expiring>();
  #ringsAtMs = Number.POSITIVE_INFINITY;
  #cancel: (() => void) | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** How many wait. */
  get size(): number {
    return this.#entries.size;
  }

  add(entry: Expiring): void {
    this.#entries.add(entry);
    if (entry.dueMs < this.#ringsAtMs) this.#arm(entry.dueMs);
  }

  remove(entry: Expiring): void {
    this.#entries.remove(entry);
  }

  /** An entry's deadline was moved to an earlier time. */
  sooner(entry: Expiring): void {
    if (entry.dueMs < this.#ringsAtMs && this.#entries.has(entry)) this.#arm(entry.dueMs);
  }

  #arm(atMs: number): void {
    this.#cancel?.();
    this.#ringsAtMs = atMs;
    const delayMs = Math.max(0, atMs - this.#clock.now());
    this.#cancel = this.#clock.after(Math.min(delayMs, longestTimerMs), () => this.#ring());
  }

  #ring(): void {
    this.#cancel = undefined;
    this.#ringsAtMs = Number.POSITIVE_INFINITY;
    const nowMs = this.#clock.now();
    let earliestMs = Number.POSITIVE_INFINITY;
    const due: Expiring[] = [];
    for (const entry of this.#entries.members) {
      if (entry.dueMs <= nowMs) due.push(entry);
      else if (entry.dueMs < earliestMs) earliestMs = entry.dueMs;
    }
    if (earliestMs < Number.POSITIVE_INFINITY) this.#arm(earliestMs);
    for (const entry of due) if (this.#entries.remove(entry)) entry.expire();
  }
}

/** Beyond it the runtime's timers ring at once. */
const longestTimerMs = 2 ** 31 - 1;
