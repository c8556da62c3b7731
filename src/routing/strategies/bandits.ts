/**
 * `llmrouter-linucb` and `llmrouter-thompson`: contextual linear bandits as they are trained from a
 * log or a table. Both keep a posterior over each model's weights (`posterior.ts`: mean and factor of
 * the covariance), so `uncertainty` is real. LinUCB's estimate is optimistic by `alpha` standard
 * deviations; Thompson's is the mean, and its `uncertainty` is `alpha` deviations: whoever explores
 * draws with that width. Drawing, and learning between two trainings, is not the strategy's: `json.exploration`
 * tells which of the two is meant.
 * Sources: Li et al., "A contextual-bandit approach to personalized news article recommendation",
 * WWW 2010 (LinUCB); Agrawal & Goyal, "Thompson sampling for contextual bandits with linear
 * payoffs", ICML 2013. Options are named as in MABWiser: `alpha`, `l2_lambda`.
 * Cost of a decision: a (d+1)² product, one per model where not all saw the same rows.
 */
import { Type } from "@sinclair/typebox";
import { GatewayError } from "../../domain/errors.ts";
import { clampShare } from "./examples.ts";
import { fitPosterior, loadPosterior } from "./posterior.ts";
import { defineStrategy } from "./strategy.ts";

export const linucb = defineBandit(
  "llmrouter-linucb",
  "Bayesian linear estimates, optimistic by their own uncertainty (LinUCB).",
  { exploration: "ucb", alpha: 0.1, does: "Standard deviations that an estimate is raised by." },
);
export const thompson = defineBandit(
  "llmrouter-thompson",
  "Bayesian linear estimates with the posterior that Thompson sampling draws from.",
  { exploration: "thompson", alpha: 1, does: "Width of the draws, in standard deviations." },
);

function defineBandit(
  name: string,
  summary: string,
  kind: { readonly exploration: "ucb" | "thompson"; readonly alpha: number; readonly does: string },
) {
  return defineStrategy({
    name,
    summary,
    options: Type.Object({
      alpha: Type.Number({ default: kind.alpha, minimum: 0, maximum: 10, description: kind.does }),
      l2_lambda: Type.Number({
        default: 0,
        minimum: 0,
        description: "Penalty on the weights; 0: chosen by cross-validation.",
      }),
    }),
    fit(examples, { alpha, l2_lambda }, { progress }) {
      const { tensors, json } = fitPosterior(examples, { lambda: l2_lambda }, progress);
      return { tensors, json: { ...json, alpha, exploration: kind.exploration } };
    },
    load(fitted, shape, createKernels) {
      const alpha = Number(fitted.json["alpha"]);
      if (!(alpha >= 0 && alpha <= 10)) {
        throw new GatewayError("artifact_refused", `${name}: alpha is not between 0 and 10`);
      }
      const raise = kind.exploration === "ucb" ? alpha : 0;
      const width = kind.exploration === "thompson" ? alpha : 1;
      const estimate = loadPosterior(fitted, shape, createKernels);
      return {
        sync: true,
        score(x) {
          const { mean, deviation } = estimate(x);
          for (let j = 0; j < mean.length; j++) {
            mean[j] = clampShare((mean[j] as number) + raise * (deviation[j] as number));
            deviation[j] = width * (deviation[j] as number);
          }
          return { quality: mean, uncertainty: deviation };
        },
        close: () => undefined,
      };
    },
  });
}
