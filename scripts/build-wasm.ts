/**
 * Builds wasm/kernels.wasm (relaxed SIMD) and wasm/kernels-simd.wasm (the same sources for runtimes
 * without it) from wasm/assembly. The compiler is pinned by the lock file and nothing else goes in,
 * so the bytes are the same everywhere; test/wasm-build.test.ts holds that.
 */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { bun, root, runOrExit, tool } from "./run.ts";

const builds = [
  ["kernels.wasm", "simd,relaxed-simd"],
  ["kernels-simd.wasm", "simd"],
] as const;

export function buildWasm(outDir: string): void {
  mkdirSync(outDir, { recursive: true });
  for (const [file, features] of builds) {
    runOrExit([
      bun,
      tool("asc"),
      "wasm/assembly/index.ts",
      ...["--outFile", join(outDir, file), "--enable", features, "--runtime", "stub"],
      ...["-O3", "--noAssert", "--converge", "--importMemory"],
    ]);
  }
}

if (import.meta.main) buildWasm(join(root, "wasm"));
