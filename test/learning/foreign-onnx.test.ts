/** A network that is more than our kernels run is served by onnxruntime, in its thread, alike. */
import { expect, test } from "bun:test";
import { createFeatureExtractor } from "../../src/embedding/features.ts";
import { createOnnxRuntime } from "../../src/embedding/onnx-runtime.ts";
import { createStaticEmbedder } from "../../src/embedding/static.ts";
import { createKernels } from "../../src/kernels/create.ts";
import type { DenseLayer } from "../../src/kernels/dense-network.ts";
import { toDenseNetwork, writeDenseOnnx } from "../../src/kernels/onnx-dense.ts";
import { readOnnx } from "../../src/kernels/onnx-format.ts";
import { readTable } from "../../src/learning/table.ts";
import { trainRouter } from "../../src/learning/train.ts";
import { loadRouter } from "../../src/routing/load-router.ts";
import { systemClock } from "../../src/std/clock.ts";
import { makeRows, prices, stream } from "../support/routing-data.ts";

/** Hidden units that do nothing: the same function, too big for the serving thread. */
function widen([first, last]: readonly DenseLayer[], width: number): DenseLayer[] {
  if (!first || !last) throw new Error("a network of two layers is expected");
  const weight = new Float32Array(width * first.inputs);
  weight.set(first.weight);
  const bias = new Float32Array(width);
  bias.set(first.bias);
  const wide = new Float32Array(last.outputs * width);
  for (let row = 0; row < last.outputs; row++) {
    const own = last.weight.subarray(row * last.inputs, (row + 1) * last.inputs);
    wide.set(own, row * width);
  }
  return [
    { ...first, outputs: width, weight, bias },
    { ...last, inputs: width, weight: wide },
  ];
}

test("a big network's scores are the small one's to 1e-6, through onnxruntime", async () => {
  const embedder = createStaticEmbedder();
  const extractor = createFeatureExtractor(embedder);
  const table = await readTable([{ rows: stream(makeRows(200, 1)), prices }], extractor, "all");
  const strategy = "llmrouter-mlp";
  const trained = await trainRouter(table, { strategy, seed: 1, embedder, kernels: createKernels });
  const small = trained.files.get("mlp.onnx");
  const network = small && toDenseNetwork(readOnnx(small, { maxBytes: 1 << 26 }));
  if (!network) throw new Error("the trainer writes a dense network");
  const big = writeDenseOnnx({ layers: widen(network.layers, 12_000) });
  const files = new Map(trained.files).set("mlp.onnx", big);

  const identity = { name: "router", version: 0, sha256: "" };
  const base = { identity, embedder, kernels: createKernels };
  const runtime = createOnnxRuntime({ clock: systemClock });
  try {
    await expect(loadRouter(files, base)).rejects.toThrow("no ONNX runtime is at hand");
    const openOnnx = (bytes: Uint8Array) => runtime.openModel(bytes);
    const foreign = await loadRouter(files, { ...base, openOnnx });
    const own = await loadRouter(trained.files, base);
    expect([own.sync, foreign.sync]).toEqual([true, false]);
    for (const text of ["prime matrix", "write a poem", "compile the parser"]) {
      const [one, other] = await Promise.all([
        own.score({ text, tools: [] }),
        foreign.score({ text, tools: [] }),
      ]);
      one.quality.forEach((q, j) => {
        expect(Math.abs(q - (other.quality[j] ?? Number.NaN))).toBeLessThan(1e-6);
      });
    }
    foreign.close();
    own.close();
  } finally {
    runtime.close();
  }
});
