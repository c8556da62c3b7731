/** Every balancer, by name and alias. */
import type { Balancer } from "./balancer.ts";
import { largestModel, smallestModel } from "./by-size.ts";
import { costAware } from "./cost-aware.ts";
import { leastBusy } from "./least-busy.ts";
import { lowestCost } from "./lowest-cost.ts";
import { lowestLatency } from "./lowest-latency.ts";
import { lowestUsage } from "./lowest-usage.ts";
import { simpleShuffle } from "./simple-shuffle.ts";

export const balancers: readonly Balancer[] = [
  simpleShuffle,
  leastBusy,
  lowestLatency,
  lowestCost,
  lowestUsage,
  smallestModel,
  largestModel,
  costAware,
];

const byName = new Map<string, Balancer>();
for (const balancer of balancers) {
  for (const name of [balancer.name, ...(balancer.aliases ?? [])]) byName.set(name, balancer);
}

export function findBalancer(name: string): Balancer | undefined {
  return byName.get(name);
}

/** Every name that configuration may use. */
export const balancerNames: readonly string[] = [...byName.keys()];
