/** Places for streams: so many in all, so many of one caller; given back when the caller has left. */
import type { Caller } from "../../domain/call.ts";
import { A2aError } from "./errors.ts";

export interface Places {
  /** @throws A2aError rateLimited */
  take(holder: { readonly caller: Caller; readonly left: AbortSignal }): void;
}

export function createPlaces(limits: { readonly all: number; readonly caller: number }): Places {
  const taken = new Map<string, number>();
  let all = 0;
  return {
    take({ caller: { id }, left }) {
      const own = taken.get(id) ?? 0;
      if (all >= limits.all || own >= limits.caller) {
        const who = own >= limits.caller ? `This key has ${own}` : `There are ${all}`;
        throw new A2aError("rateLimited", `${who} streams open; close some, or try again.`);
      }
      all++;
      taken.set(id, own + 1);
      left.addEventListener(
        "abort",
        () => {
          all--;
          const rest = (taken.get(id) ?? 1) - 1;
          if (rest > 0) taken.set(id, rest);
          else taken.delete(id);
        },
        { once: true },
      );
    },
  };
}

/** @throws A2aError rateLimited */
export function assertPlace(taken: number, most: number, who: string): void {
  if (taken < most) return;
  const message = `${who} ${most} messages being answered; try again in a while.`;
  throw new A2aError("rateLimited", message);
}
