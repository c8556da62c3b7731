/** What the scripts share: run a program here, and stop with its code when it fails. */
import { join } from "node:path";

export const root = join(import.meta.dir, "..");
export const bun = process.execPath;

export function run(command: readonly string[], env: Record<string, string> = {}): number {
  const result = Bun.spawnSync([...command], {
    cwd: root,
    stdio: ["inherit", "inherit", "inherit"],
    env: { ...process.env, ...env },
  });
  return result.exitCode ?? 1;
}

export function runOrExit(command: readonly string[], env?: Record<string, string>): void {
  const status = run(command, env);
  if (status !== 0) process.exit(status);
}

/** A tool that npm installed, run under Bun. */
export function tool(name: string): string {
  return join(root, "node_modules", ".bin", name);
}
