/** Contents as files of a folder, spread over 256 folders by the end of their ids. */
import { createHash, randomUUID } from "node:crypto";
import { constants } from "node:fs";
import { type FileHandle, mkdir, open, rename, rm } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { GatewayError } from "../../domain/errors.ts";
import { sha256Hex } from "../../security/hashing.ts";
import {
  type BlobFacts,
  type BlobPutOptions,
  type BlobStore,
  type ByteRange,
  blobPartBytes,
  type OpenBlob,
} from "../blob-store.ts";
import { assertKey } from "../object-store.ts";
import { hasCode, reason, syncFolder, tempPrefix } from "./atomic-write.ts";

export function createFileBlobStore(folder: string): BlobStore {
  const base = resolve(folder);
  const pathOf = (id: string) => join(base, sha256Hex(id).slice(0, 2), assertKey(id));
  return {
    url: pathToFileURL(base).href,
    put: (id, content, options) => write(pathOf(id), content, options),
    open: (id, range) => openBlob(pathOf(id), range),
    async remove(id) {
      try {
        await rm(pathOf(id));
        return true;
      } catch (error) {
        if (hasCode(error, "ENOENT")) return false;
        throw failed("remove", pathOf(id), error);
      }
    },
    close: () => undefined,
  };
}

async function write(
  path: string,
  content: AsyncIterable<Uint8Array>,
  { maxBytes, signal }: BlobPutOptions,
): Promise<BlobFacts> {
  const folder = dirname(path);
  const temp = join(folder, `${tempPrefix}${process.pid}-${randomUUID()}`);
  const hash = createHash("sha256");
  let sizeBytes = 0;
  let file: FileHandle | undefined;
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    file = await open(temp, "wx", 0o600);
    for await (const part of content) {
      signal?.throwIfAborted();
      sizeBytes += part.length;
      if (sizeBytes > maxBytes) throw tooLarge(maxBytes);
      hash.update(part);
      await writeWhole(file, part);
    }
    await file.sync();
    await file.close();
    file = undefined;
    await rename(temp, path);
    await syncFolder(folder);
    return { sizeBytes, sha256: hash.digest("hex") };
  } catch (error) {
    // What the content threw is its own; what the disk did is ours.
    throw isDiskError(error) ? failed("write", path, error) : error;
  } finally {
    await file?.close();
    await rm(temp, { force: true });
  }
}

async function writeWhole(file: FileHandle, part: Uint8Array): Promise<void> {
  let at = 0;
  while (at < part.length) at += (await file.write(part, at)).bytesWritten;
}

async function openBlob(path: string, range: ByteRange | undefined): Promise<OpenBlob | undefined> {
  try {
    const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
    const { size } = await file.stat().catch(async (error: unknown) => {
      await file.close();
      throw error;
    });
    const end = Math.min(size, range?.end ?? size);
    return { sizeBytes: size, content: closing(read(file, range?.start ?? 0, end, path), file) };
  } catch (error) {
    if (hasCode(error, "ENOENT")) return undefined;
    throw failed("read", path, error);
  }
}

/** A generator that was never begun ends without its `finally`: whoever leaves it lets go of the file. */
function closing(
  pieces: AsyncGenerator<Uint8Array>,
  file: FileHandle,
): AsyncIterableIterator<Uint8Array> {
  let hasBegun = false;
  return {
    [Symbol.asyncIterator]() {
      return this;
    },
    next() {
      hasBegun = true;
      return pieces.next();
    },
    async return() {
      if (!hasBegun) await file.close();
      return pieces.return(undefined);
    },
  };
}

async function* read(file: FileHandle, start: number, end: number, path: string) {
  try {
    for (let at = start; at < end; ) {
      const part = new Uint8Array(Math.min(blobPartBytes, end - at));
      const { bytesRead } = await file.read(part, 0, part.length, at);
      if (bytesRead === 0) return;
      at += bytesRead;
      yield part.subarray(0, bytesRead);
    }
  } catch (error) {
    throw failed("read", path, error);
  } finally {
    await file.close();
  }
}

const isDiskError = (error: unknown) =>
  /^E[A-Z]+$/.test(String((error as { code?: unknown }).code));

function tooLarge(maxBytes: number): GatewayError {
  return new GatewayError("body_too_large", `The content is over the limit of ${maxBytes} bytes.`);
}

function failed(verb: string, path: string, error: unknown): GatewayError {
  const message = `cannot ${verb} ${path}: ${reason(error)}`;
  return new GatewayError("storage_failed", message, { cause: error });
}
