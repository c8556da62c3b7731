/**
 * The only retry loop. Attempts a call on the deployments of its ranking, then on its fallbacks,
 * until one answers. Nothing reaches the caller before an attempt has an answer: a whole reply, or
 * a stream's first valid event. After that a call is never attempted again.
 */
import type { Dialect } from "../dialects/dialect.ts";
import type { Call } from "../domain/call.ts";
import type { ChatRequest } from "../domain/chat.ts";
import type { AttemptRecord } from "../domain/decision.ts";
import { GatewayError, toGatewayError } from "../domain/errors.ts";
import type { Deployment } from "../domain/model.ts";
import { costMicroUsd } from "../domain/usage.ts";
import type { RawReply, StreamReply, UpstreamReply, UpstreamRequest } from "../providers/client.ts";
import type { Ticket } from "../routing/pool.ts";
import type { Option, Ranking } from "../routing/router.ts";
import { Cancel } from "../std/cancel.ts";
import { sleep } from "../std/clock.ts";
import { fallbacksFor, toFallbackCall } from "./fallbacks.ts";
import {
  createOpaqueFeed,
  createPassingFeed,
  createTranslatingFeed,
  type Feed,
  type FeedOptions,
} from "./feed.ts";
import { finish } from "./observe.ts";
import type { CallRecord } from "./record.ts";
import { contextOf, encodeWhole, type Reply, toAnswer } from "./reply.ts";
import { leadsOn, mayAskAgain, policyFor, retriesFor, waitMs } from "./retry.ts";
import { select } from "./select.ts";
import type { Services } from "./services.ts";
import { createReplyStream, readToCommit } from "./stream.ts";
import { AttemptTimers, deadlineExceeded, timeoutsFor } from "./timeouts.ts";

type Because = AttemptRecord["because"];

/**
 * The first attempt, and where it fails all that may follow it.
 * @throws GatewayError of the group that was asked for, when it and its fallbacks have failed.
 */
export function attempt(
  call: Call,
  ranking: Ranking,
  record: CallRecord,
  services: Services,
): Promise<Reply> {
  return once(call, ranking.first, ranking, "first", record, services);
}

/** After a failed first attempt: the rest of the group, then the fallbacks. */
async function attemptOn(
  failure: GatewayError,
  call: Call,
  ranking: Ranking,
  record: CallRecord,
  services: Services,
): Promise<Reply> {
  try {
    return await retryGroup(failure, call, ranking, record, services);
  } catch (thrown) {
    return fallBack(toGatewayError(thrown), call, record, services);
  }
}

/** What its group's failure leaves: the fallbacks, one after the other. @throws that failure */
export async function fallBack(
  original: GatewayError,
  call: Call,
  record: CallRecord,
  services: Services,
): Promise<Reply> {
  const group = record.rankRequest?.resolution.group;
  for (const target of fallbacksFor(original, call, services.config, group)) {
    if (!mayGoOn(record, services)) break;
    try {
      const again = toFallbackCall(call, target);
      const next = await select(again, record, services, target.group);
      // A call that asked nobody yet adds nothing to the load.
      if (record.attempts.length > 0 && !services.retryBudget.take()) break;
      record.fallbacks++;
      return await attemptFallback(again, next, record, services);
    } catch (again) {
      // The first group's failure is what the caller asked about; this one is in the receipt.
      if (endsCall(toGatewayError(again))) throw again;
    }
  }
  throw original;
}

async function attemptFallback(
  call: Call,
  ranking: Ranking,
  record: CallRecord,
  services: Services,
): Promise<Reply> {
  try {
    return await once(call, ranking.first, ranking, "fallback", record, services);
  } catch (thrown) {
    return retryGroup(toGatewayError(thrown), call, ranking, record, services);
  }
}

/** The loop: another attempt after each failure, until one answers or none may follow. */
async function retryGroup(
  failure: GatewayError,
  call: Call,
  ranking: Ranking,
  record: CallRecord,
  services: Services,
): Promise<Reply> {
  const failed = new Set<string>();
  let deployment = ranking.first;
  let error = failure;
  for (let retry = 0; ; retry++) {
    failed.add(deployment.id);
    if (endsCall(error)) throw error;
    const spent = retry >= retriesFor(error, call, deployment, services.config);
    if (spent && !leadsOn(error, deployment, ranking, failed)) throw error;
    const next = nextTry(error, retry, deployment, failed, ranking, record, services);
    if (!next || (spent && next.deployment === deployment)) throw error;
    if (spent) retry = -1; // the next `order` has retries of its own
    if (next.waitMs > 0) await wait(next.waitMs, error, call, record, services);
    deployment = next.deployment;
    try {
      return await once(call, deployment, ranking, "retry", record, services);
    } catch (thrown) {
      error = toGatewayError(thrown);
    }
  }
}

interface NextTry {
  readonly deployment: Deployment;
  readonly waitMs: number;
}

/** Another deployment at once, else the same after a wait, else none. Takes from the retry budget. */
function nextTry(
  error: GatewayError,
  retry: number,
  last: Deployment,
  failed: ReadonlySet<string>,
  ranking: Ranking,
  record: CallRecord,
  services: Services,
): NextTry | undefined {
  if (error.row.retry === "never" && !isConfiguredRetry(error, last, record, services)) {
    return undefined;
  }
  if (!mayGoOn(record, services)) return undefined;
  const other = pickOther(ranking.options, failed, ranking, record.call, services);
  if (!other && !mayAskAgain(error)) return undefined;
  if (!services.retryBudget.take()) return undefined;
  if (other) return { deployment: other, waitMs: 0 };
  return { deployment: last, waitMs: waitMs(error, retry, services.config, services.random) };
}

/** A `retry_policy` that names a class of failure which is not retried otherwise. */
function isConfiguredRetry(
  error: GatewayError,
  deployment: Deployment,
  { call }: CallRecord,
  { config }: Services,
): boolean {
  return error.row.fault === "upstream" && policyFor(call, deployment, config) !== undefined;
}

function pickOther(
  options: readonly Option[],
  excluded: ReadonlySet<string>,
  { inputTokens }: Ranking,
  { stream }: Call,
  { pool, config }: Services,
): Deployment | undefined {
  const buffer = config.router.routingStrategyArgs["lowest_latency_buffer"];
  const latencyBuffer = typeof buffer === "number" ? buffer : 0;
  for (const { deployments, balancer } of options) {
    const request = { balancer, stream, inputTokens, latencyBuffer, excluded };
    const picked = pool.pick(deployments, request);
    if (picked) return picked;
  }
  return undefined;
}

function siblingsOf(ranking: Ranking, deployment: Deployment): readonly Deployment[] {
  const only = ranking.options[0];
  if (ranking.options.length === 1 && only) return only.deployments;
  const all = ranking.options.flatMap(({ deployments }) => deployments);
  return all.filter(({ group }) => group === deployment.group);
}

/** Failures after which nothing else is tried: the caller is gone, or its time is up. */
function endsCall({ code }: GatewayError): boolean {
  return code === "caller_gone" || code === "deadline_exceeded" || code === "draining";
}

function mayGoOn(record: CallRecord, { config }: Services): boolean {
  // A form that was sent on as it came is gone.
  if (record.call.upload?.spent) return false;
  return !record.aborted && record.attempts.length < config.routeiq.maxAttempts;
}

/** @throws the failure that is waited out, where the deadline would pass first */
async function wait(
  delayMs: number,
  error: GatewayError,
  call: Call,
  record: CallRecord,
  { clock }: Services,
): Promise<void> {
  if (call.deadlineMs !== undefined && clock.now() + delayMs >= call.deadlineMs) throw error;
  const cancel = new Cancel();
  record.hold(cancel);
  await sleep(clock, delayMs, cancel.signal);
}

/**
 * One attempt on one deployment, its timers, its ticket and its line in the receipt. What follows a
 * failed first one follows here: the success of a first attempt is the hot path, and each function
 * that waits in between costs it microseconds.
 */
async function once(
  call: Call,
  deployment: Deployment,
  ranking: Ranking,
  because: Because,
  record: CallRecord,
  services: Services,
): Promise<Reply> {
  let run: Run | undefined;
  try {
    assertInTime(call, record, services);
    run = new Run(call, deployment, ranking, because, record, services);
    const upstream = await services.client.send(run);
    if (upstream.kind === "whole") return takeWhole(upstream, run);
    if (upstream.kind === "raw") return takeRaw(upstream, run);
    return await takeStream(upstream, run);
  } catch (thrown) {
    const error = run ? giveUp(run, thrown) : toGatewayError(thrown);
    if (because === "first") return attemptOn(error, call, ranking, record, services);
    throw error;
  }
}

function assertInTime({ deadlineMs }: Call, { aborted }: CallRecord, { clock }: Services): void {
  if (deadlineMs !== undefined && clock.now() >= deadlineMs) throw deadlineExceeded();
  if (aborted) throw aborted;
}

/** An attempt on its way: what the client is asked, and what its end is told to. */
class Run implements UpstreamRequest {
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
    record.hold(this.cancel);
    record.deployment = deployment;
    if (record.attempts.length > 0) return;
    record.overheadUs = clock.monotonicUs() - call.startedUs - record.queuedMs * 1000;
  }
}

/** The end of an attempt that brought no answer. */
function giveUp(run: Run, thrown: unknown): GatewayError {
  const { timers, ticket, services, ranking, deployment } = run;
  timers.stop();
  const error = beforeCommit(toGatewayError(thrown));
  if (endsCall(error)) ticket.released();
  else ticket.failed(error, services.config.router, siblingsOf(ranking, deployment));
  writeDown(run, endsCall(error) ? "cancelled" : "failed", error);
  return error;
}

/** A stream that broke before its first event has told the caller nothing: it may be tried again. */
function beforeCommit(error: GatewayError): GatewayError {
  if (error.code !== "stream_truncated") return error;
  return new GatewayError("upstream_invalid", error.message, { cause: error });
}

function takeWhole(upstream: UpstreamReply & { kind: "whole" }, run: Run): Reply {
  const { call, record, services, timers } = run;
  const body = encodeWhole(upstream, record, run.callerDialect);
  timers.stop();
  succeed(run);
  writeDown(run, "ok");
  finish(record, { outcome: "success" }, services);
  // A stream was asked for, and the provider answered whole.
  return call.stream ? { record, body, contentType: "application/json" } : { record, body };
}

function takeRaw({ bytes, contentType, usage }: RawReply, run: Run): Reply {
  const { record, services, timers } = run;
  record.usage = usage;
  timers.stop();
  succeed(run);
  writeDown(run, "ok");
  finish(record, { outcome: "success" }, services);
  return { record, body: bytes, contentType };
}

async function takeStream(upstream: StreamReply, run: Run): Promise<Reply> {
  const { record, services, timers, cancel } = run;
  const feed = toFeed(upstream, run);
  let held: Uint8Array[];
  try {
    held = await readToCommit(feed);
  } catch (thrown) {
    feed.close();
    throw thrown;
  }
  const abort = (reason: "gone" | "stalled") => cancel.cancel(callerGone(reason));
  const teller = upstream.opaque ? breaksOff : run.callerDialect;
  const stream = createReplyStream(held, feed, teller, abort, (end) => {
    timers.stop();
    record.usage = feed.facts.usage ?? estimate(run, feed);
    record.finishReason = feed.facts.finishReason;
    if (end.outcome === "success") succeed(run);
    else if (end.error && !endsCall(end.error))
      run.ticket.failed(end.error, services.config.router, siblingsOf(run.ranking, run.deployment));
    else run.ticket.released();
    const attempted =
      end.outcome === "success" ? "ok" : end.error && !endsCall(end.error) ? "failed" : "cancelled";
    writeDown(run, attempted, end.error);
    const gone = end.error?.code === "caller_gone";
    finish(record, gone ? { outcome: "cancelled" } : end, services);
  });
  const { opaque } = upstream;
  if (!opaque) return { record, body: stream };
  record.usage = opaque.usage; // known before the end, so that its price is among the headers
  return { record, body: stream, contentType: opaque.contentType };
}

/** Bytes have no place for an error's words. */
const breaksOff: Pick<Dialect, "encodeStreamError"> = {
  encodeStreamError(error) {
    throw error;
  },
};

function toFeed(upstream: StreamReply, run: Run): Feed {
  const { call, callerDialect: caller, record, services, timers, deployment } = run;
  if (upstream.opaque) return createOpaqueFeed(upstream, upstream.opaque.usage);
  // In every other dialect the end of a stream tells usage unasked.
  const asksForUsage = call.dialect === "openai-chat" || call.dialect === "openai-completions";
  const asked = (call.body as ChatRequest).stream_options?.include_usage === true;
  const withCost = asked && services.config.litellm.includeCostInStreamingUsage;
  const options: FeedOptions = {
    withholdUsage: asksForUsage && !asked,
    ...(withCost && asksForUsage
      ? {
          costUsd: (usage) => {
            const micro = costMicroUsd(usage, deployment.facts.price);
            return micro === undefined ? undefined : micro / 1e6;
          },
        }
      : {}),
    heard(token) {
      if (token && record.firstTokenMs === undefined) {
        const nowMs = services.clock.now();
        record.firstTokenMs = nowMs - call.startedAtMs;
        run.ticket.began((nowMs - run.startedAtMs) / 1000, run.ranking.inputTokens);
      }
      timers.heard(token);
    },
  };
  return upstream.passes
    ? createPassingFeed(upstream, options)
    : createTranslatingFeed(
        upstream,
        {
          caller,
          request: caller.decodeRequest(call.body),
          answer: toAnswer(call),
          context: contextOf(call, deployment),
        },
        options,
      );
}

/** What a stream that told no usage has about cost: a broken or cancelled one is charged too. */
function estimate({ record }: Run, feed: Feed): NonNullable<CallRecord["usage"]> {
  const inputTokens = record.ranking?.inputTokens ?? 0;
  return { inputTokens, outputTokens: feed.facts.tokens, estimated: true };
}

export function callerGone(reason: "gone" | "stalled"): GatewayError {
  const why = reason === "gone" ? "closed the connection" : "stopped reading the answer";
  return new GatewayError("caller_gone", `The caller ${why}.`);
}

function succeed({ record, ticket, startedAtMs, services, call }: Run): void {
  const { usage, firstTokenMs } = record;
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

function writeDown(run: Run, outcome: AttemptRecord["outcome"], error?: GatewayError): void {
  const { deployment, because, record, services, startedAtMs } = run;
  const durationMs = services.clock.now() - startedAtMs;
  const { id, candidate: model, provider } = deployment;
  const of = { deployment: id, model, provider, startedAtMs, durationMs, outcome, because };
  record.attempts.push(
    error ? { ...of, status: error.status, error: error.code } : { ...of, status: 200 },
  );
}
