/** Dense networks through ONNX and back, foreign forms of them, and what is refused. */
import { describe, expect, test } from "bun:test";
import { createProtoWriter, type ProtoWriter } from "../std/protobuf.ts";
import { createRandom, nextNormal } from "../std/random.ts";
import { createKernels } from "./create.ts";
import { createDenseRunner, type DenseNetwork, denseBytes } from "./dense-network.ts";
import { toDenseNetwork, writeDenseOnnx } from "./onnx-dense.ts";
import { readOnnx } from "./onnx-format.ts";

const limits = { maxBytes: 1 << 20 };
const random = createRandom(3);
const normal = (length: number) => Float32Array.from({ length }, () => nextNormal(random) / 4);

const network: DenseNetwork = {
  layers: [
    { inputs: 20, outputs: 12, weight: normal(240), bias: normal(12), activation: "relu" },
    { inputs: 12, outputs: 7, weight: normal(84), bias: normal(7), activation: "tanh" },
    { inputs: 7, outputs: 5, weight: normal(35), bias: normal(5), activation: "none" },
    { inputs: 5, outputs: 3, weight: normal(15), bias: normal(3), activation: "sigmoid" },
  ],
};

/** The network in double precision, from the definition. */
function expected({ layers }: DenseNetwork, x: readonly number[]): number[] {
  return layers.reduce<number[]>(
    (input, layer) => {
      const sums = Array.from(layer.bias, (bias, r) =>
        input.reduce((sum, v, c) => sum + v * (layer.weight[r * layer.inputs + c] as number), bias),
      );
      const total = sums.reduce((sum, v) => sum + Math.exp(v), 0);
      if (layer.activation === "softmax") return sums.map((v) => Math.exp(v) / total);
      if (layer.activation === "relu") return sums.map((v) => Math.max(0, v));
      if (layer.activation === "tanh") return sums.map(Math.tanh);
      return layer.activation === "none" ? sums : sums.map((v) => 1 / (1 + Math.exp(-v)));
    },
    [...x],
  );
}

function check(tested: DenseNetwork): void {
  const kernels = createKernels(denseBytes(tested));
  const runner = createDenseRunner(kernels, tested);
  const x = normal(runner.inputs);
  runner.input.set(x);
  const got = Array.from(runner.run());
  const wanted = expected(tested, [...x]);
  expect(got.length).toBe(wanted.length);
  for (const [i, value] of got.entries()) expect(value).toBeCloseTo(wanted[i] as number, 6);
}

test("a network runs as defined", () => {
  check(network);
  check({
    layers: [{ inputs: 9, outputs: 4, weight: normal(36), bias: normal(4), activation: "softmax" }],
  });
});

test("written and read, it is the same network; the same network, the same bytes", () => {
  const bytes = writeDenseOnnx(network);
  expect(toDenseNetwork(readOnnx(bytes, limits))).toEqual(network);
  expect(writeDenseOnnx(network)).toEqual(bytes);
});

const p = createProtoWriter;
const floats = (name: string, dims: number[], values: ArrayLike<number>, form = "raw") => {
  const t = p();
  for (const dim of dims) t.int(1, dim);
  t.int(2, 1).text(8, name);
  const raw = new Uint8Array(Float32Array.from(values).buffer);
  return form === "raw" ? t.bytes(9, raw) : t.bytes(4, raw);
};
const node = (op: string, inputs: string[], output: string, ...attributes: ProtoWriter[]) => {
  const n = p();
  for (const name of inputs) n.text(1, name);
  n.text(2, output).text(4, op);
  for (const attribute of attributes) n.message(5, attribute);
  return n;
};
function model(nodes: ProtoWriter[], tensors: ProtoWriter[], output = "y"): ProtoWriter {
  const graph = p();
  for (const n of nodes) graph.message(1, n);
  for (const t of tensors) graph.message(5, t);
  graph.message(11, p().text(1, "x")).message(12, p().text(1, output));
  return p().int(1, 8).message(7, graph).message(8, p().text(1, "").int(2, 13));
}

describe("foreign forms of a dense chain", () => {
  const w = normal(6); // 2 inputs × 3 outputs
  const b = normal(3);
  const transposed = Float32Array.from([w[0], w[3], w[1], w[4], w[2], w[5]] as number[]);
  const layer = { inputs: 2, outputs: 3, weight: transposed, bias: b };
  const wb = [floats("w", [2, 3], w), floats("b", [3], b)];
  const alpha = p().text(1, "alpha").float(2, 2);

  const forms: [string, ProtoWriter, DenseNetwork][] = [
    [
      "MatMul, Add, Sigmoid",
      model(
        [
          node("MatMul", ["x", "w"], "a"),
          node("Add", ["a", "b"], "c"),
          node("Sigmoid", ["c"], "y"),
        ],
        wb,
      ),
      { layers: [{ ...layer, activation: "sigmoid" }] },
    ],
    [
      "Add the other way round, and a bias of one row",
      model(
        [node("MatMul", ["x", "w"], "a"), node("Add", ["b", "a"], "y")],
        [floats("w", [2, 3], w), floats("b", [1, 3], b)],
      ),
      { layers: [{ ...layer, activation: "none" }] },
    ],
    [
      "Gemm that does not transpose, floats listed, Identity at the end",
      model(
        [node("Gemm", ["x", "w", "b"], "a"), node("Identity", ["a"], "y")],
        [floats("w", [2, 3], w, "listed"), floats("b", [3], b)],
      ),
      { layers: [{ ...layer, activation: "none" }] },
    ],
    [
      "Gemm with alpha",
      model([node("Gemm", ["x", "w", "b"], "y", alpha)], wb),
      { layers: [{ ...layer, weight: transposed.map((v) => 2 * v), activation: "none" }] },
    ],
  ];
  test.each(forms)("%s", (_name, written, wanted) => {
    const read = toDenseNetwork(readOnnx(written.finish(), limits));
    expect(read).toEqual(wanted);
    check(wanted);
  });

  const others: [string, ProtoWriter][] = [
    ["an operator we do not run", model([node("Erf", ["x"], "y")], [])],
    ["a branch", model([node("MatMul", ["x", "w"], "a"), node("Add", ["a", "x"], "y")], wb)],
    ["a matrix on the left", model([node("MatMul", ["w", "x"], "y")], wb)],
    ["another output", model([node("MatMul", ["x", "w"], "a")], wb, "elsewhere")],
    ["two activations", model([node("Relu", ["x"], "a"), node("Relu", ["a"], "y")], wb)],
  ];
  test.each(others)("%s is left to a runtime", (_name, written) => {
    expect(toDenseNetwork(readOnnx(written.finish(), limits))).toBeUndefined();
  });
});

describe("refused", () => {
  const relu = node("Relu", ["x"], "y");
  const good = model([relu], []);
  const outside = floats("w", [1], [1]).int(14, 1);
  const cases: [string, Uint8Array, RegExp][] = [
    ["nothing", new Uint8Array(), /no graph/],
    ["text", new TextEncoder().encode("not a model at all"), /not an ONNX file/],
    ["a cut file", writeDenseOnnx(network).slice(0, 500), /cut short/],
    ["too large", new Uint8Array(limits.maxBytes + 1), /over the limit/],
    ["data outside", model([relu], [outside]).finish(), /lies outside/],
    [
      "foreign operators",
      model([node("Gelu", ["x"], "y").text(7, "com.microsoft")], []).finish(),
      /com\.microsoft/,
    ],
    ["a foreign opset", p().bytes(8, p().text(1, "evil").finish()).finish(), /"evil"/],
    ["functions", model([relu], []).message(25, p().text(1, "f")).finish(), /functions/],
    [
      "a loop",
      model([node("Loop", ["x"], "y", p().text(1, "body").message(6, p()))], []).finish(),
      /graph/,
    ],
    ["an empty graph", p().message(7, p()).finish(), /empty/],
  ];
  test.each(cases)("%s", (_name, bytes, message) => {
    expect(() => readOnnx(bytes, limits)).toThrow(message);
  });

  test("a tensor smaller than its shape", () => {
    const short = model([node("MatMul", ["x", "w"], "y")], [floats("w", [2, 1000], [1, 2, 3])]);
    expect(() => toDenseNetwork(readOnnx(short.finish(), limits))).toThrow(/size of its shape/);
  });

  test("contributed operators are an operator's choice", () => {
    const bytes = model([node("Gelu", ["x"], "y").text(7, "com.microsoft")], []).finish();
    expect(readOnnx(bytes, { ...limits, contributed: true }).nodes.length).toBe(1);
    expect(readOnnx(good.finish(), limits).inputs).toEqual(["x"]);
  });

  test("any bytes: refused or read, never stuck", () => {
    const bytes = writeDenseOnnx(network);
    for (let round = 0; round < 2000; round++) {
      const broken = bytes.slice();
      for (let i = 0; i < 4; i++) {
        broken[Math.floor(random.next() * 300)] = Math.floor(random.next() * 256);
      }
      try {
        toDenseNetwork(readOnnx(broken, limits));
      } catch (thrown) {
        expect(thrown).toHaveProperty("code", "artifact_refused");
      }
    }
  });
});
