/** The event log, watched: what calls and feedback tell of who decided them. */
import type { ArmChoice, Receipt } from "../../domain/decision.ts";
import { type ErrorCode, errorTable } from "../../domain/errors.ts";
import { createLru } from "../../std/lru.ts";
import type { EventLog } from "../../storage/event-log.ts";
import type { CallSample } from "./trial.ts";

/** Whom calls and scores are told. */
export interface Watcher {
  observe(sample: CallSample): void;
  observeScore(arm: string, score: number, unit?: number): void;
}

export interface Watchers {
  /** Arms are routers: `name@version`, or "none". */
  readonly routers: Watcher;
  /** Arms are variants of the experiment of that name. */
  readonly experiments: (experiment: string) => Watcher | undefined;
}

/** Calls that are remembered, so that feedback that comes later finds who decided them. */
const rememberedCalls = 20_000;

/** A router's name; of a call that several shared, all that it takes to count it. */
type Decider = string | { readonly artifact: string | undefined; readonly arm: ArmChoice };

export function watchEvents(events: EventLog, watchers: Watchers): EventLog {
  const deciders = createLru<string, Decider>(rememberedCalls);
  return {
    ...events,
    append(event) {
      events.append(event);
      const { receipt } = event;
      const decider = decidedBy(receipt);
      if (decider === undefined) return;
      deciders.set(receipt.callId, decider);
      observe(receipt, decider, watchers);
    },
    async addFeedback(feedback) {
      const decider = deciders.get(feedback.callId);
      if (decider !== undefined) score(decider, feedback.score, watchers);
      return await events.addFeedback(feedback);
    },
  };
}

/** Only calls that had a choice say anything of who chose. */
function decidedBy({ decision }: Receipt): Decider | undefined {
  if (!decision) return undefined;
  const { reason, artifact, arm } = decision;
  if (arm?.experiment === undefined && (reason === "single_candidate" || reason === "fallback")) {
    return undefined;
  }
  if (!arm) return artifact;
  // A variant's own settings say nothing of the router that they stand on.
  return { artifact: arm.experiment === undefined ? artifact : undefined, arm };
}

function observe(receipt: Receipt, decider: Decider, watchers: Watchers): void {
  const { outcome, error, timings, costMicroUsd } = receipt;
  if (outcome === "cancelled") return;
  // A caller's own mistake is no router's.
  if (error !== undefined && errorTable[error as ErrorCode]?.fault === "caller") return;
  const ok = outcome === "success";
  const costUsd = costMicroUsd === undefined ? undefined : costMicroUsd / 1e6;
  const latencyMs = timings.totalMs;
  if (typeof decider === "string") {
    watchers.routers.observe({ arm: decider, ok, latencyMs, costUsd });
    return;
  }
  const { artifact, arm } = decider;
  const { unit } = arm;
  if (artifact !== undefined)
    watchers.routers.observe({ arm: artifact, unit, ok, latencyMs, costUsd });
  if (arm.experiment === undefined) return;
  watchers.experiments(arm.experiment)?.observe({ arm: arm.variant, unit, ok, latencyMs, costUsd });
}

function score(decider: Decider, value: number, { routers, experiments }: Watchers): void {
  if (typeof decider === "string") {
    routers.observeScore(decider, value);
    return;
  }
  const { artifact, arm } = decider;
  if (artifact !== undefined) routers.observeScore(artifact, value, arm.unit);
  if (arm.experiment === undefined) return;
  experiments(arm.experiment)?.observeScore(arm.variant, value, arm.unit);
}
