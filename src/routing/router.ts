/**
 * Which model answers a call: candidates, filters, the strategy in force, conversations that stick.
 * A ranking is data; picking a deployment of it (again, after a failure) is `pool.ts`.
 */
import type { Decision, Stay } from "../domain/decision.ts";
import { GatewayError } from "../domain/errors.ts";
import type { RoutingQuery } from "../domain/features.ts";
import type { Deployment } from "../domain/model.ts";
import { hashUser } from "../security/hashing.ts";
import type { Clock } from "../std/clock.ts";
import type { Subject } from "./assignment.ts";
import {
  assertSomeServe,
  type Candidate,
  createCandidateIndex,
  filterCandidates,
  toNeeds,
} from "./candidates.ts";
import { type CandidateInput, type Decided, decide, toSetting } from "./decide.ts";
import { decideCostAware } from "./decide-cost-aware.ts";
import type { Explorer } from "./explore.ts";
import { createLearnedViews, type Option } from "./learned-view.ts";
import { correct, type OnlineScores, toInputs } from "./online.ts";
import type { Pool } from "./pool.ts";
import { createPriorRouters } from "./prior/priors.ts";
import { estimateInputTokens, hasAnswer, toRoutingQuery } from "./query-text.ts";
import type { CallEnd, Ranking, RankRequest, RankState, RouterOptions } from "./ranking.ts";
import { noDeployment } from "./ranking.ts";
import {
  type Session,
  type Sessions,
  staysWith,
  type Turn,
  toSession,
  toStay,
} from "./sessions.ts";
import type { Lease, RouterSlot } from "./slot.ts";
import type { Choice, Split } from "./split.ts";
import { createStaticRanking } from "./static-ranking.ts";
import { keepFirst, mayExplore, tellDiverted, tellDraw, toLesson } from "./tell-choice.ts";
import type { QueryScores, TrainedRouter } from "./trained-router.ts";
import { userOf } from "./user.ts";

export interface Router {
  /** Calls are shared between arms now, so a request has to say who asks. */
  readonly splits: boolean;
  rank(request: RankRequest): Ranking | Promise<Ranking>;
  /** Tells a conversation's model after its turn was answered. */
  remember(request: RankRequest, model: string, turn: Turn): void;
  /** Tells how a call ended whose ranking had an aftermath. */
  ended(callId: string, ranking: Ranking, end: CallEnd): void;
}

export interface RouterParts {
  readonly options: RouterOptions;
  readonly slot: RouterSlot;
  readonly pool: Pool;
  readonly sessions: Sessions;
  readonly clock: Clock;
  /** Where exploration is on. */
  readonly explorer?: Explorer | undefined;
  /** Where calls may be shared between several routers or settings. */
  readonly split?: Split | undefined;
  /** Where scores are corrected by what is learnt while serving. */
  readonly online?: OnlineScores | undefined;
  /** Told when a router failed or was too slow, so that it is seen. */
  onRouterFailure(error: unknown, router: TrainedRouter, unit: number | undefined): void;
}

export function createRouter(parts: RouterParts): Router {
  const { options, slot, pool, sessions, clock, explorer, online, split } = parts;
  const candidatesOf = createCandidateIndex();
  const viewOf = createLearnedViews(options);
  const statics = createStaticRanking({ options, slot, pool, clock, sessionOf });
  const { rankOnly, rankStatically } = statics;
  const priorOf = createPriorRouters();

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
    assertSomeServe(candidates, request.resolution.group);
    const choice = request.subject && chooseArm(request, request.subject);
    const state: RankState = { request, all, candidates, inputTokens, startUs, choice };
    if (request.pinned) return rankStatically(state, "sticky");
    const learns =
      (options.learned || choice?.settings?.slot) &&
      request.chat &&
      !request.balancer &&
      !choice?.settings?.balancer;
    const lease = learns ? acquire(choice) : undefined;
    const router = lease?.router ?? findPrior(state, learns === true);
    if (!router) return rankStatically(state, learns ? "fallback" : "static");
    const query = toRoutingQuery(request.body);
    try {
      const scored = router.personal
        ? router.score(query, userOfCall(request))
        : router.score(query);
      if (!(scored instanceof Promise)) {
        const ranking = rankByScores(state, query, router, scored);
        lease?.release();
        return ranking;
      }
      return awaitScores(state, query, router, scored).finally(() => lease?.release());
    } catch (thrown) {
      lease?.release();
      if (thrown instanceof GatewayError) throw thrown;
      parts.onRouterFailure(thrown, router, choice?.arm.unit);
      return rankStatically(state, "fallback");
    }
  }

  function chooseArm(request: RankRequest, subject: Subject): Choice | undefined {
    if (request.balancer || request.pinned) return undefined;
    return split?.choose(subject, options.learned !== undefined && request.chat);
  }

  function acquire(choice: Choice | undefined): Lease | undefined {
    return choice?.canary ? slot.acquireCanary() : (choice?.settings?.slot ?? slot).acquire();
  }

  /** The catalog's word, where it is asked for and there are models to choose between. */
  function findPrior(
    { request, all, choice }: RankState,
    learns: boolean,
  ): TrainedRouter | undefined {
    if (!request.chat || request.balancer || choice?.settings?.balancer) return undefined;
    if (all.length < 2 || options.prior === "never") return undefined;
    if (options.prior === "automatic" && request.resolution.kind !== "auto") return undefined;
    return options.prior === "automatic" || learns ? priorOf(all) : undefined;
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
      parts.onRouterFailure(thrown, router, state.choice?.arm.unit);
      return rankStatically(state, "fallback");
    }
  }

  function rankByScores(
    state: RankState,
    query: RoutingQuery,
    router: TrainedRouter,
    scores: QueryScores,
  ): Ranking {
    const { request, all, candidates, inputTokens, startUs, choice } = state;
    const view = viewOf(router, all);
    const usual = choice?.settings?.dial ?? options.dial;
    const dial = request.dial ? { ...usual, ...request.dial } : usual;
    const inputs = candidates === all ? view.inputs : withFilters(view.inputs, candidates);
    const setting = dial === options.dial ? view.setting : toSetting(router, dial);
    const learnt = online && scores.x && !router.constant ? online.stateFor(router) : undefined;
    const features = learnt && scores.x ? toInputs(scores.x) : undefined;
    const corrected = learnt && features ? correct(scores, features, learnt) : scores;
    const ranked = decide({
      router,
      scores: corrected,
      inputTokens,
      dial,
      candidates: inputs,
      setting,
    });
    const { costAware } = options;
    const decided =
      costAware && dial === options.dial ? decideCostAware(ranked, inputs, costAware) : ranked;
    const stay = toStayOf(state);
    const kept = stay ? stick(state, decided, router, stay) : -1;
    // A conversation under way is no place to try things out, and a floor is a promise.
    const drawn =
      explorer && !stay && mayExplore(decided, router)
        ? explorer.draw(decided.candidates)
        : undefined;
    const front = kept >= 0 ? kept : drawn ? (decided.order[drawn.chosen] as number) : -1;
    const list: Option[] = [];
    if (front >= 0) list.push(view.options[front] as Option);
    for (const i of decided.order) if (i !== front) list.push(view.options[i] as Option);
    const first = firstOf(list, state);
    if (!first) {
      const deployments = list.flatMap((option) => option.deployments);
      throw noDeployment(request.resolution.group, pool.retryAfterS(deployments));
    }
    const decision: Mutable<Decision> = {
      strategy: router.strategy,
      artifact: view.artifact,
      reason: kept >= 0 ? "sticky" : router.prior ? "prior" : decided.reason,
      candidates: kept >= 0 ? keepFirst(decided.candidates, all[kept]?.model) : decided.candidates,
      chosen: first.candidate,
      dial,
      decisionUs: 0,
    };
    if (!router.prior) decision.novelty = scores.novelty;
    if (choice) decision.arm = choice.arm;
    if (scores.neighbours) decision.neighbours = scores.neighbours;
    if (stay) decision.stay = stay;
    if (drawn) tellDraw(decision, drawn);
    const diverted = first.candidate !== decision.candidates[0]?.model;
    if (diverted) tellDiverted(decision, first.candidate);
    decision.decisionUs = clock.monotonicUs() - startUs;
    const ranking: Mutable<Ranking> = {
      options: list,
      first,
      inputTokens,
      query,
      decision,
    };
    if (scores.features) ranking.features = scores.features;
    if (learnt) decision.online = learnt.id;
    if (drawn && diverted) explorer?.settle(drawn, drawn.greedyUsd);
    if (!diverted && (drawn || features)) {
      const chosen = first.candidate;
      const lesson = features && toLesson(router, { scores, inputs: features, view, chosen });
      ranking.aftermath = { drawn, lesson };
    }
    return ranking;
  }

  function toStayOf(state: RankState): Stay | undefined {
    const session = sessionOf(state.request);
    if (!session) return undefined;
    const candidate = state.all.find(({ model }) => model === session.model);
    return candidate && toStay(session, candidate.deployments[0]?.facts.price, clock.now());
  }

  /**
   * Keeps a conversation's model unless the gain beats the prompt cache that a change would lose.
   * Gives its place among the candidates, or −1 where the decision stands.
   */
  function stick(state: RankState, decided: Decided, router: TrainedRouter, stay: Stay): number {
    if (stay.model === decided.chosen || decided.reason === "infeasible") return -1;
    const { lambda } = decided;
    const { costRefUsd } = router;
    if (!staysWith(stay, decided.candidates, { lambda, costRefUsd })) return -1;
    return state.all.findIndex(({ model }) => model === stay.model);
  }

  function sessionOf(request: RankRequest): Session | undefined {
    const { session } = request;
    if (!session || (!session.explicit && !hasAnswer(request.body))) return undefined;
    return sessions.find(session.key);
  }

  function firstOf(list: readonly Option[], state: RankState): Deployment | undefined {
    for (const option of list) {
      const picked = statics.pick(option, state);
      if (picked) return picked;
    }
    return undefined;
  }

  return {
    get splits() {
      return split?.on === true;
    },
    rank,
    remember({ session, resolution }, model, turn) {
      if (!session || resolution.deployments.length < 2) return;
      const before = sessions.find(session.key);
      sessions.remember(session.key, toSession(before, model, turn, clock.now()));
    },
    ended(callId, { aftermath, decision }, { model, ok, costUsd }) {
      const { drawn, lesson } = aftermath ?? {};
      if (drawn) explorer?.settle(drawn, costUsd);
      // What another model answered in its place says nothing of it.
      if (lesson && ok !== undefined && model === decision.chosen) {
        online?.ended(callId, lesson, ok);
      }
    },
  };
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

function userOfCall({ caller, user }: RankRequest): string | undefined {
  const { id = "", tenant = "" } = caller ?? {};
  const userHash = user === undefined ? undefined : hashUser(tenant, user);
  return userOf({ tenant, caller: id, userHash });
}

function withFilters(
  inputs: readonly CandidateInput[],
  candidates: readonly Candidate[],
): readonly CandidateInput[] {
  return inputs.map((input, i) => {
    const filtered = candidates[i]?.filtered;
    return filtered ? { ...input, filtered } : input;
  });
}

function within<T>(promise: Promise<T>, limitMs: number, clock: Clock): Promise<T> {
  return new Promise((resolve, reject) => {
    const cancel = clock.after(limitMs, () => {
      reject(new Error(`the trained router did not answer within ${limitMs} ms`));
    });
    promise.then(resolve, reject).finally(cancel);
  });
}
