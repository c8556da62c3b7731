/** The checks of `routeiq doctor`. Each says what it found and, where that is bad, what to do. */
import { existsSync, readFileSync, statfsSync } from "node:fs";
import { mkdir, rm, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { Config } from "../../config/config.ts";
import type { Finding } from "../../config/finding.ts";
import { refuseOpenBind } from "../../config/open-bind.ts";
import { showFinding } from "../../config/report.ts";
import { createKernels } from "../../kernels/create.ts";
import { toDeployments } from "../../providers/deployments.ts";
import { systemClock } from "../../std/clock.ts";
import type { CommandContext } from "../command.ts";
import { createConfigSource } from "../config-source.ts";
import { type Place, readPlace } from "../place.ts";
import { ask, localHost } from "./live.ts";

export interface Check {
  readonly name: string;
  readonly status: "ok" | "warning" | "failed";
  readonly message: string;
  readonly remedy?: string;
}

/** Never rejects but for wrong usage; leaves nothing behind. */
export async function examine(context: CommandContext): Promise<readonly Check[]> {
  const place = readPlace(context);
  const { env, flags } = context;
  const { config, findings } = await createConfigSource(flags["config"], env).load();
  return [
    ...checkFindings(config, findings),
    ...(config ? [checkProviders(config, env), checkBind(config, place)] : []),
    await checkDataDir(place.dataDir),
    await checkPort(place),
    checkClock(systemClock.now()),
    checkMemory(),
    checkFiles(),
    checkKernels(),
  ];
}

function checkFindings(config: Config | undefined, findings: readonly Finding[]): Check[] {
  const told = findings.map(
    (finding): Check => ({
      name: "config",
      status: finding.level === "error" ? "failed" : "warning",
      message: showFinding(finding).split("\n")[0] ?? "",
      remedy: finding.remedy,
    }),
  );
  if (!config || told.length > 0) return told;
  const where = config.files.join(", ") || `none; ${config.origin} providers`;
  return [{ name: "config", status: "ok", message: where }];
}

function checkProviders(config: Config, env: CommandContext["env"]): Check {
  const name = "providers";
  if (config.origin === "simulated") {
    const message = "no configuration and no provider's key: simulated providers would answer";
    const remedy = "Set OPENAI_API_KEY or ANTHROPIC_API_KEY, or write config.yaml.";
    return { name, status: "warning", message, remedy };
  }
  const { deployments, findings } = toDeployments(config, { env, factsOf: () => ({}) });
  const [first] = findings;
  if (!first)
    return { name, status: "ok", message: `${deployments.length} deployments, all with a key` };
  const more = findings.length > 1 ? ` (and ${findings.length - 1} more)` : "";
  const status = findings.some(({ level }) => level === "error") ? "failed" : "warning";
  return { name, status, message: `${first.path}: ${first.message}${more}`, remedy: first.remedy };
}

function checkBind(config: Config, { host }: Place): Check {
  const refusal = refuseOpenBind(config, host);
  if (refusal) return { name: "bind", status: "failed", message: refusal };
  const open = config.general.masterKey === undefined;
  return {
    name: "bind",
    status: "ok",
    message: open ? `${host}, open to this machine` : `${host}, keyed`,
  };
}

const leastFreeBytes = 256 * 1024 * 1024;

/** Writes and removes a file; makes no folder that was not there, unless it removes it again. */
async function checkDataDir(dataDir: string): Promise<Check> {
  const name = "data";
  const existed = await stat(dataDir).then(
    () => true,
    () => false,
  );
  const probe = join(dataDir, `.doctor-${process.pid}`);
  try {
    await mkdir(dataDir, { recursive: true });
    await Bun.write(probe, "x");
    const { bavail, bsize } = statfsSync(dataDir);
    const free = bavail * bsize;
    if (free >= leastFreeBytes) {
      return { name, status: "ok", message: `${dataDir}, ${Math.floor(free / 1e6)} MB free` };
    }
    const message = `${dataDir} has ${Math.floor(free / 1e6)} MB free`;
    return {
      name,
      status: "warning",
      message,
      remedy: "Make room, or name another folder: --data-dir.",
    };
  } catch (thrown) {
    const code = thrown instanceof Error && "code" in thrown ? ` (${String(thrown.code)})` : "";
    const message = `${dataDir} cannot be written${code}: events and receipts would be kept in memory alone`;
    const remedy = `Let this user write to ${existed ? dataDir : dirname(dataDir)}, or name another folder: --data-dir.`;
    return { name, status: "warning", message, remedy };
  } finally {
    await rm(probe, { force: true }).catch(() => undefined);
    if (!existed) await rm(dataDir, { force: true, recursive: true }).catch(() => undefined);
  }
}

async function checkPort(place: Place): Promise<Check> {
  const { host, port } = place;
  const name = "port";
  try {
    const server = Bun.serve({ hostname: host, port, fetch: () => new Response() });
    await server.stop(true);
    return { name, status: "ok", message: `${host}:${port} is free` };
  } catch (thrown) {
    const code = thrown instanceof Error && "code" in thrown ? String(thrown.code) : "";
    if (code !== "EADDRINUSE") {
      const message = `cannot listen on ${host}:${port}${code ? ` (${code})` : ""}`;
      return { name, status: "failed", message, remedy: "Choose another with --host and --port." };
    }
    const { alive } = await ask(
      `http://${localHost(place)}/_health/live`,
      AbortSignal.timeout(2_000),
    );
    if (alive)
      return { name, status: "ok", message: `${host}:${port} is served by a running RouteIQ` };
    const message = `${host}:${port} is in use by another program`;
    return {
      name,
      status: "failed",
      message,
      remedy: `Stop it, or choose another: --port ${port + 1}.`,
    };
  }
}

/** Signatures, certificates and artifacts' expiry need the right time; this program is of 2026. */
function checkClock(nowMs: number): Check {
  const year = new Date(nowMs).getUTCFullYear();
  const message = new Date(nowMs).toISOString();
  if (year >= 2026 && year < 2100) return { name: "clock", status: "ok", message };
  const remedy = "Set the machine's clock; certificates and trained routers expire by it.";
  return { name: "clock", status: "failed", message, remedy };
}

const leastMemoryBytes = 256 * 1024 * 1024;

function checkMemory(): Check {
  const limit = process.constrainedMemory();
  const available = process.availableMemory();
  const message = `${Math.floor(available / 1e6)} MB of ${Math.floor(limit / 1e6)} MB available`;
  if (available >= leastMemoryBytes) return { name: "memory", status: "ok", message };
  const remedy =
    "A gateway needs 150 MB under load, 300 MB with an ONNX embedder. Raise the limit.";
  return { name: "memory", status: "warning", message, remedy };
}

const leastOpenFiles = 4_096;

/** Each stream holds two sockets. Where the limit is not told (not Linux), there is nothing to say. */
function checkFiles(): Check {
  const name = "sockets";
  const limits = existsSync("/proc/self/limits") ? readFileSync("/proc/self/limits", "utf8") : "";
  const [, soft = "unlimited"] = /^Max open files\s+(\S+)/m.exec(limits) ?? [];
  const message = `${soft} open files`;
  if (soft === "unlimited" || Number(soft) >= leastOpenFiles)
    return { name, status: "ok", message };
  return {
    name,
    status: "warning",
    message,
    remedy: `Raise the limit: ulimit -n ${leastOpenFiles * 16}.`,
  };
}

function checkKernels(): Check {
  const { backend } = createKernels(64 * 1024);
  if (backend !== "scalar") {
    return { name: "kernels", status: "ok", message: backend };
  }
  const message = `${backend}: no SIMD here, so decisions cost about ten times more`;
  return {
    name: "kernels",
    status: "warning",
    message,
    remedy: "Use a processor and build with SIMD.",
  };
}
