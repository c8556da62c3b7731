/** What somebody may do to a fleet's repository who can write to it, or who publishes what is broken. */
import type { JsonObject } from "../../src/domain/json.ts";
import { sha256Hex } from "../../src/learning/artifacts/canonical.ts";
import type { ArtifactFolder } from "../../src/learning/artifacts/folder.ts";
import { createRoleKey, type RoleKey } from "../../src/learning/artifacts/keys.ts";
import { findObject, readHead } from "../../src/learning/artifacts/repository.ts";
import { addSignatures, signRelease } from "../../src/learning/artifacts/sign.ts";
import { formatTime } from "../../src/learning/artifacts/time.ts";
import { routerPaths } from "../../src/routing/router-format.ts";
import type { ObjectStore } from "../../src/storage/object-store.ts";
import { text } from "./artifact-repository.ts";

export interface AttackParts {
  readonly store: ObjectStore;
  readonly keys: readonly RoleKey[];
  readonly folder: ArtifactFolder;
  readonly nowMs: number;
}

/** Before gateways have seen a release, or after. */
export type AttackTime = "before" | "after";
type Attack = (parts: AttackParts) => Promise<ReadonlyMap<string, Uint8Array>>;

const day = 86_400_000;
const most = 1 << 24;
const stranger = createRoleKey("release", new Uint8Array(32).fill(7));

/** Each gives what it puts where; the test puts back what was there. */
export const attacks: readonly (readonly [name: string, when: AttackTime, attack: Attack])[] = [
  ["a damaged blob", "before", ({ store, folder }) => change(store, blobOf(folder), damage)],
  [
    "a release cut short",
    "before",
    async ({ store }) => change(store, await releaseKey(store), (bytes) => bytes.subarray(0, 200)),
  ],
  [
    "a blob of another file",
    "before",
    ({ store, folder }) => change(store, blobOf(folder), () => text("{}")),
  ],
  ["a stranger's release", "before", (parts) => pointTo(parts, { releaseBy: [stranger] })],
  [
    "a stranger's timestamp",
    "before",
    (parts) => pointTo(parts, { releaseBy: parts.keys, timestampBy: [stranger] }),
  ],
  [
    "an honest key's router that fails its self-test",
    "before",
    (parts) => pointTo({ ...parts, folder: spoil(parts.folder) }, { releaseBy: parts.keys }),
  ],
  ["an old pointer", "after", (parts) => pointTo(parts, { releaseBy: parts.keys, back: 1 })],
  [
    "two releases of one number",
    "after",
    (parts) => pointTo({ ...parts, folder: spoil(parts.folder) }, { releaseBy: parts.keys, by: 0 }),
  ],
  [
    "two timestamps of one number",
    "after",
    (parts) => pointTo(parts, { releaseBy: parts.keys, timestampBy: parts.keys, sameTime: true }),
  ],
  [
    "an expired timestamp",
    "after",
    (parts) => pointTo(parts, { releaseBy: parts.keys, old: true }),
  ],
  ["a timestamp cut short", "after", ({ store }) => change(store, "timestamp.json", half)],
  [
    "another router's release",
    "before",
    (parts) => pointTo(parts, { releaseBy: parts.keys, name: "other" }),
  ],
];

const half = (bytes: Uint8Array) => bytes.subarray(0, bytes.length >> 1);

function damage(bytes: Uint8Array): Uint8Array {
  const damaged = bytes.slice();
  const at = damaged.length >> 1;
  damaged[at] = (damaged[at] ?? 0) ^ 1;
  return damaged;
}

async function change(store: ObjectStore, key: string, how: (bytes: Uint8Array) => Uint8Array) {
  const bytes = await findObject(store, key, most);
  if (!bytes) throw new Error(`${key} is missing`);
  return new Map([[key, how(bytes)]]);
}

async function releaseKey(store: ObjectStore): Promise<string> {
  return `releases/${(await readHead(store))?.release.version}.json`;
}

function blobOf({ files }: ArtifactFolder): string {
  return `blobs/sha256/${sha256Hex(files.get(routerPaths.router) ?? new Uint8Array())}`;
}

/** Signed as it is; but what it promises to answer is not what it answers. */
export function spoil({ release, files }: ArtifactFolder): ArtifactFolder {
  const scores = new TextDecoder().decode(files.get(routerPaths.scores));
  const other = text(scores.replace(/0\.\d/, (digits) => (digits === "0.9" ? "0.1" : "0.9")));
  if (sha256Hex(other) === sha256Hex(files.get(routerPaths.scores) ?? other)) {
    throw new Error("nothing was spoilt");
  }
  const output_sha256 = sha256Hex(other);
  const listed = release["files"] as JsonObject;
  return {
    release: {
      ...release,
      files: { ...listed, [routerPaths.scores]: { sha256: output_sha256, length: other.length } },
      self_test: { ...(release["self_test"] as JsonObject), output_sha256 },
    },
    files: new Map([...files, [routerPaths.scores, other]]),
  };
}

interface Pointing {
  readonly releaseBy: readonly RoleKey[];
  readonly timestampBy?: readonly RoleKey[];
  /** Beyond the release in force; its file is written over then. */
  readonly by?: number;
  /** Timestamps that the pointer goes back by. */
  readonly back?: number;
  readonly sameTime?: boolean;
  readonly old?: boolean;
  readonly name?: string;
}

async function pointTo({ store, keys, folder, nowMs }: AttackParts, how: Pointing) {
  const head = await readHead(store);
  if (!head) throw new Error("nothing is published yet");
  const { by = 1, back = 0 } = how;
  const version = head.release.version + by;
  const role = (name: string, signers: readonly RoleKey[]) =>
    signers.filter((key) => key.role === name || key === stranger);
  const release = signRelease({
    folder,
    keys: role("release", how.releaseBy),
    version,
    nowMs,
    expiresMs: nowMs + 90 * day,
    ...(how.name === undefined ? {} : { name: how.name }),
  });
  const step = back > 0 ? -back : by === 0 || how.sameTime ? 0 : 1;
  const timestamp = {
    _type: "timestamp",
    spec: "1",
    version: head.timestampVersion + step,
    expires: formatTime(how.old ? nowMs - 1_000 : nowMs + 7 * day),
    release: { version, sha256: sha256Hex(release), length: release.length },
  };
  const signers = role("timestamp", how.timestampBy ?? keys);
  const blobs = [...folder.files.values()].map(
    (bytes) => [`blobs/sha256/${sha256Hex(bytes)}`, bytes] as const,
  );
  return new Map<string, Uint8Array>([
    ...blobs,
    [`releases/${version}.json`, release],
    ["timestamp.json", addSignatures({ signed: timestamp, signatures: [] }, signers)],
  ]);
}
