/**
 * `llmrouter-cost-aware` without a trained router: over all deployments of a group, as the
 * predecessor has it, with a balancer as inner strategy or none. The maths: `routing/cost-aware.ts`.
 */
import type { Deployment } from "../../domain/model.ts";
import {
  type CostAwareSettings,
  costAwareName,
  costPer1k,
  rankCostAware,
  toCostAware,
} from "../cost-aware.ts";
import { type Balancer, defineBalancer } from "./balancer.ts";

export function createCostAware(settings: CostAwareSettings, inner?: Balancer): Balancer {
  const choose = (deployments: readonly Deployment[], picked?: Deployment): number => {
    const inputs = deployments.map((deployment) => ({
      costPer1k: costPer1k(deployment.facts.price),
      quality: inner === undefined || deployment === picked ? 1 : 0.5,
    }));
    return rankCostAware(inputs, settings).order[0] as number;
  };
  const certain = (deployments: readonly Deployment[], shares: readonly number[]) => {
    const own = deployments.map(() => 0);
    deployments.forEach((picked, i) => {
      const at = choose(deployments, picked);
      own[at] = (own[at] as number) + (shares[i] as number);
    });
    return own;
  };
  const innerShares = inner?.probabilities;
  return defineBalancer({
    name: costAwareName,
    pick(deployments, context) {
      const picked = inner?.pick(deployments, context);
      return deployments[choose(deployments, picked)] as Deployment;
    },
    ...(innerShares && {
      probabilities: (deployments: readonly Deployment[]) =>
        certain(deployments, innerShares.call(inner, deployments)),
    }),
  });
}

/** With the predecessor's defaults: what one call may ask for by name. */
export const costAware = createCostAware(toCostAware({}));
