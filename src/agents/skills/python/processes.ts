/**
 * Skills in Python, each in a process of its own that is started ahead of its run and ended after it,
 * whatever it does: by SIGKILL. Its parent is the thread that runs skills; it ends with that, too.
 */
import { existsSync, mkdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { isObject } from "../../../domain/json.ts";
import type { Outbound } from "../../../security/outbound.ts";
import { build } from "../../../std/build.ts";
import type { Clock } from "../../../std/clock.ts";
import { readLines } from "../../../std/lines.ts";
import { RpcError } from "../../../std/rpc.ts";
import { createSkillFetch, fetchLimits, type SkillFetchOptions } from "../skill-fetch.ts";
import type { SkillResult, SkillRun } from "../skill-run.ts";
import { type FromPython, pythonHostWord, type ToPython } from "./host-word.ts";
import type { PythonPlaces } from "./places.ts";
import { openRuntime, type PythonRuntime } from "./runtime.ts";

export interface PythonProcesses {
  /** An interpreter is up. @throws RpcError skill_runtime_missing, skill_failed */
  ready(places: PythonPlaces): Promise<void>;
  /** @throws RpcError skill_failed, skill_output, skill_ended */
  run(run: SkillRun): Promise<SkillResult>;
  /** Kills what runs, or what starts to. Whoever waits for it is told. */
  stop(): void;
}

export const pythonLimits = {
  /** Of an interpreter's start, on a slow and busy machine. */
  startMs: 60_000,
  /** Of the first one's, whose memory is kept for the others. */
  snapshotMs: 180_000,
  /** An interpreter that nobody needs is let go. */
  idleMs: 120_000,
  /** Seconds of CPU that one may burn if nothing else ends it. */
  cpuS: 1_800,
} as const;

interface Interpreter {
  readonly confined: boolean;
  run(run: SkillRun): Promise<SkillResult>;
  kill(): void;
}

export function createPythonProcesses(parts: {
  readonly outbound: Outbound;
  readonly clock: Clock;
}): PythonProcesses {
  const { clock } = parts;
  let runtime: Promise<PythonRuntime> | undefined;
  let spare: Promise<Interpreter> | undefined;
  let stopIdle: () => void = () => undefined;
  /** Of the interpreter that starts, or runs. */
  let kill: () => void = () => undefined;

  async function open(places: PythonPlaces): Promise<PythonRuntime> {
    const opened = await openRuntime(places);
    if (!existsSync(opened.snapshot)) await makeSnapshot(opened, clock);
    return opened;
  }

  /** One that is up, or comes up. */
  function next(of: PythonRuntime): Promise<Interpreter> {
    spare ??= start(of, {
      ...parts,
      onSpawn: (killIt) => {
        kill = killIt;
      },
    });
    spare.catch(() => {
      spare = undefined;
    });
    return spare;
  }

  function letGoWhenIdle(): void {
    stopIdle();
    stopIdle = clock.after(pythonLimits.idleMs, () => {
      void spare?.then((one) => one.kill()).catch(() => undefined);
      spare = undefined;
    });
  }

  return {
    async ready(places) {
      runtime ??= open(places);
      runtime.catch(() => {
        runtime = undefined; // installed meanwhile, perhaps
      });
      await next(await runtime);
    },
    async run(run) {
      stopIdle();
      if (!runtime) throw new RpcError("skill_failed", "No interpreter is ready.");
      const of = await runtime;
      const one = await next(of);
      spare = undefined;
      kill = one.kill;
      try {
        if (!one.confined && !run.trusted) throw unconfined();
        return await one.run(run);
      } finally {
        one.kill();
        void next(of).catch(() => undefined); // whoever needs it next is told
        letGoWhenIdle();
      }
    },
    stop: () => kill(),
  };
}

const unconfined = () =>
  new RpcError(
    "skill_failed",
    "Skills in Python that callers register run only where the system can take files and sockets from a process (Linux with seccomp); this one cannot. Put it into the operator's folder.",
  );

/** The binary is its own program; from source, Bun runs ours. */
function command(runtime: PythonRuntime, ...words: readonly string[]): string[] {
  const self = build.compiled
    ? [process.execPath]
    : [process.execPath, join(import.meta.dir, "..", "..", "..", "main.ts")];
  const { folder, snapshot } = runtime;
  return [...self, pythonHostWord, folder, snapshot, String(pythonLimits.cpuS), ...words];
}

/** Keys and secrets of the gateway are none of a skill's. */
const emptyEnv = {};

/** Where the data folder cannot be written, interpreters start without, only later. */
export async function makeSnapshot(runtime: PythonRuntime, clock: Clock): Promise<void> {
  mkdirSync(dirname(runtime.snapshot), { recursive: true });
  const child = Bun.spawn(command(runtime, "make"), {
    env: emptyEnv,
    stdin: "ignore",
    stdout: "ignore",
    stderr: "ignore",
  });
  const stop = clock.after(pythonLimits.snapshotMs, () => child.kill("SIGKILL"));
  await child.exited;
  stop();
}

interface StartParts {
  readonly outbound: Outbound;
  readonly clock: Clock;
  readonly onSpawn: (kill: () => void) => void;
}

async function start(
  runtime: PythonRuntime,
  { clock, outbound, onSpawn }: StartParts,
): Promise<Interpreter> {
  const child = Bun.spawn(command(runtime), {
    cwd: runtime.folder,
    env: emptyEnv,
    stdin: "pipe",
    stdout: "pipe",
    stderr: "ignore",
  });
  const kill = () => child.kill("SIGKILL");
  onSpawn(kill);
  const send = (message: ToPython) => {
    child.stdin.write(`${JSON.stringify(message)}\n`);
    void child.stdin.flush();
  };
  const first = readLines(child.stdout, lineBytes);
  const ready = await within(clock, pythonLimits.startMs, first.next(), kill);
  const message = ready?.done === false ? (JSON.parse(ready.value.text) as FromPython) : undefined;
  if (!message || !("ready" in message)) {
    kill();
    throw new RpcError("skill_failed", "Python's interpreter did not start.");
  }
  return {
    confined: message.ready.confined,
    kill,
    async run(run) {
      const ask = createSkillFetch({ hosts: run.hosts, timeoutMs: run.timeoutMs, outbound });
      send({ run: toProgram(run) });
      const answer = await within(clock, run.timeoutMs, listen(first, { ask, send }), kill);
      if (answer === undefined) throw new RpcError("skill_ended", "The skill took too long.");
      if (answer === "gone" || "failed" in answer) {
        const { code, message: said } = answer === "gone" ? ended : answer.failed;
        throw new RpcError(code === "skill_output" ? code : "skill_failed", said);
      }
      const { output, logs } = answer.done;
      if (output.length > run.outputBytes) throw new RpcError("skill_output", "Too much output.");
      return { output, logs };
    },
  };
}

const ended = {
  code: "skill_failed",
  message: "The skill's process ended by itself: it asked for what it may not have, or ran out.",
};

/** Of what a process may say at once, whatever runs in it; the gateway's own limit is far below. */
const lineBytes = 64 * 1024 * 1024;

function toProgram({ entry, files, input, memoryBytes, outputBytes, hosts }: SkillRun) {
  return {
    ...{ entry, input, memoryBytes, outputBytes, canFetch: hosts.length > 0 },
    files: files.map(({ path, bytes }) => ({
      path,
      content: Buffer.from(bytes).toString("base64"),
    })),
  };
}

type End = Extract<FromPython, { done: unknown } | { failed: unknown }>;

/** What it asks is answered until it has done. */
async function listen(
  lines: AsyncGenerator<{ readonly text: string }>,
  { ask, send }: { ask: ReturnType<typeof createSkillFetch>; send: (message: ToPython) => void },
): Promise<End | "gone"> {
  try {
    for (let asked = 0; ; ) {
      const line = await lines.next();
      if (line.done) return "gone";
      const message = JSON.parse(line.value.text) as FromPython;
      if ("done" in message || "failed" in message) return message;
      if (!("fetch" in message) || ++asked > fetchLimits.calls * 2) return "gone";
      const { id, url, options } = message.fetch;
      ask(url, (isObject(options) ? options : {}) as SkillFetchOptions).then(
        (answer) => send({ fetched: { id, answer } }),
        (thrown: unknown) => send({ fetched: { id, error: String(thrown) } }),
      );
    }
  } catch {
    return "gone"; // what came is none of the lines that our own half writes
  }
}

/** Undefined where it takes longer; the process is ended then. */
async function within<T>(
  clock: Clock,
  ms: number,
  work: Promise<T>,
  kill: () => void,
): Promise<T | undefined> {
  const late = Promise.withResolvers<undefined>();
  const stop = clock.after(ms, () => {
    kill();
    late.resolve(undefined);
  });
  try {
    return await Promise.race([work, late.promise]);
  } finally {
    stop();
  }
}
