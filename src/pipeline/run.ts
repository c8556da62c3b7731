/** One attempt on its way: what the client is asked, and what its end is told to. */
import type { Dialect } from "../dialects/dialect.ts";
import type { Call } from "../domain/call.ts";
import type { AttemptRecord } from "../domain/decision.ts";
import { GatewayError, toGatewayError } from "../domain/errors.ts";
import type { Deployment } from "../domain/model.ts";
import { costMicroUsd, type Usage } from "../domain/usage.ts";
import type { UpstreamRequest } from "../providers/client.ts";
import type { Ticket } from "../routing/pool.ts";
import type { Ranking } from "../routing/ranking.ts";
import { Cancel } from "../std/cancel.ts";
import type { CallRecord } from "./record.ts";
import type { Services } from "./services.ts";
import { AttemptTimers, timeoutsFor } from "./timeouts.ts";

export type Because = AttemptRecord["because"];

/** An attempt on its way: what the client is asked, and what its end is told to. */
export class Run implements UpstreamRequest {
  readonly call: Call;
  readonly deployment: Deployment;
  readonly ranking: Ranking;
  readonly because: Because;
  readonly record: CallRecord;
  readonly services: Services;
  readonly callerDialect: Dialect;
  readonly cancel: Cancel;
  readonly connectTimeoutMs: number;
  readonly trace: CallRecord["trace"];
  readonly timers: AttemptTimers;
  readonly ticket: Ticket;
  readonly startedAtMs: number;
  readonly tellHeaders: UpstreamRequest["tellHeaders"];
  /** It has its line in the receipt; what comes of it later counts no more. */
  over = false;
  /** Events of the answer that came before it, from an attempt that broke off. */
  tokensBefore = 0;

  constructor(
    call: Call,
    deployment: Deployment,
    ranking: Ranking,
    because: Because,
    record: CallRecord,
    services: Services,
  ) {
    const { clock, config, pool } = services;
    const timeouts = timeoutsFor(call, deployment, config);
    this.call = call;
    this.deployment = deployment;
    this.ranking = ranking;
    this.because = because;
    this.record = record;
    this.services = services;
    this.callerDialect = services.getDialect(call.dialect);
    this.cancel = new Cancel();
    this.connectTimeoutMs = timeouts.connectMs;
    this.trace = record.trace;
    this.timers = new AttemptTimers(call, timeouts, this.cancel, services);
    this.ticket = pool.open(deployment);
    this.startedAtMs = clock.now();
    this.tellHeaders = config.litellm.returnResponseHeaders
      ? (headers) => {
          record.upstreamHeaders = headers;
        }
      : undefined;
    record.hold(this.cancel);
    record.deployment = deployment;
    if (record.attempts.length > 0) return;
    const waitedUs = record.queuedMs * 1000 + record.askedUs;
    record.overheadUs = clock.monotonicUs() - call.startedUs - waitedUs;
  }
}

/** The end of an attempt that brought no answer. */
export function giveUp(run: Run, thrown: unknown): GatewayError {
  const { timers, ticket, services, ranking, deployment } = run;
  const error = beforeCommit(toGatewayError(thrown));
  if (run.over) return error;
  timers.stop();
  if (endsCall(error)) ticket.released();
  else ticket.failed(error, services.config.router, siblingsOf(ranking, deployment));
  writeDown(run, endsCall(error) ? "cancelled" : "failed", error);
  return error;
}

/** The end of an attempt whose stream broke off in its middle. */
export function breakOff(run: Run, error: GatewayError): void {
  run.timers.stop();
  run.ticket.failed(error, run.services.config.router, siblingsOf(run.ranking, run.deployment));
  writeDown(run, "failed", error);
}

/** An attempt whose place another one took. It has been asked, so its input is paid for. */
export function letGo(run: Run, reason: GatewayError): void {
  const { timers, ticket, deployment, record, ranking, cancel } = run;
  timers.stop();
  ticket.released();
  const usage = { inputTokens: ranking.inputTokens, outputTokens: 0, estimated: true };
  const cost = costMicroUsd(usage, deployment.facts.price);
  writeDown(run, "cancelled", reason, cost);
  record.otherMicroUsd += cost ?? 0;
  cancel.cancel(reason);
}

/** A stream that broke before its first event has told the caller nothing: it may be tried again. */
function beforeCommit(error: GatewayError): GatewayError {
  if (error.code !== "stream_truncated") return error;
  return new GatewayError("upstream_invalid", error.message, { cause: error });
}

export function succeed({ record, ticket, startedAtMs, services, call, because }: Run): void {
  const { usage } = record;
  // Of a stream that went on, the first token was another's.
  const firstTokenMs = because === "continuation" ? undefined : record.firstTokenMs;
  ticket.succeeded({
    seconds: (services.clock.now() - startedAtMs) / 1000,
    outputTokens: usage?.outputTokens ?? 0,
    tokens: usage ? usage.inputTokens + usage.outputTokens : 0,
    firstTokenSeconds:
      firstTokenMs === undefined
        ? undefined
        : (call.startedAtMs + firstTokenMs - startedAtMs) / 1000,
  });
}

export function writeDown(
  run: Run,
  outcome: AttemptRecord["outcome"],
  error?: GatewayError,
  costMicroUsd?: number,
): void {
  const { deployment, because, record, services, startedAtMs } = run;
  run.over = true;
  const durationMs = services.clock.now() - startedAtMs;
  const { id, candidate: model, provider } = deployment;
  const status = error?.status ?? 200;
  const of = { deployment: id, model, provider, startedAtMs, durationMs, status, outcome, because };
  if (!error) {
    record.attempts.push(of);
    return;
  }
  const failed = { ...of, error: error.code };
  record.attempts.push(costMicroUsd === undefined ? failed : { ...failed, costMicroUsd });
}

/** What a stream that told no usage has about cost: a broken or cancelled one is charged too. */
export function estimate({ record, tokensBefore }: Run, tokens: number): Usage {
  const inputTokens = record.ranking?.inputTokens ?? 0;
  return { inputTokens, outputTokens: Math.max(0, tokens - tokensBefore), estimated: true };
}

export function callerGone(reason: "gone" | "stalled"): GatewayError {
  const why = reason === "gone" ? "closed the connection" : "stopped reading the answer";
  return new GatewayError("caller_gone", `The caller ${why}.`);
}

/** Failures after which nothing else is tried: the caller is gone, or its time is up. */
export function endsCall({ code }: GatewayError): boolean {
  return ending.has(code);
}

const ending: ReadonlySet<string> = new Set([
  "caller_gone",
  "deadline_exceeded",
  "draining",
  "superseded",
]);

export function siblingsOf(ranking: Ranking, deployment: Deployment): readonly Deployment[] {
  const only = ranking.options[0];
  if (ranking.options.length === 1 && only) return only.deployments;
  const all = ranking.options.flatMap(({ deployments }) => deployments);
  return all.filter(({ group }) => group === deployment.group);
}
