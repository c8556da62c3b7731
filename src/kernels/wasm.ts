/** The kernels in WebAssembly: wasm/kernels.wasm, or its build without relaxed SIMD. */
import { readFileSync } from "node:fs";
import relaxedPath from "../../wasm/kernels.wasm" with { type: "file" };
import simdPath from "../../wasm/kernels-simd.wasm" with { type: "file" };
import {
  type Arithmetic,
  createArena,
  type Kernels,
  type TextKernels,
  toPages,
} from "./kernels.ts";

export type WasmBackend = "wasm-relaxed-simd" | "wasm-simd";

const paths: Readonly<Record<WasmBackend, string>> = {
  "wasm-relaxed-simd": relaxedPath,
  "wasm-simd": simdPath,
};

export interface CompiledKernels {
  readonly backend: WasmBackend;
  readonly module: WebAssembly.Module;
}

/** The module of a backend, or nothing where this runtime cannot run it. Cost: 0.5 ms. */
export function compileKernels(backend: WasmBackend): CompiledKernels | undefined {
  const bytes = readFileSync(paths[backend]);
  if (!WebAssembly.validate(bytes)) return undefined;
  return { backend, module: new WebAssembly.Module(bytes) };
}

/**
 * An instance with `bytes` to allocate. Memory never grows: growing would detach every view.
 * Cost: 0.2 ms and the memory, which the system provides as it is touched.
 */
export function createWasmKernels({ backend, module }: CompiledKernels, bytes: number): Kernels {
  const pages = toPages(bytes);
  const memory = new WebAssembly.Memory({ initial: pages, maximum: pages });
  const instance = new WebAssembly.Instance(module, { env: { memory } });
  const exports = instance.exports as unknown as Arithmetic & TextKernels & { heapBase(): number };
  // The exports themselves, without a wrapper: a call costs nanoseconds.
  return {
    backend,
    ...createArena(memory.buffer, exports.heapBase()),
    ...exports,
    text: exports,
    memory: memory.buffer,
  };
}
