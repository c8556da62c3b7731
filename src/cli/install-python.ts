/** `routeiq skills install-python`: what skills in Python need, checked and put into the data folder. */
import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { archiveName, packageUrl, runtimeVersion } from "../agents/skills/python/manifest.ts";
import { makeSnapshot } from "../agents/skills/python/processes.ts";
import { installRuntime, openRuntime } from "../agents/skills/python/runtime.ts";
import { GatewayError } from "../domain/errors.ts";
import { createOutbound } from "../security/outbound.ts";
import { systemClock } from "../std/clock.ts";
import { RpcError } from "../std/rpc.ts";
import { type CommandContext, defineCommand } from "./command.ts";
import { UsageError } from "./parse.ts";

/** The package has 8 MB; what is longer is something else. */
const downloadBytes = 64 * 1024 * 1024;

export const installPythonCommand = defineCommand({
  name: "skills install-python",
  summary: `Install Pyodide ${runtimeVersion}, which skills in Python need, into the data folder.`,
  flags: {
    from: {
      description: `A file or a folder that holds it: ${archiveName}, the npm package pyodide ${runtimeVersion}. Default: it is fetched from the npm registry.`,
      value: "PATH",
    },
    "data-dir": { description: "Where state is kept. Default ./.routeiq.", value: "FOLDER" },
  },
  example: `routeiq skills install-python --from ${archiveName}`,
  async run({ flags, env, out, signal }: CommandContext) {
    const { from, "data-dir": named } = flags;
    const dataDir = resolve(String(named ?? (env["ROUTEIQ_DATA_DIR"] || ".routeiq")));
    if (typeof from === "string" && !existsSync(from)) {
      throw new UsageError(`--from ${from} does not exist.`);
    }
    const source = typeof from === "string" ? from : await download(signal);
    const folder = await installRuntime(source, dataDir).catch((cause: unknown) => {
      // Another file than it should be: the operator's matter, and no failure of the program.
      if (!(cause instanceof RpcError)) throw cause;
      const remedy = `What is meant is ${archiveName}, the npm package pyodide ${runtimeVersion}.`;
      throw new GatewayError("invalid_request", `${cause.message.replace(/\.$/, "")}. ${remedy}`, {
        cause,
      });
    });
    out.line(`Pyodide ${runtimeVersion} is in ${folder}, every file as it should be.`);
    await makeSnapshot(await openRuntime({ dataDir }), systemClock);
    out.line("An interpreter has been started once, so that the next ones start sooner.");
    return 0;
  },
});

async function download(signal: AbortSignal): Promise<Uint8Array> {
  const response = await createOutbound().fetch({
    ...{ url: packageUrl, method: "GET", headers: {}, trust: "operator" },
    signal,
  });
  if (!response.ok) throw new Error(`${packageUrl} answered with HTTP ${response.status}`);
  const parts: Uint8Array[] = [];
  let size = 0;
  for await (const part of response.body ?? []) {
    size += part.length;
    if (size > downloadBytes) throw new Error(`${packageUrl} has more than ${downloadBytes} bytes`);
    parts.push(part);
  }
  return new Uint8Array(Buffer.concat(parts));
}
