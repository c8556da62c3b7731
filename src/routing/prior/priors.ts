/** The prior's routers, one per list of candidates, kept as long as the list lives. */
import type { Candidate } from "../candidates.ts";
import type { TrainedRouter } from "../trained-router.ts";
import { createCapabilities } from "./capability.ts";
import { createPriorRouter } from "./prior-router.ts";

/**
 * Where the catalog decides while there is no trained router: nowhere; for names like `auto`, that
 * stand for several models; wherever a trained router is wanted.
 */
export type PriorUse = "never" | "automatic" | "untrained";

export type PriorRouters = (candidates: readonly Candidate[]) => TrainedRouter;

/** Cost: a look-up in a weak map; the first time, some 50 µs per candidate. */
export function createPriorRouters(): PriorRouters {
  const known = new WeakMap<readonly Candidate[], TrainedRouter>();
  let capabilityOf: ReturnType<typeof createCapabilities> | undefined;
  return (candidates) => {
    let router = known.get(candidates);
    if (router) return router;
    capabilityOf ??= createCapabilities();
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
