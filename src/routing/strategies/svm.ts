/**
 * Support vector regression of each model's quality, squared ε-insensitive loss, by dual coordinate
 * descent. `rbf` works on landmarks: kernel values against cluster centres, whitened (Nyström), so
 * that the support vectors of all models together stay a few hundred rows.
 * Sources: Ho & Lin, "Large-scale linear support vector regression", JMLR 13, 2012; Williams &
 * Seeger, "Using the Nyström method to speed up kernel machines", 2001. LLMRouter's `svmrouter`
 * classifies the best model's name; option names are scikit-learn's.
 * Cost of a decision: `n_components` kernel values and one matrix-vector product.
 */
import { Type } from "@sinclair/typebox";
import { GatewayError } from "../../domain/errors.ts";
import type { Kernels } from "../../kernels/kernels.ts";
import { type Random, shuffle } from "../../std/random.ts";
import { f32, takeF32 } from "../safetensors.ts";
import { centredQuality, clampShares, meanQuality } from "./examples.ts";
import { createRbf, fitLandmarks, type Landmarks } from "./landmarks.ts";
import {
  defineStrategy,
  type Examples,
  type FitContext,
  type Fitted,
  type Scorer,
  type ScorerShape,
} from "./strategy.ts";

export const svm = defineStrategy({
  name: "llmrouter-svm",
  summary: "Support vector regression of each model's quality.",
  options: Type.Object({
    C: Type.Number({
      default: 0.02,
      exclusiveMinimum: 0,
      description: "Price of an error; less shrinks more.",
    }),
    kernel: Type.Union([Type.Literal("rbf"), Type.Literal("linear")], { default: "rbf" }),
    gamma: Type.Number({
      default: 1,
      exclusiveMinimum: 0,
      description: "Width of the rbf kernel: exp(−gamma·|x − y|²) over vectors of unit length.",
    }),
    epsilon: Type.Number({
      default: 0.1,
      minimum: 0,
      maximum: 1,
      description: "Errors up to this size cost nothing.",
    }),
    n_components: Type.Integer({
      default: 192,
      minimum: 8,
      maximum: 2048,
      description: "Landmarks of the rbf kernel.",
    }),
    max_iter: Type.Integer({ default: 25, minimum: 1, maximum: 1000 }),
  }),
  fit(examples, options, context) {
    return options.kernel === "linear"
      ? fitLinear(examples, options, context)
      : fitRbf(examples, options, context);
  },
  load: loadSvm,
});

interface SvmOptions {
  readonly C: number;
  readonly gamma: number;
  readonly epsilon: number;
  readonly n_components: number;
  readonly max_iter: number;
}

function fitLinear(examples: Examples, options: SvmOptions, context: FitContext): Fitted {
  const { x, n, d, models } = examples;
  const { w, bias } = descend(x, d, examples, options, context);
  return {
    tensors: { "svm.w": f32(w, models.length, d), "svm.bias": f32(bias, models.length) },
    json: { kernel: "linear", n },
  };
}

function fitRbf(examples: Examples, options: SvmOptions, context: FitContext): Fitted {
  const landmarks = fitLandmarks(examples, options, context);
  context.progress(0.3);
  const { w, bias } = descend(landmarks.mapped, landmarks.k, examples, options, context);
  return toRbf(landmarks, w, bias, options.gamma, examples.models.length);
}

/** What `loadSvm` reads: weights on kernel values against landmarks. */
export function toRbf(
  landmarks: Landmarks,
  w: Float32Array,
  bias: Float32Array,
  gamma: number,
  m: number,
): Fitted {
  const { centroids, k } = landmarks;
  return {
    tensors: {
      "svm.landmarks": f32(centroids, k, centroids.length / k),
      "svm.w": f32(landmarks.unmap(w, m), m, k),
      "svm.bias": f32(bias, m),
    },
    json: { kernel: "rbf", gamma },
  };
}

/** w and bias per model over rows of length d. */
function descend(
  x: Float32Array,
  d: number,
  examples: Examples,
  options: SvmOptions,
  { random, progress }: FitContext,
) {
  const { n, models } = examples;
  const m = models.length;
  const mean = meanQuality(examples);
  const y = centredQuality(examples, mean);
  const squares = new Float64Array(n);
  for (let row = 0; row < n; row++) {
    let sum = 0;
    for (let i = 0; i < d; i++) sum += (x[row * d + i] as number) ** 2;
    squares[row] = sum;
  }
  const w = new Float32Array(m * d);
  for (let j = 0; j < m; j++) {
    const target = Float32Array.from({ length: n }, (_, row) => y[row * m + j] as number);
    w.set(
      descendOne(x, target, squares, { n, d, random, options, weight: examples.weight }),
      j * d,
    );
    progress(0.3 + (0.7 * (j + 1)) / m);
  }
  return { w, bias: centreBias(x, w, mean, { n, d, m }) };
}

/** The bias at which each model's mean prediction is its mean quality. */
function centreBias(
  x: Float32Array,
  w: Float32Array,
  mean: Float64Array,
  { n, d, m }: { readonly n: number; readonly d: number; readonly m: number },
): Float32Array {
  const centre = new Float64Array(d);
  for (let row = 0; row < n; row++) {
    for (let i = 0; i < d; i++) centre[i] = (centre[i] as number) + (x[row * d + i] as number) / n;
  }
  return Float32Array.from(mean, (value, j) => {
    let predicted = 0;
    for (let i = 0; i < d; i++) predicted += (w[j * d + i] as number) * (centre[i] as number);
    return value - predicted;
  }).slice(0, m);
}

interface Descent {
  readonly n: number;
  readonly d: number;
  readonly random: Random;
  readonly options: SvmOptions;
  readonly weight: Float32Array;
}

/** min ½|w|² + Σ Cᵢ·max(0, |yᵢ − w·xᵢ| − ε)², Cᵢ = C·weight: algorithm 4 of Ho & Lin. */
function descendOne(
  x: Float32Array,
  y: Float32Array,
  squares: Float64Array,
  { n, d, random, options, weight }: Descent,
): Float32Array {
  const w = new Float64Array(d);
  const beta = new Float64Array(n);
  const order = Array.from({ length: n }, (_, row) => row);
  for (let round = 0; round < options.max_iter; round++) {
    shuffle(order, random);
    let largest = 0;
    for (const row of order) {
      const price = options.C * (weight[row] as number);
      if (price <= 0) continue;
      const lambda = 0.5 / price;
      const from = row * d;
      let g = -(y[row] as number) + lambda * (beta[row] as number);
      for (let i = 0; i < d; i++) g += (w[i] as number) * (x[from + i] as number);
      const h = (squares[row] as number) + lambda;
      const old = beta[row] as number;
      const up = g + options.epsilon;
      const down = g - options.epsilon;
      const step = up < h * old ? -up / h : down > h * old ? -down / h : -old;
      if (Math.abs(step) < 1e-12) continue;
      largest = Math.max(largest, Math.abs(step));
      beta[row] = old + step;
      for (let i = 0; i < d; i++) w[i] = (w[i] as number) + step * (x[from + i] as number);
    }
    if (largest < 1e-5) break;
  }
  return Float32Array.from(w);
}

export function loadSvm(
  { tensors, json }: Fitted,
  { d, m }: ScorerShape,
  createKernels: (bytes: number) => Kernels,
): Scorer {
  const rbf = json["kernel"] !== "linear";
  const gamma = Number(json["gamma"] ?? 1);
  if (rbf && !(gamma > 0 && gamma < 1e6)) {
    throw new GatewayError("artifact_refused", "svm: gamma is not a positive number");
  }
  const landmarks = rbf ? takeF32(tensors, "svm.landmarks", [-1, d]) : new Float32Array(0);
  const inputs = rbf ? landmarks.length / d : d;
  const w = takeF32(tensors, "svm.w", [m, inputs]);
  const bias = takeF32(tensors, "svm.bias", [m]);
  const evaluate = rbf
    ? createRbf(landmarks, inputs, d, gamma, createKernels)
    : (x: Float32Array) => x;
  const kernels = createKernels((w.length + inputs + 2 * m) * 4 + 256);
  const wAt = kernels.alloc(w.byteLength);
  kernels.f32(wAt, w.length).set(w);
  const biasAt = kernels.alloc(m * 4);
  kernels.f32(biasAt, m).set(bias);
  const xAt = kernels.alloc(inputs * 4);
  const input = kernels.f32(xAt, inputs);
  const outAt = kernels.alloc(m * 4);
  const out = kernels.f32(outAt, m);
  const scores = { quality: out, uncertainty: new Float32Array(m).fill(Number.NaN) };
  return {
    sync: true,
    score(x) {
      input.set(evaluate(x));
      kernels.matvecF32(wAt, xAt, biasAt, outAt, m, inputs);
      clampShares(out);
      return scores;
    },
    close: () => undefined,
  };
}
