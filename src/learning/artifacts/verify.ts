/**
 * Decides whether a repository's router may be taken: the order of steps is the contract's.
 * Pure but for the store: time, state and what this build can load come in as arguments, and a
 * refusal changes nothing.
 */

import { verifySignature } from "../../security/signing.ts";
import type { ObjectStore } from "../../storage/object-store.ts";
import { sha256Hex } from "./canonical.ts";
import { checkBytes, fetchFile, fetchRaw, findFile } from "./fetch.ts";
import { checkContent, formatOf } from "./file-formats.ts";
import {
  type ArtifactRuntime,
  checkPaths,
  type Envelope,
  limits,
  parseEnvelope,
  type Release,
  type Role,
  type RoleName,
  type Root,
  type Timestamp,
  toRelease,
  toRoot,
  toTimestamp,
} from "./format.ts";
import { refuse } from "./refusal.ts";
import type { TrustState } from "./state.ts";

/** What the operator trusts from outside the repository: root 1 itself, or its hash. */
export type RootPin = { readonly bytes: Uint8Array } | { readonly sha256: string };

export interface VerifyInput {
  readonly store: ObjectStore;
  readonly pin: RootPin;
  /** The router's name that the gateway is configured for. */
  readonly name: string;
  readonly runtime: ArtifactRuntime;
  /** Undefined: first install. */
  readonly state: TrustState | undefined;
  /** The time of this update, fixed once. */
  readonly nowMs: number;
  /** The files will be loaded, so each must be of its format (else only: of no refused kind). */
  readonly strictContent: boolean;
  /** How long past its expiry a file still counts: a local copy served without its repository. */
  readonly graceMs?: number;
  readonly signal?: AbortSignal;
}

export interface RootChain {
  readonly root: Root;
  /** Every root by its version, as bytes, from the pinned one on. */
  readonly files: ReadonlyMap<number, Uint8Array>;
  /** True where a new root withdrew a key of the role: its counter begins anew. */
  readonly resets: Readonly<Record<"timestamp" | "release", boolean>>;
}

export interface Verified {
  readonly chain: RootChain;
  readonly timestamp: Timestamp;
  readonly timestampBytes: Uint8Array;
  readonly release: Release;
  readonly releaseBytes: Uint8Array;
  readonly releaseSha256: string;
  /** The release's files by path: the very bytes that were hashed. */
  readonly files: ReadonlyMap<string, Uint8Array>;
  /** To be stored once the router is in force. */
  readonly state: TrustState;
}

const noState: TrustState = {
  rootVersion: 0,
  timestampVersion: 0,
  releaseVersion: 0,
  releaseSha256: "",
  lastTimeMs: 0,
};

/** @throws ArtifactRefusal with the code of the first rule that does not hold. */
export async function verifyRepository(input: VerifyInput): Promise<Verified> {
  checkClock(input);
  const chain = await walkRoots(input);
  const timestampBytes = await fetchFile(input, "timestamp.json", limits.timestampBytes);
  const timestamp = checkTimestamp(timestampBytes, chain, input);
  return await verifyRelease(input, chain, { timestamp, timestampBytes });
}

/** All that follows a timestamp which holds. */
export async function verifyRelease(
  input: VerifyInput,
  chain: RootChain,
  pointer: Pointer,
): Promise<Verified> {
  const described = await verifyDescription(input, chain, pointer);
  return { ...described, files: await fetchFiles(input, described.release) };
}

interface Pointer {
  readonly timestamp: Timestamp;
  readonly timestampBytes: Uint8Array;
}

/** All but the files: enough where they are in force already. */
export async function verifyDescription(
  input: VerifyInput,
  chain: RootChain,
  pointer: Pointer,
): Promise<Omit<Verified, "files">> {
  const { timestamp } = pointer;
  checkCounters(timestamp, chain, input.state ?? noState);
  checkRetired(chain.root, timestamp.release.version, timestamp.release.sha256);
  const releaseBytes = await fetchRelease(input, timestamp);
  const release = checkRelease(releaseBytes, chain.root, timestamp.release.version, input);
  return {
    chain,
    ...pointer,
    release,
    releaseBytes,
    releaseSha256: timestamp.release.sha256,
    state: {
      rootVersion: chain.root.version,
      timestampVersion: timestamp.version,
      releaseVersion: release.version,
      releaseSha256: timestamp.release.sha256,
      lastTimeMs: Math.max(input.nowMs, input.state?.lastTimeMs ?? 0),
    },
  };
}

/** @throws ArtifactRefusal clock */
export function checkClock({ nowMs, state }: Pick<VerifyInput, "nowMs" | "state">): void {
  if (state && nowMs < state.lastTimeMs - limits.clockBackMs) {
    refuse("clock", `it is ${iso(nowMs)}, before the last update at ${iso(state.lastTimeMs)}`);
  }
}

/** From the pinned root to the newest: each signed by the one before and by itself. */
export async function walkRoots(input: VerifyInput): Promise<RootChain> {
  const pinned = await pinnedRoot(input);
  const first = parseEnvelope(pinned, "root", "the pinned root");
  let root = toRoot(first);
  checkThreshold(first, root, "root", "the pinned root");
  const files = new Map([[root.version, pinned]]);
  const resets = { timestamp: false, release: false };
  for (;;) {
    const version = root.version + 1;
    const what = `root/${version}.root.json`;
    const bytes = await findFile(input, what, limits.rootBytes);
    if (!bytes) break;
    if (files.size >= limits.roots) refuse("too_large", `more than ${limits.roots} roots`);
    const next = checkNextRoot(bytes, root, what);
    if (version > (input.state?.rootVersion ?? 0)) {
      resets.timestamp ||= withdrewKey(root.roles.timestamp, next.roles.timestamp);
      resets.release ||= withdrewKey(root.roles.release, next.roles.release);
    }
    files.set(version, bytes);
    root = next;
  }
  if (input.state && root.version < input.state.rootVersion) {
    refuse(
      "rollback",
      `the newest root is ${root.version}, seen before: ${input.state.rootVersion}`,
    );
  }
  checkExpiry(root.expiresMs, `root ${root.version}`, input);
  return { root, files, resets };
}

async function pinnedRoot(input: VerifyInput): Promise<Uint8Array> {
  if ("bytes" in input.pin) {
    if (input.pin.bytes.length > limits.rootBytes) refuse("too_large", "the pinned root");
    return input.pin.bytes;
  }
  const bytes = await fetchFile(input, "root/1.root.json", limits.rootBytes);
  if (sha256Hex(bytes) !== input.pin.sha256) {
    refuse("hash", "root/1.root.json is not the root that the configuration pins");
  }
  return bytes;
}

function checkNextRoot(bytes: Uint8Array, before: Root, what: string): Root {
  const envelope = parseEnvelope(bytes, "root", what);
  const next = toRoot(envelope);
  checkThreshold(envelope, before, "root", what);
  checkThreshold(envelope, next, "root", what);
  if (next.version !== before.version + 1) {
    refuse("version_mismatch", `${what} carries version ${next.version}`);
  }
  return next;
}

/** A key that merely joins resets nothing: old releases would still be validly signed. */
function withdrewKey(before: Role, after: Role): boolean {
  return before.keyids.some((keyid) => !after.keyids.includes(keyid));
}

/** @throws ArtifactRefusal, for a timestamp that does not hold by itself. */
export function checkTimestamp(bytes: Uint8Array, chain: RootChain, input: VerifyInput): Timestamp {
  const envelope = parseEnvelope(bytes, "timestamp", "timestamp.json");
  const timestamp = toTimestamp(envelope);
  checkThreshold(envelope, chain.root, "timestamp", "timestamp.json");
  checkExpiry(timestamp.expiresMs, "timestamp.json", input);
  return timestamp;
}

function checkCounters(timestamp: Timestamp, chain: RootChain, state: TrustState): void {
  const seenTimestamp = chain.resets.timestamp ? 0 : state.timestampVersion;
  const seenRelease = chain.resets.release ? 0 : state.releaseVersion;
  const { release } = timestamp;
  checkGrows("timestamp", timestamp.version, seenTimestamp);
  checkGrows("release", release.version, seenRelease);
  if (chain.resets.release || state.releaseSha256 === "") return;
  const sameRelease = release.sha256 === state.releaseSha256;
  if (release.version === state.releaseVersion && !sameRelease) {
    refuse("equivocation", `there are two releases ${release.version}`);
  }
  if (!chain.resets.timestamp && timestamp.version === state.timestampVersion && !sameRelease) {
    refuse("equivocation", `there are two timestamps ${timestamp.version}`);
  }
}

function checkGrows(what: string, version: number, seen: number): void {
  if (version < seen) refuse("rollback", `${what} ${version} is older than ${seen}, seen before`);
  if (version - seen > limits.versionJump) {
    refuse("version_jump", `${what} ${version} is more than a million past ${seen}`);
  }
}

/** Retired releases stay out, a local copy included. @throws ArtifactRefusal rollback, revoked */
export function checkRetired(root: Root, version: number, sha256: string): void {
  if (root.revoked.has(sha256)) refuse("revoked", `release ${version} is revoked`);
  if (version < root.minReleaseVersion) {
    refuse("rollback", `release ${version} is under the least allowed, ${root.minReleaseVersion}`);
  }
}

async function fetchRelease(input: VerifyInput, { release }: Timestamp): Promise<Uint8Array> {
  if (release.length > limits.releaseBytes) {
    refuse("too_large", `release ${release.version} has ${release.length} bytes`);
  }
  const what = `releases/${release.version}.json`;
  return checkBytes(await fetchRaw(input, what, release.length), release, what);
}

/** A release's own fields, against the root and what this gateway is. */
export function checkRelease(
  bytes: Uint8Array,
  root: Root,
  version: number,
  input: Pick<VerifyInput, "name" | "runtime" | "nowMs" | "graceMs">,
): Release {
  const what = `releases/${version}.json`;
  const envelope = parseEnvelope(bytes, "release", what);
  const release = toRelease(envelope);
  checkThreshold(envelope, root, "release", what);
  if (release.name !== input.name) {
    refuse("name", `${what} is for "${release.name.slice(0, 100)}", not "${input.name}"`);
  }
  if (release.version !== version) {
    refuse("version_mismatch", `${what} carries version ${release.version}`);
  }
  checkExpiry(release.expiresMs, what, input);
  checkRuntime(release, input.runtime);
  checkFiles(release, root);
  return release;
}

function checkRuntime({ runtime }: Release, ours: ArtifactRuntime): void {
  if (runtime.format !== ours.format || runtime.featureSchema !== ours.featureSchema) {
    const theirs = `${runtime.format.slice(0, 100)}, schema ${runtime.featureSchema}`;
    refuse("runtime", `made for ${theirs}; this is ${ours.format}, schema ${ours.featureSchema}`);
  }
  const needed = toVersion(runtime.min);
  const have = toVersion(ours.version) ?? [];
  if (!needed) refuse("runtime", `runtime.min "${runtime.min.slice(0, 50)}" is no version`);
  for (const [i, part] of needed.entries()) {
    const mine = have[i] ?? 0;
    if (part < mine) return;
    if (part > mine) refuse("runtime", `needs a loader of ${runtime.min}; this is ${ours.version}`);
  }
}

function toVersion(text: string): readonly number[] | undefined {
  if (!/^\d{1,9}(\.\d{1,9}){0,2}$/.test(text)) return undefined;
  return text.split(".").map(Number);
}

function checkFiles(release: Release, root: Root): void {
  checkPaths(release.files);
  for (const { path } of release.files) formatOf(path);
  const total = release.files.reduce((sum, { length }) => sum + length, 0);
  if (total > limits.filesBytes) refuse("too_large", `the files have ${total} bytes together`);
  const revoked = release.files.find(({ sha256 }) => root.revoked.has(sha256));
  if (revoked) refuse("revoked", `the file ${revoked.path} is revoked`);
  const hashes = new Set(release.files.map(({ sha256 }) => sha256));
  const { selfTest } = release;
  if (!selfTest || !hashes.has(selfTest.inputSha256) || !hashes.has(selfTest.outputSha256)) {
    refuse("self_test", "self_test does not name two of the files by hash");
  }
}

/** The release's files, each of its length, hash and format. */
export async function fetchFiles(
  input: VerifyInput,
  release: Release,
): Promise<ReadonlyMap<string, Uint8Array>> {
  const files = new Map<string, Uint8Array>();
  for (const file of release.files) {
    const raw = await fetchRaw(input, `blobs/sha256/${file.sha256}`, file.length);
    const bytes = checkBytes(raw, file, file.path);
    checkContent(file.path, bytes, input.strictContent);
    files.set(file.path, bytes);
  }
  return files;
}

function checkThreshold(envelope: Envelope, root: Root, name: RoleName, what: string): void {
  const { threshold } = root.roles[name];
  const valid = countSignatures(envelope, root, name);
  if (valid >= threshold) return;
  const counted = `${valid} of ${threshold}`;
  refuse("threshold", `${what} has ${counted} signatures that root ${root.version} asks for`);
}

export function hasEnoughSignatures(envelope: Envelope, root: Root, name: RoleName): boolean {
  return countSignatures(envelope, root, name) >= root.roles[name].threshold;
}

/** Distinct keys of the role with a valid signature each, up to its threshold; the rest is ignored. */
function countSignatures(envelope: Envelope, root: Root, name: RoleName): number {
  const role = root.roles[name];
  const valid = new Set<string>();
  for (const { keyid, sig } of envelope.signatures) {
    if (valid.size >= role.threshold) break;
    const key = root.keys.get(keyid);
    if (!key || !role.keyids.includes(keyid) || valid.has(keyid)) continue;
    if (verifySignature(key, sig, envelope.message)) valid.add(keyid);
  }
  return valid.size;
}

function checkExpiry(
  expiresMs: number,
  what: string,
  { nowMs, graceMs = 0 }: Pick<VerifyInput, "nowMs" | "graceMs">,
): void {
  if (nowMs >= expiresMs + graceMs) refuse("expired", `${what} expired at ${iso(expiresMs)}`);
}

function iso(ms: number): string {
  return new Date(ms).toISOString();
}
