/** A user's module loaded, in the process that is kept for it. Nothing of this runs in the gateway's. */
import { readFileSync, statSync } from "node:fs";
import { pathToFileURL } from "node:url";
import {
  kindOf,
  ModuleRefused,
  type ModuleSettings,
  moduleLimits,
  type OpenedModule,
  readScores,
  type ScoringModule,
} from "./contract.ts";

/** @throws ModuleRefused where the file is no module that keeps the contract. */
export async function openModule(settings: ModuleSettings): Promise<OpenedModule> {
  const kind = kindOf(settings.path);
  if (kind === "script") return openScript(settings);
  if (kind === "wasm") return openWasm(settings);
  if (kind === "onnx") return openOnnx(settings);
  throw new ModuleRefused(`${settings.path} is no .ts, .mts, .js, .mjs, .wasm or .onnx file`);
}

async function openScript({ path, models: all, named }: ModuleSettings): Promise<OpenedModule> {
  const module = await load(path);
  const models = named ?? readNames(module.models) ?? all;
  await module.init?.({ models });
  return {
    models,
    score: async (query) => readScores(await module.score(query), models),
  };
}

async function load(path: string): Promise<ScoringModule> {
  let exported: Record<string, unknown>;
  try {
    exported = await import(pathToFileURL(path).href);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new ModuleRefused(`it cannot be loaded: ${why.slice(0, 500)}`, { cause });
  }
  for (const holder of [exported, exported["default"]]) {
    if (typeof holder === "object" && holder !== null && "score" in holder) {
      if (typeof holder.score === "function") return holder as ScoringModule;
    }
  }
  throw new ModuleRefused("it exports no function score(query)");
}

function readNames(value: unknown): readonly string[] | undefined {
  if (value === undefined) return undefined;
  const sound =
    Array.isArray(value) &&
    value.length > 0 &&
    value.length <= moduleLimits.models &&
    value.every((name) => typeof name === "string");
  if (sound) return value;
  throw new ModuleRefused("its export `models` is no list of names");
}

function readFile(path: string): Uint8Array<ArrayBuffer> {
  const { size } = statSync(path);
  if (size > moduleLimits.fileBytes) {
    throw new ModuleRefused(`it is ${size} bytes long; ${moduleLimits.fileBytes} is the limit`);
  }
  return new Uint8Array(readFileSync(path));
}

/** The order of what has no names of its own. */
function namesFor({ named, models }: ModuleSettings): readonly string[] {
  return named ?? models;
}

interface WasmExports {
  readonly memory: WebAssembly.Memory;
  /** Room for so many bytes, aligned to 8; kept by the module until the next query. */
  alloc(bytes: number): number;
  /** Quality per model into `out`, f32; 0, or a number of the module's own where it failed. */
  score(
    text: number,
    textBytes: number,
    embedding: number,
    dimensions: number,
    out: number,
    models: number,
  ): number;
}

/** Given no imports, a module can compute and nothing else. AssemblyScript's `abort` alone is there. */
async function openWasm(settings: ModuleSettings): Promise<OpenedModule> {
  const models = namesFor(settings);
  let exports: WasmExports & { reset?(): void };
  try {
    const abort = () => {
      throw new Error("the module aborted");
    };
    const made = await WebAssembly.instantiate(readFile(settings.path), { env: { abort } });
    exports = made.instance.exports as unknown as typeof exports;
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new ModuleRefused(`it cannot be instantiated: ${why.slice(0, 500)}`, { cause });
  }
  for (const name of ["alloc", "score"] as const) {
    if (typeof exports[name] !== "function") {
      throw new ModuleRefused(`it exports no function ${name}`);
    }
  }
  if (!(exports.memory instanceof WebAssembly.Memory)) {
    throw new ModuleRefused("it exports no memory");
  }
  const encoder = new TextEncoder();
  return {
    models,
    async score({ text, embedding }) {
      exports.reset?.();
      const bytes = encoder.encode(text);
      const textAt = exports.alloc(bytes.length);
      const embeddingAt = exports.alloc(embedding.length * 4);
      const outAt = exports.alloc(models.length * 4);
      // After the last alloc, as memory that grows is another buffer.
      const { buffer } = exports.memory;
      new Uint8Array(buffer, textAt, bytes.length).set(bytes);
      new Float32Array(buffer, embeddingAt, embedding.length).set(embedding);
      const failed = exports.score(
        textAt,
        bytes.length,
        embeddingAt,
        embedding.length,
        outAt,
        models.length,
      );
      if (failed !== 0) throw new Error(`the module's score() answered ${failed}`);
      return readScores(new Float32Array(exports.memory.buffer, outAt, models.length), models);
    },
  };
}

/** One float32 input [1, dimensions of the embedding], the first output [1, models]. */
async function openOnnx(settings: ModuleSettings): Promise<OpenedModule> {
  const models = namesFor(settings);
  const { createOnnxThread } = await import("../../embedding/onnx-thread.ts");
  const thread = createOnnxThread();
  let session: number;
  try {
    const bytes = readFile(settings.path);
    ({ session } = await thread.open({ bytes, maxBytes: moduleLimits.fileBytes }));
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new ModuleRefused(`onnxruntime refuses it: ${why.slice(0, 500)}`, { cause });
  }
  return {
    models,
    async score({ embedding }) {
      // A copy: the runtime keeps what it is given.
      const { data } = await thread.run({ session, data: embedding.slice(), rows: 1 });
      return readScores(data, models);
    },
  };
}
