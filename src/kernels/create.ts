/** The best kernels that this runtime can run. */
import type { Kernels } from "./kernels.ts";
import { createScalarKernels } from "./scalar.ts";
import { type CompiledKernels, compileKernels, createWasmKernels } from "./wasm.ts";

/**
 * An instance with `bytes` to allocate, at once: relaxed SIMD, else SIMD, else plain JavaScript.
 * The module is compiled on the first call and shared by all instances.
 * @throws RangeError when the system has not so much memory.
 */
export function createKernels(bytes: number): Kernels {
  const compiled = compileBest();
  return compiled ? createWasmKernels(compiled, bytes) : createScalarKernels(bytes);
}

const compileBest = once((): CompiledKernels | undefined => {
  return compileKernels("wasm-relaxed-simd") ?? compileKernels("wasm-simd");
});

function once<T>(make: () => T): () => T {
  let made: { readonly value: T } | undefined;
  return () => {
    made ??= { value: make() };
    return made.value;
  };
}
