/**
 * One loop at a time, among all that share a repository: a lease in the repository itself, taken and
 * renewed by conditional writes, so that a disk or one bucket is all it takes. A leader that stops
 * renewing is succeeded once its lease has ended.
 */

import { isObject } from "../../domain/json.ts";
import type { Clock } from "../../std/clock.ts";
import { parseJson } from "../../std/json.ts";
import type { ObjectStore } from "../../storage/object-store.ts";

export const leaseKey = "loop/lease.json";
export const leaseMs = 120_000;
const renewEveryMs = 30_000;
/** Clocks of two machines differ; nobody is succeeded for that. */
const skewMs = 30_000;
const leaseBytes = 4_096;

export interface Leadership {
  /** Aborts when the lease is lost: what is under way must not publish any more. */
  readonly signal: AbortSignal;
  release(): Promise<void>;
}

export interface LeaderOptions {
  readonly store: ObjectStore;
  readonly clock: Clock;
  /** Who asks; different for every process. */
  readonly holder: string;
}

/** Undefined where another loop leads. @throws GatewayError storage_failed */
export async function lead(options: LeaderOptions): Promise<Leadership | undefined> {
  const { store, clock, holder } = options;
  const bytes = () =>
    new TextEncoder().encode(JSON.stringify({ holder, until: clock.now() + leaseMs }));
  const held = await read(store);
  const isFree = !held || held.holder === holder || held.until + skewMs < clock.now();
  if (!isFree) return undefined;
  const condition = held ? { ifMatch: held.etag } : { ifAbsent: true };
  if (!(await store.put(leaseKey, bytes(), condition))) return undefined;

  const lost = new AbortController();
  let renewedMs = clock.now();
  let ended = false;
  let stop = clock.after(renewEveryMs, () => void renew());
  async function renew(): Promise<void> {
    try {
      const mine = await read(store);
      const isMine = mine?.holder === holder;
      if (!isMine || !(await store.put(leaseKey, bytes(), { ifMatch: mine.etag }))) {
        return end("another loop has taken the lease");
      }
      renewedMs = clock.now();
    } catch (cause) {
      // The store may be back before the lease ends; after that somebody else may have it.
      if (clock.now() - renewedMs >= leaseMs) return end("the lease could not be renewed", cause);
    }
    if (!ended) stop = clock.after(renewEveryMs, () => void renew());
  }
  function end(why: string, cause?: unknown): void {
    if (ended) return;
    ended = true;
    lost.abort(new Error(why, { cause }));
  }
  return {
    signal: lost.signal,
    async release() {
      if (ended) return;
      ended = true;
      stop();
      const mine = await read(store);
      if (mine?.holder !== holder) return;
      // There is no conditional removal everywhere: a lease that ended long ago is as good as none.
      const over = new TextEncoder().encode(JSON.stringify({ holder: "", until: 0 }));
      await store.put(leaseKey, over, { ifMatch: mine.etag });
    },
  };
}

async function read(store: ObjectStore) {
  const object = await store.get(leaseKey, { maxBytes: leaseBytes });
  if (object === undefined || object === "not-modified") return undefined;
  const value: unknown = parseJson(object.bytes);
  const { holder, until } = isObject(value) ? value : {};
  return { holder: String(holder ?? ""), until: Number(until ?? 0), etag: object.etag };
}
