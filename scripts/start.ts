/**
 * `npm start`: builds the binary where it is missing or stale and becomes it. With words after `--`
 * they are the command line; without, `serve` where there is a configuration or a provider's key,
 * else `demo`.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { ensureBinary } from "./build.ts";
import { root } from "./run.ts";

/** Where the gateway itself looks for a configuration (DESIGN: --config, then these, in order). */
function hasConfiguration(env: NodeJS.ProcessEnv): boolean {
  if (env["ROUTEIQ_CONFIG"] || env["LITELLM_CONFIG_PATH"]) return true;
  return ["config.yaml", "/app/config/config.yaml"].some((file) => existsSync(join(root, file)));
}

/** A key of any provider counts: the gateway knows which, here its shape is enough. */
function hasProviderKey(env: NodeJS.ProcessEnv): boolean {
  return Object.entries(env).some(
    ([name, value]) => value && /^(OPENAI|ANTHROPIC|[A-Z0-9]+(_AI)?)_API_KEY$/.test(name),
  );
}

const binary = ensureBinary();
const given = process.argv.slice(2);
const fallback = hasConfiguration(process.env) || hasProviderKey(process.env) ? "serve" : "demo";
const args = given.length > 0 ? given : [fallback];

if (process.platform !== "win32" && process.execve) {
  process.execve(binary, [binary, ...args], process.env as Record<string, string>);
}
const child = Bun.spawn([binary, ...args], { stdio: ["inherit", "inherit", "inherit"] });
for (const name of ["SIGINT", "SIGTERM"] as const) process.on(name, () => child.kill(name));
process.exit(await child.exited);
