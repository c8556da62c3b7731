/**
 * The compiled binary as its users have it: alone in a folder, started from an empty one, as an
 * unprivileged user where the tests run as root.
 */
import {
  chownSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { stringify } from "yaml";
import { ensureBinary } from "../../scripts/build.ts";

const nobody = 65_534;
const isRoot = process.getuid?.() === 0;
export const hasSetpriv = isRoot && Bun.which("setpriv") !== null;

/** A copy of the binary that every user can run, and nothing beside it. Made once per build. */
export function installBinary(): string {
  const built = ensureBinary();
  const { mtimeMs, size } = statSync(built);
  const folder = join(tmpdir(), `routeiq-e2e-${process.getuid?.() ?? 0}-${mtimeMs}-${size}`);
  const path = join(folder, "routeiq");
  if (existsSync(path)) return path;
  mkdirSync(folder, { recursive: true, mode: 0o755 });
  copyFileSync(built, `${path}.part`);
  renameSync(`${path}.part`, path);
  return path;
}

/** A fresh, empty folder that the unprivileged user owns. `remove` takes it away again. */
export function createFolder(): { readonly path: string; remove(): void } {
  const path = mkdtempSync(join(tmpdir(), "routeiq-e2e-"));
  if (hasSetpriv) chownSync(path, nobody, nobody);
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) };
}

export interface BinaryOptions {
  readonly cwd: string;
  /** Beside PATH and HOME; nothing of the tester's own environment is handed on. */
  readonly env?: Readonly<Record<string, string>>;
  /** A program and its arguments that run the binary: `["unshare", "-n"]`. */
  readonly under?: readonly string[];
  readonly stdin?: string;
}

function command(args: readonly string[], under: readonly string[] = []): string[] {
  const user = hasSetpriv
    ? ["setpriv", `--reuid=${nobody}`, `--regid=${nobody}`, "--clear-groups"]
    : [];
  return [...under, ...user, installBinary(), ...args];
}

function environment({ cwd, env }: BinaryOptions): Record<string, string> {
  return { PATH: process.env["PATH"] ?? "", HOME: cwd, ...env };
}

export interface Finished {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a command to its end. */
export async function runBinary(
  args: readonly string[],
  options: BinaryOptions,
): Promise<Finished> {
  const child = Bun.spawn(command(args, options.under), {
    cwd: options.cwd,
    env: environment(options),
    stdin: options.stdin === undefined ? "ignore" : new Blob([options.stdin]),
    stdout: "pipe",
    stderr: "pipe",
  });
  const [stdout, stderr, exitCode] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  return { exitCode, stdout, stderr };
}

export interface RunningGateway {
  readonly url: string;
  readonly pid: number;
  /** From the start of the process to its first answer, ms. */
  readonly startMs: number;
  /** All that it wrote so far. */
  log(): string;
  kill(signal: NodeJS.Signals): void;
  readonly exited: Promise<number>;
  stop(): Promise<number>;
}

export interface GatewayOptions extends BinaryOptions {
  /** Written to `config.yaml` in `cwd`; text as it is, anything else as YAML. None: no file. */
  readonly config?: unknown;
  readonly args?: readonly string[];
  /** Polled until it answers at all. */
  readonly probe?: string;
}

const startTimeoutMs = 30_000;

/** `routeiq serve` on a free port, up when this resolves. @throws Error with its log when it dies. */
export async function startGateway(options: GatewayOptions): Promise<RunningGateway> {
  const { cwd, config, args = [], under, probe = "/_health/live" } = options;
  if (config !== undefined) {
    const text = typeof config === "string" ? config : stringify(config);
    writeFileSync(join(cwd, "config.yaml"), text);
  }
  const port = freePort();
  const startedMs = performance.now();
  const child = Bun.spawn(command(["serve", "--port", String(port), ...args], under), {
    cwd,
    env: environment(options),
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  let log = "";
  const collect = async (stream: ReadableStream<Uint8Array>) => {
    const decoder = new TextDecoder();
    for await (const bytes of stream) log += decoder.decode(bytes, { stream: true });
  };
  const collected = Promise.all([collect(child.stdout), collect(child.stderr)]);
  const url = `http://127.0.0.1:${port}`;
  const answers = await poll(`${url}${probe}`, () => child.exitCode === null, startTimeoutMs);
  const startMs = performance.now() - startedMs;
  if (!answers) {
    child.kill("SIGKILL");
    await collected;
    throw new Error(`the gateway did not start (exit ${child.exitCode}):\n${log}`);
  }
  return {
    url,
    pid: child.pid,
    startMs,
    log: () => log,
    kill: (signal) => child.kill(signal),
    exited: child.exited,
    async stop() {
      child.kill("SIGTERM");
      const exitCode = await child.exited;
      await collected;
      return exitCode;
    },
  };
}

async function poll(url: string, alive: () => boolean, timeoutMs: number): Promise<boolean> {
  const end = performance.now() + timeoutMs;
  while (alive() && performance.now() < end) {
    const answered = await fetch(url).then(
      (response) => response.arrayBuffer().then(() => true),
      () => false,
    );
    if (answered) return true;
    await Bun.sleep(2);
  }
  return false;
}

/** A port that was free a moment ago. */
export function freePort(): number {
  const probe = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => new Response() });
  const { port } = probe;
  probe.stop(true);
  return port ?? 0;
}
