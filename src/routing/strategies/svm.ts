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
import { cholesky } from "../../std/matrix.ts";
import { type Random, shuffle } from "../../std/random.ts";
import { f32, takeF32 } from "../safetensors.ts";
import { findClusters } from "./clusters.ts";
import { centredQuality, clampShares, meanQuality } from "./examples.ts";
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
  const { x, n, d, models } = examples;
  const m = models.length;
  const { centroids, k } = findClusters(x, n, d, {
    k: options.n_components,
    rounds: 6,
    random: context.random,
    kernels: context.kernels,
  });
  const evaluate = createRbf(centroids, k, d, options.gamma, context.kernels);
  const whiten = toWhitening(centroids, k, d, evaluate);
  const mapped = new Float32Array(n * k);
  for (let row = 0; row < n; row++) {
    const values = evaluate(x.subarray(row * d, (row + 1) * d));
    multiplyRow(whiten, values, mapped.subarray(row * k, (row + 1) * k), k);
  }
  context.progress(0.3);
  const { w, bias } = descend(mapped, k, examples, options, context);
  // Folded back: quality = β·kernel values, β = w·whitening.
  const beta = new Float32Array(m * k);
  for (let j = 0; j < m; j++) {
    for (let i = 0; i < k; i++) {
      const factor = w[j * k + i] as number;
      for (let l = 0; l <= i; l++) {
        beta[j * k + l] = (beta[j * k + l] as number) + factor * (whiten[i * k + l] as number);
      }
    }
  }
  return {
    tensors: {
      "svm.landmarks": f32(centroids, k, d),
      "svm.w": f32(beta, m, k),
      "svm.bias": f32(bias, m),
    },
    json: { kernel: "rbf", gamma: options.gamma },
  };
}

/** L⁻¹ of the landmarks' kernel matrix K = L·Lᵀ: kernel values times it have K's inner product. */
function toWhitening(
  centroids: Float32Array,
  k: number,
  d: number,
  evaluate: (x: Float32Array) => Float32Array,
): Float64Array {
  const kernel = new Float64Array(k * k);
  for (let i = 0; i < k; i++) {
    kernel.set(evaluate(centroids.subarray(i * d, (i + 1) * d)), i * k);
    kernel[i * k + i] = (kernel[i * k + i] as number) + ridge;
  }
  const l = cholesky(kernel, k);
  const out = new Float64Array(k * k);
  for (let column = 0; column < k; column++) {
    for (let i = column; i < k; i++) {
      let value = i === column ? 1 : 0;
      for (let j = column; j < i; j++) {
        value -= (l[i * k + j] as number) * (out[j * k + column] as number);
      }
      out[i * k + column] = value / (l[i * k + i] as number);
    }
  }
  return out;
}

/** Keeps landmarks that lie close together apart. */
const ridge = 1e-3;

/** out = A·x for a lower triangular A. */
function multiplyRow(a: Float64Array, x: Float32Array, out: Float32Array, k: number): void {
  for (let i = 0; i < k; i++) {
    let sum = 0;
    for (let l = 0; l <= i; l++) sum += (a[i * k + l] as number) * (x[l] as number);
    out[i] = sum;
  }
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

/** Kernel values of a query against the rows; the answer is overwritten by the next call. */
function createRbf(
  rows: Float32Array,
  n: number,
  d: number,
  gamma: number,
  createKernels: (bytes: number) => Kernels,
): (x: Float32Array) => Float32Array {
  const kernels = createKernels((n * d + d + n) * 4 + 128);
  const rowsAt = kernels.alloc(n * d * 4);
  kernels.f32(rowsAt, n * d).set(rows);
  const xAt = kernels.alloc(d * 4);
  const input = kernels.f32(xAt, d);
  const outAt = kernels.alloc(n * 4);
  const out = kernels.f32(outAt, n);
  return (x) => {
    input.set(x);
    kernels.rbfF32(rowsAt, xAt, gamma, n, d, outAt);
    return out;
  };
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
