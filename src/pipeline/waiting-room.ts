/**
 * Where calls wait for a slot, best priority first, and among equals in the order in which they came.
 * Bounded: where it is full the worst is sent away, be it the newest arrival or one that waits.
 */
import { GatewayError } from "../domain/errors.ts";
import type { Clock } from "../std/clock.ts";

export interface WaitRequest {
  /** What it waits for: any of these will do. */
  readonly keys: readonly string[];
  /** LiteLLM's order: the lower, the sooner. */
  readonly priority: number;
  /** Its place among equals, from `takeNumber`; kept where it has to wait again. */
  readonly number: number;
  readonly limitMs: number;
  /** What it is told when `limitMs` has passed. */
  readonly tooLate: () => GatewayError;
}

export interface Waiting {
  /** Resolves when one of the keys may have a slot. @throws GatewayError overloaded; the reason it was left for. */
  readonly turn: Promise<void>;
  /** Gives the place up. Nothing happens where its turn has come. */
  leave(reason: Error): void;
}

export interface WaitingRoom {
  takeNumber(): number;
  wait(request: WaitRequest): Waiting;
  /** Slots at a key came free: the first in line for it are told. Cheap where nobody waits. */
  freed(key: string, slots: number): void;
  readonly length: number;
  /** Calls sent away since the start. */
  readonly shed: number;
  limitTo(maxQueued: number): void;
}

interface Waiter extends WaitRequest {
  resolve(): void;
  reject(reason: Error): void;
  cancelTimer(): void;
}

export function createWaitingRoom(maxQueued: number, clock: Clock): WaitingRoom {
  let limit = maxQueued;
  let numbers = 0;
  let shed = 0;
  const all: Waiter[] = [];
  const byKey = new Map<string, Waiter[]>();
  const pace = createPace(clock);

  function enter(waiter: Waiter): void {
    insert(all, waiter);
    for (const key of waiter.keys)
      insert(
        byKey.getOrInsertComputed(key, () => []),
        waiter,
      );
  }

  function remove(waiter: Waiter): boolean {
    if (!take(all, waiter)) return false;
    waiter.cancelTimer();
    for (const key of waiter.keys) {
      const line = byKey.get(key);
      if (!line) continue;
      take(line, waiter);
      if (line.length === 0) byKey.delete(key);
    }
    return true;
  }

  function sendAway(waiter: Waiter, error: GatewayError): void {
    if (!remove(waiter)) return;
    shed++;
    waiter.reject(error);
  }

  const full = () =>
    overloaded(
      limit === 0 ? "it has as many as it may" : `its queue of ${limit} is full`,
      pace.secondsFor(all.length),
    );

  return {
    get length() {
      return all.length;
    },
    get shed() {
      return shed;
    },
    takeNumber: () => ++numbers,
    wait(request) {
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      const waiter: Waiter = { ...request, resolve, reject, cancelTimer: () => undefined };
      const worst = all.at(-1);
      if (all.length >= limit) {
        if (!worst || compare(waiter, worst) > 0) {
          shed++;
          reject(full());
          return { turn: promise, leave: () => undefined };
        }
        sendAway(worst, full());
      }
      enter(waiter);
      waiter.cancelTimer = clock.after(request.limitMs, () => sendAway(waiter, request.tooLate()));
      return {
        turn: promise,
        leave(reason) {
          if (remove(waiter)) reject(reason);
        },
      };
    },
    freed(key, slots) {
      if (all.length === 0) return;
      const line = byKey.get(key);
      for (let i = 0; line && i < slots; i++) {
        const first = line[0];
        if (!first) return;
        remove(first);
        pace.count();
        first.resolve();
      }
    },
    limitTo(next) {
      limit = next;
      while (all.length > limit) {
        const worst = all.at(-1);
        if (worst) sendAway(worst, full());
      }
    },
  };
}

export function overloaded(why: string, retryAfterS: number): GatewayError {
  return new GatewayError(
    "overloaded",
    `The gateway has too many calls to take this one: ${why}. Send the request again in ${retryAfterS} s.`,
    { retryAfterS },
  );
}

function compare(a: Waiter, b: Waiter): number {
  return a.priority - b.priority || a.number - b.number;
}

/** Index of the first that does not come before `waiter`. */
function find(line: readonly Waiter[], waiter: Waiter): number {
  let low = 0;
  let high = line.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const at = line[middle];
    if (at && compare(at, waiter) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}

function insert(line: Waiter[], waiter: Waiter): void {
  line.splice(find(line, waiter), 0, waiter);
}

function take(line: Waiter[], waiter: Waiter): boolean {
  const at = find(line, waiter);
  if (line[at] !== waiter) return false;
  line.splice(at, 1);
  return true;
}

const paceWindowMs = 10_000;
const longestRetryAfterS = 30;

/** How fast the line moves, so that Retry-After means something. */
function createPace(clock: Clock) {
  let sinceMs = clock.now();
  let count = 0;
  return {
    count() {
      const nowMs = clock.now();
      if (nowMs - sinceMs > paceWindowMs) {
        sinceMs = nowMs;
        count = 0;
      }
      count++;
    },
    /** For so many calls; 1 to 30. */
    secondsFor(calls: number): number {
      const elapsedS = Math.max(1, (clock.now() - sinceMs) / 1000);
      const perSecond = count / elapsedS;
      const seconds = perSecond === 0 ? longestRetryAfterS / 6 : calls / perSecond;
      return Math.max(1, Math.min(longestRetryAfterS, Math.ceil(seconds)));
    },
  };
}
