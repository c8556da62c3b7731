/**
 * A trained router in a local folder: the unsigned `release.json` and the files it names. What
 * `routeiq train --out` writes, `sign` and `eval` read, and `serve` takes with
 * `allow_unsigned_local: true`.
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { GatewayError } from "../../domain/errors.ts";
import { isObject, type Json, type JsonObject } from "../../domain/json.ts";
import { hasCode, reason, writeFileAtomic } from "../../storage/file/atomic-write.ts";
import { createFileObjectStore } from "../../storage/file/object-store.ts";
import { canonicalBytes, parseCanonical, sha256Hex } from "./canonical.ts";
import { checkContent, formatOf } from "./file-formats.ts";
import { artifactRuntime, checkPaths, limits } from "./format.ts";
import { refuse } from "./refusal.ts";

export interface ArtifactFolder {
  /** The release without version, times and signatures. */
  readonly release: JsonObject;
  readonly files: ReadonlyMap<string, Uint8Array>;
  /** The signed release, where `routeiq models sign` has been here. */
  readonly signed?: Uint8Array;
}

export interface ArtifactContent {
  readonly name: string;
  /** Path → bytes; the two files of the self-test are among them. */
  readonly files: ReadonlyMap<string, Uint8Array>;
  readonly selfTest: { readonly input: string; readonly output: string };
  /** Fractions as strings; see gate.ts for what the gate reads in `metrics`. */
  readonly provenance: JsonObject;
}

export const unsignedName = "release.json";
export const signedName = "release.signed.json";

/**
 * The unsigned release of some files. The same content gives the same bytes.
 * @throws ArtifactRefusal path, format, too_large, number (a fraction in the provenance)
 */
export function toUnsignedRelease(content: ArtifactContent): JsonObject {
  const entries = [...content.files].map(([path, bytes]) => ({
    path,
    sha256: sha256Hex(bytes),
    length: bytes.length,
  }));
  checkPaths(entries);
  for (const { path } of entries) checkContent(path, content.files.get(path) ?? none, true);
  const total = entries.reduce((sum, { length }) => sum + length, 0);
  if (total > limits.filesBytes) refuse("too_large", `the files have ${total} bytes together`);
  const hashOf = (path: string) =>
    entries.find((entry) => entry.path === path)?.sha256 ??
    refuse("self_test", `the self-test's file ${path} is not among the files`);
  const release = {
    _type: "release",
    spec: "1",
    name: content.name,
    runtime: {
      min: artifactRuntime.version,
      format: artifactRuntime.format,
      feature_schema: artifactRuntime.featureSchema,
    },
    files: Object.fromEntries(
      entries.map(({ path, sha256, length }) => [path, { sha256, length }]),
    ),
    self_test: {
      input_sha256: hashOf(content.selfTest.input),
      output_sha256: hashOf(content.selfTest.output),
    },
    provenance: content.provenance,
  };
  canonicalBytes(release); // refuses fractions now rather than when it is signed
  return release;
}

const none = new Uint8Array();

/** Writes the folder; `release.json` comes last, so a folder that has one is whole. */
export async function writeArtifactFolder(path: string, content: ArtifactContent): Promise<void> {
  const release = toUnsignedRelease(content);
  for (const [name, bytes] of content.files) await writeFileAtomic(join(path, name), bytes);
  await writeFileAtomic(join(path, unsignedName), canonicalBytes(release));
}

/** @throws ArtifactRefusal, GatewayError config_invalid where there is no such folder */
export async function readArtifactFolder(path: string): Promise<ArtifactFolder> {
  const bytes = await readOptional(join(path, unsignedName));
  if (!bytes) {
    throw new GatewayError(
      "config_invalid",
      `${path} holds no ${unsignedName}: it is not what \`routeiq train --out\` writes`,
    );
  }
  const release = parseCanonical(bytes, unsignedName);
  if (!isObject(release)) refuse("type", `${unsignedName} is not an object`);
  assertUnsigned(release);
  const signed = await readOptional(join(path, signedName));
  return { release, files: await readFiles(path, release), ...(signed ? { signed } : {}) };
}

/** @throws ArtifactRefusal type, spec */
export function assertUnsigned(release: JsonObject): void {
  if (release["_type"] !== "release") refuse("type", `${unsignedName} is not a release`);
  if (release["spec"] !== "1") refuse("spec", `${unsignedName} is not of spec "1"`);
}

async function readFiles(
  folder: string,
  release: JsonObject,
): Promise<ReadonlyMap<string, Uint8Array>> {
  const store = createFileObjectStore(folder);
  const listed = release["files"];
  if (!isObject(listed)) refuse("type", `${unsignedName} names no files`);
  const entries = Object.entries(listed).map(([path, file]) => ({ path, ...toEntry(file, path) }));
  checkPaths(entries);
  const files = new Map<string, Uint8Array>();
  for (const { path, sha256, length } of entries) {
    formatOf(path);
    if (length > limits.filesBytes) refuse("too_large", `${path} has ${length} bytes`);
    const found = await store.get(path, { maxBytes: length });
    if (!found || found === "not-modified") refuse("fetch", `${join(folder, path)} is missing`);
    if (found.bytes.length !== length) refuse("length", `${path} has not ${length} bytes`);
    if (sha256Hex(found.bytes) !== sha256) refuse("hash", `${path} is not what was trained`);
    checkContent(path, found.bytes, true);
    files.set(path, found.bytes);
  }
  return files;
}

function toEntry(file: Json | undefined, path: string) {
  const sha256 = isObject(file) ? file["sha256"] : undefined;
  const length = isObject(file) ? file["length"] : undefined;
  if (typeof sha256 !== "string" || typeof length !== "number" || length < 0) {
    refuse("type", `${unsignedName}: ${path} has no sha256 and length`);
  }
  return { sha256, length };
}

async function readOptional(path: string): Promise<Uint8Array | undefined> {
  try {
    return new Uint8Array(await readFile(path));
  } catch (error) {
    if (hasCode(error, "ENOENT")) return undefined;
    throw new GatewayError("storage_failed", `cannot read ${path}: ${reason(error)}`, {
      cause: error,
    });
  }
}
