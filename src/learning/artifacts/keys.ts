/** Keys on disk, and the roots that name them: made by `routeiq models keygen`. */
import { readdir, readFile, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { GatewayError } from "../../domain/errors.ts";
import { isObject, type Json, type JsonObject } from "../../domain/json.ts";
import { createSigningKey, type SigningKey } from "../../security/signing.ts";
import { hasCode, reason, writeFileAtomic } from "../../storage/file/atomic-write.ts";
import { canonicalBytes } from "./canonical.ts";
import {
  type Envelope,
  keyidOf,
  parseEnvelope,
  type Role,
  type RoleName,
  type Root,
  toRoot,
} from "./format.ts";
import { addSignatures } from "./sign.ts";
import { formatTime } from "./time.ts";

/** A private key as its file holds it; the file is mode 0600 and ends in `.key`. */
export interface RoleKey extends SigningKey {
  readonly keyid: string;
  /** What it was made for. What it may do is for the root to say. */
  readonly role: RoleName;
}

export function createRoleKey(role: RoleName, seed?: Uint8Array): RoleKey {
  const key = createSigningKey(seed);
  return { ...key, keyid: keyidOf(key.public), role };
}

/** Never replaces a key. @throws GatewayError storage_failed */
export async function writeKeyFile(path: string, key: RoleKey): Promise<void> {
  const bytes = canonicalBytes({
    keyid: key.keyid,
    keytype: "ed25519",
    public: key.public,
    role: key.role,
    scheme: "ed25519",
    seed: key.seed,
  });
  if (!(await writeFileAtomic(path, bytes, { mode: 0o600, ifAbsent: true }))) {
    throw new GatewayError("storage_failed", `${path} exists; a key is never overwritten`);
  }
}

/**
 * The keys of files and folders (of a folder, all `*.key`), each once.
 * @throws GatewayError config_invalid, for what is no key file
 */
export async function readKeys(paths: readonly string[]): Promise<readonly RoleKey[]> {
  const found = new Map<string, RoleKey>();
  for (const path of paths) {
    for (const file of await keyFiles(path)) {
      const key = await readKeyFile(file);
      found.set(key.keyid, key);
    }
  }
  return [...found.values()];
}

/**
 * The keys of one role: those given, and where none of them is for it, those that lie beside them.
 * So a single person names one file of a keys folder, or the folder.
 */
export async function readRoleKeys(
  paths: readonly string[],
  role: Role,
): Promise<readonly RoleKey[]> {
  const ofRole = (keys: readonly RoleKey[]) =>
    keys.filter(({ keyid }) => role.keyids.includes(keyid));
  const given = ofRole(await readKeys(paths));
  if (given.length > 0) return given;
  return ofRole(await readKeys([...new Set(paths.map((path) => dirname(path)))]));
}

async function keyFiles(path: string): Promise<readonly string[]> {
  try {
    if (!(await stat(path)).isDirectory()) return [path];
    const names = await readdir(path);
    return names
      .filter((name) => name.endsWith(".key"))
      .sort()
      .map((name) => join(path, name));
  } catch (error) {
    const why = hasCode(error, "ENOENT") ? "it does not exist" : reason(error);
    throw new GatewayError("config_invalid", `cannot read the key ${path}: ${why}`, {
      cause: error,
    });
  }
}

async function readKeyFile(path: string): Promise<RoleKey> {
  const text = await readFile(path, "utf8");
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    value = undefined; // worded below, without the file's content: it may be a secret
  }
  const seed = isObject(value) ? value["seed"] : undefined;
  const role = isObject(value) ? value["role"] : undefined;
  const known = role === "root" || role === "timestamp" || role === "release";
  if (typeof seed !== "string" || !/^[0-9a-f]{64}$/.test(seed) || !known) {
    throw new GatewayError(
      "config_invalid",
      `${path} is no key file; \`routeiq models keygen\` makes them`,
    );
  }
  return createRoleKey(role, Buffer.from(seed, "hex"));
}

/** The roots of files and folders (of a folder, all `*.root.json`), by version. */
export async function readRoots(
  paths: readonly string[],
): Promise<ReadonlyMap<number, Uint8Array>> {
  const roots = new Map<number, Uint8Array>();
  for (const path of paths) {
    const folder = await stat(path).then(
      (found) => found.isDirectory(),
      () => false, // reading it below says what is wrong
    );
    const names = folder ? (await readdir(path)).filter((name) => name.endsWith(".root.json")) : [];
    for (const file of folder ? names.map((name) => join(path, name)) : [path]) {
      const bytes = await readRootFile(file);
      roots.set(toRoot(parseEnvelope(bytes, "root", file)).version, bytes);
    }
  }
  return roots;
}

export async function readRootFile(path: string): Promise<Uint8Array> {
  try {
    return new Uint8Array(await readFile(path));
  } catch (error) {
    const message = `cannot read the root ${path}: ${reason(error)}`;
    throw new GatewayError("config_invalid", message, { cause: error });
  }
}

export interface RootPlan {
  readonly keys: Readonly<Record<RoleName, readonly RoleKey[]>>;
  readonly thresholds: Readonly<Record<RoleName, number>>;
  readonly expiresMs: number;
}

/** Root 1, signed by its own keys. */
export function createRoot({ keys, thresholds, expiresMs }: RootPlan): Uint8Array {
  const role = (name: RoleName) => ({
    keyids: keys[name].map(({ keyid }) => keyid).sort(),
    threshold: thresholds[name],
  });
  for (const name of ["root", "timestamp", "release"] as const) {
    if (thresholds[name] < 1 || thresholds[name] > keys[name].length) {
      throw new GatewayError(
        "config_invalid",
        `a threshold of ${thresholds[name]} needs as many ${name} keys; there are ${keys[name].length}`,
      );
    }
  }
  const signed = {
    _type: "root",
    spec: "1",
    version: 1,
    expires: formatTime(expiresMs),
    keys: keyObjects([...keys.root, ...keys.timestamp, ...keys.release]),
    roles: { root: role("root"), timestamp: role("timestamp"), release: role("release") },
    min_release_version: 0,
    revoked_sha256: [],
  };
  return addSignatures({ signed, signatures: [] }, keys.root);
}

export interface RootChange {
  /** New keys for roles: they take the place of the old ones. */
  readonly replace: Readonly<Partial<Record<RoleName, readonly RoleKey[]>>>;
  readonly revoke: readonly string[];
  readonly minReleaseVersion?: number;
  readonly expiresMs: number;
}

/** Root N + 1, signed by those of the old and the new root keys that are at hand. */
export function changeRoot(
  before: Envelope,
  change: RootChange,
  signers: readonly RoleKey[],
): Uint8Array {
  const root = toRoot(before);
  const role = (name: RoleName) => {
    const keys = change.replace[name];
    if (!keys) return { ...root.roles[name] };
    const { threshold } = root.roles[name];
    if (keys.length < threshold) {
      throw new GatewayError("config_invalid", `${name} needs at least ${threshold} new keys`);
    }
    return { keyids: keys.map(({ keyid }) => keyid).sort(), threshold };
  };
  const roles = { root: role("root"), timestamp: role("timestamp"), release: role("release") };
  const named = new Set(Object.values(roles).flatMap(({ keyids }) => keyids));
  const signed = {
    ...before.signed,
    version: root.version + 1,
    expires: formatTime(change.expiresMs),
    keys: keysFor(named, root, Object.values(change.replace).flat()),
    roles,
    min_release_version: Math.max(root.minReleaseVersion, change.minReleaseVersion ?? 0),
    revoked_sha256: [...new Set([...root.revoked, ...change.revoke])].sort(),
  };
  const allowed = new Set([...root.roles.root.keyids, ...roles.root.keyids]);
  const able = [...signers, ...(change.replace.root ?? [])].filter((key) => allowed.has(key.keyid));
  return addSignatures({ signed, signatures: [] }, able);
}

function keysFor(named: ReadonlySet<string>, root: Root, fresh: readonly RoleKey[]): JsonObject {
  const all = new Map(root.keys);
  for (const key of fresh) all.set(key.keyid, key.public);
  return Object.fromEntries(
    [...all].filter(([keyid]) => named.has(keyid)).map(([keyid, key]) => [keyid, keyObject(key)]),
  );
}

function keyObjects(keys: readonly RoleKey[]): JsonObject {
  return Object.fromEntries(keys.map((key) => [key.keyid, keyObject(key.public)]));
}

function keyObject(publicKey: string): Json {
  return { keytype: "ed25519", public: publicKey, scheme: "ed25519" };
}
