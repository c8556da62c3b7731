/** Which deployment may be asked next, and whether any may. */
import type { Call } from "../domain/call.ts";
import type { Deployment } from "../domain/model.ts";
import type { Option } from "../routing/learned-view.ts";
import type { Ranking } from "../routing/ranking.ts";
import type { CallRecord } from "./record.ts";
import type { Services } from "./services.ts";

export function pickOther(
  options: readonly Option[],
  excluded: ReadonlySet<string>,
  { inputTokens }: Ranking,
  { stream }: Call,
  { pool, config }: Services,
): Deployment | undefined {
  const buffer = config.router.routingStrategyArgs["lowest_latency_buffer"];
  const latencyBuffer = typeof buffer === "number" ? buffer : 0;
  for (const { deployments, balancer } of options) {
    const request = { balancer, stream, inputTokens, latencyBuffer, excluded };
    const picked = pool.pick(deployments, request);
    if (picked) return picked;
  }
  return undefined;
}

/** `underWay`: attempts of the call that run. */
export function mayGoOn(record: CallRecord, { config }: Services, underWay = 0): boolean {
  // A form that was sent on as it came is gone.
  if (record.call.upload?.spent) return false;
  return !record.aborted && record.attempts.length + underWay < config.routeiq.maxAttempts;
}
