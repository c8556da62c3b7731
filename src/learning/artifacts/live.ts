/** The trained router of a running gateway: from its configuration to the slot, over reloads. */
import type { Config } from "../../config/config.ts";
import { learnedStrategyOf } from "../../routing/in-force.ts";
import type { ArtifactStatus, SwappableSlot } from "../../routing/slot.ts";
import type { TrainedRouter } from "../../routing/trained-router.ts";
import type { Clock } from "../../std/clock.ts";
import type { Random } from "../../std/random.ts";
import type { Telemetry } from "../../telemetry/telemetry.ts";
import { allowsPickles, toImportTrust } from "../import/trust.ts";
import type { RolloutControl } from "../rollout/control.ts";
import { toRolloutPlan } from "../rollout/plan.ts";
import type { ShadowRunner } from "../rollout/shadow-report.ts";
import type { CallSample } from "../rollout/trial.ts";
import { toS3Settings } from "./open-repository.ts";
import { type ArtifactPlan, toArtifactPlan } from "./plan.ts";
import { createPoller } from "./poll.ts";
import type { Poller } from "./poller.ts";
import type { ArtifactSource, Candidate } from "./source.ts";
import type { SourceConfig } from "./thread.ts";

export interface LiveRouterOptions {
  readonly slot: SwappableSlot;
  readonly dataDir: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** In the background thread, or here for a test. */
  readonly openSource: (config: SourceConfig) => Omit<ArtifactSource, "readStaged">;
  readonly build: (candidate: Candidate) => Promise<TrainedRouter>;
  readonly clock: Clock;
  readonly random: Random;
  readonly telemetry: Telemetry;
  /** Processes that share one copy. Default 1. */
  readonly processes?: number;
  /** Scores decisions of that source's releases in the shadow. */
  readonly shadow?: (source: SourceConfig) => ShadowRunner | undefined;
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
  /** Tells what became of a call that a router decided, or could not decide. */
  observe(sample: CallSample): void;
  observeScore(arm: string, score: number, unit?: number): void;
  /** Undefined where no trained router is configured. */
  control(): RolloutControl | undefined;
  /** Resolves when what was decided is on the disk. */
  close(): Promise<void>;
}

export function createLiveRouter(options: LiveRouterOptions): LiveRouter {
  const { slot, dataDir, env, telemetry, clock, random } = options;
  let poller: Poller | undefined;
  let followed: string | undefined;
  let rollout = toRolloutPlan(undefined);

  function stop(status: ArtifactStatus): void {
    poller?.close().catch(() => undefined); // what fails there is told there
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
      rollout = toRolloutPlan(args.rollout, options.processes);
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
        rollout: () => rollout,
        follows: (options.processes ?? 1) > 1,
        shadow: options.shadow?.(plan.source),
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
    observe: (sample) => poller?.rollout.observe(sample),
    observeScore: (arm, score, unit) => poller?.rollout.observeScore(arm, score, unit),
    control: () => poller?.rollout,
    async close() {
      const ended = poller;
      poller = undefined;
      await ended?.close();
    },
  };
}

/** What two plans for the same thing have in common; the pin is in the copy's folder name. */
function said(plan: ArtifactPlan): string {
  return JSON.stringify(plan, (key, value: unknown) => (key === "pin" ? undefined : value));
}
