/** What the names of calls lead to, by a configuration: for the running gateway and for who explains it. */
import type { Config } from "../config/config.ts";
import type { Catalog } from "../providers/catalog.ts";
import { type Deployments, toDeployments } from "../providers/deployments.ts";
import { withPriceFile } from "../providers/price-file.ts";
import { createResolveTable, type ResolveTable } from "../routing/resolve.ts";

export interface ResolvedNames extends Deployments {
  readonly table: ResolveTable;
  /** The catalog's facts, under the operator's own prices. */
  readonly factsOf: Catalog["factsOf"];
}

export function resolveNames(
  config: Config,
  env: Readonly<Record<string, string | undefined>>,
  catalog: Catalog,
): ResolvedNames {
  const factsOf = withPriceFile(catalog.factsOf, config.prices);
  const set = toDeployments(config, { env, factsOf });
  const table = createResolveTable({
    deployments: set.deployments,
    off: set.off,
    defaultFallbacks: config.router.defaultFallbacks,
    aliases: config.router.modelGroupAlias,
    autoModels: config.routeiq.autoModels,
    factsOf: ({ provider, upstreamModel, facts }) => ({
      ...factsOf(provider, upstreamModel),
      ...facts,
    }),
  });
  return { ...set, table, factsOf };
}
