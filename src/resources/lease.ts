/** One process at a time: who does a piece of work, among processes that share the records. */
import type { Clock } from "../std/clock.ts";
import type { RecordStore } from "../storage/record-store.ts";

export interface Lease {
  /** Not ours any more: somebody else took it, or the store cannot be reached. */
  readonly lost: boolean;
  release(): Promise<void>;
}

export interface LeaseOptions {
  readonly records: RecordStore;
  readonly clock: Clock;
  /** Whoever asks: different for every process. */
  readonly holder: string;
  readonly onLost?: () => void;
}

const leaseKind = "lease";
export const leaseMs = 15_000;
const renewEveryMs = 5_000;

/** Undefined where somebody else holds it. It is renewed until released; a dead holder's ends by itself. */
export async function takeLease(name: string, options: LeaseOptions): Promise<Lease | undefined> {
  const { records, clock, holder } = options;
  const held = await records.get(leaseKind, name);
  const isFree =
    !held || held.value["holder"] === holder || Number(held.value["until"]) < clock.now();
  if (!isFree) return undefined;
  const write = (version: number | undefined) =>
    records.put(
      { kind: leaseKind, id: name, value: { holder, until: clock.now() + leaseMs } },
      version === undefined ? { ifAbsent: true } : { ifVersion: version },
    );
  const taken = await write(held?.version);
  if (!taken) return undefined;

  let version = taken.version;
  let renewedMs = clock.now();
  let ended = false;
  let lost = false;
  let stop = clock.after(renewEveryMs, () => void renew());
  const lose = () => {
    if (ended) return;
    lost = true;
    ended = true;
    options.onLost?.();
  };
  async function renew(): Promise<void> {
    try {
      const renewed = await write(version);
      if (!renewed) return lose();
      version = renewed.version;
      renewedMs = clock.now();
    } catch {
      // The store may be back before the lease ends; after that somebody else may have it.
      if (clock.now() - renewedMs >= leaseMs) return lose();
    }
    if (!ended) stop = clock.after(renewEveryMs, () => void renew());
  }
  return {
    get lost() {
      return lost;
    },
    async release() {
      if (ended) return;
      ended = true;
      stop();
      await records.remove(leaseKind, name);
    },
  };
}
