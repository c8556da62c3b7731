/** Kernels, embedder and ONNX thread inside an executable: all they need is in it. */
import { afterAll, expect, test } from "bun:test";
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { compile } from "../scripts/build.ts";

const root = join(import.meta.dir, "..");
const folder = mkdtempSync(join(tmpdir(), "routeiq-compiled-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** A program beside the sources, because the ONNX worker's path in a binary is relative to src. */
const program = `
import { createStaticEmbedder } from "./embedding/static.ts";
import { createOnnxRuntime } from "./embedding/onnx-runtime.ts";
import { createKernels } from "./kernels/create.ts";
import { writeDenseOnnx } from "./kernels/onnx-dense.ts";
import { systemClock } from "./std/clock.ts";

const embedder = createStaticEmbedder();
const vector = embedder.embed("hello from a binary");
const runtime = createOnnxRuntime({ clock: systemClock, runTimeoutMs: 120_000 });
const layer = {
  inputs: 2, outputs: 1, activation: "none",
  weight: Float32Array.of(2, 3), bias: Float32Array.of(1),
} as const;
const session = await runtime.openModel(writeDenseOnnx({ layers: [layer] }));
const answer = await session.run(Float32Array.of(10, 100), 1);
console.log(JSON.stringify({
  backend: createKernels(64).backend,
  id: embedder.id,
  length: Math.hypot(...vector),
  answer: [...answer],
}));
runtime.close();
`;

test("embeds and runs ONNX with nothing beside it", async () => {
  for (const part of ["src", "wasm", "models", "package.json"]) {
    cpSync(join(root, part), join(folder, part), { recursive: true });
  }
  symlinkSync(join(root, "node_modules"), join(folder, "node_modules"));
  writeFileSync(join(folder, "src/try.ts"), program);
  const entries = ["src/try.ts", "src/embedding/onnx-worker.ts"].map((file) => join(folder, file));
  await compile(entries, { ROUTEIQ_COMMIT: "test" }, { outfile: join(folder, "try") });
  for (const part of ["src", "wasm", "models", "node_modules"]) {
    rmSync(join(folder, part), { recursive: true });
  }
  const cwd = join(folder, "empty");
  mkdirSync(cwd);
  const ran = Bun.spawnSync([join(folder, "try")], { cwd, env: {} });
  expect(ran.exitCode, ran.stderr.toString()).toBe(0);
  const said = JSON.parse(ran.stdout.toString());
  expect(said.backend).toBe("wasm-relaxed-simd");
  expect(said.id).toMatch(/^static-minilm@[0-9a-f]{16}$/);
  expect(said.length).toBeCloseTo(1, 5);
  expect(said.answer).toEqual([321]);
}, 240_000);
