/** onnxruntime for real, in its worker: our exports, encoders, and what it must refuse. */
import { afterAll, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openEmbedder } from "../src/cli/learning-inputs.ts";
import { createOnnxEmbedder } from "../src/embedding/onnx.ts";
import { createOnnxRuntime } from "../src/embedding/onnx-runtime.ts";
import { createKernels } from "../src/kernels/create.ts";
import {
  createDenseRunner,
  type DenseLayer,
  type DenseNetwork,
  denseBytes,
} from "../src/kernels/dense-network.ts";
import { writeDenseOnnx } from "../src/kernels/onnx-dense.ts";
import { systemClock } from "../src/std/clock.ts";
import { createProtoWriter } from "../src/std/protobuf.ts";
import { createRandom, nextNormal } from "../src/std/random.ts";

const runtime = createOnnxRuntime({ clock: systemClock, runTimeoutMs: 60_000 });
const folder = mkdtempSync(join(tmpdir(), "routeiq-onnx-"));
afterAll(() => {
  runtime.close();
  rmSync(folder, { recursive: true, force: true });
});

const random = createRandom(5);
const normal = (length: number) =>
  Float32Array.from({ length }, () => nextNormal(random) / Math.sqrt(length));
const layer = (inputs: number, outputs: number, activation: DenseLayer["activation"]) => ({
  inputs,
  outputs,
  weight: Float32Array.from({ length: inputs * outputs }, () => nextNormal(random) / inputs ** 0.5),
  bias: normal(outputs),
  activation,
});
const network: DenseNetwork = {
  layers: [layer(256, 256, "relu"), layer(256, 64, "relu"), layer(64, 16, "sigmoid")],
};

describe("a dense network", () => {
  test("gives the same in onnxruntime and in our kernels, to 1e-6", async () => {
    const session = await runtime.openModel(writeDenseOnnx(network));
    expect([session.inputs, session.outputs]).toEqual([["x"], ["y"]]);
    const runner = createDenseRunner(createKernels(denseBytes(network)), network);
    const rows = 25;
    const input = Float32Array.from({ length: rows * 256 }, () => nextNormal(random));
    const got = await session.run(input, rows);
    expect(got.length).toBe(rows * 16);
    for (let row = 0; row < rows; row++) {
      runner.input.set(input.subarray(row * 256, (row + 1) * 256));
      for (const [i, value] of runner.run().entries()) {
        expect(Math.abs(value - (got[row * 16 + i] as number))).toBeLessThan(1e-6);
      }
    }
    session.close();
  }, 60_000); // the first session compiles the runtime

  test.each(["none", "relu", "sigmoid", "tanh", "softmax"] as const)("%s", async (activation) => {
    const small = { layers: [layer(8, 4, activation)] };
    const session = await runtime.openModel(writeDenseOnnx(small));
    const runner = createDenseRunner(createKernels(denseBytes(small)), small);
    const input = normal(8);
    runner.input.set(input);
    const [ours, theirs] = [runner.run(), await session.run(input, 1)];
    for (const [i, value] of ours.entries()) expect(theirs[i]).toBeCloseTo(value, 6);
    session.close();
  });
});

test("a model is refused with a reason, and the thread goes on", async () => {
  const broken = writeDenseOnnx(network).slice(0, 1000);
  await expect(runtime.openModel(broken)).rejects.toHaveProperty("code", "artifact_refused");
  const unknown = createProtoWriter()
    .int(1, 8)
    .message(
      7,
      createProtoWriter()
        .message(1, createProtoWriter().text(1, "x").text(2, "y").text(4, "NoSuchOperator"))
        .message(11, createProtoWriter().text(1, "x"))
        .message(12, createProtoWriter().text(1, "y")),
    )
    .message(8, createProtoWriter().text(1, "").int(2, 13));
  await expect(runtime.openModel(unknown.finish())).rejects.toThrow(/onnxruntime refuses/);
  const session = await runtime.openModel(writeDenseOnnx(network));
  expect((await session.run(normal(256), 1)).length).toBe(16);
});

/** The smallest encoder: hidden states looked up in a table, one row per piece. */
const pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "red", "blue", "##ish", "dog"];
const table = Float32Array.from({ length: pieces.length * 4 }, () => nextNormal(random));
function lookupModel(): Uint8Array {
  const p = createProtoWriter;
  const raw = new Uint8Array(table.buffer);
  const tensor = p().int(1, pieces.length).int(1, 4).int(2, 1).text(8, "table").bytes(9, raw);
  const shaped = (name: string, type: number, dims: string[]) => {
    const shape = p();
    for (const dim of dims) shape.message(1, p().text(2, dim));
    return p()
      .text(1, name)
      .message(2, p().message(1, p().int(1, type).message(2, shape)));
  };
  const gather = p().text(1, "table").text(1, "input_ids").text(2, "last_hidden_state");
  const graph = p()
    .message(1, gather.text(4, "Gather"))
    .text(2, "lookup")
    .message(5, tensor)
    .message(11, shaped("input_ids", 7, ["b", "n"]))
    .message(12, shaped("last_hidden_state", 1, ["b", "n", "d"]));
  const opset = p().text(1, "").int(2, 13);
  return p().int(1, 8).message(7, graph).message(8, opset).finish();
}

function write(name: string, files: Record<string, string | Uint8Array>): string {
  const path = join(folder, name);
  for (const [file, content] of Object.entries(files)) {
    mkdirSync(join(path, file, ".."), { recursive: true });
    writeFileSync(join(path, file), content);
  }
  return path;
}

function meanOf(names: readonly string[]): number[] {
  const ids = names.map((name) => pieces.indexOf(name));
  const mean = [0, 1, 2, 3].map(
    (i) => ids.reduce((sum, id) => sum + (table[id * 4 + i] as number), 0) / ids.length,
  );
  const length = Math.hypot(...mean);
  return mean.map((value) => value / length);
}

describe("an encoder that the operator brings", () => {
  const vocabulary = `${pieces.join("\n")}\n`;
  const wordPiece = { type: "WordPiece", vocab: Object.fromEntries(pieces.map((p, i) => [p, i])) };
  const layouts: [string, string][] = [
    ["vocab.txt", write("a", { "model.onnx": lookupModel(), "vocab.txt": vocabulary })],
    [
      "tokenizer.json, model in onnx/",
      write("b", {
        "onnx/model.onnx": lookupModel(),
        "tokenizer.json": JSON.stringify({ model: wordPiece, normalizer: { lowercase: true } }),
      }),
    ],
    ["a file", join(write("c", { "m.onnx": lookupModel(), "vocab.txt": vocabulary }), "m.onnx")],
  ];
  test.each(layouts)("%s", async (_name, path) => {
    const embedder = await createOnnxEmbedder(runtime, { path });
    expect(embedder.dimensions).toBe(4);
    expect(embedder.id).toMatch(/^onnx@[0-9a-f]{16}$/);
    const vector = await embedder.embed("Reddish BLUE cat!");
    const wanted = meanOf(["[CLS]", "[UNK]", "blue", "[UNK]", "[UNK]", "[SEP]"]);
    for (const [i, value] of wanted.entries()) expect(vector[i]).toBeCloseTo(value, 5);
    expect([...(await embedder.embed(" \n"))]).toEqual([0, 0, 0, 0]);
    embedder.close();
  });

  test("the id is of the files, not of the folder", async () => {
    const ids = await Promise.all(
      layouts.map(async ([, path]) => (await createOnnxEmbedder(runtime, { path })).id),
    );
    expect(new Set(ids).size).toBe(1);
    const shorter = await createOnnxEmbedder(runtime, {
      path: layouts[0]?.[1] ?? "",
      maxTokens: 32,
    });
    expect(ids).not.toContain(shorter.id);
  });

  test("vectors may stay as the model gives them, under an id of their own", async () => {
    const [, [, path = ""] = []] = layouts;
    const unit = await createOnnxEmbedder(runtime, { path });
    const raw = await createOnnxEmbedder(runtime, { path, normalize: false });
    expect(raw.id).not.toBe(unit.id);
    const [long, short] = [await raw.embed("red dog"), await unit.embed("red dog")];
    const length = Math.hypot(...long);
    expect(length).not.toBeCloseTo(1, 2);
    for (const [i, value] of short.entries()) {
      expect(value).toBeCloseTo((long[i] as number) / length, 5);
    }
  });

  test("train and eval take it by --embedder, and have the built-in one without", async () => {
    const [, [, path = ""] = []] = layouts;
    const brought = await openEmbedder({ embedder: path });
    expect((await brought.embedder.embed("red dog")).length).toBe(4);
    brought.close();
    const built = await openEmbedder({});
    expect(built.embedder.id).toStartWith("static-");
    built.close();
    const missing = openEmbedder({ embedder: join(folder, "none") });
    await expect(missing).rejects.toHaveProperty("code", "config_invalid");
  });

  const bad: [string, string, RegExp][] = [
    ["nothing there", join(folder, "none"), /nothing at/],
    ["no model", write("d", { "vocab.txt": vocabulary }), /no model\.onnx/],
    [
      "no tokenizer",
      write("e", { "model.onnx": lookupModel() }),
      /no vocab\.txt or tokenizer\.json/,
    ],
    [
      "another tokenizer",
      write("f", { "model.onnx": lookupModel(), "tokenizer.json": '{"model":{"type":"BPE"}}' }),
      /of type BPE/,
    ],
    [
      "a model with other inputs",
      write("g", { "model.onnx": writeDenseOnnx(network), "vocab.txt": vocabulary }),
      /takes x/,
    ],
  ];
  test.each(bad)("%s", async (_name, path, message) => {
    await expect(createOnnxEmbedder(runtime, { path })).rejects.toThrow(message);
  });
});

// A real sentence transformer: ROUTEIQ_TEST_ENCODER=folder with model.onnx and its tokenizer.
const encoder = process.env["ROUTEIQ_TEST_ENCODER"];
test.skipIf(!encoder)(
  "a real encoder knows what belongs together",
  async () => {
    const embedder = await createOnnxEmbedder(runtime, { path: encoder as string });
    const [a, b, c] = await Promise.all(
      ["I forgot my password", "how do I reset my login?", "the weather in Paris"].map((text) =>
        embedder.embed(text),
      ),
    );
    const cosine = (x: Float32Array, y: Float32Array) =>
      x.reduce((sum, value, i) => sum + value * (y[i] as number), 0);
    expect(cosine(a as Float32Array, b as Float32Array)).toBeGreaterThan(
      cosine(a as Float32Array, c as Float32Array) + 0.2,
    );
  },
  120_000,
);
