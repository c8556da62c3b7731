/** How calls live through overload, faults and repetition: the settings, and whose word counts. */
import type { Static } from "@sinclair/typebox";
import type { IdempotencyLimits } from "../storage/idempotency-store.ts";
import type { Environment } from "./files.ts";
import type { GeneralSettings } from "./sections/general-settings.ts";
import type { RouteiqSettings } from "./sections/routeiq-settings.ts";
import type { RouterSettings } from "./sections/router-settings.ts";

export interface Concurrency {
  /** Rules by which a deployment's limit is learnt; undefined: none is. */
  readonly adaptive?: {
    readonly initial: number;
    readonly min: number;
    readonly max: number;
    readonly tolerance: number;
  };
  /** Calls in the gateway at once; undefined: as many as come. */
  readonly maxCalls?: number;
  /** Calls that may wait. 0: none does. */
  readonly maxQueued: number;
  readonly maxWaitMs: number;
  /** Of calls that name none. Lower is sooner. */
  readonly defaultPriority: number;
}

export interface SurvivalSettings {
  readonly concurrency: Concurrency;
  readonly hedging: {
    readonly enabled: boolean;
    /** A fixed wait; undefined: it is learnt. */
    readonly afterMs?: number;
    /** Of the times that a deployment took lately, in (0, 1). */
    readonly quantile: number;
    readonly minDelayMs: number;
    /** Hedges per call, over all calls. */
    readonly budgetShare: number;
  };
  readonly continuation: {
    readonly enabled: boolean;
    /** How often one stream may go on. */
    readonly maxTimes: number;
    /** A longer beginning is not sent along. */
    readonly maxTextChars: number;
  };
  readonly idempotency: IdempotencyLimits & {
    readonly enabled: boolean;
    readonly maxReplyBytes: number;
    /** 0: a call ends with its last caller. */
    readonly lingerMs: number;
  };
}

interface Sections {
  readonly router: Static<typeof RouterSettings>;
  readonly general: Static<typeof GeneralSettings>;
  readonly routeiq: Static<typeof RouteiqSettings>;
}

export function survivalSettings(sections: Sections, env: Environment): SurvivalSettings {
  const { continuation, idempotency, hedging } = sections.routeiq;
  return {
    concurrency: concurrencyOf(sections, env),
    hedging: {
      enabled: hedging.enabled,
      ...(hedging.after_ms === undefined ? {} : { afterMs: hedging.after_ms }),
      quantile: hedging.quantile,
      minDelayMs: hedging.min_delay_ms,
      budgetShare: hedging.budget_share,
    },
    continuation: {
      enabled: continuation.enabled,
      maxTimes: continuation.max_times,
      maxTextChars: continuation.max_text_chars,
    },
    idempotency: {
      enabled: idempotency.enabled,
      keepMs: idempotency.keep_seconds * 1000,
      maxEntries: idempotency.max_entries,
      maxBytes: idempotency.max_bytes,
      maxReplyBytes: idempotency.max_reply_bytes,
      lingerMs: idempotency.linger_ms,
    },
  };
}

const defaults = { maxQueued: 1_000, maxWaitMs: 10_000, priority: 100 } as const;

function concurrencyOf({ routeiq, general, router }: Sections, env: Environment): Concurrency {
  const own = routeiq.concurrency;
  const older = Number(env["ROUTEIQ_MAX_CONCURRENT_REQUESTS"] || Number.NaN);
  const maxCalls =
    own.max_calls ??
    general.max_in_flight_requests_per_worker ??
    (Number.isInteger(older) && older > 0 ? older : undefined);
  const waitS = general.admission_queue_timeout_seconds;
  const limits = own.adaptive || maxCalls !== undefined;
  return {
    ...(own.adaptive ? { adaptive: rulesOf(own) } : {}),
    ...(maxCalls === undefined ? {} : { maxCalls }),
    maxQueued:
      own.max_queued ?? general.max_queued_requests_per_worker ?? (limits ? defaults.maxQueued : 0),
    maxWaitMs: own.max_wait_ms ?? (waitS === undefined ? defaults.maxWaitMs : waitS * 1000),
    defaultPriority: own.default_priority ?? router.default_priority ?? defaults.priority,
  };
}

/** Bounds that contradict one another give way to the lower one. */
function rulesOf(own: Sections["routeiq"]["concurrency"]): NonNullable<Concurrency["adaptive"]> {
  const max = own.max_limit;
  const min = Math.min(own.min_limit, max);
  return { initial: own.initial_limit, min, max, tolerance: own.tolerance };
}
