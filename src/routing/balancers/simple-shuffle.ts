/** A random deployment, by weight. Semantics: LiteLLM `router_strategy/simple_shuffle.py`. */
import type { Deployment } from "../../domain/model.ts";
import { defineBalancer } from "./balancer.ts";

/**
 * Weights are `weight`, else `rpm`, else `tpm`: the first of them that any deployment has (LiteLLM
 * looks at the first row alone, which makes the order of rows matter). A row without one weighs 0,
 * so it is opened only when no sibling has weight; when all weigh 0 the draw is uniform.
 */
export const simpleShuffle = defineBalancer({
  name: "simple-shuffle",
  aliases: ["shuffle", "random"],
  pick(deployments, { random }) {
    const weights = weigh(deployments);
    let at = random.next() * weights.reduce((sum, weight) => sum + weight, 0);
    const index = weights.findIndex((weight) => {
      at -= weight;
      return at < 0;
    });
    return deployments[Math.max(0, index)] as Deployment;
  },
  probabilities(deployments) {
    const weights = weigh(deployments);
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    return weights.map((weight) => weight / total);
  },
});

function weigh(deployments: readonly Deployment[]): number[] {
  for (const key of ["weight", "rpm", "tpm"] as const) {
    if (!deployments.some((deployment) => deployment[key] !== undefined)) continue;
    const weights = deployments.map((deployment) => Math.max(0, deployment[key] ?? 0));
    if (weights.some((weight) => weight > 0)) return weights;
  }
  return deployments.map(() => 1);
}
