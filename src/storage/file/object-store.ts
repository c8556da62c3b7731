/** Objects as files in a folder: `file:///…` or a path. Keys cannot leave the folder. */
import { createHash } from "node:crypto";
import { constants } from "node:fs";
import { type FileHandle, open, readdir, rm } from "node:fs/promises";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { GatewayError } from "../../domain/errors.ts";
import type { GetOptions, ObjectStore, StoredObject } from "../object-store.ts";
import { assertKey } from "../object-store.ts";
import { hasCode, reason, tempPrefix, writeFileAtomic } from "./atomic-write.ts";

const maxListed = 100_000;

export function createFileObjectStore(folder: string): ObjectStore {
  const base = resolve(folder);
  const url = pathToFileURL(base).href;
  const pathOf = (key: string) => join(base, ...assertKey(key).split("/"));
  return {
    url,
    async get(key, options) {
      return await read(pathOf(key), options);
    },
    async put(key, bytes, options = {}) {
      const path = pathOf(key);
      if (options.ifMatch !== undefined) return await putIfMatch(path, bytes, options.ifMatch);
      return await writeFileAtomic(path, bytes, options);
    },
    async list(prefix) {
      return (await walk(base, "")).filter((key) => key.startsWith(prefix)).sort();
    },
    close: () => undefined,
  };
}

async function read(
  path: string,
  { maxBytes, ifNoneMatch, signal }: GetOptions,
): Promise<StoredObject | "not-modified" | undefined> {
  let file: FileHandle | undefined;
  try {
    signal?.throwIfAborted();
    // Without O_NONBLOCK, opening a named pipe would wait for its writer for ever.
    file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
    const stat = await file.stat();
    if (!stat.isFile()) throw new Error("it is not a regular file");
    const bytes = await readUpTo(file, Math.min(maxBytes + 1, stat.size), signal);
    const etag = etagOf(bytes);
    return etag === ifNoneMatch ? "not-modified" : { bytes, etag };
  } catch (error) {
    if (hasCode(error, "ENOENT") || hasCode(error, "ENOTDIR")) return undefined;
    if (signal?.aborted) throw error;
    throw failed("read", path, error);
  } finally {
    await file?.close();
  }
}

async function readUpTo(
  file: FileHandle,
  length: number,
  signal: AbortSignal | undefined,
): Promise<Uint8Array> {
  const bytes = new Uint8Array(length);
  let at = 0;
  while (at < length) {
    signal?.throwIfAborted();
    const { bytesRead } = await file.read(bytes, at, Math.min(length - at, 1 << 20), at);
    if (bytesRead === 0) break;
    at += bytesRead;
  }
  return bytes.subarray(0, at);
}

/** Content is its own tag, so that a file rewritten with the same bytes counts as unchanged. */
function etagOf(bytes: Uint8Array): string {
  return `"${createHash("sha256").update(bytes).digest("hex").slice(0, 32)}"`;
}

/** Compare and swap under a lock file; a lock that a crash left behind is broken after a minute. */
async function putIfMatch(path: string, bytes: Uint8Array, etag: string): Promise<boolean> {
  const lock = `${path}.lock`;
  await takeLock(lock);
  try {
    const held = await read(path, { maxBytes: 1 << 26 });
    if (held === undefined || held === "not-modified" || held.etag !== etag) return false;
    return await writeFileAtomic(path, bytes);
  } finally {
    await rm(lock, { force: true });
  }
}

const staleLockMs = 60_000;

async function takeLock(lock: string): Promise<void> {
  for (let attempt = 0; ; attempt++) {
    try {
      const file = await open(lock, "wx");
      await file.close();
      return;
    } catch (error) {
      if (!hasCode(error, "EEXIST")) throw failed("lock", lock, error);
      if (attempt > 0 || !(await isStale(lock))) {
        throw failed("lock", lock, new Error("another process is writing; try again"));
      }
      await rm(lock, { force: true });
    }
  }
}

async function isStale(lock: string): Promise<boolean> {
  const probe = `${lock}.probe`;
  try {
    // The file system's own clock: two files' ages compare without asking for the time.
    await writeFileAtomic(probe, new Uint8Array());
    const [held, fresh] = [Bun.file(lock).lastModified, Bun.file(probe).lastModified];
    return fresh - held > staleLockMs;
  } finally {
    await rm(probe, { force: true });
  }
}

async function walk(base: string, prefix: string): Promise<readonly string[]> {
  try {
    const entries = await readdir(join(base, prefix), { withFileTypes: true });
    const keys: string[] = [];
    for (const entry of entries) {
      if (entry.name.startsWith(tempPrefix)) continue;
      const key = prefix ? `${prefix}/${entry.name}` : entry.name;
      if (entry.isDirectory()) keys.push(...(await walk(base, key)));
      else if (entry.isFile()) keys.push(key);
      if (keys.length > maxListed) throw new Error(`more than ${maxListed} files`);
    }
    return keys;
  } catch (error) {
    if (hasCode(error, "ENOENT")) return [];
    if (error instanceof GatewayError) throw error;
    throw failed("list", join(base, prefix), error);
  }
}

function failed(verb: string, path: string, error: unknown): GatewayError {
  return new GatewayError("storage_failed", `cannot ${verb} ${path}: ${reason(error)}`, {
    cause: error,
  });
}
