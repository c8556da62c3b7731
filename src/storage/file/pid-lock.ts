/** A file that says who is at work, so that two processes do not do (and pay) the same work twice. */
import { closeSync, openSync, readFileSync, rmSync, writeSync } from "node:fs";
import { GatewayError } from "../../domain/errors.ts";
import { hasCode, reason } from "./atomic-write.ts";

/**
 * Takes the lock; the answer gives it back. A lock whose process is gone is taken over.
 * @throws GatewayError storage_failed while another process holds it, or where it cannot be written
 */
export function takePidLock(path: string): () => void {
  for (let attempt = 0; attempt < 2; attempt++) {
    try {
      const file = openSync(path, "wx", 0o600);
      writeSync(file, String(process.pid));
      closeSync(file);
      return () => rmSync(path, { force: true });
    } catch (error) {
      if (!hasCode(error, "EEXIST")) {
        throw new GatewayError("storage_failed", `cannot write ${path}: ${reason(error)}`, {
          cause: error,
        });
      }
      const holder = holderOf(path);
      if (holder !== undefined && isAlive(holder)) {
        throw new GatewayError(
          "storage_failed",
          `Process ${holder} is at work here already (${path}). Wait for it, or end it.`,
        );
      }
      rmSync(path, { force: true });
    }
  }
  throw new GatewayError("storage_failed", `${path} is taken by others again and again.`);
}

function holderOf(path: string): number | undefined {
  try {
    const pid = Number(readFileSync(path, "utf8"));
    return Number.isInteger(pid) && pid > 0 ? pid : undefined;
  } catch (error) {
    if (hasCode(error, "ENOENT")) return undefined; // given back meanwhile
    throw error;
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return hasCode(error, "EPERM");
  }
}
