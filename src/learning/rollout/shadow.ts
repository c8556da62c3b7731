/**
 * Scores decisions that were made by the router in force once more by another, and counts how the two
 * differ. From the events of calls, which hold the features that the decision saw: so it costs the
 * serving thread nothing, and no provider is asked.
 */
import type { Decision } from "../../domain/decision.ts";
import type { CallEvent } from "../../domain/event.ts";
import type { Price } from "../../domain/usage.ts";
import { type CandidateInput, decide } from "../../routing/decide.ts";
import { toLabelIndex } from "../../routing/learned-view.ts";
import type { TrainedRouter } from "../../routing/trained-router.ts";
import type { Clock } from "../../std/clock.ts";
import type { ShadowReport } from "./shadow-report.ts";

export interface ShadowOptions {
  readonly router: TrainedRouter;
  /** Of decisions, in (0, 1]: the same ones on every gateway, by a hash of the call's id. */
  readonly share: number;
  /** Label of an artifact → `litellm_params.model`. */
  readonly labelMapping: Readonly<Record<string, string>>;
  /** By `litellm_params.model`. */
  readonly prices: Readonly<Record<string, Price>>;
  readonly clock: Clock;
}

export interface ShadowScorer {
  /** Whether there is anything to score in it; counts what is passed over. */
  wants(event: CallEvent): boolean;
  score(event: CallEvent): void | Promise<void>;
  /** Counts decisions that could not be scored for lack of time. */
  skip(count: number): void;
  report(): ShadowReport;
}

/** Times that are kept for the percentiles: the last ones. */
const keptTimes = 1_024;
/** Models whose choices are counted; the rest is in the sums all the same. */
const countedModels = 200;
const shownModels = 20;
const failureChars = 200;

export function createShadowScorer(options: ShadowOptions): ShadowScorer {
  const { router, share, prices, clock } = options;
  const labelOf = toLabelIndex(router.labels, options.labelMapping);
  const times = new Float64Array(keptTimes);
  const choices = new Map<string, { shadow: number; active: number }>();
  let [calls, skipped, failed, agreed, abstained] = [0, 0, 0, 0, 0];
  let [ownGain, activeGain, costChange] = [0, 0, 0];
  let activeSeen = 0;
  let failure: string | undefined;

  function toInputs({ candidates }: Decision): CandidateInput[] {
    return candidates.map(({ model, group, filtered }) => {
      const price = prices[model];
      return {
        model,
        group,
        label: labelOf(model),
        ...(price && { price }),
        ...(filtered && { filtered }),
      };
    });
  }

  function count(model: string, by: "shadow" | "active"): void {
    let held = choices.get(model);
    if (!held) {
      if (choices.size >= countedModels) return;
      held = { shadow: 0, active: 0 };
      choices.set(model, held);
    }
    held[by]++;
  }

  async function scoreOne({ receipt, features, inputTokens }: CallEvent): Promise<void> {
    const { decision } = receipt;
    if (!decision?.dial || !features) return;
    const startUs = clock.monotonicUs();
    const scores = await router.scoreFeatures(features);
    const decided = decide({
      router,
      scores,
      dial: decision.dial,
      inputTokens: inputTokens ?? 0,
      candidates: toInputs(decision),
    });
    times[calls % keptTimes] = clock.monotonicUs() - startUs;
    calls++;
    if (scores.abstain) abstained++;
    // Where it was drawn, what it would have been without the draw.
    const active = decision.exploration?.greedy ?? decision.chosen;
    const { chosen } = decided;
    count(chosen, "shadow");
    count(active, "active");
    if (chosen === active) agreed++;
    const own = (model: string) => decided.candidates.find((one) => one.model === model);
    const theirs = (model: string) => decision.candidates.find((one) => one.model === model);
    ownGain += (own(chosen)?.quality ?? 0) - (own(active)?.quality ?? 0);
    costChange += (own(chosen)?.costUsd ?? 0) - (own(active)?.costUsd ?? 0);
    const [theirNew, theirOld] = [theirs(chosen)?.quality, theirs(active)?.quality];
    if (theirNew === undefined || theirOld === undefined) return;
    activeGain += theirNew - theirOld;
    activeSeen++;
  }

  return {
    wants({ receipt, features }) {
      const { decision } = receipt;
      if (!features || !decision?.dial || !comparable.has(decision.reason)) return false;
      if (share >= 1 || Number(Bun.hash(receipt.callId) % 10_000n) < share * 10_000) return true;
      skipped++;
      return false;
    },
    async score(event) {
      try {
        await scoreOne(event);
      } catch (thrown) {
        failed++;
        const message = thrown instanceof Error ? thrown.message : String(thrown);
        failure = message.slice(0, failureChars);
      }
    },
    skip(count) {
      skipped += count;
    },
    report() {
      const sorted = times.slice(0, Math.min(calls, keptTimes)).sort();
      const at = (share: number) => sorted[Math.floor(share * (sorted.length - 1))] ?? null;
      const mean = (sum: number, n = calls) => (n > 0 ? sum / n : null);
      const frequent = [...choices].sort(
        ([, a], [, b]) => b.shadow + b.active - (a.shadow + a.active),
      );
      return {
        version: router.identity.version,
        calls,
        skipped,
        failed,
        ...(failure !== undefined && { failure }),
        agreement: mean(agreed),
        predicted: {
          quality_gain: mean(ownGain),
          cost_change_usd: mean(costChange),
          quality_gain_by_active: mean(activeGain, activeSeen),
        },
        abstained: mean(abstained),
        score_us: { p50: at(0.5), p99: at(0.99) },
        choices: Object.fromEntries(frequent.slice(0, shownModels)),
      };
    },
  };
}

/** Decisions that a router made by its scores; a conversation that stuck to its model made none. */
const comparable: ReadonlySet<Decision["reason"]> = new Set([
  "utility",
  "floor",
  "infeasible",
  "fixed",
  "explored",
  "abstained",
]);
