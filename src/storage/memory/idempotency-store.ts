/** Idempotency keys of one process. The oldest replies make room for new ones; running keys stay. */
import type { Clock } from "../../std/clock.ts";
import type { IdempotencyLimits, IdempotencyStore, KeptReply } from "../idempotency-store.ts";

export interface MemoryIdempotencyStore extends IdempotencyStore {
  /** New limits, from the next claim on. */
  limitTo(limits: IdempotencyLimits): void;
  readonly size: number;
  readonly sizeBytes: number;
}

interface Entry {
  readonly fingerprint: string;
  readonly reply?: KeptReply;
  readonly sizeBytes: number;
  readonly expiresMs: number;
}

export function createMemoryIdempotencyStore(
  initial: IdempotencyLimits,
  clock: Clock,
): MemoryIdempotencyStore {
  let limits = initial;
  const running = new Map<string, string>();
  /** In the order in which they expire. */
  const kept = new Map<string, Entry>();
  let totalBytes = 0;

  function drop(key: string): void {
    totalBytes -= kept.get(key)?.sizeBytes ?? 0;
    kept.delete(key);
  }

  function makeRoom(entries: number, bytes: number): void {
    const nowMs = clock.now();
    for (const [key, { expiresMs }] of kept) {
      const fits =
        running.size + kept.size + entries <= limits.maxEntries &&
        totalBytes + bytes <= limits.maxBytes;
      if (fits && expiresMs > nowMs) return;
      drop(key);
    }
  }

  return {
    limitTo(next) {
      limits = next;
      makeRoom(0, 0);
    },
    get size() {
      return running.size + kept.size;
    },
    get sizeBytes() {
      return totalBytes;
    },
    async claim(key, fingerprint) {
      const of = running.get(key);
      if (of !== undefined) return { kind: "running", fingerprint: of };
      const entry = kept.get(key);
      if (entry?.reply && entry.expiresMs > clock.now()) {
        return { kind: "kept", fingerprint: entry.fingerprint, reply: entry.reply };
      }
      drop(key);
      makeRoom(1, 0);
      if (running.size >= limits.maxEntries) return { kind: "full" };
      running.set(key, fingerprint);
      return { kind: "claimed" };
    },
    async keep(key, reply) {
      const fingerprint = running.get(key);
      running.delete(key);
      const sizeBytes = sizeOf(key, reply);
      if (fingerprint === undefined || sizeBytes > limits.maxBytes) return;
      makeRoom(1, sizeBytes);
      const expiresMs = clock.now() + limits.keepMs;
      kept.set(key, { fingerprint, reply, sizeBytes, expiresMs });
      totalBytes += sizeBytes;
    },
    async release(key) {
      running.delete(key);
    },
  };
}

/** What an entry takes beside its texts: objects, map slots. */
const overheadBytes = 512;

function sizeOf(key: string, { headers, body }: KeptReply): number {
  let size = overheadBytes + key.length + body.length;
  for (const [name, value] of headers) size += name.length + value.length;
  return size;
}
