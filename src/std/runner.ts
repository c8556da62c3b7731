/** Which process works at something, so that another can tell whether it still lives. */
import { hostname } from "node:os";

export interface Runner {
  readonly host: string;
  readonly pid: number;
  /** Of this process alone, for a pid comes back: in a container it is always the same. */
  readonly instance: string;
}

const instance = crypto.randomUUID();

export const thisRunner = (): Runner => ({ host: hostname(), pid: process.pid, instance });

/** Certainly no more. False where that cannot be known from here: on another host, say. */
export function isGone({ host, pid, instance: other }: Runner): boolean {
  if (host !== hostname() || other === instance) return false;
  if (pid === process.pid) return true;
  try {
    process.kill(pid, 0); // asks only whether it is there
    return false;
  } catch (thrown) {
    return thrown instanceof Error && "code" in thrown && thrown.code === "ESRCH";
  }
}
