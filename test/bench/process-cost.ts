/** What a process costs, read from Linux's /proc. */
import { readdirSync, readFileSync } from "node:fs";

/** Processor time of all its threads since it began, in µs. */
export function cpuUs(pid: number): number {
  let ns = 0;
  for (const thread of readdirSync(`/proc/${pid}/task`)) {
    try {
      ns += Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, "utf8").split(" ")[0]);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error; // the thread just ended
    }
  }
  return ns / 1000;
}

/** The same with its child processes. */
export function cpuUsOfTree(pid: number): number {
  return [pid, ...childrenOf(pid)].reduce((sum, one) => sum + cpuUs(one), 0);
}

/** Resident memory in MB (10⁶ bytes), with that of its child processes. */
export function residentMb(pid: number): number {
  return [pid, ...childrenOf(pid)].reduce((sum, one) => sum + residentOf(one), 0);
}

function residentOf(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  return (Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0) * 1024) / 1e6;
}

function childrenOf(pid: number): number[] {
  const direct = readdirSync(`/proc/${pid}/task`).flatMap((thread) =>
    readFileSync(`/proc/${pid}/task/${thread}/children`, "utf8").trim().split(" "),
  );
  const pids = direct.filter((word) => word !== "").map(Number);
  return pids.flatMap((child) => [child, ...childrenOf(child)]);
}
