/** What `serve` does once the process is as it should be: load, check, start, wait, drain. */
import type { Config } from "../config/config.ts";
import type { Loaded } from "../config/load.ts";
import { refuseOpenBind } from "../config/open-bind.ts";
import type { ReloadStatus } from "../config/reload.ts";
import { showFinding } from "../config/report.ts";
import { GatewayError, toGatewayError } from "../domain/errors.ts";
import type { Gateway, GatewayOptions } from "../gateway/gateway.ts";
import { startGateway } from "../gateway.ts";
import { createOutbound } from "../security/outbound.ts";
import { createWebSocketOutbound } from "../security/web-socket/open.ts";
import { systemClock } from "../std/clock.ts";
import { version } from "../std/version.ts";
import { isLogLevel } from "../telemetry/log.ts";
import type { CommandContext } from "./command.ts";
import { type ConfigSource, createConfigSource } from "./config-source.ts";
import { withSimulatedModels } from "./demo/simulated-config.ts";
import type { SimulatedProviders } from "./demo/simulated-providers.ts";
import { createConfigFollower } from "./follow-config.ts";
import { UsageError } from "./parse.ts";
import { type Place, readPlace } from "./place.ts";
import { maxWorkers, parentGone, startWorkers, type Workers, workerName } from "./workers.ts";

export async function serve(context: CommandContext): Promise<number> {
  const { flags, env, out } = context;
  const isWorker = env[workerName] !== undefined;
  const place = readPlace(context);
  const processes = readWorkers(context, place);
  const workerCount = isWorker ? 1 : processes;
  let workers: Workers | undefined;
  const simulation = createSimulation();
  const source = createConfigSource(flags["config"], env, place.dataDir);
  // From the start, as a hang-up would end a worker that has just been started.
  const hangup = listenForHangup();
  const { config, findings } = await simulation.complete(await source.load());
  for (const finding of findings) out.note(showFinding(finding));
  if (!config) {
    out.note("routeiq: the configuration is refused; nothing was started.");
    hangup.stop();
    return 1;
  }
  assertMayBind(place.host, config);
  await keepCopies(source, out);
  const follower = createConfigFollower(source, config.routeiq.reload, systemClock);
  const load = async () => {
    await follower.settle();
    return simulation.complete(await source.load());
  };
  const { allowCidrs, allowHosts } = config.routeiq.outbound;
  const wayOut = { allowCidrs, allowHosts, proxied: namesProxy(env) };
  const gateway = await start({
    config,
    findings,
    load,
    env,
    ...place,
    reusePort: isWorker || workerCount > 1,
    processes,
    outbound: createOutbound({
      ...wayOut,
      protocol: config.routeiq.upstreamProtocol,
      client: config.routeiq.httpClient,
      poolLimits: { idleMs: config.routeiq.upstreamIdleMs },
    }),
    webSockets: createWebSocketOutbound(wayOut),
    log: toLogOptions(env),
    sync: follower.status,
    onReload(status, cause) {
      for (const line of reloadLines(status)) out.note(line);
      if (status.lastOutcome === "applied") void keepCopies(source, out);
      // A worker's news is the whole gateway's: the first process tells all.
      if (cause === "api" && isWorker) process.kill(process.ppid, "SIGHUP");
      else if (cause === "api" || cause === "signal") workers?.reload();
    },
    slowRoutes: async (inner) => (await import("../http/all-routes.ts")).createAllRoutes(inner),
  });
  const words = process.argv.slice(2);
  workers = workerCount > 1 ? startWorkers(workerCount - 1, words, context) : undefined;
  for (const line of banner(gateway, config, place.dataDir)) out.line(line);
  follower.start(gateway.reloader);
  hangup.follow(() => void gateway.reloader.reload("signal"));
  await aborted(isWorker ? AbortSignal.any([context.signal, parentGone()]) : context.signal);
  hangup.stop();
  follower.close();
  await Promise.all([stop(gateway, context), workers?.stop()]);
  await simulation.close();
  return 0;
}

/** SIGHUP, also one that comes before there is anything to reload. */
function listenForHangup() {
  let missed = false;
  let react = () => {
    missed = true;
  };
  const onHangup = () => react();
  process.on("SIGHUP", onHangup);
  return {
    follow(reload: () => void) {
      react = reload;
      if (missed) reload();
    },
    stop: () => void process.off("SIGHUP", onHangup),
  };
}

const proxyVariables = ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy"];
const namesProxy = (env: CommandContext["env"]) => proxyVariables.some((name) => env[name]);

/** @throws UsageError */
function readWorkers({ flags }: CommandContext, { port }: Place): number {
  const given = flags["workers"];
  if (given === undefined) return 1;
  const count = Number(given);
  if (!Number.isInteger(count) || count < 1 || count > maxWorkers) {
    throw new UsageError(`--workers takes a number from 1 to ${maxWorkers}, not "${given}".`);
  }
  if (count > 1 && port === 0) {
    throw new UsageError(
      "--workers needs a port of its own: with --port 0 each would take another.",
    );
  }
  return count;
}

/** Where there is neither configuration nor key, simulated providers answer, and say so. */
function createSimulation() {
  let running: Promise<SimulatedProviders> | undefined;
  return {
    async complete(loaded: Loaded): Promise<Loaded> {
      const { config } = loaded;
      if (config?.origin !== "simulated") return loaded;
      running ??= import("./demo/simulated-providers.ts").then((demo) =>
        demo.createSimulatedProviders(),
      );
      return { ...loaded, config: withSimulatedModels(config, (await running).entries) };
    },
    close: async () => (await running)?.close(),
  };
}

/** `ROUTEIQ_LOG_LEVEL`, else LiteLLM's `LITELLM_LOG`; words on a terminal, JSON lines elsewhere. */
function toLogOptions(env: CommandContext["env"]): GatewayOptions["log"] {
  const word = (env["ROUTEIQ_LOG_LEVEL"] || env["LITELLM_LOG"] || "info").toLowerCase();
  const level = word === "warning" ? "warn" : word;
  const format = env["ROUTEIQ_LOG_FORMAT"] || (process.stderr.isTTY ? "pretty" : "json");
  return {
    write: (line) => void process.stderr.write(line),
    level: isLogLevel(level) ? level : "info",
    format: format === "pretty" ? "pretty" : "json",
  };
}

/** A copy that cannot be written is told, and done without. */
async function keepCopies({ remote }: ConfigSource, out: CommandContext["out"]): Promise<void> {
  try {
    await remote.keep();
  } catch (thrown) {
    out.note(`routeiq: no copy of the configuration is kept: ${toGatewayError(thrown).message}`);
  }
}

/** Whoever can reach an open gateway spends its owner's money. */
function assertMayBind(host: string, config: Config): void {
  const refusal = refuseOpenBind(config, host);
  if (refusal) throw new GatewayError("config_invalid", refusal);
}

async function start(options: GatewayOptions): Promise<Gateway> {
  try {
    return await startGateway(options);
  } catch (thrown) {
    const code = thrown instanceof Error && "code" in thrown ? thrown.code : undefined;
    const at = `${options.host}:${options.port}`;
    if (code === "EADDRINUSE") {
      throw new GatewayError(
        "config_invalid",
        `Port ${options.port} is in use. Stop what listens on ${at}, or choose another: --port ${options.port + 1}.`,
      );
    }
    if (code === "EACCES")
      throw new GatewayError(
        "config_invalid",
        `This user may not listen on ${at}. Choose a port above 1023.`,
      );
    if (code === "EADDRNOTAVAIL")
      throw new GatewayError("config_invalid", `${options.host} is no address of this machine.`);
    throw thrown;
  }
}

function banner(gateway: Gateway, config: Config, dataDir: string): string[] {
  const { table } = gateway.services();
  const names = table.names.slice(0, 8).join(", ");
  const more = table.names.length > 8 ? `, and ${table.names.length - 8} more` : "";
  const artifact = gateway.slot.status();
  const lines = [
    `RouteIQ ${version} on ${gateway.url}`,
    `  models    ${names || "none"}${more}`,
    `  strategy  ${config.router.routingStrategy}`,
    `  data      ${dataDir}`,
    `  config    ${config.files.join(", ") || `none; ${config.origin} providers`}`,
  ];
  if (artifact.status !== "none" && artifact.status !== "active") {
    lines.push(`  degraded  routing is static: ${artifact.remedy ?? artifact.status}`);
  }
  if (config.general.masterKey === undefined) {
    lines.push("  open      no master key: every caller on this machine is admin");
  }
  return lines;
}

/** The new configuration whole, or the old one; and why. */
function reloadLines({ findings, lastOutcome, lastCause, error }: ReloadStatus): string[] {
  const why = error ? `: ${error}` : "";
  const outcome =
    lastOutcome === "applied"
      ? "configuration reloaded"
      : `configuration kept; the new one is refused${why}`;
  return [...findings.map(showFinding), `routeiq: ${outcome} (${lastCause})`];
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((done) => {
    if (signal.aborted) return done();
    signal.addEventListener("abort", () => done(), { once: true });
  });
}

async function stop(gateway: Gateway, { out }: CommandContext): Promise<void> {
  const left = gateway.services().activity.count;
  if (left > 0) out.note(`routeiq: waiting for ${left} calls to end`);
  await gateway.drain();
  await gateway.close();
  out.note("routeiq: stopped");
}
