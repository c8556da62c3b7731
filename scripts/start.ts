/**
 * `npm start`: builds the binary where it is missing or stale and becomes it. With words after `--`
 * they are the command line; without, `serve` where there is a configuration or a provider's key,
 * else `demo`.
 */
import { loadConfig } from "../src/config/load.ts";
import { ensureBinary } from "./build.ts";
import { root } from "./run.ts";

/** A configuration that is wrong is for `serve` to explain. */
async function hasProviders(): Promise<boolean> {
  const { config } = await loadConfig({ cwd: root, env: process.env });
  return config?.origin !== "simulated";
}

const binary = ensureBinary();
const given = process.argv.slice(2);
const args = given.length > 0 ? given : [(await hasProviders()) ? "serve" : "demo"];

if (process.platform !== "win32" && process.execve) {
  process.execve(binary, [binary, ...args], process.env as Record<string, string>);
}
const child = Bun.spawn([binary, ...args], { stdio: ["inherit", "inherit", "inherit"] });
for (const name of ["SIGINT", "SIGTERM"] as const) process.on(name, () => child.kill(name));
process.exit(await child.exited);
