/**
 * One linear estimate of quality per model, by ridge regression on the 0..1 scores; the penalty is
 * chosen by cross-validation. Rows where a model was not observed count as its mean.
 * Source: Hoerl & Kennard, "Ridge Regression", Technometrics 12(1), 1970.
 * Cost of a decision: one matrix-vector product, models×dimensions.
 */
import { Type } from "@sinclair/typebox";
import type { Kernels } from "../../kernels/kernels.ts";
import { f32, takeF32 } from "../safetensors.ts";
import { assignFolds, centredQuality, clampShares, meanQuality } from "./examples.ts";
import { fitRidge, fitRidgeByFolds } from "./ridge.ts";
import { defineStrategy, type Fitted, type Scorer, type ScorerShape } from "./strategy.ts";

const triedAlphas = [1, 3, 10, 30, 100, 300, 1000];

export const linear = defineStrategy({
  name: "llmrouter-linear",
  summary: "A linear estimate of each model's quality (ridge regression).",
  options: Type.Object({
    alpha: Type.Number({
      default: 0,
      minimum: 0,
      description: "Penalty on the weights; more shrinks more. 0: chosen by cross-validation.",
    }),
  }),
  fit(examples, { alpha }, context) {
    const { x, n, d, models, weight } = examples;
    const m = models.length;
    const mean = meanQuality(examples);
    const problem = { x, y: centredQuality(examples, mean), n, d, m, weight };
    const folds = 4;
    const fit =
      alpha > 0
        ? { ...fitRidge(problem, alpha), lambda: alpha }
        : fitRidgeByFolds(problem, triedAlphas, assignFolds(examples.group, folds), folds);
    context.progress(1);
    const bias = fit.bias.map((value, j) => value + (mean[j] as number));
    return {
      tensors: { "linear.w": f32(fit.w, m, d), "linear.bias": f32(bias, m) },
      json: { alpha: fit.lambda },
    };
  },
  load: loadLinear,
});

export function loadLinear(
  { tensors }: Fitted,
  { d, m }: ScorerShape,
  createKernels: (bytes: number) => Kernels,
): Scorer {
  const bias = takeF32(tensors, "linear.bias", [m]);
  const w = takeF32(tensors, "linear.w", [m, d]);
  const kernels = createKernels((w.length + d + 2 * m) * 4 + 128);
  const wAt = kernels.alloc(w.length * 4);
  kernels.f32(wAt, w.length).set(w);
  const biasAt = kernels.alloc(m * 4);
  kernels.f32(biasAt, m).set(bias);
  const xAt = kernels.alloc(d * 4);
  const input = kernels.f32(xAt, d);
  const outAt = kernels.alloc(m * 4);
  const out = kernels.f32(outAt, m);
  const scores = { quality: out, uncertainty: new Float32Array(m).fill(Number.NaN) };
  return {
    sync: true,
    score(x) {
      input.set(x);
      kernels.matvecF32(wAt, xAt, biasAt, outAt, m, d);
      clampShares(out);
      return scores;
    },
    close: () => undefined,
  };
}
