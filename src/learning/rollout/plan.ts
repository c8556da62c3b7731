/** `routing_strategy_args.rollout` to a plan: the steps of a release, and what is tolerated of it. */
import type { RolloutArgs } from "../../config/config.ts";
import { parseDuration } from "../artifacts/time.ts";
import { healthLimits, type TrialLimits } from "./trial.ts";

export interface ShadowPlan {
  /** Of decisions, in (0, 1]. */
  readonly share: number;
  readonly minCalls: number;
  readonly maxMs: number;
}

export interface CanaryPlan {
  /** One after the other, each in (0, 1]. */
  readonly shares: readonly number[];
  /** At each of them. */
  readonly minCalls: number;
  readonly maxMs: number;
  readonly undecided: "promote" | "hold" | "roll_back";
}

export interface RolloutPlan {
  readonly shadow?: ShadowPlan;
  readonly canary?: CanaryPlan;
  /** False: a release waits for the operator after its last step. */
  readonly auto: boolean;
  /** Of the health window; a canary takes its thresholds from it. */
  readonly health: TrialLimits;
}

const dayMs = 86_400_000;
export const standardShadow: ShadowPlan = { share: 1, minCalls: 200, maxMs: dayMs };
export const standardCanary: CanaryPlan = {
  shares: [0.05],
  minCalls: 1_000,
  maxMs: dayMs,
  undecided: "promote",
};

/** @param processes that share one copy, and follow each other's verdicts: the chance is theirs together */
export function toRolloutPlan(args: RolloutArgs | undefined, processes = 1): RolloutPlan {
  const { shadow, canary, promote, health, thresholds = {} } = args ?? {};
  return {
    ...(shadow && {
      shadow: {
        share: shadow.share ?? standardShadow.share,
        minCalls: shadow.min_calls ?? standardShadow.minCalls,
        maxMs: toMs(shadow.max_time, standardShadow.maxMs),
      },
    }),
    ...(canary && {
      canary: {
        shares: toShares(canary.share),
        minCalls: canary.min_calls ?? standardCanary.minCalls,
        maxMs: toMs(canary.max_time, standardCanary.maxMs),
        undecided: canary.undecided ?? standardCanary.undecided,
      },
    }),
    auto: promote !== "manual",
    health: {
      errorRise: thresholds.error_rise ?? healthLimits.errorRise,
      latencyFactor: thresholds.latency_factor ?? healthLimits.latencyFactor,
      costFactor: thresholds.cost_factor ?? healthLimits.costFactor,
      qualityDrop: thresholds.quality_drop ?? healthLimits.qualityDrop,
      alpha: (thresholds.false_rollbacks ?? healthLimits.alpha) / processes,
      minCalls: thresholds.min_calls ?? healthLimits.minCalls,
      minFeedback: thresholds.min_feedback ?? healthLimits.minFeedback,
      maxCalls: health?.max_calls ?? healthLimits.maxCalls,
      maxMs: toMs(health?.max_time, healthLimits.maxMs),
    },
  };
}

/** Whether a new release is held beside the one in force before it serves. */
export function hasSteps({ shadow, canary, auto }: RolloutPlan): boolean {
  return shadow !== undefined || canary !== undefined || !auto;
}

function toShares(share: number | readonly number[] | undefined): readonly number[] {
  if (share === undefined) return standardCanary.shares;
  return typeof share === "number" ? [share] : share;
}

/** The schema has let only spans through. */
function toMs(text: string | undefined, standard: number): number {
  return text === undefined ? standard : (parseDuration(text) ?? standard);
}
