/**
 * The smallest or the largest model of a group: LLMRouter's SmallestLLM and LargestLLM, which look at
 * no query and so need no trained router. By published parameters; where no size is known, by price.
 */
import type { Deployment } from "../../domain/model.ts";
import { nextInt } from "../../std/random.ts";
import { type Balancer, defineBalancer } from "./balancer.ts";

export const smallestModel = defineBySize("llmrouter-smallest", 1);
export const largestModel = defineBySize("llmrouter-largest", -1);

function defineBySize(name: string, sign: 1 | -1): Balancer {
  return defineBalancer({
    name,
    pick(deployments, { random }) {
      const best = bestOf(deployments, sign);
      return best[nextInt(random, best.length)] ?? (deployments[0] as Deployment);
    },
    probabilities(deployments) {
      const best = new Set(bestOf(deployments, sign));
      return deployments.map((deployment) => (best.has(deployment) ? 1 / best.size : 0));
    },
  });
}

/** Those that share the first place; a model of unknown size stands behind all known ones. */
function bestOf(deployments: readonly Deployment[], sign: 1 | -1): readonly Deployment[] {
  const bySize = deployments.some(({ facts }) => facts.sizeB !== undefined);
  const rank = ({ facts: { sizeB, price } }: Deployment) => {
    const value = bySize ? sizeB : price && price.inputUsdPerToken + price.outputUsdPerToken;
    return value === undefined ? Number.POSITIVE_INFINITY : sign * value;
  };
  const first = Math.min(...deployments.map(rank));
  return deployments.filter((deployment) => rank(deployment) === first);
}
