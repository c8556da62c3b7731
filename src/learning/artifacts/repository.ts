/** Reading a repository as its publisher does: what is in force, which releases and roots there are. */
import type { ObjectStore } from "../../storage/object-store.ts";
import { sha256Hex } from "./canonical.ts";
import { limits, parseEnvelope, toTimestamp } from "./format.ts";
import { refuse } from "./refusal.ts";

/** What the timestamp says, unverified: enough to publish after it. */
export interface RepositoryHead {
  readonly timestampVersion: number;
  readonly expiresMs: number;
  readonly etag: string;
  /** Why the release in force was published past the gate. */
  readonly forced?: string;
  readonly release: { readonly version: number; readonly sha256: string; readonly length: number };
}

/** Undefined for a repository in which nothing was published yet. */
export async function readHead(store: ObjectStore): Promise<RepositoryHead | undefined> {
  const found = await store.get("timestamp.json", { maxBytes: limits.timestampBytes });
  if (!found || found === "not-modified") return undefined;
  if (found.bytes.length > limits.timestampBytes) refuse("too_large", "timestamp.json");
  const envelope = parseEnvelope(found.bytes, "timestamp", "timestamp.json");
  const timestamp = toTimestamp(envelope);
  const forced = envelope.signed["forced"];
  return {
    timestampVersion: timestamp.version,
    expiresMs: timestamp.expiresMs,
    etag: found.etag,
    release: timestamp.release,
    ...(typeof forced === "string" ? { forced } : {}),
  };
}

export async function findObject(
  store: ObjectStore,
  key: string,
  maxBytes: number,
): Promise<Uint8Array | undefined> {
  const found = await store.get(key, { maxBytes });
  return found && found !== "not-modified" ? found.bytes : undefined;
}

/** Versions of the releases that lie in the repository, ascending. */
export async function listReleases(store: ObjectStore): Promise<readonly number[]> {
  return numbered(await store.list("releases/"), /^releases\/(\d{1,16})\.json$/);
}

/**
 * The repository's roots and those at hand, by version.
 * @throws ArtifactRefusal hash, where the two differ: one of them is not the operator's
 */
export async function rootsOf(
  store: ObjectStore,
  atHand: ReadonlyMap<number, Uint8Array>,
): Promise<ReadonlyMap<number, Uint8Array>> {
  const roots = new Map(atHand);
  for (const version of numbered(await store.list("root/"), /^root\/(\d{1,16})\.root\.json$/)) {
    const bytes = await findObject(store, `root/${version}.root.json`, limits.rootBytes);
    const mine = roots.get(version);
    if (bytes && mine && sha256Hex(bytes) !== sha256Hex(mine)) {
      refuse("hash", `root ${version} of ${store.url} is not the root ${version} at hand`);
    }
    if (bytes) roots.set(version, bytes);
  }
  return new Map([...roots].sort(([a], [b]) => a - b));
}

function numbered(keys: readonly string[], pattern: RegExp): readonly number[] {
  return keys
    .map((key) => Number(pattern.exec(key)?.[1] ?? Number.NaN))
    .filter((version) => Number.isSafeInteger(version) && version > 0)
    .sort((a, b) => a - b);
}

/** A store as it will be once the writes are done. */
export function overlay(store: ObjectStore, writes: ReadonlyMap<string, Uint8Array>): ObjectStore {
  return {
    ...store,
    async get(key, options) {
      const bytes = writes.get(key);
      if (!bytes) return await store.get(key, options);
      return { bytes: bytes.subarray(0, options.maxBytes + 1), etag: "" };
    },
  };
}
