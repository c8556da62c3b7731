/** The life of a call, all of it, in order. */
import type { Call } from "../domain/call.ts";
import { type GatewayError, toGatewayError } from "../domain/errors.ts";
import { beginTrace } from "../telemetry/trace-context.ts";
import { drainingError } from "./activity.ts";
import { attempt } from "./attempt.ts";
import { finish } from "./observe.ts";
import { type Arrival, readCall, readFormCall } from "./read-call.ts";
import { CallRecord } from "./record.ts";
import { recover } from "./recover.ts";
import type { Reply } from "./reply.ts";
import { callerGone } from "./run.ts";
import { select } from "./select.ts";
import type { Services } from "./services.ts";

/** A failure, and as much of the call as there was: its headers are sent with the error. */
export class CallFailed extends Error {
  readonly error: GatewayError;
  readonly record: CallRecord | undefined;
  constructor(error: GatewayError, record: CallRecord | undefined) {
    super(error.message, { cause: error });
    this.error = error;
    this.record = record;
  }
}

/** @throws CallFailed */
export async function handle(arrival: Arrival, services: Services): Promise<Reply> {
  let record: CallRecord | undefined;
  try {
    if (services.activity.draining) throw drainingError();
    const caller = services.authenticator.authenticate(arrival.headers);
    const call = arrival.form
      ? await readFormCall(arrival, caller, arrival.form)
      : readCall(arrival, caller, await arrival.bytes(), services.getDialect);
    if (services.hosted?.takes(call)) return await services.hosted.answer(call, services);
    record = begin(new CallRecord(call), services);
    const { admission } = services;
    const ranked = admission
      ? admission.rank(call, record, services)
      : select(call, record, services);
    const ranking = ranked instanceof Promise ? await ranked : ranked;
    if (services.policy) return await services.policy.answer(call, ranking, record, services);
    return await attempt(call, ranking, record, services);
  } catch (thrown) {
    if (thrown instanceof CallFailed) throw thrown;
    return rescue(toGatewayError(thrown), arrival, record, services);
  }
}

/** Fallbacks also serve where no attempt was made, as all of the group rests. @throws CallFailed */
async function rescue(
  failure: GatewayError,
  of: Pick<Arrival, "operation">,
  record: CallRecord | undefined,
  services: Services,
): Promise<Reply> {
  try {
    const reply = await recover(failure, record, services);
    if (reply) return reply;
  } catch (thrown) {
    throw fail(toGatewayError(thrown), of, record, services);
  }
  throw fail(failure, of, record, services);
}

/** Who calls, and for what: for those who do something with a call before it runs. @throws CallFailed */
export async function open(arrival: Arrival, services: Services): Promise<Call> {
  try {
    if (services.activity.draining) throw drainingError();
    const caller = services.authenticator.authenticate(arrival.headers);
    return readCall(arrival, caller, await arrival.bytes(), services.getDialect);
  } catch (thrown) {
    throw fail(toGatewayError(thrown), arrival, undefined, services);
  }
}

/** The rest of its life. @throws CallFailed */
export async function run(call: Call, services: Services): Promise<Reply> {
  if (services.hosted?.takes(call)) return services.hosted.answer(call, services);
  return runCall(call, services);
}

/** The same of a call whose tools are its caller's, or its provider's. @throws CallFailed */
export async function runCall(call: Call, services: Services): Promise<Reply> {
  const record = begin(new CallRecord(call), services);
  try {
    const ranked = services.admission?.rank(call, record, services);
    const ranking = await (ranked ?? select(call, record, services));
    if (services.policy) return await services.policy.answer(call, ranking, record, services);
    return await attempt(call, ranking, record, services);
  } catch (thrown) {
    return rescue(toGatewayError(thrown), call, record, services);
  }
}

export function begin(record: CallRecord, services: Services): CallRecord {
  const { signal } = record.call;
  services.activity.enter(record);
  services.retryBudget.countCall();
  if (services.telemetry.spansOn) {
    const { sampleRatio } = services.config.routeiq.telemetry;
    record.trace = beginTrace(record.call.traceparent, sampleRatio, services.random);
  }
  if (signal.aborted) record.abort(callerGone("gone"));
  else signal.addEventListener("abort", () => record.abort(callerGone("gone")));
  return record;
}

export function fail(
  error: GatewayError,
  { operation }: Pick<Arrival, "operation">,
  record: CallRecord | undefined,
  services: Services,
): CallFailed {
  if (error.code === "internal") services.onInternalFailure(error.cause);
  if (!record) {
    services.metrics.refused(operation, error.code);
    return new CallFailed(error, undefined);
  }
  const gone = error.code === "caller_gone";
  // The provider was asked, and a caller who hangs up early is charged for that as well.
  if (gone && record.deployment) {
    record.usage ??= {
      inputTokens: record.ranking?.inputTokens ?? 0,
      outputTokens: 0,
      estimated: true,
    };
  }
  finish(record, gone ? { outcome: "cancelled", error } : { outcome: "failure", error }, services);
  return new CallFailed(error, record);
}
