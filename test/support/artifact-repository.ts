/** Crafts artifact repositories for tests, honest and hostile ones, without the product's own signer. */
import type { Json, JsonObject } from "../../src/domain/json.ts";
import { canonical, sha256Hex } from "../../src/learning/artifacts/canonical.ts";
import { createSigningKey, type SigningKey, sign } from "../../src/security/signing.ts";
import type { ObjectStore } from "../../src/storage/object-store.ts";

export const text = (value: string) => new TextEncoder().encode(value);

/** The same key for the same label, on every run. */
export function keyOf(label: string): SigningKey {
  return createSigningKey(Buffer.from(sha256Hex(label), "hex"));
}

export function keyid(key: SigningKey): string {
  return sha256Hex(
    `{"keytype":"ed25519","public":${JSON.stringify(key.public)},"scheme":"ed25519"}`,
  );
}

export function signed(body: JsonObject, keys: readonly SigningKey[]): Uint8Array {
  const message = text(`RouteIQ-artifact-v1\n${String(body["_type"])}\n${canonical(body)}`);
  const signatures = keys.map((key) => ({ keyid: keyid(key), sig: sign(key.seed, message) }));
  return text(canonical({ signatures, signed: body }));
}

export interface Keys {
  readonly root: readonly SigningKey[];
  readonly timestamp: readonly SigningKey[];
  readonly release: readonly SigningKey[];
}

export const oneEach: Keys = {
  root: [keyOf("root")],
  timestamp: [keyOf("timestamp")],
  release: [keyOf("release")],
};

export const now = Date.parse("2026-11-25T12:00:00Z");
const farAway = "2027-11-25T12:00:00Z";

export function rootBody(version: number, keys: Keys, over: JsonObject = {}): JsonObject {
  const all = [...keys.root, ...keys.timestamp, ...keys.release];
  const role = (members: readonly SigningKey[]) => ({ keyids: members.map(keyid), threshold: 1 });
  return {
    _type: "root",
    spec: "1",
    version,
    expires: farAway,
    keys: Object.fromEntries(
      all.map((key) => [keyid(key), { keytype: "ed25519", public: key.public, scheme: "ed25519" }]),
    ),
    roles: {
      root: role(keys.root),
      timestamp: role(keys.timestamp),
      release: role(keys.release),
    },
    min_release_version: 0,
    revoked_sha256: [],
    ...over,
  };
}

export type Files = Readonly<Record<string, Uint8Array>>;

export const honestFiles: Files = {
  "router.json": text('{"strategy":"llmrouter-knn"}'),
  "self-test/queries.json": text('["hello"]'),
  "self-test/scores.json": text("[[0.5]]"),
};

export function releaseBody(version: number, files: Files, over: JsonObject = {}): JsonObject {
  const hashOf = (path: string) => sha256Hex(files[path] ?? new Uint8Array());
  return {
    _type: "release",
    spec: "1",
    name: "router",
    version,
    created: "2026-11-25T10:00:00Z",
    expires: farAway,
    runtime: { min: "0.1.0", format: "routeiq-router", feature_schema: 1 },
    files: Object.fromEntries(
      Object.entries(files).map(([path, bytes]) => [
        path,
        { sha256: sha256Hex(bytes), length: bytes.length },
      ]),
    ),
    self_test: {
      input_sha256: hashOf("self-test/queries.json"),
      output_sha256: hashOf("self-test/scores.json"),
    },
    ...over,
  };
}

export function timestampBody(
  version: number,
  release: { readonly version: number; readonly bytes: Uint8Array },
  over: JsonObject = {},
): JsonObject {
  return {
    _type: "timestamp",
    spec: "1",
    version,
    expires: "2026-12-02T12:00:00Z",
    release: {
      version: release.version,
      sha256: sha256Hex(release.bytes),
      length: release.bytes.length,
    },
    ...over,
  };
}

/** A repository in memory; tests overwrite what they attack. */
export type Repository = Map<string, Uint8Array>;

export interface RepositoryOptions {
  readonly keys?: Keys;
  readonly version?: number;
  readonly timestampVersion?: number;
  readonly files?: Files;
  readonly root?: JsonObject;
  readonly release?: JsonObject;
  readonly timestamp?: JsonObject;
}

export function craft(options: RepositoryOptions = {}): Repository {
  const { keys = oneEach, version = 1, files = honestFiles } = options;
  const repository: Repository = new Map();
  repository.set("root/1.root.json", signed(rootBody(1, keys, options.root), keys.root));
  addRelease(repository, { ...options, version, files, keys });
  return repository;
}

/** Adds a release and moves the timestamp to it. */
export function addRelease(repository: Repository, options: RepositoryOptions): void {
  const { keys = oneEach, version = 1, files = honestFiles } = options;
  for (const bytes of Object.values(files)) {
    repository.set(`blobs/sha256/${sha256Hex(bytes)}`, bytes);
  }
  const bytes = signed(releaseBody(version, files, options.release), keys.release);
  repository.set(`releases/${version}.json`, bytes);
  const pointer = timestampBody(
    options.timestampVersion ?? version,
    { version, bytes },
    options.timestamp,
  );
  repository.set("timestamp.json", signed(pointer, keys.timestamp));
}

export function storeOf(repository: Repository): ObjectStore {
  return {
    url: "memory:",
    async get(key, { maxBytes, ifNoneMatch }) {
      const bytes = repository.get(key);
      if (!bytes) return undefined;
      const etag = `"${sha256Hex(bytes)}"`;
      if (etag === ifNoneMatch) return "not-modified";
      return { bytes: bytes.slice(0, maxBytes + 1), etag };
    },
    async put(key, bytes, { ifAbsent, ifMatch } = {}) {
      const held = repository.get(key);
      if (ifAbsent && held) return false;
      if (ifMatch !== undefined && (!held || `"${sha256Hex(held)}"` !== ifMatch)) return false;
      repository.set(key, bytes);
      return true;
    },
    list: async (prefix) => [...repository.keys()].filter((key) => key.startsWith(prefix)).sort(),
    close: () => undefined,
  };
}

/** What was signed in a file of a repository, to change and sign anew. */
export function bodyOf(repository: Repository, key: string): JsonObject {
  const value = JSON.parse(new TextDecoder().decode(repository.get(key))) as Json;
  return (value as { signed: JsonObject }).signed;
}
