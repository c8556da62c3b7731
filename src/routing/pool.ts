/**
 * The deployments' live state, and the pick of one: health first, then limits, `order`, slow start,
 * and last the balancer. Survives a reload of the configuration; keyed by deployment id.
 */
import type { GatewayError } from "../domain/errors.ts";
import type { Deployment } from "../domain/model.ts";
import type { Clock } from "../std/clock.ts";
import type { Random } from "../std/random.ts";
import {
  type AdaptiveLimit,
  type AdaptiveLimitRules,
  createAdaptiveLimit,
} from "./adaptive-limit.ts";
import type { Balancer, DeploymentStats } from "./balancers/balancer.ts";
import {
  availability,
  createHealth,
  ejectionMs,
  type Health,
  type HealthRules,
  shouldEject,
  slowStartShare,
  tells,
} from "./health.ts";

export interface PickRequest {
  readonly balancer: Balancer;
  readonly stream: boolean;
  readonly inputTokens: number;
  readonly latencyBuffer: number;
  /** Ids that this call has failed on, or may not use for another reason. */
  readonly excluded?: ReadonlySet<string>;
}

/** One attempt on a deployment. Exactly one of the last three ends it; later ones do nothing. */
export interface Ticket {
  /** The first token came. Nothing happens where no limit is learnt from it. */
  began(firstTokenSeconds: number, inputTokens: number): void;
  succeeded(facts: {
    seconds: number;
    firstTokenSeconds?: number | undefined;
    outputTokens?: number;
    tokens?: number;
  }): void;
  failed(error: GatewayError, rules: HealthRules, siblings: readonly Deployment[]): void;
  /** Ended through no doing of the deployment: the caller left, or its request was wrong. */
  released(): void;
}

export interface PoolEvents {
  onEject?(deployment: Deployment, error: GatewayError, forMs: number): void;
  onRecover?(deployment: Deployment): void;
}

/** Told of room on a deployment: so many more calls may run there, Infinity where it has no limit. */
export type OnFree = (id: string, slots: number) => void;

export interface Pool {
  readonly stats: DeploymentStats;
  /** Undefined where no deployment can take the call. Does not count it: `open` does. */
  pick(deployments: readonly Deployment[], request: PickRequest): Deployment | undefined;
  /** Out of rotation at this moment. */
  isEjected(id: string): boolean;
  /** At its limit of calls at once, configured or learnt. */
  isFull(deployment: Deployment): boolean;
  /** Limits of calls at once are learnt. */
  readonly limited: boolean;
  /** Calls that may run on a deployment at once; undefined where nothing limits them. */
  limitOf(deployment: Deployment): number | undefined;
  /** Learns limits by these rules from now on; undefined: learns none. */
  limitBy(rules: AdaptiveLimitRules | undefined): void;
  /** Who waits for room, if anybody does. */
  tellOfRoom(listener: OnFree | undefined): void;
  /** Seconds until the first of these comes back; 1 at least. */
  retryAfterS(deployments: readonly Deployment[]): number;
  open(deployment: Deployment): Ticket;
  /** Forgets deployments that are not in the set, and lifts ejections (a reload may have mended them). */
  keep(deployments: readonly Deployment[]): void;
}

/** The last ten samples; older ones are forgotten after an hour. */
const sampleLimit = 10;
const sampleTtlMs = 3_600_000;
/** LiteLLM counts a timeout as a thousand seconds, so that a hanging deployment is last. */
const timeoutSeconds = 1000;

interface State extends Health {
  inFlight: number;
  limit: AdaptiveLimit | undefined;
  readonly latency: Samples;
  readonly firstToken: Samples;
}

interface Samples {
  readonly values: Float64Array;
  count: number;
  lastMs: number;
}

export function createPool(clock: Clock, random: Random, events: PoolEvents = {}): Pool {
  const states = new Map<string, State>();
  let rules: AdaptiveLimitRules | undefined;
  let onFree: OnFree | undefined;

  const newLimit = () => rules && createAdaptiveLimit(rules, clock);

  function stateOf(id: string): State {
    let state = states.get(id);
    if (state) return state;
    state = {
      ...createHealth(),
      inFlight: 0,
      limit: newLimit(),
      latency: samples(),
      firstToken: samples(),
    };
    states.set(id, state);
    return state;
  }

  function inMinute(id: string): State {
    const state = stateOf(id);
    const minute = Math.floor(clock.now() / 60_000);
    if (state.minute === minute) return state;
    state.minute = minute;
    state.minuteRequests = 0;
    state.minuteFailures = 0;
    state.minuteTokens = 0;
    return state;
  }

  const stats: DeploymentStats = {
    inFlight: (id) => states.get(id)?.inFlight ?? 0,
    latency: (id) => mean(states.get(id)?.latency, clock.now()),
    firstTokenLatency: (id) => mean(states.get(id)?.firstToken, clock.now()),
    tokensThisMinute: (id) => inMinute(id).minuteTokens,
    requestsThisMinute: (id) => inMinute(id).minuteRequests,
  };

  function mayTake(deployment: Deployment, request: PickRequest, nowMs: number): boolean {
    if (request.excluded?.has(deployment.id)) return false;
    const state = stateOf(deployment.id);
    if (availability(state, nowMs) === "ejected") return false;
    if (isFull(deployment, state)) return false;
    return !request.balancer.limits || withinLimits(deployment, request.inputTokens);
  }

  function isFull({ maxParallelRequests }: Deployment, { inFlight, limit }: State): boolean {
    if (maxParallelRequests !== undefined && inFlight >= maxParallelRequests) return true;
    return limit !== undefined && inFlight >= limit.limit;
  }

  function capacityOf({ id, maxParallelRequests }: Deployment): number {
    const learnt = states.get(id)?.limit?.limit ?? Number.POSITIVE_INFINITY;
    return Math.min(learnt, maxParallelRequests ?? Number.POSITIVE_INFINITY);
  }

  function tellFree(deployment: Deployment, { inFlight }: State): void {
    onFree?.(deployment.id, capacityOf(deployment) - inFlight);
  }

  function withinLimits({ id, rpm, tpm }: Deployment, inputTokens: number): boolean {
    if (rpm === undefined && tpm === undefined) return true;
    const state = inMinute(id);
    if (rpm !== undefined && state.minuteRequests >= rpm) return false;
    return tpm === undefined || state.minuteTokens + inputTokens <= tpm;
  }

  /** Lets a deployment that has just come back have only its share, while others are there. */
  function afterSlowStart(deployments: readonly Deployment[], nowMs: number) {
    if (deployments.length < 2) return deployments;
    const kept = deployments.filter((deployment) => {
      const share = slowStartShare(stateOf(deployment.id), nowMs);
      return share >= 1 || random.next() < share;
    });
    return kept.length > 0 ? kept : deployments;
  }

  /** Ejects unless it is the last of its siblings in rotation. */
  function eject(
    deployment: Deployment,
    error: GatewayError,
    rules: HealthRules,
    siblings: readonly Deployment[],
  ): void {
    const state = stateOf(deployment.id);
    const forMs = ejectionMs(state, deployment, error, rules);
    if (forMs <= 0) return;
    const nowMs = clock.now();
    const others = siblings.some(
      ({ id }) => id !== deployment.id && availability(stateOf(id), nowMs) !== "ejected",
    );
    if (!others) {
      state.ejected = false;
      return;
    }
    state.ejected = true;
    state.ejectedUntilMs = nowMs + forMs;
    events.onEject?.(deployment, error, forMs);
  }

  function countFailure(state: State, rules: HealthRules): void {
    const nowMs = clock.now();
    state.consecutiveFailures++;
    state.minuteFailures++;
    if (nowMs - state.windowStartMs > rules.cooldownTimeS * 1000) {
      state.windowStartMs = nowMs;
      state.windowFailures = 0;
    }
    state.windowFailures++;
  }

  return {
    stats,
    pick(deployments, request) {
      const nowMs = clock.now();
      const only = deployments.length === 1 ? deployments[0] : undefined;
      if (only) return mayTake(only, request, nowMs) ? only : undefined;
      const able = deployments.filter((deployment) => mayTake(deployment, request, nowMs));
      const offered = afterSlowStart(firstInOrder(able), nowMs);
      if (offered.length < 2) return offered[0];
      const { balancer, stream, inputTokens, latencyBuffer } = request;
      return balancer.pick(offered, { stats, random, stream, inputTokens, latencyBuffer });
    },
    isEjected: (id) => {
      const state = states.get(id);
      return state !== undefined && availability(state, clock.now()) === "ejected";
    },
    isFull: (deployment) => isFull(deployment, stateOf(deployment.id)),
    get limited() {
      return rules !== undefined;
    },
    limitOf(deployment) {
      const capacity = capacityOf(deployment);
      return Number.isFinite(capacity) ? capacity : undefined;
    },
    limitBy(next) {
      if (Bun.deepEquals(next, rules)) return;
      rules = next;
      for (const state of states.values()) state.limit = newLimit();
    },
    tellOfRoom(listener) {
      onFree = listener;
    },
    retryAfterS(deployments) {
      const nowMs = clock.now();
      const untilMs = deployments.map(({ id }) => {
        const { ejected, ejectedUntilMs } = stateOf(id);
        return ejected ? ejectedUntilMs : nowMs + 60_000 - (nowMs % 60_000);
      });
      return Math.max(1, Math.ceil((Math.min(...untilMs) - nowMs) / 1000));
    },
    open(deployment) {
      if (deployment.uncounted) return uncounted;
      const state = inMinute(deployment.id);
      state.inFlight++;
      state.minuteRequests++;
      const probe = availability(state, clock.now()) === "probe";
      if (probe) state.probing = true;
      let ended = false;
      const end = () => {
        if (ended) return false;
        ended = true;
        state.inFlight--;
        if (probe) state.probing = false;
        return true;
      };
      let sampled = false;
      return {
        began(seconds, inputTokens) {
          if (sampled || ended || !state.limit) return;
          sampled = true;
          const before = state.limit.limit;
          state.limit.sample(seconds, { stream: true, tokens: inputTokens }, state.inFlight);
          if (state.limit.limit > before) tellFree(deployment, state);
        },
        succeeded({ seconds, firstTokenSeconds, outputTokens = 0, tokens = 0 }) {
          if (!end()) return;
          const nowMs = clock.now();
          state.consecutiveFailures = 0;
          state.keyRefusals = 0;
          inMinute(deployment.id).minuteTokens += tokens;
          if (state.limit && !sampled) {
            const of =
              firstTokenSeconds === undefined
                ? { stream: false, tokens: outputTokens }
                : { stream: true, tokens: tokens - outputTokens };
            state.limit.sample(firstTokenSeconds ?? seconds, of, state.inFlight + 1);
          }
          tellFree(deployment, state);
          const perToken = Math.max(1, outputTokens);
          addSample(state.latency, seconds / perToken, nowMs);
          if (firstTokenSeconds !== undefined) {
            addSample(state.firstToken, firstTokenSeconds / perToken, nowMs);
          }
          if (!state.ejected) return;
          state.ejected = false;
          state.recoveredAtMs = nowMs;
          events.onRecover?.(deployment);
          tellFree(deployment, state);
        },
        failed(error, general, siblings) {
          if (!end()) return;
          state.limit?.failed(error, state.inFlight + 1);
          tellFree(deployment, state);
          if (!tells(error)) return;
          // A name that a wildcard row's provider does not know is the caller's slip.
          if (deployment.wildcard && error.code === "upstream_not_found") return;
          const own = deployment.cooldownRules;
          const rules = own ? { ...general, ...own } : general;
          if (error.code === "upstream_timeout") {
            addSample(state.latency, timeoutSeconds, clock.now());
          }
          if (error.code === "upstream_auth") state.keyRefusals++;
          inMinute(deployment.id);
          countFailure(state, rules);
          if (shouldEject(state, error, rules, siblings.length - 1)) {
            eject(deployment, error, rules, siblings);
          }
          if (error.code !== "upstream_auth") return;
          // The key is what was refused: whoever shares it would be refused as well.
          for (const other of siblings) {
            if (other.id === deployment.id || !sharesKey(other, deployment)) continue;
            stateOf(other.id).keyRefusals = state.keyRefusals;
            eject(other, error, rules, siblings);
          }
        },
        released() {
          if (end()) tellFree(deployment, state);
        },
      };
    },
    keep(deployments) {
      const known = new Set(deployments.map(({ id }) => id));
      for (const [id, state] of states) {
        if (!known.has(id) && state.inFlight === 0) states.delete(id);
        state.ejected = false;
        state.consecutiveFailures = 0;
        state.windowFailures = 0;
        state.keyRefusals = 0;
      }
    },
  };
}

/** What a caller had mocked tells nothing of the deployment. */
const uncounted: Ticket = {
  began: () => undefined,
  succeeded: () => undefined,
  failed: () => undefined,
  released: () => undefined,
};

function sharesKey(a: Deployment, b: Deployment): boolean {
  return a.apiKey !== undefined && a.apiKey === b.apiKey && a.apiBase === b.apiBase;
}

/** LiteLLM's `order`: the lowest number first, the next only when none of those can serve. */
function firstInOrder(deployments: readonly Deployment[]): readonly Deployment[] {
  if (!deployments.some(({ order }) => order !== undefined)) return deployments;
  const orderOf = ({ order }: Deployment) => order ?? Number.MAX_SAFE_INTEGER;
  const lowest = Math.min(...deployments.map(orderOf));
  return deployments.filter((deployment) => orderOf(deployment) === lowest);
}

function samples(): Samples {
  return { values: new Float64Array(sampleLimit), count: 0, lastMs: 0 };
}

function addSample(to: Samples, value: number, nowMs: number): void {
  if (nowMs - to.lastMs > sampleTtlMs) to.count = 0;
  to.values[to.count % sampleLimit] = value;
  to.count++;
  to.lastMs = nowMs;
}

function mean(of: Samples | undefined, nowMs: number): number {
  if (!of || of.count === 0 || nowMs - of.lastMs > sampleTtlMs) return 0;
  const n = Math.min(of.count, sampleLimit);
  let sum = 0;
  for (let i = 0; i < n; i++) sum += of.values[i] ?? 0;
  return sum / n;
}
