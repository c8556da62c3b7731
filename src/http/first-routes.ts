/**
 * The routes that are asked for first and most often, by probes and scrapers: apart from the others,
 * so that a gateway answers them before the APIs with memory and the agents are loaded.
 */
import type { Services } from "../pipeline/services.ts";
import { mountRoutes } from "./mount-routes.ts";
import { type HealthParts, healthRoutes } from "./ops/health.ts";
import { type MetricRouteParts, metricRoutes } from "./ops/metrics.ts";
import type { SlowRoutes } from "./route.ts";

export interface FirstRouteParts extends MetricRouteParts {
  readonly services: () => Services;
  readonly health: HealthParts;
}

/** @param rest every route, these among them; loaded when it is first needed */
export function createFirstRoutes(
  parts: FirstRouteParts,
  rest: () => Promise<SlowRoutes>,
): SlowRoutes {
  const table = [...healthRoutes(parts.health), ...metricRoutes(parts)];
  let loading: Promise<SlowRoutes> | undefined;
  return mountRoutes(table, parts.services, async (request) => {
    loading ??= rest();
    return (await loading).fetch(request);
  });
}
