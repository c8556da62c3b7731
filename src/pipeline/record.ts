/** All that is known of one call while it lives; what receipts, headers and metrics are made of. */
import type { Call } from "../domain/call.ts";
import type {
  AttemptRecord,
  CallOutcome,
  Receipt,
  StrategyCall,
  Timings,
} from "../domain/decision.ts";
import type { GatewayError } from "../domain/errors.ts";
import type { CallTrace } from "../domain/event.ts";
import type { Deployment } from "../domain/model.ts";
import { costMicroUsd, type Usage } from "../domain/usage.ts";
import type { Ranking, RankRequest } from "../routing/ranking.ts";
import type { Cancel } from "../std/cancel.ts";
import type { Abortable } from "./activity.ts";

/** Mutable; written by the steps in order, read by `observe` and by the headers. */
export class CallRecord implements Abortable {
  place = -1;
  readonly call: Call;
  ranking: Ranking | undefined = undefined;
  rankRequest: RankRequest | undefined = undefined;
  readonly attempts: AttemptRecord[] = [];
  /** Where the answer comes from. */
  deployment: Deployment | undefined = undefined;
  fallbacks = 0;
  /** Until the upstream was called the first time, µs. */
  overheadUs = 0;
  /** How long it waited for its turn. */
  queuedMs = 0;
  firstTokenMs: number | undefined = undefined;
  usage: Usage | undefined = undefined;
  /** What attempts cost whose place another one took. */
  otherMicroUsd = 0;
  /** Where the strategy asks models of its own: what it asked, and what that cost. */
  strategyCalls: StrategyCall[] | undefined = undefined;
  askedMicroUsd = 0;
  /** How long it asked them, which is no time in the gateway. */
  askedUs = 0;
  /** It is such a call itself: whoever made it tells of its end. */
  isPart = false;
  /** Its answer is such a call's, whose tokens have been counted. */
  isCounted = false;
  finishReason: string | undefined = undefined;
  /** Where it is looked at. */
  form: Receipt["form"] = undefined;
  outcome: CallOutcome | undefined = undefined;
  error: GatewayError | undefined = undefined;
  totalMs = 0;
  /** The provider's, where they are wanted. */
  upstreamHeaders: Headers | undefined = undefined;
  /** Where spans are on. */
  trace: CallTrace | undefined = undefined;
  /** Why the call must end: the caller left, its deadline passed, the gateway closes. */
  aborted: GatewayError | undefined = undefined;
  #held: Cancel | undefined = undefined;

  constructor(call: Call) {
    this.call = call;
  }

  abort(reason: GatewayError): void {
    this.aborted ??= reason;
    this.#held?.cancel(this.aborted);
  }

  /** What an abort stops from now on; stopped at once where one came before. */
  hold(cancel: Cancel): void {
    this.#held = cancel;
    if (this.aborted) cancel.cancel(this.aborted);
  }

  release(): void {
    this.#held = undefined;
  }
}

export function costOf(record: CallRecord): number | undefined {
  const { usage, deployment, otherMicroUsd, askedMicroUsd } = record;
  const own = usage && deployment ? costMicroUsd(usage, deployment.facts.price) : undefined;
  const beside = otherMicroUsd + askedMicroUsd;
  return beside === 0 ? own : (own ?? 0) + beside;
}

/** Attempts after the first of the group that answered last; fallbacks are counted apart. */
export function retriesOf(record: CallRecord): number {
  if (record.attempts.length < 2) return 0;
  return record.attempts.filter(({ because }) => because === "retry").length;
}

export function toReceipt(record: CallRecord): Receipt {
  const { call, ranking, attempts, deployment, finishReason, usage } = record;
  const cost = costOf(record);
  // Built step by step: this runs for every call, and a spread costs more than an assignment.
  const timings: Mutable<Timings> = {
    decisionUs: Math.round(ranking?.decision.decisionUs ?? 0),
    overheadUs: Math.round(record.overheadUs),
    totalMs: record.totalMs,
  };
  if (record.queuedMs > 0) timings.queuedMs = record.queuedMs;
  if (record.firstTokenMs !== undefined) timings.firstTokenMs = record.firstTokenMs;
  const receipt: Mutable<Receipt> = {
    callId: call.id,
    requestId: call.requestId,
    atMs: call.startedAtMs,
    caller: call.caller.id,
    requestedModel: call.requestedModel,
    operation: call.operation,
    stream: call.stream,
    attempts,
    outcome: record.outcome ?? "failure",
    timings,
    feedback: [],
  };
  if (ranking) receipt.decision = ranking.decision;
  if (deployment) receipt.deployment = deployment.id;
  if (record.strategyCalls) receipt.strategyCalls = record.strategyCalls;
  if (record.error) receipt.error = record.error.code;
  if (finishReason !== undefined) receipt.finishReason = finishReason;
  if (record.form) receipt.form = record.form;
  if (usage) receipt.usage = usage;
  if (cost !== undefined) receipt.costMicroUsd = cost;
  return receipt;
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };
