/**
 * The decision of DESIGN §3, pure: predicted quality and cost in, ranked candidates out.
 * Serving and evaluation both call it, so that what is measured is what serves.
 */
import type { CandidateScore, DecisionReason, Dial, FilterReason } from "../domain/decision.ts";
import { withoutPrefix } from "../domain/model.ts";
import type { Price } from "../domain/usage.ts";
import type { DialPoint, QueryScores, TrainedRouter } from "./trained-router.ts";

export interface CandidateInput {
  readonly model: string;
  readonly group: string;
  /** Index in the router's labels; −1 where the artifact does not know it. */
  readonly label: number;
  readonly price?: Price;
  readonly filtered?: FilterReason;
  /** Quality of a model that the artifact does not know: `withPriors`; else it is reckoned anew. */
  readonly prior?: number;
}

export interface DecideInput {
  readonly router: TrainedRouter;
  readonly scores: QueryScores;
  /** At least one is not filtered. Order: as configured; ties keep it. */
  readonly candidates: readonly CandidateInput[];
  readonly inputTokens: number;
  readonly dial: Dial;
  /** `toSetting` of the dial, where it is at hand. */
  readonly setting?: Setting;
}

export interface Decided {
  /** Best first; filtered ones last. */
  readonly candidates: readonly CandidateScore[];
  /** The place of each in the input, best first, without the filtered ones. */
  readonly order: readonly number[];
  readonly chosen: string;
  readonly reason: DecisionReason;
}

/**
 * λ for a trade-off in [0, 1], along the router's grid, whose points were measured when it was
 * trained: 1 is the best quality that was measured, 0 the least cost. Between two points λ is
 * interpolated, so that a higher trade-off never costs quality by a jump.
 */
export function toLambda({ dial }: Pick<TrainedRouter, "dial">, tradeoff: number): number {
  if (dial.length === 0) return tradeoff >= 1 ? 0 : (1 - tradeoff) / Math.max(tradeoff, 0.01);
  const position = (1 - tradeoff) * (dial.length - 1);
  const below = Math.min(dial.length - 1, Math.floor(position));
  const from = (dial[below] as DialPoint).lambda;
  const to = dial[below + 1]?.lambda ?? from;
  return from + (to - from) * (position - below);
}

/** What the dial comes to: a λ, or one model for every query. */
export interface Setting {
  readonly lambda: number;
  readonly fixed?: number;
}

export function toSetting(router: TrainedRouter, { tradeoff, floor }: Dial): Setting {
  if (floor) return toFloor(router, floor);
  const nearest = router.dial[Math.round((1 - tradeoff) * (router.dial.length - 1))];
  if (nearest?.fixed !== undefined) return nearest;
  return { lambda: toLambda(router, tradeoff) };
}

/**
 * A floor: the cheapest measured point that holds the share of the model's quality. Where no point
 * does, the model itself does. One that the artifact does not know has the quality of the best: a
 * floor is never lower than it was meant.
 */
function toFloor(
  { dial, labels, labelQuality }: TrainedRouter,
  { share, model }: NonNullable<Dial["floor"]>,
): Setting {
  const label = labels.findIndex((name) => name === model || name === withoutPrefix(model));
  const quality = label >= 0 ? (labelQuality[label] as number) : Math.max(...labelQuality);
  const holding = dial.filter(({ meanQuality }) => meanQuality >= share * quality);
  if (holding.length === 0) {
    if (label >= 0) return { lambda: 0, fixed: label };
    return dial.reduce(
      (best, point) => (point.meanQuality > best.meanQuality ? point : best),
      dial[0] ?? { lambda: 0, meanQuality: 0, meanCostUsd: 0 },
    );
  }
  return holding.reduce((cheapest, point) =>
    point.meanCostUsd < cheapest.meanCostUsd ? point : cheapest,
  );
}

/**
 * Ranks the candidates by utility. A query unlike all training data (`abstain`) is ranked by the
 * global table, to which its predictions have shrunk: the default candidate is the model that the
 * dial picks for an unknown query.
 */
export function decide(input: DecideInput): Decided {
  const { router, scores, dial, candidates } = input;
  const { lambda, fixed } = input.setting ?? toSetting(router, dial);
  const scored: Mutable<CandidateScore>[] = [];
  const order: number[] = [];
  for (let i = 0; i < candidates.length; i++) {
    const score = toScore(candidates[i] as CandidateInput, input, lambda);
    scored.push(score);
    if (!score.filtered) insert(order, scored, i);
  }
  const isFixed = fixed !== undefined && putFirst(order, candidates, fixed);
  const first = scored[order[0] ?? -1];
  if (!first) throw new RangeError("decide needs one candidate that is not filtered");
  first.probability = 1;
  const ranked: CandidateScore[] = [];
  for (const i of order) ranked.push(scored[i] as CandidateScore);
  if (ranked.length < scored.length) for (const one of scored) if (one.filtered) ranked.push(one);
  return {
    candidates: ranked,
    order,
    chosen: first.model,
    reason: isFixed ? "fixed" : scores.abstain ? "abstained" : dial.floor ? "floor" : "utility",
  };
}

/** Puts the newest score where its utility belongs; equals stay in their order. */
function insert(order: number[], scored: readonly CandidateScore[], at: number): void {
  const utility = scored[at]?.utility ?? 0;
  let to = order.length;
  while (to > 0 && (scored[order[to - 1] as number]?.utility ?? 0) < utility) to--;
  order.push(at);
  for (let i = order.length - 1; i > to; i--) order[i] = order[i - 1] as number;
  order[to] = at;
}

/** False where the model of that label is no candidate, or filtered: utility decides then. */
function putFirst(order: number[], candidates: readonly CandidateInput[], label: number): boolean {
  const wanted = candidates.findIndex((one) => one.label === label && !one.filtered);
  const at = order.indexOf(wanted);
  if (at < 0) return false;
  order.unshift(...order.splice(at, 1));
  return true;
}

function toScore(
  candidate: CandidateInput,
  input: DecideInput,
  lambda: number,
): Mutable<CandidateScore> {
  const { router, scores } = input;
  const { model, group, label } = candidate;
  if (candidate.filtered) return { model, group, filtered: candidate.filtered, probability: 0 };
  const known = label >= 0;
  const quality = known
    ? (scores.quality[label] as number)
    : (candidate.prior ?? priorQuality(candidate, input));
  const outputTokens = known ? (scores.outputTokens[label] as number) : Number.NaN;
  const latencyMs = known ? (scores.latencyMs[label] as number) : Number.NaN;
  const costUsd = predictCost(candidate, input, outputTokens);
  // Plain assignments: spreads of conditional fields cost more than all the rest of a decision.
  const score: Mutable<CandidateScore> = {
    model,
    group,
    quality,
    costUsd,
    utility: quality - lambda * (costUsd / (router.costRefUsd || 1)),
    probability: 0,
  };
  if (known) score.uncertainty = scores.uncertainty[label] as number;
  else score.prior = true;
  if (Number.isFinite(outputTokens)) score.outputTokens = outputTokens;
  if (Number.isFinite(latencyMs)) score.latencyMs = latencyMs;
  return score;
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/** Output tokens where nothing is known of a model's habits. */
const usualOutputTokens = 256;

/** The operator's price where there is one; else what the model cost on the training data. */
function predictCost(
  { price, label }: CandidateInput,
  { router, scores, inputTokens }: DecideInput,
  outputTokens: number,
): number {
  if (price) {
    const output = Number.isFinite(outputTokens) ? outputTokens : usualOutputTokens;
    return inputTokens * price.inputUsdPerToken + output * price.outputUsdPerToken;
  }
  const predicted = label >= 0 ? (scores.costUsd[label] as number) : Number.NaN;
  if (Number.isFinite(predicted)) return predicted;
  const seen = label >= 0 ? (router.labelCostUsd[label] as number) : Number.NaN;
  return Number.isFinite(seen) ? seen : router.costRefUsd;
}

/** The candidates with their priors, which no query changes: once, not per decision. */
export function withPriors(
  router: TrainedRouter,
  candidates: readonly CandidateInput[],
): readonly CandidateInput[] {
  return candidates.map((one) =>
    one.label >= 0 ? one : { ...one, prior: priorQuality(one, { router, candidates }) },
  );
}

/**
 * What to think of a model that the artifact does not know: what known ones of its price are worth,
 * by a line through (log price, mean quality) of this call's known candidates, kept within what they
 * reach; their mean where prices say nothing.
 */
function priorQuality(
  { price }: CandidateInput,
  { router, candidates }: Pick<DecideInput, "router" | "candidates">,
): number {
  const known = candidates.filter((one) => one.label >= 0 && toLogPrice(one.price) !== undefined);
  const at = toLogPrice(price);
  const qualities = known.map(({ label }) => router.labelQuality[label] as number);
  if (at === undefined || known.length < 2) return mean(router.labelQuality);
  const prices = known.map((one) => toLogPrice(one.price) as number);
  const centre = mean(prices);
  const level = mean(qualities);
  let product = 0;
  let square = 0;
  prices.forEach((x, i) => {
    product += (x - centre) * ((qualities[i] as number) - level);
    square += (x - centre) ** 2;
  });
  const line = level + (square > 0 ? (product / square) * (at - centre) : 0);
  return Math.max(Math.min(...qualities), Math.min(Math.max(...qualities), line));
}

/** Of a token each way; undefined without a price, or where it is free. */
function toLogPrice(price: Price | undefined): number | undefined {
  const both = price ? price.inputUsdPerToken + price.outputUsdPerToken : 0;
  return both > 0 ? Math.log(both) : undefined;
}

function mean(values: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += values[i] as number;
  return sum / Math.max(1, values.length);
}
