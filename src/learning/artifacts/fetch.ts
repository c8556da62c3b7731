/** Reading a repository's files for verification: every failure is a refusal, every size is bounded. */
import type { ObjectStore } from "../../storage/object-store.ts";
import { sha256Hex } from "./canonical.ts";
import { ArtifactRefusal, refuse } from "./refusal.ts";

export interface FetchInput {
  readonly store: ObjectStore;
  readonly signal?: AbortSignal;
}

export async function fetchFile(
  input: FetchInput,
  key: string,
  maxBytes: number,
): Promise<Uint8Array> {
  return (await findFile(input, key, maxBytes)) ?? refuse("fetch", `${at(input, key)} is missing`);
}

export async function findFile(
  input: FetchInput,
  key: string,
  maxBytes: number,
): Promise<Uint8Array | undefined> {
  const bytes = await findRaw(input, key, maxBytes);
  if (bytes && bytes.length > maxBytes) refuse("too_large", `${key} has over ${maxBytes} bytes`);
  return bytes;
}

export async function fetchRaw(
  input: FetchInput,
  key: string,
  maxBytes: number,
): Promise<Uint8Array> {
  return (await findRaw(input, key, maxBytes)) ?? refuse("fetch", `${at(input, key)} is missing`);
}

async function findRaw(
  { store, signal }: FetchInput,
  key: string,
  maxBytes: number,
): Promise<Uint8Array | undefined> {
  try {
    const found = await store.get(key, { maxBytes, ...(signal ? { signal } : {}) });
    return found === "not-modified" ? undefined : found?.bytes;
  } catch (error) {
    if (error instanceof ArtifactRefusal || signal?.aborted) throw error;
    const reason = error instanceof Error ? error.message : String(error);
    return refuse("fetch", `cannot read ${key} of ${store.url}: ${reason}`, error);
  }
}

function at({ store }: FetchInput, key: string): string {
  return `${key} of ${store.url}`;
}

/** @throws ArtifactRefusal length, hash */
export function checkBytes(
  bytes: Uint8Array,
  expected: { readonly length: number; readonly sha256: string },
  what: string,
): Uint8Array {
  if (bytes.length !== expected.length) {
    const found = bytes.length > expected.length ? "more" : `${bytes.length}`;
    refuse("length", `${what} should have ${expected.length} bytes, and has ${found}`);
  }
  if (sha256Hex(bytes) !== expected.sha256) refuse("hash", `${what} is not what was signed`);
  return bytes;
}
