/**
 * Which of several arms decides a call: the canary's router or the one in force, and the variants of
 * an experiment. Asked only while there is a canary or an experiment.
 */
import type { ArmChoice, Dial } from "../domain/decision.ts";
import { pickWeighted, type Subject, toBucket, toHashKey, unitCount } from "./assignment.ts";
import type { Balancer } from "./balancers/balancer.ts";
import type { RouterSlot } from "./slot.ts";

/** What a variant of an experiment changes; the rest is as configured. */
export interface VariantSettings {
  /** In the strategy's place. */
  readonly balancer?: Balancer;
  readonly dial?: Dial;
  /** A trained router of its own. */
  readonly slot?: RouterSlot;
}

export interface Variant {
  readonly name: string;
  /** Whole, ≥ 0: its share is its part of the sum. */
  readonly weight: number;
  readonly settings: VariantSettings;
}

export interface Experiment {
  readonly id: string;
  readonly variants: readonly Variant[];
  readonly totalWeight: number;
  /** Names that calls ask for; undefined: all. */
  readonly models?: ReadonlySet<string>;
  /** Milliseconds since the epoch. */
  readonly startMs: number;
  readonly endMs: number;
  /** The variant that answers for one that was stopped. */
  readonly control: Variant;
}

/** Variants that were stopped while they ran; the learning side says which. */
export interface ExperimentStops {
  has(experiment: string, variant: string): boolean;
}

export interface Choice {
  readonly arm: ArmChoice;
  /** The canary's router decides. */
  readonly canary?: true;
  readonly settings?: VariantSettings;
}

export interface Split {
  /** Whether `choose` could say anything now. */
  readonly on: boolean;
  /**
   * Undefined: no arm, as if there were no split.
   * @param learned a trained router would decide; else there is no canary for it
   */
  choose(subject: Subject, learned: boolean): Choice | undefined;
}

export interface SplitParts {
  readonly slot: RouterSlot;
  readonly experiments: readonly Experiment[];
  readonly stops: ExperimentStops;
  readonly now: () => number;
}

/** Where nothing was split off by the configuration, and only a canary may come. */
export function createSplit({ slot, experiments, stops, now }: SplitParts): Split {
  function chooseCanary(subject: Subject): Choice | undefined {
    const canary = slot.canary();
    if (!canary) return undefined;
    const key = toHashKey(subject);
    // Of this release, so that it is not the same users who try every new one out.
    const { bucket } = toBucket(`canary:${canary.label}:${key.text}`, unitCount);
    const isCanary = bucket < canary.share * unitCount;
    const arm: ArmChoice = {
      variant: isCanary ? "canary" : "active",
      probability: isCanary ? canary.share : 1 - canary.share,
      bucket,
      buckets: unitCount,
      keyType: key.type,
      unit: bucket,
    };
    return isCanary ? { arm, canary: true } : { arm };
  }

  function chooseVariant(subject: Subject): Choice | undefined {
    const nowMs = now();
    for (const experiment of experiments) {
      const { id, models, startMs, endMs, totalWeight } = experiment;
      if (nowMs < startMs || nowMs >= endMs || (models && !models.has(subject.model))) continue;
      const key = toHashKey(subject);
      const { bucket, unit } = toBucket(key.text, totalWeight);
      const drawn = pickWeighted(experiment.variants, bucket);
      if (!drawn) continue;
      const isStopped = stops.has(id, drawn.name);
      const variant = isStopped ? experiment.control : drawn;
      // Without its router it would be judged by what another one does.
      const { slot: own } = variant.settings;
      if (own && own.status().status !== "active") return undefined;
      const arm: ArmChoice = {
        experiment: id,
        variant: variant.name,
        probability: drawn.weight / totalWeight,
        bucket,
        buckets: totalWeight,
        keyType: key.type,
        unit,
      };
      return { arm, settings: variant.settings };
    }
    return undefined;
  }

  return {
    get on() {
      return experiments.length > 0 || slot.canary() !== undefined;
    },
    // Who tries a release out is in no experiment: one difference at a time.
    choose(subject, learned) {
      const canary = learned ? chooseCanary(subject) : undefined;
      if (canary?.canary || experiments.length === 0) return canary;
      return chooseVariant(subject) ?? canary;
    },
  };
}
