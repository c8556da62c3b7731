/**
 * The decision of DESIGN §3, pure: predicted quality and cost in, ranked candidates out.
 * Serving and evaluation both call it, so that what is measured is what serves.
 */
import type {
  CandidateScore,
  DecisionReason,
  Dial,
  FilterReason,
  Floor,
} from "../domain/decision.ts";
import { withoutPrefix } from "../domain/model.ts";
import type { Price } from "../domain/usage.ts";
import { findFloor } from "./floors.ts";
import { placeUnknown } from "./prior/unknown-model.ts";
import type { DialPoint, QueryScores, TrainedRouter } from "./trained-router.ts";

export interface CandidateInput {
  readonly model: string;
  readonly group: string;
  /** Index in the router's labels; −1 where the artifact does not know it. */
  readonly label: number;
  readonly price?: Price;
  readonly filtered?: FilterReason;
  /** Index of `prior/capability.ts`: places a model that the artifact does not know. */
  readonly ability?: number;
  /** Quality of a model that the artifact does not know: `withPriors`; else it is reckoned anew. */
  readonly prior?: number;
  /** Of a model without a label, when a decision is executed again: its quality as it was logged. */
  readonly logged?: number;
  /** USD, known: nothing is predicted then. */
  readonly costUsd?: number;
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
  /** λ in force. */
  readonly lambda: number;
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

/** What the dial comes to: a λ and a μ, or one model for every query. */
export interface Setting {
  readonly lambda: number;
  /** μ of DESIGN §3 per millisecond; 0 where latency does not matter. */
  readonly muPerMs: number;
  readonly fixed?: number;
  /**
   * Under a floor, how it stands: `held` was shown to hold on rows that were not trained on,
   * `infeasible` could not be; `measured` is the word of a router that knows only means.
   */
  readonly floor?: "held" | "infeasible" | "measured";
  /** Label that answers queries unlike all training data: a floor's own model. */
  readonly abstainTo?: number;
}

/** The latency that counts as one where a router's training data had none. */
const usualLatencyMs = 1_000;

export function toSetting(router: TrainedRouter, dial: Dial): Setting {
  const weight = dial.latencyWeight ?? 0;
  const muPerMs = weight === 0 ? 0 : weight / (router.latencyRefMs ?? usualLatencyMs);
  if (dial.floor) return toFloor(router, dial.floor, muPerMs);
  const { tradeoff } = dial;
  const nearest = router.dial[Math.round((1 - tradeoff) * (router.dial.length - 1))];
  // A fixed model was best when latency did not count.
  if (nearest?.fixed !== undefined && muPerMs === 0) {
    return { lambda: nearest.lambda, muPerMs, fixed: nearest.fixed };
  }
  return { lambda: toLambda(router, tradeoff), muPerMs };
}

/**
 * A floor: the cheapest setting that was shown to hold it; where none was, its own model. A model
 * that the artifact does not know counts as the best one it knows: a floor is never lower than meant.
 */
function toFloor(router: TrainedRouter, floor: Floor, muPerMs: number): Setting {
  const { labels, labelQuality, floors } = router;
  const { model } = floor;
  const known = labels.findIndex((name) => name === model || name === withoutPrefix(model));
  const label = known >= 0 ? known : indexOfLargest(labelQuality);
  if (!floors) return toMeasuredFloor(router, floor, { known, label, muPerMs });
  const lambda = findFloor(floors, label, floor);
  if (lambda === undefined) {
    return { lambda: 0, muPerMs: 0, fixed: label, floor: "infeasible", abstainTo: label };
  }
  if (lambda === "itself") return { lambda: 0, muPerMs: 0, fixed: label, floor: "held" };
  // What was shown is of the routing without a regard for latency.
  return { lambda, muPerMs, floor: muPerMs === 0 ? "held" : "measured", abstainTo: label };
}

/** By the measured means alone, as older artifacts and routers learnt from logs have them. */
function toMeasuredFloor(
  { dial, labelQuality }: TrainedRouter,
  { share }: Floor,
  { known, label, muPerMs }: { known: number; label: number; muPerMs: number },
): Setting {
  const quality = labelQuality[label] as number;
  const holding = dial.filter(({ meanQuality }) => meanQuality >= share * quality);
  const floor = "measured";
  if (holding.length === 0) {
    if (known >= 0) return { lambda: 0, muPerMs: 0, fixed: known, floor };
    const best = dial.reduce(
      (best, point) => (point.meanQuality > best.meanQuality ? point : best),
      dial[0] ?? { lambda: 0, meanQuality: 0, meanCostUsd: 0 },
    );
    return { ...toPlain(best), muPerMs, floor };
  }
  const cheapest = holding.reduce((least, point) =>
    point.meanCostUsd < least.meanCostUsd ? point : least,
  );
  return { ...toPlain(cheapest), muPerMs, floor };
}

function toPlain({ lambda, fixed }: DialPoint): Pick<Setting, "lambda" | "fixed"> {
  return fixed === undefined ? { lambda } : { lambda, fixed };
}

function indexOfLargest(values: Float32Array): number {
  let at = 0;
  for (let i = 1; i < values.length; i++) {
    if ((values[i] as number) > (values[at] as number)) at = i;
  }
  return at;
}

/**
 * Ranks the candidates by utility. A query unlike all training data (`abstain`) is ranked by the
 * global table, to which its predictions have shrunk: the default candidate is the model that the
 * dial picks for an unknown query; under a floor it is the floor's own model.
 */
export function decide(input: DecideInput): Decided {
  const { router, scores, dial, candidates } = input;
  const setting = input.setting ?? toSetting(router, dial);
  const missingMs = setting.muPerMs === 0 ? 0 : meanKnown(scores.latencyMs);
  const scored: Mutable<CandidateScore>[] = [];
  const order: number[] = [];
  for (let i = 0; i < candidates.length; i++) {
    const score = toScore(candidates[i] as CandidateInput, input, setting, missingMs);
    scored.push(score);
    if (!score.filtered) insert(order, scored, i);
  }
  const wanted = setting.fixed ?? (scores.abstain ? setting.abstainTo : undefined);
  const isFixed = wanted !== undefined && putFirst(order, candidates, wanted, dial.floor?.model);
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
    lambda: setting.lambda,
    reason: toReason(setting, scores.abstain, isFixed),
  };
}

function toReason(setting: Setting, abstain: boolean, isFixed: boolean): DecisionReason {
  if (setting.floor === "infeasible") return "infeasible";
  if (isFixed && setting.fixed !== undefined) return "fixed";
  if (abstain) return "abstained";
  return setting.floor ? "floor" : "utility";
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

/**
 * False where the model of that label is no candidate, or filtered: utility decides then. A floor's
 * model that the artifact does not know is found by its name: it surely holds its own floor.
 */
function putFirst(
  order: number[],
  candidates: readonly CandidateInput[],
  label: number,
  name: string | undefined,
): boolean {
  const own = candidates.findIndex((one) => one.label < 0 && one.model === name && !one.filtered);
  const wanted =
    own >= 0 ? own : candidates.findIndex((one) => one.label === label && !one.filtered);
  const at = order.indexOf(wanted);
  if (at < 0) return false;
  order.unshift(...order.splice(at, 1));
  return true;
}

function toScore(
  candidate: CandidateInput,
  input: DecideInput,
  setting: Setting,
  missingMs: number,
): Mutable<CandidateScore> {
  const { router, scores } = input;
  const { model, group, label } = candidate;
  if (candidate.filtered) return { model, group, filtered: candidate.filtered, probability: 0 };
  const known = label >= 0;
  const quality = known
    ? (scores.quality[label] as number)
    : (candidate.logged ?? placeHere(candidate, input));
  const outputTokens = known ? (scores.outputTokens[label] as number) : Number.NaN;
  const latencyMs = known ? (scores.latencyMs[label] as number) : Number.NaN;
  const costUsd = predictCost(candidate, input, outputTokens, setting);
  // Plain assignments: spreads of conditional fields cost more than all the rest of a decision.
  const score: Mutable<CandidateScore> = {
    model,
    group,
    quality,
    costUsd,
    utility: quality - setting.lambda * (costUsd / (router.costRefUsd || 1)),
    probability: 0,
  };
  if (setting.muPerMs !== 0) {
    const ms = Number.isFinite(latencyMs) ? latencyMs : missingMs;
    score.utility = (score.utility as number) - setting.muPerMs * ms;
  }
  if (known) score.uncertainty = scores.uncertainty[label] as number;
  else score.prior = true;
  if (Number.isFinite(outputTokens)) score.outputTokens = outputTokens;
  if (Number.isFinite(latencyMs)) score.latencyMs = latencyMs;
  return score;
}

/**
 * A model that is not known, on this query: as the known ones are believed to do on it, it does better
 * or worse than usual, for a hard query does not spare it.
 */
function placeHere(candidate: CandidateInput, { router, scores, candidates }: DecideInput): number {
  const usual = router.labelQuality;
  let shift = 0;
  for (let j = 0; j < usual.length; j++) {
    shift += ((scores.quality[j] as number) - (usual[j] as number)) / usual.length;
  }
  const placed = candidate.prior ?? placeUnknown(candidate, candidates, usual);
  return Math.max(0, Math.min(1, placed + shift));
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/** Output tokens where nothing is known of a model's habits. */
const usualOutputTokens = 256;

/**
 * The operator's price where there is one; else what the model cost on the training data. Under a
 * floor that was shown to hold, what is shown is of the routing by training costs: it ranks by them.
 */
function predictCost(
  { price, label, costUsd }: CandidateInput,
  { router, scores, inputTokens }: DecideInput,
  outputTokens: number,
  { floor }: Setting,
): number {
  if (costUsd !== undefined) return costUsd;
  const trained = floor === "held" && label >= 0 && Number.isFinite(scores.costUsd[label]);
  if (price && !trained) {
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
    one.label >= 0 ? one : { ...one, prior: placeUnknown(one, candidates, router.labelQuality) },
  );
}

/** Of those that are numbers: what an unknown latency is taken for, so that it tips no scale. */
function meanKnown(values: Float32Array): number {
  let sum = 0;
  let count = 0;
  for (let i = 0; i < values.length; i++) {
    const value = values[i] as number;
    if (!Number.isFinite(value)) continue;
    sum += value;
    count++;
  }
  return count === 0 ? 0 : sum / count;
}
