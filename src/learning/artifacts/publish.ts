/**
 * Puts a signed release into a repository: blobs, then roots and the release, and last, in one
 * write, the timestamp that points to it. A crash at any point leaves the repository as it was for
 * every reader, and publishing again finishes the work.
 */
import { GatewayError } from "../../domain/errors.ts";
import type { JsonObject } from "../../domain/json.ts";
import type { ObjectStore } from "../../storage/object-store.ts";
import { sha256Hex } from "./canonical.ts";
import {
  type ArtifactRuntime,
  artifactRuntime,
  limits,
  parseEnvelope,
  type Release,
  toRelease,
  toRoot,
} from "./format.ts";
import { type GateVerdict, judgeGate } from "./gate.ts";
import type { RoleKey } from "./keys.ts";
import { refuse } from "./refusal.ts";
import {
  findObject,
  listReleases,
  overlay,
  type RepositoryHead,
  readHead,
  rootsOf,
} from "./repository.ts";
import { addSignatures } from "./sign.ts";
import { formatTime } from "./time.ts";
import { verifyRepository } from "./verify.ts";

export interface PublishTarget {
  readonly store: ObjectStore;
  /** Keys at hand; which of them may sign a timestamp is for the root to say. */
  readonly keys: readonly RoleKey[];
  /** Roots that the repository may not have yet, by version. Needed for the first publication. */
  readonly roots: ReadonlyMap<number, Uint8Array>;
  readonly nowMs: number;
  /** Expiry of the timestamp: publish again before it. */
  readonly timestampExpiresMs: number;
  /** For tests of crashes: called before each write with its key. */
  readonly beforeWrite?: (key: string) => void;
  /** What the readers can load; this build's unless told otherwise. */
  readonly runtime?: ArtifactRuntime;
}

export interface PublishOptions extends PublishTarget {
  /** From `signRelease`. */
  readonly release: Uint8Array;
  readonly files: ReadonlyMap<string, Uint8Array>;
  /** Publishes although the gate refuses; recorded in the signed timestamp. */
  readonly force?: boolean;
  /** A return to older content needs no gate. */
  readonly skipGate?: boolean;
}

export interface Published {
  readonly version: number;
  readonly timestampVersion: number;
  readonly sha256: string;
  readonly gate: GateVerdict | undefined;
  readonly timestampExpiresMs: number;
}

/**
 * @throws ArtifactRefusal, when a gateway would refuse the result: nothing is written then
 * @throws GatewayError artifact_refused (the gate), storage_failed (someone else published meanwhile)
 */
export async function publishRelease(options: PublishOptions): Promise<Published> {
  const { store, files, release: releaseBytes } = options;
  const head = await readHead(store);
  const release = toRelease(parseEnvelope(releaseBytes, "release", "the signed release"));
  const gate = options.skipGate ? undefined : judge(release, head, options.force ?? false);
  checkSuccession(release, releaseBytes, head);
  const forced = gate && !gate.passed ? { forced: gate.reason } : {};
  const pointer = { version: release.version, bytes: releaseBytes };
  const pending = new Map<string, Uint8Array>();
  for (const { path, sha256 } of release.files) {
    const bytes = files.get(path);
    if (bytes) pending.set(`blobs/sha256/${sha256}`, bytes);
  }
  pending.set(releaseKey(release.version), releaseBytes);
  return { ...(await move(options, head, pointer, pending, forced)), gate };
}

/** A new timestamp for the release in force, and any new roots: keeps gateways from going stale. */
export async function refreshTimestamp(target: PublishTarget): Promise<Published> {
  const head = await readHead(target.store);
  if (!head) {
    throw new GatewayError("artifact_refused", `${target.store.url} holds no release to refresh`);
  }
  const bytes = await findObject(
    target.store,
    releaseKey(head.release.version),
    limits.releaseBytes,
  );
  if (!bytes) refuse("fetch", `${releaseKey(head.release.version)} is missing`);
  const pointer = { version: head.release.version, bytes };
  const note = head.forced === undefined ? {} : { forced: head.forced };
  return { ...(await move(target, head, pointer, new Map(), note)), gate: undefined };
}

export interface RollbackOptions extends PublishTarget {
  /** The older release whose content comes back. */
  readonly to: number;
  readonly expiresMs: number;
}

/** Counters only grow: an older release's content comes back under a new, higher version. */
export async function rollbackRelease(options: RollbackOptions): Promise<Published> {
  const { store, to, nowMs, expiresMs, keys } = options;
  const bytes = await findObject(store, releaseKey(to), limits.releaseBytes);
  if (!bytes) {
    const there = (await listReleases(store)).join(", ");
    throw new GatewayError("artifact_refused", `there is no release ${to}; there are: ${there}`);
  }
  const old = parseEnvelope(bytes, "release", releaseKey(to));
  const content = toRelease(old);
  const roots = await rootsOf(store, options.roots);
  const newest = newestRoot(roots);
  const signers = keys.filter(({ keyid }) => newest.roles.release.keyids.includes(keyid));
  const signed: JsonObject = {
    ...old.signed,
    version: await nextReleaseVersion(store),
    created: formatTime(nowMs),
    expires: formatTime(expiresMs),
    provenance: { ...content.provenance, parent_sha256: sha256Hex(bytes), rolled_back_to: to },
  };
  const release = addSignatures({ signed, signatures: [] }, signers);
  return await publishRelease({ ...options, release, files: new Map(), skipGate: true });
}

/** One more than any release in the repository, published whole or not. */
export async function nextReleaseVersion(store: ObjectStore): Promise<number> {
  const head = await readHead(store);
  return Math.max(0, head?.release.version ?? 0, ...(await listReleases(store))) + 1;
}

const releaseKey = (version: number) => `releases/${version}.json`;

function judge(release: Release, head: RepositoryHead | undefined, force: boolean): GateVerdict {
  const gate = judgeGate(release.provenance, head?.release);
  if (gate.passed || force || release.provenance["forced"] !== undefined) return gate;
  throw new GatewayError(
    "artifact_refused",
    `The gate refuses release ${release.version}: ${gate.reason}. Train on more data, or publish with --force, which is recorded.`,
  );
}

function checkSuccession(
  release: Release,
  bytes: Uint8Array,
  head: RepositoryHead | undefined,
): void {
  if (!head || release.version > head.release.version) return;
  if (release.version === head.release.version && sha256Hex(bytes) === head.release.sha256) return;
  const next = head.release.version + 1;
  refuse(
    "rollback",
    `release ${head.release.version} is in force: sign this one as ${next} or later`,
  );
}

/** Everything that a publication has in common: check as a gateway would, write, point. */
async function move(
  target: PublishTarget,
  head: RepositoryHead | undefined,
  release: { readonly version: number; readonly bytes: Uint8Array },
  pending: ReadonlyMap<string, Uint8Array>,
  note: JsonObject,
): Promise<Omit<Published, "gate">> {
  const { store } = target;
  const roots = await rootsOf(store, target.roots);
  const timestampVersion = (head?.timestampVersion ?? 0) + 1;
  const sha256 = sha256Hex(release.bytes);
  const signed: JsonObject = {
    _type: "timestamp",
    spec: "1",
    version: timestampVersion,
    expires: formatTime(target.timestampExpiresMs),
    release: { version: release.version, sha256, length: release.bytes.length },
    ...note,
  };
  const timestamp = addSignatures({ signed, signatures: [] }, timestampKeys(target, roots));
  const writes = new Map(pending);
  for (const [version, bytes] of roots) writes.set(`root/${version}.root.json`, bytes);
  const named = head ? store : overlay(store, writes);
  const name = await nameOf(named, head?.release.version ?? release.version);
  const after = new Map([...writes, ["timestamp.json", timestamp] as const]);
  await checkAsGateway(target, { roots, writes: after, name });
  for (const [key, bytes] of writes) await putImmutable(target, key, bytes);
  target.beforeWrite?.("timestamp.json");
  const condition = head ? { ifMatch: head.etag } : { ifAbsent: true };
  if (!(await store.put("timestamp.json", timestamp, condition))) {
    throw new GatewayError(
      "storage_failed",
      `Someone else published to ${store.url} meanwhile. Nothing was put in force; look with \`routeiq models list\`, then publish again.`,
    );
  }
  return {
    version: release.version,
    timestampVersion,
    sha256,
    timestampExpiresMs: target.timestampExpiresMs,
  };
}

function timestampKeys(
  { keys, store }: PublishTarget,
  roots: ReadonlyMap<number, Uint8Array>,
): readonly RoleKey[] {
  const newest = newestRoot(roots);
  const able = keys.filter(({ keyid }) => newest.roles.timestamp.keyids.includes(keyid));
  if (able.length >= newest.roles.timestamp.threshold) return able;
  throw new GatewayError(
    "artifact_refused",
    `${newest.roles.timestamp.threshold} timestamp key(s) of root ${newest.version} are needed to publish to ${store.url}, and ${able.length} are at hand. Name them with --key (files or their folder).`,
  );
}

function newestRoot(roots: ReadonlyMap<number, Uint8Array>) {
  const version = Math.max(0, ...roots.keys());
  const bytes = roots.get(version);
  if (!bytes) {
    throw new GatewayError(
      "artifact_refused",
      "The repository has no root yet. Name yours with --root 1.root.json; `routeiq models keygen` makes one.",
    );
  }
  return toRoot(parseEnvelope(bytes, "root", `root ${version}`));
}

async function checkAsGateway(
  { store, nowMs, runtime = artifactRuntime }: PublishTarget,
  result: {
    readonly roots: ReadonlyMap<number, Uint8Array>;
    readonly writes: ReadonlyMap<string, Uint8Array>;
    readonly name: string;
  },
): Promise<void> {
  const first = Math.min(...result.roots.keys());
  await verifyRepository({
    store: overlay(store, result.writes),
    pin: { bytes: result.roots.get(first) ?? new Uint8Array() },
    name: result.name,
    runtime,
    state: undefined,
    nowMs,
    strictContent: runtime === artifactRuntime,
  });
}

/** A repository holds one router: what is published next must be called as what is there. */
async function nameOf(store: ObjectStore, version: number): Promise<string> {
  const key = releaseKey(version);
  const bytes = await findObject(store, key, limits.releaseBytes);
  if (!bytes) refuse("fetch", `${key} of ${store.url} is missing`);
  return toRelease(parseEnvelope(bytes, "release", key)).name;
}

/** What is there already must be the same, to the byte. */
async function putImmutable(target: PublishTarget, key: string, bytes: Uint8Array): Promise<void> {
  const { store, beforeWrite } = target;
  beforeWrite?.(key);
  if (await store.put(key, bytes, { ifAbsent: true })) return;
  const held = await findObject(store, key, bytes.length);
  if (held && sha256Hex(held) === sha256Hex(bytes)) return;
  throw new GatewayError(
    "storage_failed",
    `${key} exists in ${store.url} with other content: someone published at the same time, or an earlier attempt did. Sign again with a higher version, then publish.`,
  );
}
