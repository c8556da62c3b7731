/** The fastest deployment. Semantics: LiteLLM `router_strategy/lowest_latency.py`. */
import type { Deployment } from "../../domain/model.ts";
import { nextInt } from "../../std/random.ts";
import { defineBalancer } from "./balancer.ts";

/**
 * A random one of those whose mean latency per output token is at most the lowest × (1 + buffer).
 * Never-used deployments count 0, so each is tried once first. Streams compare first tokens.
 */
export const lowestLatency = defineBalancer({
  name: "latency-based-routing",
  aliases: ["latency-based", "lowest-latency"],
  limits: true,
  pick(deployments, { stats, random, stream, latencyBuffer }) {
    const measured = deployments.map((deployment) => {
      const first = stream ? stats.firstTokenLatency(deployment.id) : 0;
      return first > 0 ? first : stats.latency(deployment.id);
    });
    const limit = Math.min(...measured) * (1 + latencyBuffer);
    const close = deployments.filter((_, i) => (measured[i] ?? 0) <= limit);
    return close[nextInt(random, close.length)] as Deployment;
  },
});
