/**
 * A call to a provider's own API: the same keys, limits, receipts and metrics as any other, and its
 * bytes as they are, both ways. It is asked once: what it does to the provider nobody here knows, so
 * nobody here may do it twice.
 */
import type { Call } from "../domain/call.ts";
import { GatewayError, toGatewayError } from "../domain/errors.ts";
import { isRouteGranted } from "../domain/grants.ts";
import type { Deployment } from "../domain/model.ts";
import { joinUrl, type PassThroughMatch } from "../providers/pass-through.ts";
import { createUsageTap, type UsageTap } from "../providers/usage-tap.ts";
import { Cancel } from "../std/cancel.ts";
import { createDeadline } from "../std/deadline.ts";
import { drainingError } from "./activity.ts";
import { denyClosed, grantsOf } from "./grants.ts";
import { begin, CallFailed, fail } from "./handle.ts";
import { finish } from "./observe.ts";
import { forwardedHeaders, returnedHeaders } from "./pass-headers.ts";
import type { Arrival } from "./read-call.ts";
import { CallRecord } from "./record.ts";
import type { ReplyStream } from "./reply.ts";
import { callerGone } from "./run.ts";
import type { Services } from "./services.ts";

export interface PassArrival
  extends Pick<Arrival, "id" | "requestId" | "headers" | "signal" | "atMs" | "atUs"> {
  /** All of them: they are sent on. */
  readonly headers: Headers;
  readonly method: string;
  /** As it was asked for. */
  readonly path: string;
  /** With its "?", or empty. */
  readonly search: string;
  /** Undefined where the request has no body. @throws GatewayError body_too_large */
  body(): Promise<Uint8Array | AsyncIterable<Uint8Array> | undefined>;
}

export interface PassReply {
  readonly record: CallRecord;
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  /** Undefined where the answer has no body. */
  readonly body: ReplyStream | undefined;
}

/** @throws CallFailed */
export async function passThrough(
  arrival: PassArrival,
  { target, rest }: PassThroughMatch,
  services: Services,
): Promise<PassReply> {
  const { authenticator, activity, client, clock, config } = services;
  let record: CallRecord | undefined;
  try {
    if (activity.draining) throw drainingError();
    const caller = target.needsKey
      ? authenticator.authenticate(arrival.headers)
      : { id: "anonymous", tenant: "default", admin: false };
    const grants = grantsOf(caller, services);
    if (grants && !isRouteGranted(grants, arrival.path)) {
      const closed = { what: "route", name: arrival.path, requestId: arrival.requestId } as const;
      throw denyClosed(closed, caller, services);
    }
    const url = joinUrl(target.baseUrl, rest, withoutKey(arrival.search));
    const body = await arrival.body();
    record = begin(new CallRecord(toCall(arrival, caller, target.deployment, rest)), services);
    record.deployment = target.deployment;
    record.overheadUs = clock.monotonicUs() - arrival.atUs;
    const run: Run = {
      record,
      services,
      startedAtMs: clock.now(),
      cancel: new Cancel(),
    };
    record.hold(run.cancel);
    if (record.aborted) throw record.aborted;
    const silence = createDeadline(clock, () => run.cancel.cancel(tooSlow()));
    silence.set(target.timeoutMs ?? config.general.passThroughTimeoutMs);
    try {
      const response = await client.pass({
        url,
        method: arrival.method,
        headers: { ...forwardedHeaders(arrival.headers, target.forwardHeaders), ...target.headers },
        ...(body === undefined ? {} : { body }),
        deployment: target.deployment,
        signal: run.cancel.signal,
        connectTimeoutMs: config.routeiq.timeouts.connectMs,
      });
      return toReply(response, run, { target, method: arrival.method, silence });
    } catch (thrown) {
      silence.clear();
      writeDown(run, 0, toGatewayError(thrown));
      throw thrown;
    }
  } catch (thrown) {
    const operation = "pass_through";
    throw fail(toGatewayError(thrown), { operation }, record, services);
  }
}

interface Run {
  readonly record: CallRecord;
  readonly services: Services;
  readonly startedAtMs: number;
  readonly cancel: Cancel;
}

/** Google's clients put their key into the query; ours it is, and nobody else's. */
function withoutKey(search: string): string {
  const params = search.replace(/^\?/, "").split("&");
  const kept = params.filter((each) => each !== "" && !/^key(=|$)/i.test(each));
  return kept.length > 0 ? `?${kept.join("&")}` : "";
}

function toCall(
  arrival: PassArrival,
  caller: Call["caller"],
  { group }: Deployment,
  rest: string,
): Call {
  const model = /\/models\/([^/:]+)/.exec(rest)?.[1];
  return {
    id: arrival.id,
    requestId: arrival.requestId,
    operation: "pass_through",
    dialect: "openai-chat",
    caller,
    requestedModel: model === undefined ? group : `${group}/${decodeURIComponent(model)}`,
    stream: false,
    text: "",
    body: {},
    headers: arrival.headers,
    signal: arrival.signal,
    startedAtMs: arrival.atMs,
    startedUs: arrival.atUs,
    options: {},
  };
}

interface Asked {
  readonly target: PassThroughMatch["target"];
  readonly method: string;
  readonly silence: Silence;
}

type Silence = ReturnType<typeof createDeadline>;

function toReply(response: Response, run: Run, { target, method, silence }: Asked): PassReply {
  const { record } = run;
  const { status } = response;
  const headers = returnedHeaders(response.headers);
  const tap = createUsageTap(response.headers.get("content-type") ?? "");
  const end = (error: GatewayError | undefined) => {
    silence.clear();
    const failure = error ?? toFailure(status);
    if (!failure && method !== "GET" && method !== "HEAD") charge(run, tap, target);
    conclude(run, status, failure);
  };
  const reader = response.body?.getReader() as ReadableStreamDefaultReader<Uint8Array> | undefined;
  if (!reader) {
    end(undefined);
    return { record, status, headers, body: undefined };
  }
  return { record, status, headers, body: createPassStream(reader, run, { tap, silence, end }) };
}

interface PassEnd {
  readonly tap: UsageTap;
  readonly silence: Silence;
  readonly end: (error: GatewayError | undefined) => void;
}

/** Breaks off where the provider's answer does. */
function createPassStream(
  reader: ReadableStreamDefaultReader<Uint8Array>,
  { cancel, services, record }: Run,
  { tap, silence, end }: PassEnd,
): ReplyStream {
  const { clock, config } = services;
  let ended = false;
  const finishOnce = (error: GatewayError | undefined) => {
    if (ended) return;
    ended = true;
    end(error);
  };
  return {
    async next() {
      // Between pieces the wait is that of any stream.
      silence.set(config.routeiq.timeouts.idleMs);
      try {
        const { value, done } = await reader.read();
        silence.clear();
        if (done) {
          finishOnce(undefined);
          return undefined;
        }
        record.firstTokenMs ??= clock.now() - record.call.startedAtMs;
        tap.see(value);
        return value;
      } catch (thrown) {
        const { signal } = cancel;
        const error = signal.aborted ? toGatewayError(signal.reason) : brokeOff(thrown);
        finishOnce(error);
        throw error;
      }
    },
    cancel(reason) {
      if (ended) return;
      cancel.cancel(callerGone(reason));
      finishOnce(callerGone(reason));
    },
  };
}

function tooSlow(): GatewayError {
  return new GatewayError("upstream_timeout", "The provider sent nothing for too long.");
}

function brokeOff(cause: unknown): GatewayError {
  return new GatewayError("stream_truncated", "The provider's answer broke off.", { cause });
}

/** A provider's own words reach the caller; the receipt says which kind they were. */
function toFailure(status: number): GatewayError | undefined {
  if (status < 400) return undefined;
  const code =
    status === 429
      ? "rate_limited"
      : status === 401 || status === 403
        ? "upstream_auth"
        : status === 404
          ? "upstream_not_found"
          : status >= 500
            ? "upstream_failed"
            : "upstream_rejected";
  return new GatewayError(code, `The provider answered ${status}.`, { status });
}

/** By what the answer tells, at the catalog's price; where the operator set a price per request, by that. */
function charge(
  { record, services }: Run,
  tap: UsageTap,
  target: PassThroughMatch["target"],
): void {
  const { usage, model } = tap.end();
  const { deployment, costMicroUsd } = target;
  if (costMicroUsd !== undefined) {
    const price = { inputUsdPerToken: 0, outputUsdPerToken: 0 };
    const more = { noTokens: true, usdPerUnit: { requests: costMicroUsd / 1e6 } };
    record.deployment = { ...deployment, facts: { price: { ...price, more } } };
    record.usage = { inputTokens: 0, outputTokens: 0, ...usage, units: { requests: 1 } };
    return;
  }
  // Work of which nothing is told has no price: it is counted as such, and not as free.
  record.usage = usage ?? { inputTokens: 0, outputTokens: 0, units: {} };
  const facts = model === undefined ? {} : services.factsOf(deployment.provider, model);
  // A name that the catalog does not know stays out of metrics: it may be anybody's.
  if (!facts.price || model === undefined) return;
  record.deployment = {
    ...deployment,
    facts,
    candidate: `${deployment.provider}/${model}`,
    upstreamModel: model,
  };
}

function conclude(run: Run, status: number, error: GatewayError | undefined): void {
  const { record, services } = run;
  writeDown(run, status, error);
  if (!error) {
    finish(record, { outcome: "success" }, services);
    return;
  }
  const gone = error.code === "caller_gone";
  const truncated = error.code === "stream_truncated";
  const outcome = gone ? "cancelled" : truncated ? "truncated" : "failure";
  finish(record, { outcome, error }, services);
}

function writeDown({ record, services, startedAtMs }: Run, status: number, error?: GatewayError) {
  const { deployment } = record;
  if (!deployment) return;
  record.attempts.push({
    deployment: deployment.id,
    model: deployment.candidate,
    provider: deployment.provider,
    startedAtMs,
    durationMs: services.clock.now() - startedAtMs,
    status: status || (error?.status ?? 0),
    outcome: error ? (error.code === "caller_gone" ? "cancelled" : "failed") : "ok",
    ...(error ? { error: error.code } : {}),
    because: "first",
  });
}

export { CallFailed };
