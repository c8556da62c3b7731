/**
 * The process of one skill in Python: Pyodide, in a process that has given up files, sockets and other
 * processes before it reads the program, and that ends with its parent. It runs one program and is
 * thrown away, so that nothing is left to the next.
 */
import { existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { confine, limitProcess } from "../../../security/confine.ts";
import { dieWithParent } from "../../../std/die-with-parent.ts";
import { readLines } from "../../../std/lines.ts";
import type { FromPython, PythonProgram, ToPython } from "./host-word.ts";
import { prelude, warmUp } from "./prelude.ts";

const pageBytes = 65_536;
/** A program with all its files, in base64. */
const lineBytes = 32 * 1024 * 1024;
const logLines = 100;
const logChars = 1_000;
/** An interpreter holds so much before it has read anything; less would be no interpreter. */
const leastBytes = 48 * 1024 * 1024;

/** The part of Pyodide's API that is used here. Source: https://pyodide.org/en/stable/usage/api/js-api.html */
interface Pyodide {
  readonly FS: {
    mkdirTree(path: string): void;
    writeFile(path: string, bytes: Uint8Array): void;
  };
  runPython(code: string): unknown;
  globals: { get(name: string): RunProgram; delete(name: string): void };
  setStdout(options: { readonly batched: (line: string) => void }): void;
  setStderr(options: { readonly batched: (line: string) => void }): void;
  unregisterJsModule(name: string): void;
  makeMemorySnapshot(): Uint8Array;
}

type RunProgram = (entry: string, input: string, ask: Ask | undefined) => Promise<string>;
type Ask = (url: string, options: string) => Promise<string>;

interface Waiting {
  readonly resolve: (answer: string) => void;
}

/** @param words the runtime's folder, the snapshot's path, seconds of CPU, and perhaps `make`. */
export async function hostPython([
  folder = "",
  snapshot = "",
  cpuS = "60",
  word,
]: readonly string[]) {
  dieWithParent();
  if (word === "make") return makeSnapshot(folder, snapshot);
  const lines = readLines(Bun.stdin.stream(), lineBytes);
  let next = lines.next(); // opened at once: later nothing can be
  const pyodide = await load(folder, { _loadSnapshot: readSnapshot(snapshot) });
  const confined = giveUp(Number(cpuS));
  const logs = addConsole(pyodide);
  const asking = new Map<number, Waiting>();
  say({ ready: { confined } });
  for (let line = await next; !line.done; line = await next) {
    next = lines.next();
    const message = JSON.parse(line.value.text) as ToPython;
    if ("run" in message) void runOnce(pyodide, message.run, { asking, logs }).then(say);
    else asking.get(message.fetched.id)?.resolve(JSON.stringify(toAnswer(message.fetched)));
  }
  return process.exit(0); // the parent is gone
}

const toAnswer = ({ answer, error }: { readonly answer?: unknown; readonly error?: string }) =>
  error === undefined ? answer : { error };

async function load(folder: string, options: object): Promise<Pyodide> {
  const { loadPyodide } = (await import(join(folder, "pyodide.mjs"))) as {
    loadPyodide(options: object): Promise<Pyodide>;
  };
  return loadPyodide({
    indexURL: `${folder}/`,
    // Nothing of JavaScript's world is to be had by `import js`.
    jsglobals: Object.create(null),
    env: { HOME: "/tmp" },
    ...options,
  });
}

/** Written aside: another process finds a whole one or none. */
async function makeSnapshot(folder: string, path: string): Promise<never> {
  const pyodide = await load(folder, { _makeSnapshot: true });
  pyodide.runPython(warmUp);
  const aside = `${path}.${process.pid}`;
  writeFileSync(aside, pyodide.makeMemorySnapshot());
  renameSync(aside, path);
  return process.exit(0);
}

/** Without one the interpreter starts all the same, some seconds later. */
function readSnapshot(path: string): Uint8Array | undefined {
  return existsSync(path) ? new Uint8Array(readFileSync(path)) : undefined;
}

/** For good. Of all processes on a machine short of memory, this one is to go first. */
function giveUp(cpuS: number): boolean {
  try {
    if (process.platform === "linux") writeFileSync("/proc/self/oom_score_adj", "1000");
  } catch {
    // not ours to say here; the limit of its memory holds all the same
  }
  limitProcess({ cpu: cpuS, fileSize: 0, core: 0 });
  return confine();
}

async function runOnce(
  pyodide: Pyodide,
  program: PythonProgram,
  { asking, logs }: { readonly asking: Map<number, Waiting>; readonly logs: readonly string[] },
): Promise<FromPython> {
  try {
    limitMemory(Math.max(leastBytes, program.memoryBytes));
    for (const { path, content } of program.files) {
      const full = `/skill/${path}`;
      pyodide.FS.mkdirTree(full.slice(0, full.lastIndexOf("/")));
      pyodide.FS.writeFile(full, new Uint8Array(Buffer.from(content, "base64")));
    }
    pyodide.runPython(prelude);
    const run = pyodide.globals.get("__routeiq_run");
    pyodide.globals.delete("__routeiq_run");
    for (const name of ["js", "pyodide_js"]) pyodide.unregisterJsModule(name);
    const ask = program.canFetch ? createAsk(asking) : undefined;
    const { output, error } = JSON.parse(await run(program.entry, program.input, ask)) as {
      readonly output?: string;
      readonly error?: string;
    };
    if (output === undefined) return failed("skill_failed", error ?? "It gave no answer.");
    if (output.length > program.outputBytes) {
      const message = `The skill's answer is over the limit of ${program.outputBytes} bytes.`;
      return failed("skill_output", message);
    }
    return { done: { output, logs } };
  } catch (thrown) {
    // The interpreter itself has failed: too deep a recursion, say.
    return failed("skill_failed", `The interpreter failed: ${String(thrown).slice(0, 300)}`);
  }
}

const failed = (code: string, message: string): FromPython => ({ failed: { code, message } });

/** The interpreter asks JavaScript for more; where it gets none, Python sees a MemoryError. */
function limitMemory(bytes: number): void {
  const { prototype } = WebAssembly.Memory;
  const grow = prototype.grow;
  prototype.grow = function limitedGrow(this: WebAssembly.Memory, pages: number) {
    if (this.buffer.byteLength + pages * pageBytes > bytes) throw new RangeError("out of memory");
    return grow.call(this, pages);
  };
}

function addConsole(pyodide: Pyodide): readonly string[] {
  const logs: string[] = [];
  const batched = (line: string) => {
    if (logs.length < logLines) logs.push(line.slice(0, logChars));
  };
  pyodide.setStdout({ batched });
  pyodide.setStderr({ batched });
  return logs;
}

/** The gateway asks in its place: this process has no way out. */
function createAsk(asking: Map<number, Waiting>): Ask {
  let last = 0;
  return (url, options) => {
    const id = ++last;
    const { promise, resolve } = Promise.withResolvers<string>();
    asking.set(id, { resolve });
    say({ fetch: { id, url, options: JSON.parse(options) } });
    return promise.finally(() => asking.delete(id));
  };
}

function say(message: FromPython): void {
  process.stdout.write(`${JSON.stringify(message)}\n`);
}
