/** Writing a file whole or not at all, also through a crash: temp file, fsync, rename, fsync of the folder. */
import { randomUUID } from "node:crypto";
import { link, mkdir, open, rename, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { GatewayError } from "../../domain/errors.ts";
import { isObject } from "../../domain/json.ts";

/** Files of an unfinished write begin so, then the process that writes; nothing else does. */
export const tempPrefix = ".tmp-";

/** A temporary file that nobody will finish: of a process that is gone, or of this one's past. */
export function isAbandoned(name: string): boolean {
  const pid = Number(/^\.tmp-(\d+)-/.exec(name)?.[1]);
  if (!Number.isInteger(pid)) return false;
  if (pid === process.pid) return true;
  try {
    process.kill(pid, 0);
    return false;
  } catch (error) {
    return hasCode(error, "ESRCH"); // EPERM: alive, and another user's
  }
}

export interface AtomicWriteOptions {
  /** Permission bits of the new file. Default 0644. */
  readonly mode?: number;
  /** False is answered where the file exists already, and it stays as it is. */
  readonly ifAbsent?: boolean;
}

/** Makes the folder if need be. No temporary file stays behind. @throws GatewayError storage_failed */
export async function writeFileAtomic(
  path: string,
  bytes: Uint8Array,
  options: AtomicWriteOptions = {},
): Promise<boolean> {
  const folder = dirname(path);
  const temp = join(folder, `${tempPrefix}${process.pid}-${randomUUID()}`);
  try {
    await mkdir(folder, { recursive: true });
    await writeAndSync(temp, bytes, options.mode ?? 0o644);
    // link fails where the target exists, rename replaces it; both are atomic.
    if (options.ifAbsent) await link(temp, path);
    else await rename(temp, path);
    await syncFolder(folder);
    return true;
  } catch (error) {
    if (options.ifAbsent && hasCode(error, "EEXIST")) return false;
    throw new GatewayError("storage_failed", `cannot write ${path}: ${reason(error)}`, {
      cause: error,
    });
  } finally {
    await rm(temp, { force: true });
  }
}

async function writeAndSync(path: string, bytes: Uint8Array, mode: number): Promise<void> {
  const file = await open(path, "wx", mode);
  try {
    await file.writeFile(bytes);
    await file.sync();
  } finally {
    await file.close();
  }
}

/** A rename is durable only once its folder is. Windows cannot open folders, and does not need to. */
export async function syncFolder(folder: string): Promise<void> {
  if (process.platform === "win32") return;
  const handle = await open(folder, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

export function hasCode(error: unknown, code: string): boolean {
  return isObject(error) && error["code"] === code;
}

export function reason(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
