/** What outlives a reload of the configuration: pools, counters, sessions, receipts. */
import { createActivity } from "../pipeline/activity.ts";
import { createHealthWatch } from "../pipeline/health-watch.ts";
import { createCallMetrics } from "../pipeline/metrics.ts";
import { createReceiptRing } from "../pipeline/receipts.ts";
import { createRetryBudget } from "../pipeline/retry-budget.ts";
import type { Connections, HostedTurns } from "../pipeline/services.ts";
import { createSpend } from "../pipeline/spend.ts";
import { createSurvival } from "../pipeline/survival.ts";
import { createWaves } from "../pipeline/waves.ts";
import { loadCatalog } from "../providers/catalog.ts";
import { createPool } from "../routing/pool.ts";
import { createSessions } from "../routing/sessions.ts";
import type { Clock } from "../std/clock.ts";
import { ExpiryQueue } from "../std/expiry.ts";
import { systemRandom } from "../std/random.ts";
import type { Telemetry } from "../telemetry/telemetry.ts";
import type { GatewayOptions } from "./gateway.ts";
import type { LearntRouting } from "./learnt-routing.ts";

interface Seen {
  readonly clock: Clock;
  readonly telemetry: Telemetry;
  readonly learnt: LearntRouting;
  readonly hosted: HostedTurns;
}

export function createShared(options: GatewayOptions, { clock, telemetry, learnt, hosted }: Seen) {
  const { events, slot, features } = learnt;
  const random = options.random ?? systemRandom;
  const pool = createPool(clock, random, {
    onEject({ id, group }, error, forMs) {
      const alarm = error.code === "upstream_auth";
      const message = alarm
        ? "a provider refused a deployment's key; mend the key and reload"
        : "a deployment is cooling down";
      telemetry.log(alarm ? "error" : "warn", message, {
        deployment: id,
        group,
        error: error.code,
        forMs,
      });
    },
    onRecover: ({ id, group }) =>
      telemetry.log("info", "a deployment is back", { deployment: id, group }),
  });
  const survival = createSurvival(options.config, { pool, clock, telemetry });
  const activity = createActivity(survival.onLeave, createWaves(clock));
  const metrics = createCallMetrics(telemetry, () => activity.count);
  return {
    learnt,
    hosted,
    clock,
    random,
    telemetry,
    events,
    pool,
    survival,
    metrics,
    slot,
    ...(features && { features }),
    sessions: createSessions(),
    healthWatch: createHealthWatch({ clock, telemetry }),
    explorationBudget: learnt.budget,
    online: learnt.online,
    activity,
    // Replaced by the server's, as soon as there is one.
    connections: { hold: undefined } as Connections,
    expiry: new ExpiryQueue(clock),
    receipts: createReceiptRing(),
    retryBudget: createRetryBudget(clock),
    spend: createSpend(),
    catalog: loadCatalog(),
  };
}

export type Shared = ReturnType<typeof createShared>;
