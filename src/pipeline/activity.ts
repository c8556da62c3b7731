/** The calls in flight: how many, whether new ones are let in, and how to end those that are left. */
import { GatewayError } from "../domain/errors.ts";
import { Bag, type Placed } from "../std/bag.ts";

/** A call as the gateway's closing sees it. */
export interface Abortable extends Placed {
  abort(reason: GatewayError): void;
}

export interface Activity {
  enter(call: Abortable): void;
  leave(call: Abortable): void;
  readonly count: number;
  readonly draining: boolean;
  /** Lets no new call in. Resolves when the last one has left. */
  drain(): Promise<void>;
  /** Ends what is left: streams with an in-band error, the others with 503. */
  abortAll(): void;
}

/** `onLeave` hears of every call that ends, `onCount` how many there are whenever that changes. */
export function createActivity(
  onLeave?: (call: Abortable) => void,
  onCount?: (calls: number) => void,
): Activity {
  const calls = new Bag<Abortable>();
  let draining = false;
  let whenEmpty: (() => void) | undefined;
  return {
    enter(call) {
      calls.add(call);
      onCount?.(calls.size);
    },
    leave(call) {
      if (!calls.remove(call)) return;
      onLeave?.(call);
      onCount?.(calls.size);
      if (calls.size === 0) whenEmpty?.();
    },
    get count() {
      return calls.size;
    },
    get draining() {
      return draining;
    },
    drain() {
      draining = true;
      if (calls.size === 0) return Promise.resolve();
      return new Promise((resolve) => {
        whenEmpty = resolve;
      });
    },
    abortAll() {
      for (const call of [...calls.members]) call.abort(drainingError());
    },
  };
}

export function drainingError(): GatewayError {
  return new GatewayError(
    "draining",
    "This gateway is shutting down. Send the request again; another instance will answer it.",
    { retryAfterS: 1 },
  );
}
