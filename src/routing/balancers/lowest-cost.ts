/** The cheapest deployment. Semantics: LiteLLM `router_strategy/lowest_cost.py`. */
import type { Deployment } from "../../domain/model.ts";
import { defineBalancer } from "./balancer.ts";

/** USD per token, input and output added; a deployment without a price comes last. Ties: the first. */
export const lowestCost = defineBalancer({
  name: "cost-based-routing",
  aliases: ["cost-based", "lowest-cost"],
  limits: true,
  pick: (deployments) =>
    deployments.reduce((best, next) => (unitPrice(next) < unitPrice(best) ? next : best)),
});

function unitPrice({ facts: { price } }: Deployment): number {
  return price ? price.inputUsdPerToken + price.outputUsdPerToken : Number.POSITIVE_INFINITY;
}
