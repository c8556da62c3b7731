/**
 * A user's module in a process of its own, supervised: a time limit per query, a limit of memory, and
 * an end by SIGKILL for what hangs. What is broken in it cannot take the gateway along.
 */
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { build } from "../../std/build.ts";
import type { Clock } from "../../std/clock.ts";
import { createRpcClient, RpcError } from "../../std/rpc.ts";
import { type ModuleQuery, ModuleRefused, type ModuleSettings, moduleLimits } from "./contract.ts";
import type { ModuleApi } from "./host.ts";
import { hostWord } from "./host-word.ts";

export interface ProcessLimits {
  readonly scoreMs: number;
  readonly memoryMb: number;
}

export interface ModuleProcess {
  readonly models: readonly string[];
  readonly pid: number;
  /** @throws ModuleRefused for scores that break the contract; Error for all else */
  score(query: ModuleQuery): Promise<Float32Array>;
  /** Most that it was seen to hold, bytes. */
  readonly peakBytes: number;
  /** Why it ended, as soon as it does. */
  readonly ended: Promise<string>;
  /** Ends it; waits for nothing. */
  kill(why: string): void;
}

export interface ProcessOptions {
  readonly settings: ModuleSettings;
  readonly limits: ProcessLimits;
  readonly clock: Clock;
  /** A line that the module wrote to standard error. */
  readonly onLine?: (line: string) => void;
}

const lookEveryMs = 100;
/** Over its time by so much, a query is taken for one that never ends. */
const hungMs = 1_000;

/** Started, loaded, and ready for its first query. @throws ModuleRefused, Error */
export async function startModuleProcess(options: ProcessOptions): Promise<ModuleProcess> {
  const { settings, limits, clock, onLine } = options;
  const ended = Promise.withResolvers<string>();
  let why: string | undefined;
  let listener: (message: unknown) => void = () => undefined;
  const child = Bun.spawn([...hostCommand(), hostWord], {
    cwd: dirname(settings.path),
    env: {}, // keys and secrets of the gateway are none of the module's
    stdin: "ignore",
    stdout: "ignore",
    stderr: onLine ? "pipe" : "ignore",
    serialization: "advanced",
    ipc: (message) => listener(message),
  });
  if (onLine && child.stderr instanceof ReadableStream) void readLines(child.stderr, onLine);
  const rpc = createRpcClient<ModuleApi>(
    {
      post: (message) => child.send(message),
      listen: (onMessage) => {
        listener = onMessage;
      },
    },
    moduleLimits.waiting,
  );
  const module = rpc.service("module");
  /** Queries that are over their time and not answered yet. */
  let stuck = 0;
  let peakBytes = 0;
  let stopLooking = look();

  function kill(reason: string): void {
    why ??= reason;
    stopLooking();
    child.kill("SIGKILL");
  }

  void child.exited.then((code) => {
    stopLooking();
    const reason = why ?? `its process ended with code ${code}`;
    rpc.fail(new RpcError("worker_crashed", reason));
    ended.resolve(reason);
  });

  function look(): () => void {
    return clock.after(lookEveryMs, () => {
      noteMemory(residentBytes(child.pid) ?? 0);
      if (why === undefined) stopLooking = look();
    });
  }

  function noteMemory(bytes: number): void {
    peakBytes = Math.max(peakBytes, bytes);
    if (bytes <= limits.memoryMb * 1024 * 1024) return;
    kill(
      `it held ${Math.round(bytes / 1024 / 1024)} MB, over module_memory_mb: ${limits.memoryMb}`,
    );
  }

  /**
   * The one that is late fails, and those that come meanwhile, so that no call waits behind it; a
   * process that still has not answered after a while is ended.
   */
  async function within<T>(limitMs: number, work: Promise<T>): Promise<T> {
    const late = Promise.withResolvers<never>();
    let stop = clock.after(limitMs, () => {
      const reason = `it did not answer within ${limitMs} ms`;
      late.reject(new Error(reason));
      stuck++;
      const answered = () => {
        stuck--;
        stop();
      };
      stop = clock.after(hungMs, () => kill(reason));
      work.then(answered, answered);
    });
    try {
      const result = await Promise.race([work, late.promise]);
      stop();
      return result;
    } catch (thrown) {
      if (stuck === 0) stop();
      throw toFailure(thrown);
    }
  }

  try {
    const { models } = await within(moduleLimits.openMs, module.call("open", settings));
    return {
      models,
      pid: child.pid,
      get peakBytes() {
        return peakBytes;
      },
      ended: ended.promise,
      kill,
      async score(query) {
        if (stuck > 0) throw new Error("it is busy with a query that takes too long");
        const { scores, rssBytes } = await within(limits.scoreMs, module.call("score", query));
        noteMemory(rssBytes);
        return scores;
      },
    };
  } catch (thrown) {
    kill("it could not be opened");
    throw thrown;
  }
}

/** The refusal keeps its nature over the wire; a crash is told in its own words. */
function toFailure(thrown: unknown): unknown {
  if (!(thrown instanceof RpcError)) return thrown;
  if (thrown.code === "module_refused") return new ModuleRefused(thrown.message, { cause: thrown });
  return new Error(thrown.message, { cause: thrown });
}

/** The binary is its own program; from source, Bun runs ours. */
function hostCommand(): readonly string[] {
  if (build.compiled) return [process.execPath];
  return [process.execPath, join(import.meta.dir, "..", "..", "main.ts")];
}

const pageBytes = 4_096;

/** Undefined where the system has no /proc; then the module's own word counts. */
function residentBytes(pid: number): number | undefined {
  try {
    const pages = Number(readFileSync(`/proc/${pid}/statm`, "latin1").split(" ")[1]);
    return Number.isFinite(pages) ? pages * pageBytes : undefined;
  } catch {
    return undefined; // it has just ended, or there is no /proc
  }
}

const lineLimits = { lines: 50, chars: 500 } as const;

/** The first lines alone: a module that writes for every query must not fill the log. */
async function readLines(
  stream: ReadableStream<Uint8Array>,
  onLine: (line: string) => void,
): Promise<void> {
  const decoder = new TextDecoder();
  let rest = "";
  let count = 0;
  for await (const bytes of stream) {
    if (count >= lineLimits.lines) continue; // read on, so that the module is not held up
    const lines = (rest + decoder.decode(bytes, { stream: true })).split("\n");
    rest = (lines.pop() ?? "").slice(-lineLimits.chars);
    for (const line of lines) {
      if (line.trim() !== "" && count++ < lineLimits.lines) onLine(line.slice(0, lineLimits.chars));
    }
  }
}
