/**
 * Dense networks as ONNX, both ways: what `train` exports, any ONNX runtime can run; and a foreign
 * file that is such a chain is run by our kernels, without a runtime.
 */
import { createProtoWriter, type ProtoWriter } from "../std/protobuf.ts";
import type { Activation, DenseLayer, DenseNetwork } from "./dense-network.ts";
import type { OnnxModel, OnnxNode } from "./onnx-format.ts";

export interface OnnxNames {
  readonly input?: string;
  readonly output?: string;
}

const operators: Readonly<Record<string, Activation>> = {
  Relu: "relu",
  Sigmoid: "sigmoid",
  Tanh: "tanh",
  Softmax: "softmax",
};

/** The model's bytes: Gemm and activation per layer, opset 13, batch of any size. The same network
 * gives the same bytes. */
export function writeDenseOnnx({ layers }: DenseNetwork, names: OnnxNames = {}): Uint8Array {
  const { input = "x", output = "y" } = names;
  const graph = createProtoWriter();
  let current = input;
  for (const [i, layer] of layers.entries()) {
    const last = i === layers.length - 1;
    const activated = layer.activation !== "none";
    const sum = last && !activated ? output : `sum_${i}`;
    graph.message(1, gemm([current, `weight_${i}`, `bias_${i}`], sum));
    current = sum;
    if (!activated) continue;
    current = last ? output : `layer_${i}`;
    graph.message(1, activationNode(layer.activation, sum, current));
  }
  graph.text(2, "dense");
  for (const [i, layer] of layers.entries()) {
    graph.message(5, tensor(`weight_${i}`, [layer.outputs, layer.inputs], layer.weight));
    graph.message(5, tensor(`bias_${i}`, [layer.outputs], layer.bias));
  }
  graph.message(11, value(input, layers[0]?.inputs ?? 0));
  graph.message(12, value(output, layers.at(-1)?.outputs ?? 0));
  const opset = createProtoWriter().text(1, "").int(2, 13);
  return createProtoWriter()
    .int(1, 8)
    .text(2, "routeiq")
    .message(7, graph)
    .message(8, opset)
    .finish();
}

function gemm(inputs: readonly string[], output: string): ProtoWriter {
  const node = createProtoWriter();
  for (const name of inputs) node.text(1, name);
  const transposed = createProtoWriter().text(1, "transB").int(3, 1).int(20, 2);
  return node.text(2, output).text(4, "Gemm").message(5, transposed);
}

function activationNode(activation: Activation, input: string, output: string): ProtoWriter {
  const op = Object.keys(operators).find((name) => operators[name] === activation) ?? "Identity";
  return createProtoWriter().text(1, input).text(2, output).text(4, op);
}

function tensor(name: string, dims: readonly number[], values: Float32Array): ProtoWriter {
  const writer = createProtoWriter();
  for (const dim of dims) writer.int(1, dim);
  const raw = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  return writer.int(2, 1).text(8, name).bytes(9, raw);
}

/** A value of shape [n, width]. */
function value(name: string, width: number): ProtoWriter {
  const batch = createProtoWriter().text(2, "n");
  const columns = createProtoWriter().int(1, width);
  const shape = createProtoWriter().message(1, batch).message(1, columns);
  const type = createProtoWriter().message(1, createProtoWriter().int(1, 1).message(2, shape));
  return createProtoWriter().text(1, name).message(2, type);
}

/**
 * The network of a model that is one chain of Gemm, or MatMul and Add, with activations between;
 * nothing where it is more than that, and a runtime must run it.
 * @throws GatewayError artifact_refused when a tensor's size and shape disagree.
 */
export function toDenseNetwork(model: OnnxModel): DenseNetwork | undefined {
  const [input, ...moreInputs] = model.inputs;
  const [output, ...moreOutputs] = model.outputs;
  if (input === undefined || moreInputs.length > 0 || moreOutputs.length > 0) return undefined;
  const layers: DenseLayer[] = [];
  let current = input;
  for (const node of model.nodes) {
    const next = node.outputs[0];
    if (next === undefined || node.outputs.length > 1 || !node.inputs.includes(current)) {
      return undefined;
    }
    if (!addNode(layers, node, current, model)) return undefined;
    current = next;
  }
  if (current !== output || layers.length === 0) return undefined;
  const fits = layers.every((layer, i) => i === 0 || layers[i - 1]?.outputs === layer.inputs);
  return fits ? { layers } : undefined;
}

/** Adds what a node does to the layers so far; false where a dense chain has no such node. */
function addNode(layers: DenseLayer[], node: OnnxNode, x: string, model: OnnxModel): boolean {
  const last = layers.at(-1);
  const activation = operators[node.op];
  if (node.op === "Identity" || node.op === "Dropout") return node.inputs[0] === x;
  if (node.op === "Gemm" || node.op === "MatMul") {
    const layer = toLayer(node, x, model);
    if (layer) layers.push(layer);
    return layer !== undefined;
  }
  if (last?.activation !== "none") return false;
  if (activation) {
    const axis = node.attributes.get("axis")?.int ?? -1;
    if (activation === "softmax" && axis !== -1 && axis !== 1) return false;
    layers[layers.length - 1] = { ...last, activation };
    return true;
  }
  if (node.op !== "Add") return false;
  const other = node.inputs.find((name) => name !== x);
  const added = other === undefined ? undefined : readVector(model, other, last.outputs);
  if (!added) return false;
  const bias = last.bias.map((b, i) => b + (added[i] as number));
  layers[layers.length - 1] = { ...last, bias };
  return true;
}

function toLayer(node: OnnxNode, x: string, model: OnnxModel): DenseLayer | undefined {
  const [from, weightName, biasName] = node.inputs;
  const matrix = weightName === undefined ? undefined : model.initializers.get(weightName);
  const [rows, columns, ...more] = matrix?.dims ?? [];
  if (from !== x || !matrix || matrix.dataType !== 1) return undefined;
  if (rows === undefined || columns === undefined || more.length > 0) return undefined;
  if ((node.attributes.get("transA")?.int ?? 0) !== 0) return undefined;
  const isTransposed = (node.attributes.get("transB")?.int ?? 0) !== 0;
  const [outputs, inputs] = isTransposed ? [rows, columns] : [columns, rows];
  const alpha = node.attributes.get("alpha")?.float ?? 1;
  const beta = node.attributes.get("beta")?.float ?? 1;
  const values = matrix.floats();
  const straight = isTransposed ? values : transpose(values, rows, columns);
  const bias = biasName ? readVector(model, biasName, outputs) : new Float32Array(outputs);
  if (!bias) return undefined;
  return {
    inputs,
    outputs,
    weight: alpha === 1 ? straight : straight.map((w) => w * alpha),
    bias: beta === 1 ? bias : bias.map((b) => b * beta),
    activation: "none",
  };
}

/** An initializer of `length` values, or one that stands for all of them. */
function readVector(model: OnnxModel, name: string, length: number): Float32Array | undefined {
  const held = model.initializers.get(name);
  if (held?.dataType !== 1 || held.dims.slice(0, -1).some((dim) => dim !== 1)) return undefined;
  const values = held.floats();
  if (values.length === length) return values;
  return values.length === 1 ? new Float32Array(length).fill(values[0] as number) : undefined;
}

function transpose(values: Float32Array, rows: number, columns: number): Float32Array {
  const out = new Float32Array(values.length);
  for (let r = 0; r < rows; r++) {
    for (let c = 0; c < columns; c++) out[c * rows + r] = values[r * columns + c] as number;
  }
  return out;
}
