/** The benchmarks' C programs: compiled on the spot, run as processes of their own. */
import { mkdirSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const compiler = ["cc", "gcc", "clang"].find((name) => Bun.which(name) !== null);

/** Why there are no C programs here; undefined where there are. */
export function nativeMissing(): string | undefined {
  if (process.platform !== "linux") return "the load generator is written for Linux (epoll)";
  return compiler ? undefined : "no C compiler (cc, gcc, clang) on this machine";
}

/** Path of a compiled program of `native/`. @throws Error with the compiler's words. */
export function compileNative(name: string, flags: readonly string[] = ["-O2"]): string {
  const source = join(import.meta.dir, "native", `${name}.c`);
  const folder = join(tmpdir(), `routeiq-bench-${process.getuid?.() ?? 0}`);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const path = join(folder, `${name}-${statSync(source).mtimeMs}${flags.join("")}`);
  if (Bun.file(path).size > 0) return path;
  const result = Bun.spawnSync([compiler ?? "cc", ...flags, "-o", path, source, "-lm"]);
  if (result.exitCode !== 0) throw new Error(`${name}.c: ${result.stderr.toString()}`);
  return path;
}

export interface PortedProcess {
  readonly port: number;
  readonly pid: number;
  stop(): Promise<void>;
}

/** Starts a program that prints its port first. */
export async function startPorted(command: readonly string[]): Promise<PortedProcess> {
  const child = Bun.spawn([...command], {
    stdio: ["ignore", "pipe", "inherit"],
    env: { ...process.env, BUN_CONFIG_MAX_HTTP_REQUESTS: "20000" },
  });
  let text = "";
  const decoder = new TextDecoder();
  const reader = child.stdout.getReader();
  while (!text.includes("\n")) {
    const { done, value } = await reader.read();
    if (done) throw new Error(`${command[0]} ended before it said its port`);
    text += decoder.decode(value, { stream: true });
  }
  reader.releaseLock();
  return {
    port: Number(text.trim().split("\n")[0]),
    pid: child.pid,
    async stop() {
      child.kill();
      await child.exited;
    },
  };
}

export interface Quantiles {
  readonly count: number;
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

/** What `load.c` reports. */
export interface LoadReport {
  readonly completed: number;
  readonly errors: number;
  readonly lastBadStatus: number;
  readonly seconds: number;
  readonly latencyUs: Quantiles;
  readonly header: Quantiles;
  readonly firstEventUs: Quantiles;
  readonly eventDelayUs: Quantiles;
}

export interface LoadOptions {
  readonly port: number;
  readonly connections: number;
  readonly requests: number;
  readonly maxMs?: number;
  readonly stream?: boolean;
  /** A numeric response header whose values are collected. */
  readonly header?: string;
  /** Header lines of every request beside the usual ones. */
  readonly lines?: readonly string[];
  /** Sent in turn, so that no cache makes a call cheaper than a new text is. */
  readonly bodies: readonly string[];
}

export async function runLoad(options: LoadOptions): Promise<LoadReport> {
  const { port, connections, requests, maxMs = 120_000, stream = false, header = "" } = options;
  const words = [
    port,
    "/v1/chat/completions",
    connections,
    requests,
    maxMs,
    stream ? 1 : 0,
    header,
    ...options.bodies,
  ].map(String);
  const child = Bun.spawn([compileNative("load"), ...words], {
    stdio: ["ignore", "pipe", "inherit"],
    env: {
      ...process.env,
      LOAD_LINES: (options.lines ?? []).map((each) => `${each}\r\n`).join(""),
    },
  });
  const [text, exitCode] = await Promise.all([new Response(child.stdout).text(), child.exited]);
  if (exitCode !== 0) throw new Error(`the load generator ended with ${exitCode}`);
  return JSON.parse(text) as LoadReport;
}
