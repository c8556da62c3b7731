/**
 * Kernel ridge regression of each model's quality, on landmarks: smooth where a forest is stepped. A
 * member of the ensemble; what it learns is scored as an rbf support vector machine is.
 * Source: Saunders, Gammerman & Vovk, "Ridge regression learning algorithm in dual variables", 1998.
 */
import { centredQuality, meanQuality } from "./examples.ts";
import { fitLandmarks } from "./landmarks.ts";
import { fitRidge } from "./ridge.ts";
import type { Examples, FitContext, Fitted } from "./strategy.ts";
import { toRbf } from "./svm.ts";

export interface KernelRidgeOptions {
  readonly n_components: number;
  readonly gamma: number;
  readonly alpha: number;
}

export function fitKernelRidge(
  examples: Examples,
  options: KernelRidgeOptions,
  context: FitContext,
): Fitted {
  const { n, models, weight } = examples;
  const m = models.length;
  const mean = meanQuality(examples);
  const landmarks = fitLandmarks(examples, options, context);
  const { mapped, k } = landmarks;
  const problem = { x: mapped, y: centredQuality(examples, mean), n, d: k, m, weight };
  const { w, bias } = fitRidge(problem, options.alpha);
  const offset = bias.map((value, j) => value + (mean[j] as number));
  return toRbf(landmarks, w, offset, options.gamma, m);
}
