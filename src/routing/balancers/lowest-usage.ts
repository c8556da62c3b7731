/** The least used deployment of this minute. Semantics: LiteLLM `lowest_tpm_rpm.py`, `_v2.py`. */
import type { Deployment } from "../../domain/model.ts";
import { nextInt } from "../../std/random.ts";
import { defineBalancer } from "./balancer.ts";

/**
 * A random one of those with the fewest tokens this minute. Rows over their `rpm` or `tpm` are not
 * offered (`limits`). Version 2 differs in where LiteLLM keeps its counters, not in its choice.
 */
export const lowestUsage = defineBalancer({
  name: "usage-based-routing",
  aliases: ["usage-based-routing-v2", "usage-based", "lowest-tpm-rpm"],
  limits: true,
  pick(deployments, { stats, random }) {
    const used = deployments.map((deployment) => stats.tokensThisMinute(deployment.id));
    const least = Math.min(...used);
    const equal = deployments.filter((_, i) => used[i] === least);
    return equal[nextInt(random, equal.length)] as Deployment;
  },
});
