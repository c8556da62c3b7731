/**
 * A decision executed again: the event's logged features through the artifact that decided, then the
 * dial, the conversation and the draw, as they were logged.
 */
import { type CandidateScore, type Decision, explorationModes } from "../domain/decision.ts";
import { GatewayError } from "../domain/errors.ts";
import type { CallEvent } from "../domain/event.ts";
import { withoutPrefix } from "../domain/model.ts";
import { type CandidateInput, type Decided, decide } from "../routing/decide.ts";
import { armAt, findArms, toProbabilities } from "../routing/explore.ts";
import { correct, fits, type OnlineState, toInputs } from "../routing/online.ts";
import { staysWith } from "../routing/sessions.ts";
import type { QueryScores, TrainedRouter } from "../routing/trained-router.ts";
import { userOf } from "../routing/user.ts";

export interface Replay {
  /** Candidates whose scores were compared; those that the artifact does not know are not. */
  readonly compared: number;
  /** The largest relative difference of any figure: scores, novelty, utilities, probabilities. */
  readonly largestDifference: number;
  /** The same choice from the same figures: to the tolerance, and `exact`, to the last bit. */
  readonly same: boolean;
  readonly exact: boolean;
  /**
   * What was chosen again. Missing where the record cannot say: no deployment of the first could be
   * had at that moment, or options of the configuration decided.
   */
  readonly chosen?: string;
}

/** Two processor families may round differently in the last bits; more is another artifact. */
export const replayTolerance = 1e-6;

export interface ReplayParts {
  readonly router: TrainedRouter;
  /** Finds a state of online learning that served; undefined where it is no longer kept. */
  readonly findState: (id: number, artifact: string) => Promise<OnlineState | undefined>;
}

/** @throws GatewayError where the event has not what it takes, or the router is another one */
export async function replay(
  event: CallEvent,
  { router, findState }: ReplayParts,
): Promise<Replay> {
  const { features, receipt } = event;
  const { decision } = receipt;
  if (!decision?.candidates.some((one) => one.quality !== undefined) || !features) {
    throw new GatewayError("invalid_request", "No learned router scored this call.");
  }
  if (router.strategy !== decision.strategy) {
    throw new GatewayError(
      "invalid_request",
      `The call was decided by ${decision.strategy}; the artifact at hand is a ${router.strategy}.`,
    );
  }
  const scores = await router.scoreFeatures(features, userOf({ ...event, caller: receipt.caller }));
  const corrected = await correctAgain(decision, router, scores, findState);
  const { compared, differences } = compareScores(decision, router, corrected);
  differences.push(differ(decision.novelty, scores.novelty));
  const again = decideAgain(decision, router, corrected);
  if (again) differences.push(...compareDecisions(decision, again));
  const largestDifference = Math.max(...differences);
  const sameChoice = !again || again.chosen === decision.chosen;
  return {
    compared,
    largestDifference,
    same: largestDifference <= replayTolerance && sameChoice,
    exact: largestDifference === 0 && sameChoice,
    ...(again ? { chosen: again.chosen } : {}),
  };
}

async function correctAgain(
  { online }: Decision,
  router: TrainedRouter,
  scores: QueryScores,
  findState: ReplayParts["findState"],
): Promise<QueryScores> {
  if (online === undefined || !scores.x) return scores;
  const state = await findState(online, router.identity.sha256);
  if (state && fits(state, router)) return correct(scores, toInputs(scores.x), state);
  throw new GatewayError(
    "not_found",
    `State ${online} of online learning, which corrected the scores of this call, is not kept any more. The last 200 of a router are, in the data folder.`,
  );
}

function labelOf(router: TrainedRouter, model: string): number {
  return router.labels.findIndex((name) => name === model || name === withoutPrefix(model));
}

function compareScores(decision: Decision, router: TrainedRouter, scores: QueryScores) {
  const differences: number[] = [];
  let compared = 0;
  for (const one of decision.candidates) {
    const label = labelOf(router, one.model);
    if (label < 0 || one.quality === undefined) continue;
    compared++;
    differences.push(
      differ(one.quality, scores.quality[label]),
      differ(one.uncertainty, scores.uncertainty[label]),
      differ(one.outputTokens, scores.outputTokens[label]),
      differ(one.latencyMs, scores.latencyMs[label]),
    );
  }
  return { compared, differences };
}

interface Again {
  readonly chosen: string;
  readonly candidates: readonly CandidateScore[];
}

/**
 * From scores to the choice. Costs are the logged ones: prices are the configuration's, and may have
 * changed since. Undefined where something decided that is in no record.
 */
function decideAgain(
  decision: Decision,
  router: TrainedRouter,
  scores: QueryScores,
): Again | undefined {
  const { dial, reason, stay, exploration, candidates } = decision;
  if (!dial || reason === "fallback" || reason === "cost_aware") return undefined;
  const inputs = candidates.map((one) => toInput(one, labelOf(router, one.model)));
  const decided = decide({ router, scores, candidates: inputs, inputTokens: 0, dial });
  const logged = new Map(candidates.map((one) => [one.model, one]));
  const ranked = decided.candidates.map((one) => asLogged(one, logged.get(one.model)));
  if (stay && keeps(decision, { ...decided, candidates: ranked }, router)) {
    return { chosen: stay.model, candidates: sure(ranked, stay.model) };
  }
  if (!exploration) return { chosen: decided.chosen, candidates: ranked };
  return drawAgain(decision, ranked);
}

function toInput(one: CandidateScore, label: number): CandidateInput {
  const { model, group, filtered, quality, costUsd } = one;
  return {
    model,
    group,
    label,
    ...(filtered ? { filtered } : {}),
    ...(costUsd === undefined ? {} : { costUsd }),
    ...(label < 0 && quality !== undefined ? { logged: quality } : {}),
  };
}

/** A model that goes by another name in the artifact (`label_mapping`): its scores as logged. */
function asLogged(one: CandidateScore, logged: CandidateScore | undefined): CandidateScore {
  if (!one.prior || !logged || logged.prior) return one;
  const { prior: _, ...rest } = one;
  return {
    ...rest,
    ...(logged.uncertainty === undefined ? {} : { uncertainty: logged.uncertainty }),
  };
}

function keeps({ stay }: Decision, decided: Decided, { costRefUsd }: TrainedRouter): boolean {
  if (!stay || stay.model === decided.chosen || decided.reason === "infeasible") return false;
  return staysWith(stay, decided.candidates, { lambda: decided.lambda, costRefUsd });
}

const sure = (ranked: readonly CandidateScore[], model: string): CandidateScore[] =>
  ranked.map((one) => ({ ...one, probability: one.model === model && !one.filtered ? 1 : 0 }));

/** The arms are those that were drawn among: what could not be paid for at that moment was none. */
function drawAgain(
  { exploration, candidates }: Decision,
  ranked: readonly CandidateScore[],
): Again | undefined {
  if (!exploration || !explorationModes.includes(exploration.mode)) return undefined;
  const drawn = new Set(candidates.filter((one) => one.probability > 0).map(({ model }) => model));
  const arms = findArms(ranked, exploration).filter((at) => drawn.has(ranked[at]?.model ?? ""));
  const probabilities = toProbabilities(ranked, arms, exploration);
  const chosen = ranked[arms[armAt(probabilities, exploration.draw)] ?? 0]?.model ?? "";
  const shares = new Map(arms.map((at, i) => [ranked[at]?.model, probabilities[i] as number]));
  return {
    chosen,
    candidates: ranked.map((one) => ({ ...one, probability: shares.get(one.model) ?? 0 })),
  };
}

function compareDecisions(decision: Decision, again: Again): number[] {
  const now = new Map(again.candidates.map((one) => [one.model, one]));
  return decision.candidates.flatMap((one) => {
    const other = now.get(one.model);
    return [differ(one.utility, other?.utility), differ(one.probability, other?.probability)];
  });
}

/** What is unknown was not logged, so it differs by nothing. */
function differ(logged: number | undefined, now: number | undefined): number {
  if (logged === undefined || now === undefined || Number.isNaN(now)) return 0;
  return Math.abs(logged - now) / Math.max(1, Math.abs(logged));
}
