/**
 * The decision of DESIGN §3, pure: predicted quality and cost in, ranked candidates out.
 * Serving and evaluation both call it, so that what is measured is what serves.
 */
import type { CandidateScore, DecisionReason, Dial, FilterReason } from "../domain/decision.ts";
import { costMicroUsd, type Price } from "../domain/usage.ts";
import type { QueryScores, TrainedRouter } from "./trained-router.ts";

export interface CandidateInput {
  readonly model: string;
  readonly group: string;
  /** Index in the router's labels; −1 where the artifact does not know it. */
  readonly label: number;
  readonly price?: Price;
  readonly filtered?: FilterReason;
}

export interface DecideInput {
  readonly router: TrainedRouter;
  readonly scores: QueryScores;
  /** At least one is not filtered. Order: as configured; the first eligible one is the default. */
  readonly candidates: readonly CandidateInput[];
  readonly inputTokens: number;
  readonly dial: Dial;
}

export interface Decided {
  /** Best first; filtered ones last. */
  readonly candidates: readonly CandidateScore[];
  readonly chosen: string;
  readonly reason: DecisionReason;
}

/** λ for a trade-off in [0, 1]: 1 → 0 (quality alone), 0 → the largest λ of the router's grid. */
export function toLambda(router: TrainedRouter, tradeoff: number): number {
  const grid = router.dial;
  if (grid.length === 0) return tradeoff >= 1 ? 0 : (1 - tradeoff) / Math.max(tradeoff, 0.01);
  const sorted = [...grid].sort((a, b) => a.lambda - b.lambda);
  const at = Math.round((1 - tradeoff) * (sorted.length - 1));
  return sorted[at]?.lambda ?? 0;
}

export function decide(input: DecideInput): Decided {
  const { router, scores, dial } = input;
  const lambda = toLambda(router, dial.tradeoff);
  const scored = input.candidates.map((candidate): CandidateScore => {
    const { model, group, label } = candidate;
    if (candidate.filtered) return { model, group, filtered: candidate.filtered, probability: 0 };
    const known = label >= 0;
    const quality = known ? (scores.quality[label] ?? 0) : mean(router.labelQuality);
    const outputTokens = known ? (scores.outputTokens[label] ?? Number.NaN) : Number.NaN;
    const costUsd = predictCost(candidate, input, outputTokens, known ? label : -1);
    const utility = quality - lambda * (costUsd / (router.costRefUsd || 1));
    return {
      model,
      group,
      quality,
      costUsd,
      utility,
      probability: 0,
      ...(known ? {} : { prior: true }),
      ...(known ? { uncertainty: scores.uncertainty[label] ?? Number.NaN } : {}),
      ...(Number.isFinite(outputTokens) ? { outputTokens } : {}),
    };
  });
  const eligible = scored.filter((one) => !one.filtered);
  const ranked = scores.abstain
    ? eligible
    : [...eligible].sort((a, b) => (b.utility ?? 0) - (a.utility ?? 0));
  const [first, ...rest] = ranked;
  if (!first) throw new RangeError("decide needs one candidate that is not filtered");
  return {
    candidates: [{ ...first, probability: 1 }, ...rest, ...scored.filter((one) => one.filtered)],
    chosen: first.model,
    reason: scores.abstain ? "abstained" : "utility",
  };
}

function predictCost(
  candidate: CandidateInput,
  input: DecideInput,
  outputTokens: number,
  label: number,
): number {
  const output = Number.isFinite(outputTokens) ? outputTokens : 256;
  const micro = costMicroUsd(
    { inputTokens: input.inputTokens, outputTokens: output },
    candidate.price,
  );
  if (micro !== undefined) return micro / 1e6;
  const seen = label >= 0 ? input.router.labelCostUsd[label] : Number.NaN;
  return seen !== undefined && Number.isFinite(seen) ? seen : input.router.costRefUsd;
}

function mean(values: Float32Array): number {
  return values.reduce((sum, value) => sum + value, 0) / Math.max(1, values.length);
}
