/**
 * A skill at work, in a thread of its own. JavaScript runs in QuickJS compiled to WebAssembly: an
 * interpreter within a sandbox, with no name in it that leads out, but for `fetch` to the hosts that
 * it was allowed. WebAssembly runs with a memory that cannot grow past its limit and no imports else.
 */

import { readFileSync } from "node:fs";
import wasmPath from "@jitl/quickjs-wasmfile-release-sync/wasm" with { type: "file" };
import {
  newQuickJSWASMModuleFromVariant,
  newVariant,
  type QuickJSContext,
  type QuickJSHandle,
} from "quickjs-emscripten-core";
import { isObject } from "../../domain/json.ts";
import type { Outbound } from "../../security/outbound.ts";
import { type Clock, sleep } from "../../std/clock.ts";
import { RpcError } from "../../std/rpc.ts";
import type { PythonPlaces } from "./python/places.ts";
import type { PythonProcesses } from "./python/processes.ts";
import { createSkillFetch, type SkillFetchOptions } from "./skill-fetch.ts";
import type { SkillResult, SkillRun } from "./skill-run.ts";
import { assertBounded } from "./wasm-shape.ts";

export interface SkillService {
  /**
   * Resolves once the thread can run a skill: its start is not the skill's time.
   * @param places for one in Python
   * @throws RpcError skill_runtime_missing
   */
  ready(places: PythonPlaces | null): Promise<void>;
  /** @throws RpcError skill_failed, skill_timeout, skill_output, skill_ended */
  run(run: SkillRun): Promise<SkillResult>;
  /** Ends the run in Python that is under way, or what starts for it. */
  stop(params: null): Promise<void>;
}

const wasmPage = 65_536;
/** What the interpreter begins with: 16 MiB. */
const interpreterPages = 256;
const logLines = 100;
const logChars = 1_000;

export function createSkillThread({
  outbound,
  clock,
}: {
  readonly outbound: Outbound;
  readonly clock: Clock;
}): SkillService {
  let compiling: Promise<WebAssembly.Module> | undefined;
  const compile = () => {
    compiling ??= WebAssembly.compile(readFileSync(wasmPath));
    return compiling;
  };
  let python: Promise<PythonProcesses> | undefined;
  const loadPython = () => {
    python ??= import("./python/processes.ts").then(({ createPythonProcesses }) =>
      createPythonProcesses({ outbound, clock }),
    );
    return python;
  };
  return {
    async ready(places) {
      await (places === null ? compile() : (await loadPython()).ready(places));
    },
    async run(run) {
      if (run.runtime === "wasm") return runWasm(run);
      if (run.runtime === "python") return (await loadPython()).run(run);
      return runScript(await compile(), run, { outbound, clock });
    },
    async stop() {
      (await python)?.stop();
    },
  };
}

interface Ways {
  readonly outbound: Outbound;
  readonly clock: Clock;
}

/** An interpreter of its own for every run: whatever a program leaves in it goes with it. */
async function runScript(compiled: WebAssembly.Module, run: SkillRun, ways: Ways) {
  const { clock } = ways;
  const { default: base } = await import("@jitl/quickjs-wasmfile-release-sync");
  // The interpreter's own account of its memory is not kept on this platform; its sandbox's is.
  const wasmMemory = new WebAssembly.Memory({
    initial: interpreterPages,
    maximum: Math.max(interpreterPages, Math.floor(run.memoryBytes / wasmPage)),
  });
  const variant = newVariant(base, { wasmModule: compiled, wasmMemory });
  const quickjs = await newQuickJSWASMModuleFromVariant(variant);
  const endMs = clock.now() + run.timeoutMs;
  const runtime = quickjs.newRuntime();
  runtime.setMaxStackSize(512 * 1024);
  runtime.setInterruptHandler(() => clock.now() > endMs);
  const vm = runtime.newContext();
  const logs: string[] = [];
  const pending = new Set<Promise<void>>();
  addConsole(vm, logs);
  if (run.hosts.length > 0) addFetch(vm, run, ways, pending);
  const source = new TextDecoder().decode(run.program);
  const code =
    run.runtime === "typescript"
      ? new Bun.Transpiler({ loader: "ts" }).transformSync(source)
      : source;
  const module = unwrap(vm, vm.evalCode(code, "skill.js", { type: "module" }), endMs, clock);
  const main = vm.getProp(module, "default");
  if (vm.typeof(main) !== "function") {
    throw new RpcError("skill_failed", "The skill's program has no default export to call.");
  }
  const input = unwrap(vm, vm.evalCode(`(${JSON.stringify(run.input)})`), endMs, clock);
  const parse = vm.getProp(vm.getProp(vm.global, "JSON"), "parse");
  const parsed = unwrap(vm, vm.callFunction(parse, vm.undefined, input), endMs, clock);
  const answer = unwrap(vm, vm.callFunction(main, vm.undefined, parsed), endMs, clock);
  const value = await settle(vm, answer, { endMs, clock, pending });
  const text = vm.getProp(vm.getProp(vm.global, "JSON"), "stringify");
  const output = unwrap(vm, vm.callFunction(text, vm.undefined, value), endMs, clock);
  return { output: limited(String(vm.dump(output) ?? "null"), run), logs };
}

type VmResult = ReturnType<QuickJSContext["evalCode"]>;

function unwrap(vm: QuickJSContext, result: VmResult, endMs: number, clock: Clock): QuickJSHandle {
  if (!result.error) return result.value;
  const error: unknown = vm.dump(result.error);
  result.error.dispose();
  throw toFailure(error, endMs, clock);
}

function toFailure(error: unknown, endMs: number, clock: Clock): RpcError {
  if (clock.now() > endMs) return new RpcError("skill_timeout", "The skill took too long.");
  const { name, message } = isObject(error) ? error : { name: undefined, message: undefined };
  const said = message === undefined ? String(error) : `${String(name)}: ${String(message)}`;
  return new RpcError("skill_failed", said.slice(0, 500));
}

/** A promise's value, once what it waits for has come. */
async function settle(
  vm: QuickJSContext,
  value: QuickJSHandle,
  { endMs, clock, pending }: { endMs: number; clock: Clock; pending: Set<Promise<void>> },
): Promise<QuickJSHandle> {
  for (;;) {
    const jobs = vm.runtime.executePendingJobs();
    if (jobs.error) throw toFailure(vm.dump(jobs.error), endMs, clock);
    const state = vm.getPromiseState(value);
    if (state.type === "fulfilled") return state.value;
    if (state.type === "rejected") throw toFailure(vm.dump(state.error), endMs, clock);
    if (clock.now() > endMs) throw new RpcError("skill_timeout", "The skill took too long.");
    if (pending.size === 0) {
      throw new RpcError("skill_failed", "The skill waits for something that never comes.");
    }
    const stop = new AbortController();
    const end = sleep(clock, endMs - clock.now() + 1, stop.signal).catch(() => undefined);
    await Promise.race([...pending, end]);
    stop.abort();
  }
}

function addConsole(vm: QuickJSContext, logs: string[]): void {
  const console = vm.newObject();
  const log = vm.newFunction("log", (...args) => {
    if (logs.length >= logLines) return;
    const words = args.map((arg) => {
      const value: unknown = vm.dump(arg);
      return typeof value === "string" ? value : JSON.stringify(value);
    });
    logs.push(words.join(" ").slice(0, logChars));
  });
  for (const name of ["log", "info", "warn", "error"]) vm.setProp(console, name, log);
  vm.setProp(vm.global, "console", console);
  log.dispose();
  console.dispose();
}

/** `fetch(url, {method, headers, body})` → `{status, headers, body}`, texts all. */
function addFetch(
  vm: QuickJSContext,
  { hosts, timeoutMs }: SkillRun,
  { outbound }: Ways,
  pending: Set<Promise<void>>,
): void {
  const ask = createSkillFetch({ hosts, timeoutMs, outbound });
  const way = vm.newFunction("fetch", (urlHandle, optionsHandle) => {
    const promise = vm.newPromise();
    const options = (optionsHandle ? vm.dump(optionsHandle) : {}) as SkillFetchOptions;
    const url = String(vm.dump(urlHandle));
    const work = ask(url, options).then(
      (answer) => {
        if (!vm.alive) return;
        const text = vm.newString(JSON.stringify(answer));
        const parse = vm.getProp(vm.getProp(vm.global, "JSON"), "parse");
        promise.resolve(vm.unwrapResult(vm.callFunction(parse, vm.undefined, text)));
      },
      (thrown: unknown) => {
        if (!vm.alive) return;
        promise.reject(vm.newError(thrown instanceof Error ? thrown.message : String(thrown)));
      },
    );
    const tracked = work.finally(() => pending.delete(tracked));
    pending.add(tracked);
    return promise.handle;
  });
  vm.setProp(vm.global, "fetch", way);
  way.dispose();
}

/**
 * A module that imports `env.memory` and exports `alloc(bytes) → pointer` and
 * `run(pointer, bytes) → i64`, the answer's pointer in the upper half and its length in the lower.
 * An endless loop in it is ended by ending the thread.
 */
async function runWasm(run: SkillRun): Promise<SkillResult> {
  const memory = new WebAssembly.Memory({
    initial: 1,
    maximum: Math.max(1, Math.floor(run.memoryBytes / wasmPage)),
  });
  let instance: WebAssembly.Instance;
  try {
    const module = await WebAssembly.compile(new Uint8Array(run.program));
    const foreign = WebAssembly.Module.imports(module).filter(
      (each) => each.module !== "env" || each.name !== "memory",
    );
    if (foreign[0]) {
      throw new Error(
        `it imports ${foreign[0].module}.${foreign[0].name}; only env.memory is there`,
      );
    }
    assertBounded(run.program);
    instance = await WebAssembly.instantiate(module, { env: { memory } });
  } catch (cause) {
    throw new RpcError("skill_failed", `The module cannot be loaded: ${messageOf(cause)}`);
  }
  const { alloc, run: main } = instance.exports;
  if (typeof alloc !== "function" || typeof main !== "function") {
    throw new RpcError("skill_failed", "The module must export alloc and run.");
  }
  try {
    const input = new TextEncoder().encode(run.input);
    const at = Number(alloc(input.length));
    new Uint8Array(memory.buffer, at, input.length).set(input);
    const packed = BigInt.asUintN(64, BigInt(main(at, input.length)));
    const [pointer, length] = [Number(packed >> 32n), Number(packed & 0xffffffffn)];
    if (length > run.outputBytes) throw tooLong(run);
    const bytes = new Uint8Array(memory.buffer, pointer, length);
    const output = new TextDecoder("utf-8", { fatal: true }).decode(bytes.slice());
    JSON.parse(output);
    return { output, logs: [] };
  } catch (cause) {
    if (cause instanceof RpcError) throw cause;
    throw new RpcError("skill_failed", `The module failed: ${messageOf(cause)}`);
  }
}

const messageOf = (cause: unknown) =>
  (cause instanceof Error ? cause.message : String(cause)).slice(0, 300);

function limited(output: string, run: SkillRun): string {
  if (output.length > run.outputBytes) throw tooLong(run);
  return output;
}

const tooLong = ({ outputBytes }: SkillRun) =>
  new RpcError("skill_output", `The skill's answer is over the limit of ${outputBytes} bytes.`);
