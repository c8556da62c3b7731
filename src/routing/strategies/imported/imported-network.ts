/**
 * Dense layers as scikit-learn and Torch have them (logistic regression and linear support vector
 * machines are one layer), in double precision, with the original's probabilities at the end.
 * Cost: a multiplication per weight; LLMRouter's 768-128-64-8 takes about 60 µs.
 */
import { type Static, Type } from "@sinclair/typebox";
import { Value } from "@sinclair/typebox/value";
import { GatewayError } from "../../../domain/errors.ts";
import type { Kernels } from "../../../kernels/kernels.ts";
import { takeF32 } from "../../safetensors.ts";
import type { Fitted, Scorer, ScorerShape, ServedStrategy } from "../strategy.ts";
import { loadSteps, stepsBytes } from "./imported-steps.ts";

/** `learned` of the artifact. Layer i has its weights in tensor `layer.<i>` (outputs × inputs). */
export const ImportedNetwork = Type.Object({
  layers: Type.Array(
    Type.Object({
      bias: Type.Array(Type.Number(), { minItems: 1, maxItems: 8192 }),
      activation: Type.Union(
        (["identity", "relu", "tanh", "logistic"] as const).map((name) => Type.Literal(name)),
      ),
    }),
    { minItems: 1, maxItems: 16 },
  ),
  /**
   * softmax: over the outputs. logistic: of each output alone. shares: these over their sum.
   * two: of one output, the second model's. regression: one output is the first model's score, and
   * what the threshold leaves is the second's.
   */
  output: Type.Union(
    (["softmax", "logistic", "shares", "two", "regression"] as const).map((n) => Type.Literal(n)),
  ),
  threshold: Type.Optional(Type.Number({ minimum: 0, maximum: 1 })),
});
export type ImportedNetwork = Static<typeof ImportedNetwork>;

export const importedNetwork: ServedStrategy = {
  name: "imported-network",
  summary:
    "A network, logistic regression or linear SVM of scikit-learn or Torch, as it was trained.",
  load: loadNetwork,
};

function loadNetwork(
  fitted: Fitted,
  { d, m }: ScorerShape,
  createKernels: (bytes: number) => Kernels,
): Scorer {
  const { json, tensors } = fitted;
  if (!Value.Check(ImportedNetwork, json)) return refuse("the layers are not sound");
  const { layers, output, threshold = 0.5 } = json;
  const weights = layers.map(({ bias }, i) => takeF32(tensors, `layer.${i}`, [bias.length, -1]));
  const bytes = weights.reduce((sum, w) => sum + w.byteLength + 32, stepsBytes(tensors, d));
  const kernels = createKernels(bytes + layers.length * 8192 * 8);
  const steps = loadSteps(fitted, d, kernels);
  let at = steps.at;
  let width = steps.d;
  const runs = layers.map(({ bias, activation }, i) => {
    const weight = weights[i] as Float32Array;
    if (weight.length !== bias.length * width) refuse(`layer ${i} does not fit the one before`);
    const weightAt = kernels.alloc(weight.byteLength);
    kernels.f32(weightAt, weight.length).set(weight);
    const from = at;
    const columns = width;
    at = kernels.alloc(bias.length * 8);
    width = bias.length;
    const to = at;
    const out = kernels.f64(to, width);
    return () => {
      kernels.matvecWide(weightAt, from, to, bias.length, columns);
      for (let r = 0; r < out.length; r++) {
        out[r] = activate((out[r] as number) + (bias[r] as number), activation);
      }
    };
  });
  const single = output === "two" || output === "regression";
  if (single ? width !== 1 || m !== 2 : width !== m)
    refuse("the last layer does not fit the models");
  const z = kernels.f64(at, width);
  const quality = new Float32Array(m);
  const scores = { quality, uncertainty: new Float32Array(m).fill(Number.NaN) };
  return {
    sync: true,
    score(x) {
      steps.apply(x);
      for (const run of runs) run();
      toShares(z, output, threshold, quality);
      return scores;
    },
    close: () => undefined,
  };
}

type Layer = ImportedNetwork["layers"][number];

function activate(x: number, activation: Layer["activation"]): number {
  if (activation === "relu") return Math.max(0, x);
  if (activation === "tanh") return Math.tanh(x);
  return activation === "logistic" ? logistic(x) : x;
}

export const logistic = (x: number): number => 1 / (1 + Math.exp(-x));

function toShares(
  z: Float64Array,
  output: ImportedNetwork["output"],
  threshold: number,
  to: Float32Array,
): void {
  if (output === "two" || output === "regression") {
    const [value = 0] = z;
    const first = output === "two" ? logistic(-value) : clamp(clamp(value) - threshold + 0.5); // above the threshold is above the other model
    to[0] = first;
    to[1] = output === "two" ? logistic(value) : 1 - first;
    return;
  }
  let most = Number.NEGATIVE_INFINITY;
  for (const value of z) most = Math.max(most, value);
  let sum = 0;
  for (let j = 0; j < z.length; j++) {
    const value = z[j] as number;
    z[j] = output === "softmax" ? Math.exp(value - most) : logistic(value);
    sum += z[j] as number;
  }
  for (let j = 0; j < z.length; j++) {
    to[j] = output === "logistic" ? (z[j] as number) : (z[j] as number) / sum;
  }
}

const clamp = (x: number): number => Math.max(0, Math.min(1, x));

function refuse(why: string): never {
  throw new GatewayError("artifact_refused", `imported-network: ${why}`);
}
