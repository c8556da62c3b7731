/**
 * The only retry loop. Attempts a call on the deployments of its ranking, then on its fallbacks,
 * until one answers. Nothing reaches the caller before an attempt has an answer: a whole reply, or
 * a stream's first valid event. After that a call is never attempted again.
 */
import type { Call } from "../domain/call.ts";
import { type GatewayError, toGatewayError } from "../domain/errors.ts";
import type { Deployment } from "../domain/model.ts";
import type { Ranking } from "../routing/ranking.ts";
import { Cancel } from "../std/cancel.ts";
import { sleep } from "../std/clock.ts";
import { fallbacksFor, toFallbackCall } from "./fallbacks.ts";
import type { Hedging } from "./hedging.ts";
import { mayGoOn, pickOther } from "./pick-other.ts";
import { Race, runHedged } from "./race.ts";
import type { CallRecord } from "./record.ts";
import type { Reply } from "./reply.ts";
import { leadsOn, mayAskAgain, policyFor, retriesFor, waitMs } from "./retry.ts";
import { type Because, endsCall, giveUp, Run } from "./run.ts";
import { select } from "./select.ts";
import type { Services } from "./services.ts";
import { takeRaw, takeStream, takeWhole } from "./take.ts";
import { deadlineExceeded } from "./timeouts.ts";

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
  const { hedging } = services;
  const delayMs = hedging?.delayMs(ranking.first, call);
  return hedging && delayMs !== undefined
    ? attemptHedged(call, ranking, record, services, { hedging, delayMs })
    : once(call, ranking.first, ranking, "first", record, services);
}

/** The first attempt, and another one beside it where it is slow. */
async function attemptHedged(
  call: Call,
  ranking: Ranking,
  record: CallRecord,
  services: Services,
  { hedging, delayMs }: { readonly hedging: Hedging; readonly delayMs: number },
): Promise<Reply> {
  const { first, options } = ranking;
  const failed = new Set<string>();
  const other = () => {
    // Where calls wait for a slot, none is taken twice.
    if (!mayGoOn(record, services, 1) || services.admission?.waiting) return undefined;
    const picked = pickOther(options, new Set([first.id]), ranking, call, services);
    return picked && hedging.take() && services.retryBudget.take() ? picked : undefined;
  };
  try {
    return await runHedged({
      first,
      delayMs,
      other,
      failed,
      race: new Race(record, hedging),
      clock: services.clock,
      run: (deployment, because, race) =>
        once(call, deployment, ranking, because, record, services, race),
    });
  } catch (thrown) {
    return attemptOn(toGatewayError(thrown), call, ranking, record, services, failed);
  }
}

/** After a failed first attempt: the rest of the group, then the fallbacks. */
async function attemptOn(
  failure: GatewayError,
  call: Call,
  ranking: Ranking,
  record: CallRecord,
  services: Services,
  failed = new Set<string>(),
): Promise<Reply> {
  try {
    return await retryGroup(failure, call, ranking, record, services, failed);
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
  failed = new Set<string>(),
): Promise<Reply> {
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
  race?: Race,
): Promise<Reply> {
  let run: Run | undefined;
  try {
    assertInTime(call, record, services);
    run = new Run(call, deployment, ranking, because, record, services);
    race?.enter(run);
    const upstream = await services.client.send(run);
    if (upstream.kind === "stream") return await takeStream(upstream, run, race);
    race?.claim(run);
    return upstream.kind === "whole" ? takeWhole(upstream, run) : takeRaw(upstream, run);
  } catch (thrown) {
    const error = run ? giveUp(run, thrown) : toGatewayError(thrown);
    if (because === "first" && !race) return attemptOn(error, call, ranking, record, services);
    throw error;
  }
}

function assertInTime({ deadlineMs }: Call, { aborted }: CallRecord, { clock }: Services): void {
  if (deadlineMs !== undefined && clock.now() >= deadlineMs) throw deadlineExceeded();
  if (aborted) throw aborted;
}
