/** The prior's routers, one per list of candidates, kept as long as the list lives. */
import type { Candidate } from "../candidates.ts";
import type { TrainedRouter } from "../trained-router.ts";
import { type Capability, type CapabilityOf, createCapabilities } from "./capability.ts";
import { createPriorRouter } from "./prior-router.ts";

/**
 * Where the catalog decides while there is no trained router: nowhere; for names like `auto`, that
 * stand for several models; wherever a trained router is wanted.
 */
export type PriorUse = "never" | "automatic" | "untrained";

/** Models whose capability is remembered. */
const mostJudged = 1_024;

export type PriorRouters = (candidates: readonly Candidate[]) => TrainedRouter;

/**
 * Cost: a look-up in a weak map; the first time, 1 ms for the table, 0.1 ms per model and 0.2 ms for the
 * dial. A list that was made for one call pays for the dial alone.
 */
export function createPriorRouters(): PriorRouters {
  const known = new WeakMap<readonly Candidate[], TrainedRouter>();
  const judged = new Map<string, Capability>();
  let inTable: CapabilityOf | undefined;
  const capabilityOf: CapabilityOf = (notes) => {
    const key = JSON.stringify(notes);
    let capability = judged.get(key);
    if (!capability) {
      inTable ??= createCapabilities();
      capability = inTable(notes);
      // Wildcard rows let callers name models without end.
      if (judged.size >= mostJudged) judged.clear();
      judged.set(key, capability);
    }
    return capability;
  };
  return (candidates) => {
    let router = known.get(candidates);
    if (router) return router;
    const models = candidates.map(({ model, deployments: [first] }) => ({
      name: model,
      facts: first?.facts ?? {},
      ...(first ? { upstreamModel: first.upstreamModel } : {}),
    }));
    router = createPriorRouter(models, { capabilityOf });
    known.set(candidates, router);
    return router;
  };
}
