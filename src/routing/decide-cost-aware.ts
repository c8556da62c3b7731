/** A decision by `llmrouter-cost-aware` over what a trained router predicts (`cost-aware.ts`). */
import type { CandidateScore } from "../domain/decision.ts";
import { type CostAwareSettings, costPer1k, rankCostAware } from "./cost-aware.ts";
import type { CandidateInput, Decided } from "./decide.ts";

/** The same candidates, ordered anew; `utility` is the score, where a candidate came to have one. */
export function decideCostAware(
  decided: Decided,
  inputs: readonly CandidateInput[],
  settings: CostAwareSettings,
): Decided {
  // As configured, so that the first among equals is the first listed.
  const places = [...decided.order].sort((a, b) => a - b);
  const scored = places.map((place) => decided.candidates[decided.order.indexOf(place)]);
  const { order, scores } = rankCostAware(
    places.map((place, i) => ({
      costPer1k: costPer1k(inputs[place]?.price),
      quality: scored[i]?.quality ?? 0,
    })),
    settings,
  );
  const ranked = order.map((i, rank): CandidateScore => {
    const score = scores[i] as number;
    const { utility: _, ...one } = scored[i] as CandidateScore;
    return {
      ...one,
      ...(Number.isNaN(score) ? {} : { utility: score }),
      probability: rank ? 0 : 1,
    };
  });
  return {
    ...decided,
    candidates: [...ranked, ...decided.candidates.slice(decided.order.length)],
    order: order.map((i) => places[i] as number),
    chosen: ranked[0]?.model ?? decided.chosen,
    reason: "cost_aware",
  };
}
