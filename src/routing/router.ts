/**
 * Which model answers a call: candidates, filters, the strategy in force, conversations that stick.
 * A ranking is data; picking a deployment of it (again, after a failure) is `pool.ts`.
 */
import type { CandidateScore, Decision, DecisionReason, Dial } from "../domain/decision.ts";
import { GatewayError } from "../domain/errors.ts";
import type { RawFeatures, RoutingQuery } from "../domain/features.ts";
import type { JsonObject } from "../domain/json.ts";
import type { Deployment } from "../domain/model.ts";
import type { Clock } from "../std/clock.ts";
import type { Balancer } from "./balancers/balancer.ts";
import { type Candidate, createCandidateIndex, filterCandidates, toNeeds } from "./candidates.ts";
import { type CandidateInput, type Decided, decide, toLambda, toSetting } from "./decide.ts";
import { createLearnedViews, type Option } from "./learned-view.ts";
import type { Pool } from "./pool.ts";
import { estimateInputTokens, hasAnswer, toRoutingQuery } from "./query-text.ts";
import type { Resolution } from "./resolve.ts";
import { type Session, type Sessions, switchingMargin } from "./sessions.ts";
import type { RouterSlot } from "./slot.ts";
import type { QueryScores, TrainedRouter } from "./trained-router.ts";

export interface RouterOptions {
  /** A learned strategy's name, where one is configured. */
  readonly learned?: string;
  /** Balances whole groups where no learned strategy is in force. */
  readonly staticBalancer: Balancer;
  /** Balances the deployments of a chosen candidate. */
  readonly balancer: Balancer;
  readonly dial: Dial;
  /** Label of an artifact → `litellm_params.model`. */
  readonly labelMapping: Readonly<Record<string, string>>;
  readonly latencyBuffer: number;
  /** Filters hold even where they leave no candidate. */
  readonly strictFilters: boolean;
  /** A router that answers later than this is passed over for the static strategy. */
  readonly decisionTimeoutMs: number;
}

export interface RankRequest {
  readonly resolution: Resolution;
  readonly body: JsonObject;
  readonly stream: boolean;
  readonly chat: boolean;
  /** An earlier answer decided where this goes: the deployments are those of one model. */
  readonly pinned?: boolean;
  readonly dial?: Partial<Dial>;
  /** In the strategy's place, for this call. */
  readonly balancer?: Balancer;
  /** Names the conversation; `explicit` where the caller did, so that even its first turn sticks. */
  readonly session?: { readonly key: string; readonly explicit: boolean };
}

export interface Ranking {
  readonly options: readonly Option[];
  /** The first deployment, already picked: where a balancer alone decides, the pick is the decision. */
  readonly first: Deployment;
  readonly decision: Decision;
  readonly inputTokens: number;
  readonly query?: RoutingQuery;
  readonly features?: RawFeatures;
}

export interface Router {
  rank(request: RankRequest): Ranking | Promise<Ranking>;
  /** Tells a conversation's model after its turn was answered. */
  remember(request: RankRequest, model: string, inputTokens: number): void;
}

export interface RouterParts {
  readonly options: RouterOptions;
  readonly slot: RouterSlot;
  readonly pool: Pool;
  readonly sessions: Sessions;
  readonly clock: Clock;
  /** Told when a router failed or was too slow, so that it is seen. */
  onRouterFailure(error: unknown): void;
}

export function createRouter(parts: RouterParts): Router {
  const { options, slot, pool, sessions, clock } = parts;
  const candidatesOf = createCandidateIndex();
  const viewOf = createLearnedViews(options);

  function rank(request: RankRequest): Ranking | Promise<Ranking> {
    const startUs = clock.monotonicUs();
    const { deployments } = request.resolution;
    const only = deployments.length === 1 ? deployments[0] : undefined;
    // Alone, and nothing that could speak against it.
    const free = only?.maxParallelRequests === undefined && !pool.limited;
    if (only && free && !options.strictFilters) return rankOnly(only, request, startUs);
    const inputTokens = estimateInputTokens(request.body);
    const all = candidatesOf(deployments);
    const candidates = filterCandidates(
      all,
      toNeeds(request.body, inputTokens),
      pool.isEjected,
      options.strictFilters,
    );
    assertSomeServe(candidates, request);
    const state: RankState = { request, all, candidates, inputTokens, startUs };
    if (request.pinned) return rankStatically(state, "sticky");
    const learns = options.learned && request.chat && !request.balancer;
    const lease = learns ? slot.acquire() : undefined;
    if (!lease) return rankStatically(state, learns ? "fallback" : "static");
    const query = toRoutingQuery(request.body);
    try {
      const scored = lease.router.score(query);
      if (!(scored instanceof Promise)) {
        const ranking = rankByScores(state, query, lease.router, scored);
        lease.release();
        return ranking;
      }
      return awaitScores(state, query, lease.router, scored).finally(() => lease.release());
    } catch (thrown) {
      lease.release();
      if (thrown instanceof GatewayError) throw thrown;
      parts.onRouterFailure(thrown);
      return rankStatically(state, "fallback");
    }
  }

  async function awaitScores(
    state: RankState,
    query: RoutingQuery,
    router: TrainedRouter,
    scored: Promise<QueryScores>,
  ): Promise<Ranking> {
    try {
      const scores = await within(scored, options.decisionTimeoutMs, clock);
      return rankByScores(state, query, router, scores);
    } catch (thrown) {
      if (thrown instanceof GatewayError) throw thrown;
      parts.onRouterFailure(thrown);
      return rankStatically(state, "fallback");
    }
  }

  /** One deployment: nothing to decide, and the hot path of a plain proxy. */
  function rankOnly(only: Deployment, request: RankRequest, startUs: number): Ranking {
    const learned = options.learned !== undefined && request.chat;
    const artifact = learned ? artifactOf(slot) : "none";
    return {
      options: [
        { group: request.resolution.group, deployments: [only], balancer: options.balancer },
      ],
      first: only,
      inputTokens: estimateInputTokens(request.body),
      decision: {
        strategy:
          learned && artifact !== "none" ? (options.learned ?? "") : options.staticBalancer.name,
        artifact,
        reason: request.pinned ? "sticky" : "single_candidate",
        candidates: [{ model: only.candidate, group: only.group, probability: 1 }],
        chosen: only.candidate,
        decisionUs: clock.monotonicUs() - startUs,
      },
    };
  }

  function rankStatically(state: RankState, why: DecisionReason): Ranking {
    const { request, candidates, inputTokens, startUs } = state;
    const able = candidates.filter(({ filtered }) => !filtered);
    const balancer = request.balancer ?? options.staticBalancer;
    const group = request.resolution.group;
    const sticky = request.resolution.kind === "auto" ? stickyCandidate(request, able) : undefined;
    const deployments = able.flatMap((candidate) => candidate.deployments);
    const option: Option = { group, deployments, balancer };
    const kept = sticky && pick({ group, deployments: sticky.deployments, balancer }, state);
    const first = kept ?? pick(option, state);
    if (!first) throw noDeployment(group, pool.retryAfterS(deployments));
    const shares = kept ? undefined : balancer.probabilities?.(deployments);
    const scores = able.map(({ model, group }): CandidateScore => {
      const share = deployments.reduce(
        (sum, { candidate }, i) => (candidate === model ? sum + (shares?.[i] ?? 0) : sum),
        0,
      );
      return { model, group, probability: shares ? share : model === first.candidate ? 1 : 0 };
    });
    return {
      options: [option],
      first,
      inputTokens,
      decision: {
        strategy: balancer.name,
        artifact: "none",
        reason: kept ? "sticky" : able.length === 1 && !request.pinned ? "single_candidate" : why,
        candidates: [...chosenFirst(scores, first.candidate), ...filteredScores(candidates)],
        chosen: first.candidate,
        decisionUs: clock.monotonicUs() - startUs,
      },
    };
  }

  function rankByScores(
    state: RankState,
    query: RoutingQuery,
    router: TrainedRouter,
    scores: QueryScores,
  ): Ranking {
    const { request, all, candidates, inputTokens, startUs } = state;
    const view = viewOf(router, all);
    const dial = request.dial ? { ...options.dial, ...request.dial } : options.dial;
    const decided = decide({
      router,
      scores,
      inputTokens,
      dial,
      candidates: candidates === all ? view.inputs : withFilters(view.inputs, candidates),
      setting: request.dial ? toSetting(router, dial) : view.setting,
    });
    const kept = stick(state, decided, router, dial);
    const list: Option[] = [];
    if (kept >= 0) list.push(view.options[kept] as Option);
    for (const i of decided.order) if (i !== kept) list.push(view.options[i] as Option);
    const first = firstOf(list, state);
    if (!first) {
      const deployments = list.flatMap((option) => option.deployments);
      throw noDeployment(request.resolution.group, pool.retryAfterS(deployments));
    }
    const decision: Mutable<Decision> = {
      strategy: router.strategy,
      artifact: view.artifact,
      reason: kept >= 0 ? "sticky" : decided.reason,
      candidates: kept >= 0 ? keepFirst(decided.candidates, all[kept]?.model) : decided.candidates,
      chosen: first.candidate,
      dial,
      novelty: scores.novelty,
      decisionUs: 0,
    };
    if (scores.neighbours) decision.neighbours = scores.neighbours;
    decision.decisionUs = clock.monotonicUs() - startUs;
    return { options: list, first, inputTokens, query, features: scores.features, decision };
  }

  /**
   * Keeps a conversation's model unless the gain beats the prompt cache that a change would lose.
   * Gives its place among the candidates, or −1 where the decision stands.
   */
  function stick(state: RankState, decided: Decided, router: TrainedRouter, dial: Dial): number {
    const session = sessionOf(state.request);
    if (!session || session.model === decided.chosen) return -1;
    const at = state.all.findIndex(({ model }) => model === session.model);
    if (!decided.order.includes(at)) return -1;
    const [best] = decided.candidates;
    const kept = decided.candidates.find(({ model }) => model === session.model);
    const gain = (best?.utility ?? 0) - (kept?.utility ?? 0);
    const lost = lostCacheUsd(state.all[at], session);
    const priced = toLambda(router, dial.tradeoff) * (lost / (router.costRefUsd || 1));
    return gain > switchingMargin + priced ? -1 : at;
  }

  function sessionOf(request: RankRequest): Session | undefined {
    const { session } = request;
    if (!session || (!session.explicit && !hasAnswer(request.body))) return undefined;
    return sessions.find(session.key);
  }

  function stickyCandidate(request: RankRequest, able: readonly Candidate[]) {
    const session = sessionOf(request);
    return session && able.find(({ model }) => model === session.model);
  }

  function pick(option: Option, { request, inputTokens }: RankState): Deployment | undefined {
    return pool.pick(option.deployments, {
      balancer: option.balancer,
      stream: request.stream,
      inputTokens,
      latencyBuffer: options.latencyBuffer,
    });
  }

  function firstOf(list: readonly Option[], state: RankState): Deployment | undefined {
    for (const option of list) {
      const picked = pick(option, state);
      if (picked) return picked;
    }
    return undefined;
  }

  return {
    rank,
    remember({ session, resolution }, model, inputTokens) {
      if (session && resolution.deployments.length > 1) {
        sessions.remember(session.key, { model, inputTokens });
      }
    },
  };
}

interface RankState {
  readonly request: RankRequest;
  /** As configured, and as judged for this call: the same list where none is filtered. */
  readonly all: readonly Candidate[];
  readonly candidates: readonly Candidate[];
  readonly inputTokens: number;
  readonly startUs: number;
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

function withFilters(
  inputs: readonly CandidateInput[],
  candidates: readonly Candidate[],
): readonly CandidateInput[] {
  return inputs.map((input, i) => {
    const filtered = candidates[i]?.filtered;
    return filtered ? { ...input, filtered } : input;
  });
}

/** A conversation's model in front, chosen for certain. */
function keepFirst(
  scores: readonly CandidateScore[],
  model: string | undefined,
): readonly CandidateScore[] {
  const sure = scores.map((each) =>
    each.filtered ? each : { ...each, probability: each.model === model ? 1 : 0 },
  );
  return model === undefined ? sure : chosenFirst(sure, model);
}

function chosenFirst(scores: readonly CandidateScore[], chosen: string): CandidateScore[] {
  const first = scores.filter(({ model }) => model === chosen);
  return [...first, ...scores.filter(({ model }) => model !== chosen)];
}

function filteredScores(candidates: readonly Candidate[]): CandidateScore[] {
  return candidates.flatMap(({ model, group, filtered }) =>
    filtered ? [{ model, group, filtered, probability: 0 }] : [],
  );
}

/** What reading the conversation anew costs more than from the provider's cache. */
function lostCacheUsd(candidate: Candidate | undefined, session: Session): number {
  const price = candidate?.deployments[0]?.facts.price;
  if (price?.cacheReadUsdPerToken === undefined) return 0;
  return session.inputTokens * Math.max(0, price.inputUsdPerToken - price.cacheReadUsdPerToken);
}

function artifactOf(slot: RouterSlot): string {
  const { status, name, version } = slot.status();
  return status === "active" && name ? `${name}@${version ?? 0}` : "none";
}

function assertSomeServe(candidates: readonly Candidate[], { resolution }: RankRequest): void {
  if (candidates.some(({ filtered }) => !filtered)) return;
  const reasons = new Set(candidates.map(({ filtered }) => filtered));
  const named = `No model of "${resolution.group}" can serve this request`;
  if (reasons.has("context_window")) {
    throw new GatewayError(
      "context_length_exceeded",
      `${named}: it is longer than their context windows. Shorten it, or add a model with a larger window.`,
      { param: "messages" },
    );
  }
  throw new GatewayError(
    "unsupported_capability",
    `${named} (${[...reasons].join(", ")}). Ask for another model, or leave out what it lacks.`,
  );
}

export function noDeployment(group: string, retryAfterS: number): GatewayError {
  return new GatewayError(
    "no_deployment",
    `No deployments available for selected model, Try again in ${retryAfterS} seconds. Passed model=${group}.`,
    { retryAfterS },
  );
}

export type { Option };

function within<T>(promise: Promise<T>, limitMs: number, clock: Clock): Promise<T> {
  return new Promise((resolve, reject) => {
    const cancel = clock.after(limitMs, () => {
      reject(new Error(`the trained router did not answer within ${limitMs} ms`));
    });
    promise.then(resolve, reject).finally(cancel);
  });
}
