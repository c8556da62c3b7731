/** The trained router of a running gateway: from its configuration to the slot, over reloads. */
import type { Config } from "../../config/config.ts";
import type { Receipt } from "../../domain/decision.ts";
import { type ErrorCode, errorTable } from "../../domain/errors.ts";
import { learnedStrategyOf } from "../../routing/in-force.ts";
import type { ArtifactStatus, SwappableSlot } from "../../routing/slot.ts";
import type { TrainedRouter } from "../../routing/trained-router.ts";
import type { Clock } from "../../std/clock.ts";
import { createLru } from "../../std/lru.ts";
import type { Random } from "../../std/random.ts";
import type { EventLog } from "../../storage/event-log.ts";
import type { Telemetry } from "../../telemetry/telemetry.ts";
import { allowsPickles, toImportTrust } from "../import/trust.ts";
import { toS3Settings } from "./open-repository.ts";
import { type ArtifactPlan, toArtifactPlan } from "./plan.ts";
import { createPoller, type Poller } from "./poll.ts";
import type { ArtifactSource, Candidate } from "./source.ts";
import type { SourceConfig } from "./thread.ts";

export interface LiveRouterOptions {
  readonly slot: SwappableSlot;
  readonly dataDir: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** In the background thread, or here for a test. */
  readonly openSource: (config: SourceConfig) => ArtifactSource;
  readonly build: (candidate: Candidate) => Promise<TrainedRouter>;
  readonly clock: Clock;
  readonly random: Random;
  readonly telemetry: Telemetry;
}

export interface LiveRouter {
  /**
   * Follows a configuration: at start, and after each reload. Does nothing where what it says of
   * trained routers is unchanged. Resolves when the local copy (if any) is in force.
   * @throws GatewayError config_invalid
   */
  follow(config: Config, isLearned: boolean): Promise<void>;
  /** Looks for a newer router now (`/llmrouter/reload`). */
  reload(): Promise<ArtifactStatus>;
  /** The event log, watched: what calls and feedback tell of the router in force. */
  watch(events: EventLog): EventLog;
  close(): void;
}

export function createLiveRouter(options: LiveRouterOptions): LiveRouter {
  const { slot, dataDir, env, telemetry, clock, random } = options;
  let poller: Poller | undefined;
  let followed: string | undefined;

  function stop(status: ArtifactStatus): void {
    poller?.close();
    poller = undefined;
    slot.swap(undefined, status);
  }

  return {
    async follow({ router }, isLearned) {
      const { routingStrategyArgs: args } = router;
      const strategy = learnedStrategyOf(router) ?? router.routingStrategy;
      const plan: ArtifactPlan = isLearned
        ? toArtifactPlan({
            strategy,
            args,
            dataDir,
            s3: toS3Settings(env),
            imports: allowsPickles(env) ? toImportTrust(env) : undefined,
          })
        : { kind: "static", status: { status: "none" } };
      // A reload that turns the dial, say, must not take the router away for a moment.
      if (said(plan) === followed) return;
      followed = said(plan);
      if (plan.kind === "static") {
        stop(plan.status);
        if (!isLearned) return;
        telemetry.log("warn", "routing is static: there is no trained router", { ...plan.status });
        return;
      }
      stop({ status: "missing", code: "fetch", remedy: plan.emptyRemedy });
      poller = createPoller({
        ...plan,
        source: options.openSource(plan.source),
        slot,
        build: options.build,
        clock,
        random,
        telemetry,
      });
      await poller.start();
    },
    async reload() {
      await poller?.pollNow();
      return slot.status();
    },
    watch: (events) => watchEvents(events, () => poller),
    close() {
      poller?.close();
      poller = undefined;
    },
  };
}

/** What two plans for the same thing have in common; the pin is in the copy's folder name. */
function said(plan: ArtifactPlan): string {
  return JSON.stringify(plan, (key, value: unknown) => (key === "pin" ? undefined : value));
}

/** Calls whose artifact is remembered, so that feedback that comes later finds it. */
const rememberedCalls = 20_000;

function watchEvents(events: EventLog, poller: () => Poller | undefined): EventLog {
  const artifacts = createLru<string, string>(rememberedCalls);
  return {
    ...events,
    append(event) {
      events.append(event);
      const { receipt } = event;
      const artifact = decidedBy(receipt);
      if (artifact === undefined) return;
      artifacts.set(receipt.callId, artifact);
      observe(receipt, artifact, poller());
    },
    async addFeedback(feedback) {
      const artifact = artifacts.get(feedback.callId);
      if (artifact !== undefined) poller()?.rollout.observeScore(artifact, feedback.score);
      return await events.addFeedback(feedback);
    },
  };
}

/** Only calls that had a choice say anything of who chose. */
function decidedBy({ decision }: Receipt): string | undefined {
  if (!decision || decision.reason === "single_candidate" || decision.reason === "fallback") {
    return undefined;
  }
  return decision.artifact;
}

function observe(receipt: Receipt, artifact: string, poller: Poller | undefined): void {
  const { outcome, error, timings, costMicroUsd } = receipt;
  if (!poller || outcome === "cancelled") return;
  // A caller's own mistake is no router's.
  if (error !== undefined && errorTable[error as ErrorCode]?.fault === "caller") return;
  poller.rollout.observe({
    arm: artifact,
    ok: outcome === "success",
    latencyMs: timings.totalMs,
    ...(costMicroUsd === undefined ? {} : { costUsd: costMicroUsd / 1e6 }),
  });
}
