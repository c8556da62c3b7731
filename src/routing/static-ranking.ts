/** Rankings without a trained router: a name's only deployment, or what a balancer picks of them all. */
import type { CandidateScore, DecisionReason } from "../domain/decision.ts";
import type { Deployment } from "../domain/model.ts";
import type { Clock } from "../std/clock.ts";
import type { Candidate } from "./candidates.ts";
import type { Option } from "./learned-view.ts";
import type { Pool } from "./pool.ts";
import { estimateInputTokens } from "./query-text.ts";
import {
  noDeployment,
  type Ranking,
  type RankRequest,
  type RankState,
  type RouterOptions,
} from "./ranking.ts";
import type { Session } from "./sessions.ts";
import type { RouterSlot } from "./slot.ts";

export interface StaticRankingParts {
  readonly options: RouterOptions;
  readonly slot: RouterSlot;
  readonly pool: Pool;
  readonly clock: Clock;
  readonly sessionOf: (request: RankRequest) => Session | undefined;
}

export function createStaticRanking({ options, slot, pool, clock, sessionOf }: StaticRankingParts) {
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
    const { request, candidates, inputTokens, startUs, choice } = state;
    const able = candidates.filter(({ filtered }) => !filtered);
    const balancer = request.balancer ?? choice?.settings?.balancer ?? options.staticBalancer;
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
        ...(choice && { arm: choice.arm }),
        decisionUs: clock.monotonicUs() - startUs,
      },
    };
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

  return { rankOnly, rankStatically, pick };
}

/** The same, the chosen one in front. */
export function chosenFirst(scores: readonly CandidateScore[], chosen: string): CandidateScore[] {
  const first = scores.filter(({ model }) => model === chosen);
  return [...first, ...scores.filter(({ model }) => model !== chosen)];
}

function filteredScores(candidates: readonly Candidate[]): CandidateScore[] {
  return candidates.flatMap(({ model, group, filtered }) =>
    filtered ? [{ model, group, filtered, probability: 0 }] : [],
  );
}

function artifactOf(slot: RouterSlot): string {
  const { status, name, version } = slot.status();
  return status === "active" && name ? `${name}@${version ?? 0}` : "none";
}
