/** This program as a process of its own: what it takes is given back, and a kill ends it alone. */
import { join } from "node:path";
import { build } from "../std/build.ts";

export interface RunResult {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface ProcessOptions {
  /** Default: where this process is. */
  readonly cwd?: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly signal: AbortSignal;
}

/** The command line that starts this program: the binary, or Bun with `main.ts`. */
export function selfCommand(): readonly string[] {
  if (build.compiled) return [process.execPath];
  return [process.execPath, join(import.meta.dir, "..", "main.ts")];
}

/** Runs a command of RouteIQ to its end. @throws the signal's reason */
export async function runSelf(
  args: readonly string[],
  { cwd, env, signal }: ProcessOptions,
): Promise<RunResult> {
  const child = Bun.spawn([...selfCommand(), ...args], {
    ...(cwd === undefined ? {} : { cwd }),
    env: Object.fromEntries(Object.entries(env).filter(([, value]) => value !== undefined)),
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
    signal,
  });
  const [stdout, stderr, exitCode] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  signal.throwIfAborted();
  return { exitCode, stdout, stderr };
}
