/**
 * Who gets which of several routers or settings: by a hash of who asks, so that the same user, or
 * conversation, always gets the same one, on every gateway and after every restart. Keys and
 * buckets are the predecessor's, to the bit; `session` between its `user` and `request` is ours.
 */
import type { HashKeyType } from "../domain/decision.ts";
import { sha256 } from "../security/hashing.ts";

/** What is known of who asks; texts as they came. */
export interface Subject {
  readonly tenant?: string | undefined;
  /** The end user whom the caller names, else the caller's own key. */
  readonly user?: string | undefined;
  readonly session?: string | undefined;
  readonly request: string;
  /** What was asked for. */
  readonly model: string;
}

export interface HashKey {
  readonly type: HashKeyType;
  readonly text: string;
}

export function toHashKey({ tenant, user, session, request, model }: Subject): HashKey {
  if (user && tenant)
    return { type: "tenant_user", text: `tenant:${tenant}:user:${user}:model:${model}` };
  if (user) return { type: "user", text: `user:${user}:model:${model}` };
  if (session) return { type: "session", text: `session:${session}:model:${model}` };
  return { type: "request", text: `request:${request}:model:${model}` };
}

/** Sums of weights stay below, so that a remainder of 64 bits is exact in doubles. */
export const mostBuckets = 1_000_000;
/** Of what calls are counted by: a whole number that all calls of one key share. */
export const unitCount = 10_000;

export interface Bucket {
  /** In [0, buckets): the first 8 bytes of the key's SHA-256, big-endian, modulo `buckets`. */
  readonly bucket: number;
  /** In [0, unitCount), from its next 4 bytes: independent of the bucket. */
  readonly unit: number;
}

/** Cost: one SHA-256, about 1 µs. @param buckets 1 to `mostBuckets` */
export function toBucket(key: string, buckets: number): Bucket {
  const digest = sha256(key);
  const high = readU32(digest, 0);
  const low = readU32(digest, 4);
  const bucket = ((high % buckets) * (2 ** 32 % buckets) + (low % buckets)) % buckets;
  return { bucket, unit: readU32(digest, 8) % unitCount };
}

function readU32(bytes: Uint8Array, at: number): number {
  const [a = 0, b = 0, c = 0, d = 0] = bytes.subarray(at, at + 4);
  return ((a << 24) | (b << 16) | (c << 8) | d) >>> 0;
}

/** The first whose cumulated weight is above the bucket; undefined where the weights end before. */
export function pickWeighted<T extends { readonly weight: number }>(
  choices: readonly T[],
  bucket: number,
): T | undefined {
  let sum = 0;
  for (const choice of choices) {
    sum += choice.weight;
    if (bucket < sum) return choice;
  }
  return undefined;
}
