/** Small dense networks (multi-layer perceptrons), run by the kernels: 256-256-64-16 in about 10 µs. */
import { assert } from "../std/assert.ts";
import type { Kernels } from "./kernels.ts";

export type Activation = "none" | "relu" | "sigmoid" | "tanh" | "softmax";

/** y = activation(W·x + b). */
export interface DenseLayer {
  readonly inputs: number;
  readonly outputs: number;
  /** outputs × inputs, row-major. */
  readonly weight: Float32Array;
  readonly bias: Float32Array;
  readonly activation: Activation;
}

export interface DenseNetwork {
  /** At least one; each layer's inputs are the outputs of the one before. */
  readonly layers: readonly DenseLayer[];
}

export interface DenseRunner {
  readonly inputs: number;
  readonly outputs: number;
  /** Where to write the input, in the kernels' memory. */
  readonly input: Float32Array;
  /** Runs on what is in `input`; the answer is a view that the next run overwrites. */
  run(): Float32Array;
}

/** What createDenseRunner allocates, at most. */
export function denseBytes({ layers }: DenseNetwork): number {
  let bytes = 0;
  for (const { inputs, outputs } of layers) {
    bytes += (inputs * outputs + inputs + 2 * outputs) * 4 + 4 * 16;
  }
  return bytes;
}

export function createDenseRunner(kernels: Kernels, { layers }: DenseNetwork): DenseRunner {
  const store = (values: Float32Array) => {
    const at = kernels.alloc(values.length * 4);
    kernels.f32(at, values.length).set(values);
    return at;
  };
  const [first] = layers;
  assert(first, "a network has a layer");
  const input = kernels.alloc(first.inputs * 4);
  let x = input;
  let width = first.inputs;
  const steps = layers.map((layer) => {
    assert(layer.inputs === width, "a layer takes what the one before gives");
    assert(layer.weight.length === layer.inputs * layer.outputs, "a weight per input and output");
    assert(layer.bias.length === layer.outputs, "a bias per output");
    const out = kernels.alloc(layer.outputs * 4);
    const step = {
      weight: store(layer.weight),
      bias: store(layer.bias),
      x,
      out,
      inputs: layer.inputs,
      outputs: layer.outputs,
      activation: layer.activation,
      view: kernels.f32(out, layer.outputs),
    };
    x = out;
    width = layer.outputs;
    return step;
  });
  const output = kernels.f32(x, width);
  return {
    inputs: first.inputs,
    outputs: width,
    input: kernels.f32(input, first.inputs),
    run() {
      for (const step of steps) {
        kernels.matvecF32(step.weight, step.x, step.bias, step.out, step.outputs, step.inputs);
        if (step.activation === "relu") kernels.reluF32(step.out, step.outputs);
        else if (step.activation !== "none") activate(step.view, step.activation);
      }
      return output;
    },
  };
}

/** In place, in double precision between the single ones. */
function activate(x: Float32Array, activation: Exclude<Activation, "none" | "relu">): void {
  if (activation === "softmax") {
    const max = x.reduce((most, value) => Math.max(most, value), Number.NEGATIVE_INFINITY);
    const sum = x.reduce((total, value) => total + Math.exp(value - max), 0);
    for (let i = 0; i < x.length; i++) x[i] = Math.exp((x[i] as number) - max) / sum;
    return;
  }
  for (let i = 0; i < x.length; i++) {
    const value = x[i] as number;
    x[i] = activation === "tanh" ? Math.tanh(value) : 1 / (1 + Math.exp(-value));
  }
}
