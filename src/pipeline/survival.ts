/**
 * What a configuration adds to calls so that they live through overload, faults and repetition. Its
 * state outlives a reload; what is not configured is not there, and costs a call nothing.
 */
import type { Config } from "../config/config.ts";
import type { Deployment } from "../domain/model.ts";
import type { Pool } from "../routing/pool.ts";
import type { Clock } from "../std/clock.ts";
import { createMemoryIdempotencyStore } from "../storage/memory/idempotency-store.ts";
import type { Telemetry } from "../telemetry/telemetry.ts";
import type { Abortable } from "./activity.ts";
import { createAdmission, needsAdmission } from "./admission.ts";
import { createHedging } from "./hedging.ts";
import type { Services } from "./services.ts";

export interface Survival {
  /** The services that calls find under this configuration. */
  servicesOf(
    config: Config,
  ): Pick<Services, "admission" | "continuation" | "hedging" | "idempotency">;
  /** Takes its limits into force. */
  follow(config: Config, deployments: readonly Deployment[]): void;
  /** Hears of every call that ends. */
  readonly onLeave: (call: Abortable) => void;
}

interface Parts {
  readonly pool: Pool;
  readonly clock: Clock;
  readonly telemetry: Telemetry;
}

export function createSurvival({ routeiq }: Config, { pool, clock, telemetry }: Parts): Survival {
  const admission = createAdmission(routeiq.concurrency, { pool, clock });
  const hedging = createHedging(routeiq.hedging);
  const idempotency = createMemoryIdempotencyStore(routeiq.idempotency, clock);
  let limited: readonly Deployment[] = [];
  watch();

  function watch(): void {
    const queue = telemetry.gauge("routeiq.queue.length", "Calls that wait for their turn.");
    const shed = telemetry.counter("routeiq.queue.shed", "Calls sent away under overload.");
    const limit = telemetry.gauge(
      "routeiq.concurrency.limit",
      "Calls that a deployment may have at once.",
      ["deployment"],
    );
    let told = 0;
    telemetry.onCollect(() => {
      queue.set(admission.waiting);
      shed.add(admission.shed - told);
      told = admission.shed;
      for (const deployment of limited) {
        const calls = pool.limitOf(deployment);
        if (calls !== undefined) limit.set(calls, deployment.id);
      }
    });
  }

  return {
    onLeave: admission.left,
    servicesOf: ({ routeiq: { concurrency, continuation, hedging: hedges, ...more } }) => ({
      ...(continuation.enabled ? { continuation } : {}),
      ...(needsAdmission(concurrency) ? { admission } : {}),
      ...(hedges.enabled ? { hedging } : {}),
      ...(more.idempotency.enabled ? { idempotency } : {}),
    }),
    follow(config, deployments) {
      const { concurrency, hedging: hedges, idempotency: keys } = config.routeiq;
      pool.limitBy(concurrency.adaptive);
      admission.follow(concurrency);
      hedging.follow(hedges);
      idempotency.limitTo(keys);
      limited = deployments;
    },
  };
}
