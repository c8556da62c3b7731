/** The fewest calls in flight. Semantics: LiteLLM `router_strategy/least_busy.py`. */
import { assert } from "../../std/assert.ts";
import { defineBalancer } from "./balancer.ts";

/** The deployment with the fewest calls in flight, streams counted until drained; ties: the first. */
export const leastBusy = defineBalancer({
  name: "least-busy",
  aliases: ["least-busy-routing"],
  pick(deployments, { stats }) {
    assert(deployments.length > 0, "pool.ts offers at least one deployment");
    return deployments.reduce((best, next) =>
      stats.inFlight(next.id) < stats.inFlight(best.id) ? next : best,
    );
  },
});
