/** What a ranking is asked for, and what it is: the contract of the router and of its parts. */
import type { Caller } from "../domain/call.ts";
import type { Decision, Dial } from "../domain/decision.ts";
import { GatewayError } from "../domain/errors.ts";
import type { RawFeatures, RoutingQuery } from "../domain/features.ts";
import type { JsonObject } from "../domain/json.ts";
import type { Deployment } from "../domain/model.ts";
import type { Subject } from "./assignment.ts";
import type { Balancer } from "./balancers/balancer.ts";
import type { Candidate } from "./candidates.ts";
import type { CostAwareSettings } from "./cost-aware.ts";
import type { Drawn } from "./explore.ts";
import type { Option } from "./learned-view.ts";
import type { Lesson } from "./online.ts";
import type { PriorUse } from "./prior/priors.ts";
import type { Resolution } from "./resolve.ts";
import type { Choice } from "./split.ts";

export interface RouterOptions {
  /** A learned strategy's name, where one is configured. */
  readonly learned?: string;
  /** Balances whole groups where no learned strategy is in force. */
  readonly staticBalancer: Balancer;
  /** Balances the deployments of a chosen candidate. */
  readonly balancer: Balancer;
  /** Where the catalog decides while there is no trained router. */
  readonly prior: PriorUse;
  /** Weighs quality and price in the dial's place, unless a call brings a dial of its own. */
  readonly costAware?: CostAwareSettings;
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
  readonly caller?: Caller;
  /** The end user whom the call names: for routers that are personal. */
  readonly user?: string | undefined;
  /** Names the conversation; `explicit` where the caller did, so that even its first turn sticks. */
  readonly session?: { readonly key: string; readonly explicit: boolean };
  /** Who asks, where several routers or settings share the calls (`Router.splits`). */
  readonly subject?: Subject;
}

export interface Ranking {
  readonly options: readonly Option[];
  /** The first deployment, already picked: where a balancer alone decides, the pick is the decision. */
  readonly first: Deployment;
  readonly decision: Decision;
  readonly inputTokens: number;
  readonly query?: RoutingQuery;
  readonly features?: RawFeatures;
  /** What is to be done when the call has ended. */
  readonly aftermath?: Aftermath;
}

/** A draw that holds back of the budget; an outcome that will teach. */
export interface Aftermath {
  readonly drawn?: Drawn | undefined;
  readonly lesson?: Lesson | undefined;
}

/** How a call ended, as far as exploration and online learning care. */
export interface CallEnd {
  /** `litellm_params.model` that answered, or was asked last. */
  readonly model: string | undefined;
  /** Undefined where it says nothing of the model: the caller left, or was wrong. */
  readonly ok: boolean | undefined;
  /** Undefined where nobody knows. */
  readonly costUsd: number | undefined;
}

export interface RankState {
  readonly request: RankRequest;
  /** As configured, and as judged for this call: the same list where none is filtered. */
  readonly all: readonly Candidate[];
  readonly candidates: readonly Candidate[];
  readonly inputTokens: number;
  readonly startUs: number;
  readonly choice: Choice | undefined;
}

export function noDeployment(group: string, retryAfterS: number): GatewayError {
  return new GatewayError(
    "no_deployment",
    `No deployments available for selected model, Try again in ${retryAfterS} seconds. Passed model=${group}.`,
    { retryAfterS },
  );
}
