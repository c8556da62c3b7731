/** What each caller has spent since this process began, whole micro-USD: `x-litellm-key-spend`. */
import { createLru } from "../std/lru.ts";

export interface Spend {
  charge(callerId: string, microUsd: number): void;
  of(callerId: string): number;
}

const callerLimit = 10_000;

export function createSpend(): Spend {
  const spent = createLru<string, number>(callerLimit);
  return {
    charge: (callerId, microUsd) => spent.set(callerId, (spent.get(callerId) ?? 0) + microUsd),
    of: (callerId) => spent.get(callerId) ?? 0,
  };
}
