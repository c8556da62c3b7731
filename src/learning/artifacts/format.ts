/**
 * The three signed files of an artifact repository and the rules of their fields: root, timestamp,
 * release. TUF's roles, cut down to one line of artifacts. Unknown extra fields are tolerated.
 */
import { isObject, type Json, type JsonObject } from "../../domain/json.ts";
import { isSoundPublicKey } from "../../security/signing.ts";
import { canonical, parseCanonical, sha256Hex } from "./canonical.ts";
import { refuse } from "./refusal.ts";
import { parseTime } from "./time.ts";

export const limits = {
  timestampBytes: 16 * 1024,
  rootBytes: 1024 * 1024,
  releaseBytes: 1024 * 1024,
  filesBytes: 256 * 1024 * 1024,
  roots: 1024,
  versionJump: 1_000_000,
  clockBackMs: 5 * 60 * 1000,
  pathLength: 200,
} as const;

/** What this build can load. `version` is the loader's own number: it grows when artifacts need more of it. */
export interface ArtifactRuntime {
  readonly version: string;
  readonly format: string;
  readonly featureSchema: number;
}
export const artifactRuntime: ArtifactRuntime = {
  version: "1.0.0",
  format: "routeiq-router",
  featureSchema: 1,
};

export type RoleName = "root" | "timestamp" | "release";

export interface Role {
  readonly keyids: readonly string[];
  readonly threshold: number;
}

export interface Root {
  readonly version: number;
  readonly expiresMs: number;
  /** keyid → public key, hex. */
  readonly keys: ReadonlyMap<string, string>;
  readonly roles: Readonly<Record<RoleName, Role>>;
  readonly minReleaseVersion: number;
  readonly revoked: ReadonlySet<string>;
}

export interface Timestamp {
  readonly version: number;
  readonly expiresMs: number;
  readonly release: {
    readonly version: number;
    readonly sha256: string;
    readonly length: number;
  };
}

export interface ReleaseFile {
  readonly path: string;
  readonly sha256: string;
  readonly length: number;
}

export interface Release {
  readonly name: string;
  readonly version: number;
  readonly created: string;
  readonly expiresMs: number;
  readonly runtime: {
    readonly min: string;
    readonly format: string;
    readonly featureSchema: number;
  };
  readonly files: readonly ReleaseFile[];
  readonly selfTest: { readonly inputSha256: string; readonly outputSha256: string } | undefined;
  /**
   * Free-form, by convention: `commit`, `data_sha256`, `parent_sha256`, `strategy`, `forced` (why a
   * gate was overridden), `rolled_back_to`, and `metrics`, see gate.ts.
   */
  readonly provenance: JsonObject;
}

export interface Signature {
  readonly keyid: string;
  readonly sig: string;
}

/** A parsed file: what is signed, over which bytes, by whom. */
export interface Envelope {
  readonly signatures: readonly Signature[];
  readonly signed: JsonObject;
  /** What the signatures are over. */
  readonly message: Uint8Array;
  /** sha256 of the whole file. */
  readonly sha256: string;
}

export function signedMessage(signed: JsonObject): Uint8Array {
  const text = `RouteIQ-artifact-v1\n${String(signed["_type"])}\n${canonical(signed)}`;
  return new TextEncoder().encode(text);
}

export function keyidOf(publicKey: string): string {
  return sha256Hex(canonical({ keytype: "ed25519", public: publicKey, scheme: "ed25519" }));
}

/** @throws ArtifactRefusal canonical, number, type, spec */
export function parseEnvelope(bytes: Uint8Array, type: RoleName, what: string): Envelope {
  const value = parseCanonical(bytes, what);
  if (!isObject(value)) refuse("type", `${what} is not an object`);
  const { signed, signatures } = value;
  if (!isObject(signed)) refuse("type", `${what} has no object "signed"`);
  if (!Array.isArray(signatures)) refuse("type", `${what} has no list "signatures"`);
  if (signed["_type"] !== type) refuse("type", `${what} is not of type ${type}`);
  if (signed["spec"] !== "1") refuse("spec", `${what} is not of spec "1"`);
  return {
    // What is not a signature counts for nothing; it does no harm either.
    signatures: signatures.filter(isSignature),
    signed,
    message: signedMessage(signed),
    sha256: sha256Hex(bytes),
  };
}

function isSignature(value: unknown): value is JsonObject & Signature {
  return isObject(value) && typeof value["keyid"] === "string" && typeof value["sig"] === "string";
}

/** @throws ArtifactRefusal type, number, threshold, spec, keyid_mismatch */
export function toRoot({ signed }: Envelope): Root {
  const roles = object(signed, "roles", "root");
  const revoked = list(signed, "revoked_sha256", "root");
  return {
    version: whole(signed, "version", "root", 1),
    expiresMs: time(signed, "expires", "root"),
    keys: toKeys(object(signed, "keys", "root")),
    roles: {
      root: toRole(roles, "root"),
      timestamp: toRole(roles, "timestamp"),
      release: toRole(roles, "release"),
    },
    minReleaseVersion: whole(signed, "min_release_version", "root", 0),
    revoked: new Set(revoked.map((hash) => assertHash(hash, "root.revoked_sha256"))),
  };
}

function toKeys(keys: JsonObject): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  for (const [keyid, key] of Object.entries(keys)) {
    if (!isObject(key)) refuse("type", `root.keys: ${keyid.slice(0, 64)} is not an object`);
    const { keytype, scheme, public: publicKey } = key;
    const known = keytype === "ed25519" && scheme === "ed25519";
    if (!known || typeof publicKey !== "string" || !isSoundPublicKey(publicKey)) {
      refuse("spec", `root.keys: ${keyid.slice(0, 64)} is no sound Ed25519 key`);
    }
    if (keyidOf(publicKey) !== keyid) {
      refuse("keyid_mismatch", `root.keys: ${keyid.slice(0, 64)} is not the id of its key`);
    }
    found.set(keyid, publicKey);
  }
  return found;
}

function toRole(roles: JsonObject, name: RoleName): Role {
  const role = object(roles, name, "root.roles");
  const keyids = list(role, "keyids", `root.roles.${name}`);
  const threshold = whole(role, "threshold", `root.roles.${name}`, Number.MIN_SAFE_INTEGER);
  if (threshold < 1) refuse("threshold", `root.roles.${name}: a threshold is at least 1`);
  return {
    keyids: [...new Set(keyids.map((id) => assertHash(id, `root.roles.${name}.keyids`)))],
    threshold,
  };
}

/** @throws ArtifactRefusal type, number */
export function toTimestamp({ signed }: Envelope): Timestamp {
  const release = object(signed, "release", "timestamp");
  return {
    version: whole(signed, "version", "timestamp", 1),
    expiresMs: time(signed, "expires", "timestamp"),
    release: {
      version: whole(release, "version", "timestamp.release", 1),
      sha256: assertHash(release["sha256"], "timestamp.release.sha256"),
      length: whole(release, "length", "timestamp.release", 0),
    },
  };
}

/** Its fields, well-formed each by itself; paths, formats and sizes are `checkFiles`. */
export function toRelease({ signed }: Envelope): Release {
  const runtime = object(signed, "runtime", "release");
  const provenance = signed["provenance"] ?? {};
  if (!isObject(provenance)) refuse("type", "release.provenance is not an object");
  return {
    name: text(signed, "name", "release"),
    version: whole(signed, "version", "release", 1),
    created: new Date(time(signed, "created", "release")).toISOString(),
    expiresMs: time(signed, "expires", "release"),
    runtime: toRuntime(runtime),
    files: toFiles(object(signed, "files", "release")),
    selfTest: toSelfTest(signed["self_test"]),
    provenance,
  };
}

function toRuntime(runtime: JsonObject): Release["runtime"] {
  const min = runtime["min"];
  if (typeof min !== "string" && typeof min !== "number") {
    refuse("type", "release.runtime.min is not a version");
  }
  return {
    min: String(min),
    format: text(runtime, "format", "release.runtime"),
    featureSchema: whole(runtime, "feature_schema", "release.runtime", 0),
  };
}

function toFiles(files: JsonObject): readonly ReleaseFile[] {
  return Object.entries(files).map(([path, file]) => {
    const where = `release.files: ${path.slice(0, limits.pathLength)}`;
    if (!isObject(file)) refuse("type", `${where} is not an object`);
    return {
      path,
      sha256: assertHash(file["sha256"], where),
      length: whole(file, "length", where, 0),
    };
  });
}

/** Undefined where absent or malformed; the caller refuses that as `self_test`, after the rest. */
function toSelfTest(value: Json | undefined): Release["selfTest"] {
  if (!isObject(value)) return undefined;
  const { input_sha256: input, output_sha256: output } = value;
  if (!isHash(input) || !isHash(output)) return undefined;
  return { inputSha256: input, outputSha256: output };
}

const pathRule = /^[A-Za-z0-9_][A-Za-z0-9_.-]*(\/[A-Za-z0-9_][A-Za-z0-9_.-]*)*$/;

/** @throws ArtifactRefusal path */
export function checkPaths(files: readonly ReleaseFile[]): void {
  const seen = new Set<string>();
  for (const { path } of files) {
    if (path.length > limits.pathLength || !pathRule.test(path)) {
      refuse("path", `the path ${JSON.stringify(path.slice(0, limits.pathLength))} is not allowed`);
    }
    const folded = path.normalize("NFC").toLowerCase();
    if (seen.has(folded)) refuse("path", `two files are called ${path}, but for case`);
    seen.add(folded);
  }
  // A file cannot also be a folder.
  for (const path of seen) {
    for (let at = path.indexOf("/"); at > 0; at = path.indexOf("/", at + 1)) {
      if (seen.has(path.slice(0, at))) refuse("path", `${path} lies inside a file`);
    }
  }
}

function object(parent: JsonObject, key: string, where: string): JsonObject {
  const value = own(parent, key);
  return isObject(value) ? value : refuse("type", `${where}.${key} is not an object`);
}

function list(parent: JsonObject, key: string, where: string): readonly Json[] {
  const value = own(parent, key);
  return Array.isArray(value) ? value : refuse("type", `${where}.${key} is not a list`);
}

function text(parent: JsonObject, key: string, where: string): string {
  const value = own(parent, key);
  return typeof value === "string" ? value : refuse("type", `${where}.${key} is not a string`);
}

function whole(parent: JsonObject, key: string, where: string, least: number): number {
  const value = own(parent, key);
  if (value === undefined) refuse("type", `${where}.${key} is missing`);
  if (typeof value !== "number" || !Number.isSafeInteger(value) || value < least) {
    refuse("number", `${where}.${key} is not a whole number of at least ${Math.max(least, 0)}`);
  }
  return value;
}

function time(parent: JsonObject, key: string, where: string): number {
  const ms = parseTime(own(parent, key));
  return ms ?? refuse("type", `${where}.${key} is not a time like 2026-11-25T22:00:00Z`);
}

/** A parsed object's own field; never something inherited, whatever the file names its fields. */
function own(parent: JsonObject, key: string): Json | undefined {
  return Object.hasOwn(parent, key) ? parent[key] : undefined;
}

function isHash(value: unknown): value is string {
  return typeof value === "string" && /^[0-9a-f]{64}$/.test(value);
}

function assertHash(value: unknown, where: string): string {
  return isHash(value) ? value : refuse("type", `${where} is not 64 lower-case hex digits`);
}
