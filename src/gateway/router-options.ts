/** What the configuration says of routing, as the router and the policies take it. */
import type { Config } from "../config/config.ts";
import { createPolicyRunner } from "../pipeline/policies/answer.ts";
import type { PolicyRunner } from "../pipeline/services.ts";
import { customName, moduleTimeoutMs } from "../routing/custom/plan.ts";
import { defaultTradeoff, parseFloorSetting } from "../routing/dial.ts";
import { toInForce } from "../routing/in-force.ts";
import { findPolicy } from "../routing/policies/registry.ts";
import type { RouterOptions } from "../routing/ranking.ts";
import type { RouterSlot } from "../routing/slot.ts";

/** Where the strategy asks language models. @throws GatewayError strategy_refused */
export function toPolicyRunner(
  config: Config,
  slot: RouterSlot,
  { balancer }: Pick<RouterOptions, "balancer">,
): PolicyRunner | undefined {
  const policy = findPolicy(config.router.routingStrategy);
  if (!policy) return undefined;
  return createPolicyRunner({
    policy,
    config,
    balancer,
    learned() {
      const lease = slot.acquire();
      lease?.release(); // what was learnt is data, and outlives the router
      return lease?.router.learned;
    },
  });
}

/** @throws GatewayError strategy_refused */
export function toRouterOptions({ router, routeiq }: Config): RouterOptions {
  const args = router.routingStrategyArgs;
  const custom = router.routingStrategy === customName;
  const buffer = args["lowest_latency_buffer"];
  return {
    ...toInForce(router),
    dial: {
      // A module's scores are its author's own judgement: unless told otherwise they alone decide.
      tradeoff: args.tradeoff ?? (custom ? 1 : defaultTradeoff),
      ...(args.floor === undefined ? {} : { floor: parseFloorSetting(args.floor) }),
      ...(args.latency_weight ? { latencyWeight: args.latency_weight } : {}),
    },
    labelMapping: Object.fromEntries(
      Object.entries(args.label_mapping ?? {}).map(([label, model]) => [label, String(model)]),
    ),
    latencyBuffer: typeof buffer === "number" ? buffer : 0,
    strictFilters: router.enablePreCallChecks || router.contextWindowFallbacks.length > 0,
    decisionTimeoutMs: custom ? moduleTimeoutMs(args) : routeiq.embedding.timeoutMs,
  };
}
