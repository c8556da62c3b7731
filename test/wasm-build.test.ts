/** The committed WebAssembly is what its sources say: rebuilt here, byte for byte. */
import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buildWasm } from "../scripts/build-wasm.ts";

const root = join(import.meta.dir, "..");
const out = mkdtempSync(join(tmpdir(), "routeiq-wasm-"));
afterAll(() => rmSync(out, { recursive: true, force: true }));

test("npm run build:wasm reproduces wasm/", () => {
  buildWasm(out);
  for (const file of ["kernels.wasm", "kernels-simd.wasm"]) {
    const built = readFileSync(join(out, file));
    expect(built.equals(readFileSync(join(root, "wasm", file))), file).toBe(true);
  }
}, 240_000); // two optimising compilations
