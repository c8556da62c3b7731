/** What the steps of a call need. One immutable set: a call keeps the one it began with. */
import type { Config } from "../config/config.ts";
import type { Dialect } from "../dialects/dialect.ts";
import type { Call } from "../domain/call.ts";
import type { ModelFacts } from "../domain/model.ts";
import type { FeatureExtractor } from "../embedding/embedder.ts";
import type { ProviderClient } from "../providers/client.ts";
import type { PassThroughTable } from "../providers/pass-through.ts";
import type { Pool } from "../routing/pool.ts";
import type { Ranking } from "../routing/ranking.ts";
import type { ResolveTable } from "../routing/resolve.ts";
import type { Router } from "../routing/router.ts";
import type { WebSocketOutbound } from "../security/web-socket/open.ts";
import type { Clock } from "../std/clock.ts";
import type { ExpiryQueue } from "../std/expiry.ts";
import type { Random } from "../std/random.ts";
import type { EventLog } from "../storage/event-log.ts";
import type { IdempotencyStore } from "../storage/idempotency-store.ts";
import type { Telemetry } from "../telemetry/telemetry.ts";
import type { Activity } from "./activity.ts";
import type { Authenticator } from "./authenticate.ts";
import type { ContinuationSettings } from "./continued-text.ts";
import type { HealthRecords } from "./health-records.ts";
import type { Hedging } from "./hedging.ts";
import type { CallMetrics } from "./metrics.ts";
import type { ReceiptRing } from "./receipts.ts";
import type { CallRecord } from "./record.ts";
import type { Reply } from "./reply.ts";
import type { RetryBudget } from "./retry-budget.ts";
import type { CallRules } from "./rules.ts";
import type { Spend } from "./spend.ts";

/** The server's connections, as far as a call has a say in them. */
export interface Connections {
  /**
   * Its request has come: from here on it may wait for its answer. Costs 70 ns. Undefined where the
   * runtime has no limit of its own for requests that come slowly.
   */
  hold: ((request: Request) => void) | undefined;
}

export interface Services {
  readonly config: Config;
  readonly clock: Clock;
  /** Deadlines of all attempts. */
  readonly expiry: ExpiryQueue;
  readonly random: Random;
  readonly authenticator: Authenticator;
  readonly table: ResolveTable;
  /** Undefined where the configuration sets none. */
  readonly rules?: CallRules | undefined;
  readonly router: Router;
  /** Where the strategy asks language models on its way to the answer. */
  readonly policy?: PolicyRunner | undefined;
  readonly pool: Pool;
  readonly client: ProviderClient;
  /** For realtime sessions; without it there are none. */
  readonly webSockets?: WebSocketOutbound;
  readonly passThrough: PassThroughTable;
  /** The catalog's facts of a provider's model; empty where it knows nothing. */
  readonly factsOf: (provider: string, model: string) => ModelFacts;
  readonly getDialect: (name: Call["dialect"]) => Dialect;
  readonly retryBudget: RetryBudget;
  /** Replies by the callers' idempotency keys; undefined where turned off. */
  readonly idempotency?: IdempotencyStore;
  /** Where calls may have to wait for their turn. */
  readonly admission?: Admission;
  /** Where streams that break off may go on from another deployment. */
  readonly continuation?: ContinuationSettings;
  /** Where slow first attempts get a second one beside them. */
  readonly hedging?: Hedging;
  /** Of a running gateway: calls whose tools it runs itself. */
  readonly hosted?: HostedTurns;
  /** Where a router learns from the event log: answers' form is looked at where one was asked for. */
  readonly checksForm?: boolean;
  readonly activity: Activity;
  /** Of a running gateway alone. */
  readonly healthWatch?: HealthRecords;
  /** Of the runtime's server; none in tests without one. */
  readonly connections?: Connections;
  readonly receipts: ReceiptRing;
  readonly metrics: CallMetrics;
  readonly spend: Spend;
  readonly telemetry: Telemetry;
  readonly events: EventLog;
  /** Features for the log where its own thread cannot make them: of an ONNX embedder. */
  readonly features?: Pick<FeatureExtractor, "extract">;
  /** A failure of ours that no caller is told about in full: it goes to the operator's log. */
  readonly onInternalFailure: (cause: unknown) => void;
}

// The contracts that are given the set again: they stand beside it, and beneath the files that keep them.

/** Calls that may have to wait for their turn. */
export interface Admission {
  /** As `select` does, after a wait where that is needed. @throws GatewayError overloaded, too */
  rank(call: Call, record: CallRecord, services: Services): Ranking | Promise<Ranking>;
  readonly waiting: number;
}

export interface PolicyRunner {
  /** From a ranking to a reply, by way of the policy where it applies. @throws GatewayError as `attempt` */
  answer(call: Call, ranking: Ranking, record: CallRecord, services: Services): Promise<Reply>;
}

export interface HostedTurns {
  /** Whether a call asks for such tools: its model is asked with them alone, in rounds. */
  takes(call: Call): boolean;
  /** Of a call that asks for them: whether no provider would run them. @throws GatewayError */
  runsHere(call: Call, services: Services): Promise<boolean>;
  /** @throws CallFailed */
  answer(call: Call, services: Services): Promise<Reply>;
}
