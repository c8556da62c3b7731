/**
 * The demo's other processes: RouteIQ itself, started as a user would start it. So what the demo
 * shows is what the commands do, and nothing is wired in secret.
 */
import { closeSync, openSync, readFileSync } from "node:fs";
import { type ProcessOptions, type RunResult, runSelf, selfCommand } from "../run-self.ts";

/** A command of the demo's: nothing of the user's own reaches it. */
export const runApart = (args: readonly string[], options: ProcessOptions): Promise<RunResult> =>
  runSelf(args, { ...options, env: plainEnv(options.env) });

export interface LongProcess {
  readonly pid: number;
  readonly exited: Promise<number>;
  /** The last lines that it wrote. */
  log(): string;
  /** SIGTERM, and SIGKILL when that has no effect. */
  stop(): Promise<void>;
}

const stopGraceMs = 10_000;

/** Starts a command of RouteIQ that stays; what it says goes to a file. */
export function startSelf(
  args: readonly string[],
  logFile: string,
  { cwd, env }: Omit<ProcessOptions, "signal">,
): LongProcess {
  const log = openSync(logFile, "a", 0o600);
  const child = Bun.spawn([...selfCommand(), ...args], {
    ...(cwd === undefined ? {} : { cwd }),
    env: plainEnv(env),
    stdin: "ignore",
    stdout: log,
    stderr: log,
  });
  closeSync(log);
  return {
    pid: child.pid,
    exited: child.exited,
    log: () => readFileSync(logFile, "utf8").split("\n").slice(-15).join("\n").trim(),
    async stop() {
      child.kill("SIGTERM");
      const killer = setTimeout(() => child.kill("SIGKILL"), stopGraceMs);
      await child.exited;
      clearTimeout(killer);
    },
  };
}

/** What a child needs of the environment. Keys, proxies and configuration of the user's stay out. */
function plainEnv(env: ProcessOptions["env"]): Record<string, string> {
  const kept = ["PATH", "HOME", "TMPDIR", "TEMP", "SYSTEMROOT", "LANG", "TZ"];
  return Object.fromEntries(
    kept.flatMap((name) => (env[name] === undefined ? [] : [[name, env[name]]])),
  );
}
