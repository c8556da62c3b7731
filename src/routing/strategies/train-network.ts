/**
 * Training of the dense network behind `mlp.ts`: backpropagation over the kernels, Adam with
 * decoupled weight decay, a step that falls along a cosine.
 * Sources: Kingma & Ba, "Adam", 2015; Loshchilov & Hutter, "Decoupled weight decay", 2019.
 */
import type { DenseNetwork } from "../../kernels/dense-network.ts";
import type { Kernels } from "../../kernels/kernels.ts";
import { nextNormal, type Random, shuffle } from "../../std/random.ts";
import { meanQuality } from "./examples.ts";
import type { Examples, FitContext } from "./strategy.ts";

export interface MlpOptions {
  readonly hidden_layer_sizes: readonly number[];
  readonly alpha: number;
  readonly learning_rate_init: number;
  readonly batch_size: number;
  readonly max_iter: number;
}

/** Cost: rows × rounds × weights × 6 operations. The same seed gives the same weights. */
export function trainNetwork(
  examples: Examples,
  options: MlpOptions,
  { random, kernels, progress }: FitContext,
): DenseNetwork {
  const { d, models, n } = examples;
  const sizes = [d, ...options.hidden_layer_sizes, models.length];
  const network = createNetwork(sizes, meanQuality(examples), random, kernels);
  const rows = Array.from({ length: n }, (_, row) => row);
  for (let round = 0; round < options.max_iter; round++) {
    shuffle(rows, random);
    // The step falls to a tenth along a cosine, so that the last rounds settle.
    const rate =
      options.learning_rate_init * (0.55 + 0.45 * Math.cos((Math.PI * round) / options.max_iter));
    for (let from = 0; from < rows.length; from += options.batch_size) {
      const batch = rows.slice(from, from + options.batch_size);
      for (const row of batch) network.backward(examples, row, 1 / batch.length);
      network.step(rate, options.alpha);
    }
    progress((round + 1) / options.max_iter);
  }
  network.recentre(examples);
  return network.toDense();
}

interface Layer {
  readonly inputs: number;
  readonly outputs: number;
  readonly w: number;
  readonly wView: Float32Array;
  readonly b: number;
  readonly bView: Float32Array;
}

/** Weights, gradients and Adam's moments in one kernels instance. */
function createNetwork(
  sizes: readonly number[],
  mean: Float64Array,
  random: Random,
  createKernels: (bytes: number) => Kernels,
) {
  const parameters = sizes
    .slice(1)
    .reduce((sum, outputs, at) => sum + outputs * ((sizes[at] ?? 0) + 1) + 16, 0);
  const widest = Math.max(...sizes);
  const kernels = createKernels(parameters * 8 + widest * 4 * (2 * sizes.length + 4) + 4096);
  const allocate = (): Layer[] =>
    sizes.slice(1).map((outputs, at) => {
      const inputs = sizes[at] ?? 0;
      const w = kernels.alloc(inputs * outputs * 4);
      const b = kernels.alloc(outputs * 4);
      return {
        inputs,
        outputs,
        w,
        wView: kernels.f32(w, inputs * outputs),
        b,
        bView: kernels.f32(b, outputs),
      };
    });
  const layers = allocate();
  const gradients = allocate();
  const activations = sizes.map((size) => {
    const at = kernels.alloc(size * 4);
    return { at, view: kernels.f32(at, size) };
  });
  const deltas = sizes.map((size) => {
    const at = kernels.alloc(size * 4);
    return { at, view: kernels.f32(at, size) };
  });
  const moments = layers.flatMap(({ wView, bView }) =>
    [wView, bView].map((view) => ({
      first: new Float32Array(view.length),
      second: new Float32Array(view.length),
    })),
  );
  layers.forEach((layer, at) => {
    const last = at === layers.length - 1;
    const spread = last ? 0.1 / Math.sqrt(layer.inputs) : Math.sqrt(2 / layer.inputs);
    for (let i = 0; i < layer.wView.length; i++) layer.wView[i] = nextNormal(random) * spread;
    if (!last) return;
    for (let j = 0; j < layer.outputs; j++) {
      const q = Math.min(0.98, Math.max(0.02, mean[j] as number));
      layer.bView[j] = Math.log(q / (1 - q));
    }
  });
  let steps = 0;

  /** Leaves logits in the last activation. */
  function forward(x: Float32Array): Float32Array {
    (activations[0] as { view: Float32Array }).view.set(x);
    layers.forEach((layer, at) => {
      const from = activations[at] as { at: number };
      const to = activations[at + 1] as { at: number; view: Float32Array };
      kernels.matvecF32(layer.w, from.at, layer.b, to.at, layer.outputs, layer.inputs);
      if (at < layers.length - 1) kernels.reluF32(to.at, layer.outputs);
    });
    return (activations[layers.length] as { view: Float32Array }).view;
  }

  return {
    sizes,
    backward({ x, d, quality, weight, models }: Examples, row: number, scale: number): void {
      const m = models.length;
      const logits = forward(x.subarray(row * d, (row + 1) * d));
      const top = deltas[layers.length] as { view: Float32Array };
      for (let j = 0; j < m; j++) {
        const q = quality[row * m + j] as number;
        const error = Number.isNaN(q) ? 0 : sigmoid(logits[j] as number) - q;
        top.view[j] = error * scale * (weight[row] as number);
      }
      for (let at = layers.length - 1; at >= 0; at--) {
        const layer = layers[at] as Layer;
        const gradient = gradients[at] as Layer;
        const delta = (deltas[at + 1] as { view: Float32Array }).view;
        const input = activations[at] as { at: number; view: Float32Array };
        const below = deltas[at] as { at: number; view: Float32Array };
        if (at > 0) below.view.fill(0);
        for (let o = 0; o < layer.outputs; o++) {
          const value = delta[o] as number;
          if (value === 0) continue;
          kernels.axpyF32(value, input.at, gradient.w + o * layer.inputs * 4, layer.inputs);
          gradient.bView[o] = (gradient.bView[o] as number) + value;
          if (at > 0)
            kernels.axpyF32(value, layer.w + o * layer.inputs * 4, below.at, layer.inputs);
        }
        if (at === 0) continue;
        for (let i = 0; i < layer.inputs; i++) {
          if ((input.view[i] as number) <= 0) below.view[i] = 0;
        }
      }
    },
    step(rate: number, decay: number): void {
      steps++;
      const first = 1 - 0.9 ** steps;
      const second = 1 - 0.999 ** steps;
      layers.forEach((layer, at) => {
        const gradient = gradients[at] as Layer;
        const pairs = [
          [layer.wView, gradient.wView, decay],
          [layer.bView, gradient.bView, 0],
        ] as const;
        pairs.forEach(([values, slope, shrink], which) => {
          const moment = moments[at * 2 + which] as (typeof moments)[number];
          for (let i = 0; i < values.length; i++) {
            const g = slope[i] as number;
            const a = 0.9 * (moment.first[i] as number) + 0.1 * g;
            const b = 0.999 * (moment.second[i] as number) + 0.001 * g * g;
            moment.first[i] = a;
            moment.second[i] = b;
            const move =
              a / first / (Math.sqrt(b / second) + 1e-8) + shrink * (values[i] as number);
            values[i] = (values[i] as number) - rate * move;
            slope[i] = 0;
          }
        });
      });
    },
    /**
     * Moves the last biases until each model's mean prediction is its mean quality. Models differ
     * by less than a short training leaves of bias.
     */
    recentre({ x, d, n, models }: Examples): void {
      const m = models.length;
      const last = layers.at(-1) as Layer;
      for (let round = 0; round < 4; round++) {
        const sums = new Float64Array(m);
        const slopes = new Float64Array(m);
        for (let row = 0; row < n; row++) {
          const logits = forward(x.subarray(row * d, (row + 1) * d));
          for (let j = 0; j < m; j++) {
            const p = sigmoid(logits[j] as number);
            sums[j] = (sums[j] as number) + p / n;
            slopes[j] = (slopes[j] as number) + (p * (1 - p)) / n;
          }
        }
        for (let j = 0; j < m; j++) {
          const missing = (mean[j] as number) - (sums[j] as number);
          const step = missing / Math.max(1e-3, slopes[j] as number);
          last.bView[j] = (last.bView[j] as number) + step;
        }
      }
    },
    toDense(): DenseNetwork {
      return {
        layers: layers.map((layer, at) => ({
          inputs: layer.inputs,
          outputs: layer.outputs,
          weight: layer.wView.slice(),
          bias: layer.bView.slice(),
          activation: at === layers.length - 1 ? "sigmoid" : "relu",
        })),
      };
    },
  };
}

function sigmoid(value: number): number {
  return 1 / (1 + Math.exp(-value));
}
