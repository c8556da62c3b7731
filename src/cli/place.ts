/** Where the gateway listens and keeps its state: one reading, for `serve` and `doctor`. */
import { resolve } from "node:path";
import type { CommandContext } from "./command.ts";
import { UsageError } from "./parse.ts";

export interface Place {
  readonly host: string;
  readonly port: number;
  readonly dataDir: string;
}

/** Flags, then the platforms' and LiteLLM's variables, then the defaults. @throws UsageError */
export function readPlace({ flags, env }: Pick<CommandContext, "flags" | "env">): Place {
  const text = (name: string) => (typeof flags[name] === "string" ? flags[name] : undefined);
  const named = text("port") ?? (env["PORT"] || env["LITELLM_PORT"] || "4000");
  const port = Number(named);
  if (!Number.isInteger(port) || port < 0 || port > 65_535) {
    throw new UsageError(`--port takes a number from 0 to 65535, not "${named}".`);
  }
  return {
    host: text("host") ?? (env["LITELLM_HOST"] || "127.0.0.1"),
    port,
    dataDir: resolve(text("data-dir") ?? (env["ROUTEIQ_DATA_DIR"] || ".routeiq")),
  };
}
