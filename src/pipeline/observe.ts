/** The end of every call: its receipt, its row in the event log, its metrics, its span. Once. */
import type { Call } from "../domain/call.ts";
import { errorTable } from "../domain/errors.ts";
import type { CallEvent } from "../domain/event.ts";
import type { RawFeatures, RoutingQuery } from "../domain/features.ts";
import { toToolText } from "../embedding/lexical.ts";
import { toRoutingQuery } from "../routing/query-text.ts";
import { type CallRecord, costOf, toReceipt } from "./record.ts";
import type { Services } from "./services.ts";
import type { StreamEnd } from "./stream.ts";

export function finish(record: CallRecord, end: StreamEnd, services: Services): void {
  if (record.outcome !== undefined) return;
  const { clock, activity, metrics, router } = services;
  record.outcome = end.outcome;
  record.error = end.error;
  record.totalMs = clock.now() - record.call.startedAtMs;
  record.release();
  if (record.isPart) return;
  metrics.finished(record);
  const cost = costOf(record);
  if (cost) services.spend.charge(record.call.caller.id, cost);
  const { deployment, rankRequest, ranking } = record;
  if (end.outcome === "success" && deployment && rankRequest?.session) {
    const turn = record.usage ?? { inputTokens: ranking?.inputTokens ?? 0 };
    router.remember(rankRequest, deployment.candidate, turn);
  }
  if (ranking?.aftermath) {
    router.ended(record.call.id, ranking, {
      model: deployment?.candidate,
      ok: toVerdict(end),
      costUsd: cost === undefined ? undefined : cost / 1e6,
    });
  }
  activity.leave(record);
  try {
    logEvent(record, services);
  } catch (thrown) {
    services.onInternalFailure(thrown); // the reply is whole, whatever became of its row
  }
}

/** Whether the model did what it was asked; undefined where that was the caller's doing. */
function toVerdict({ outcome, error }: StreamEnd): boolean | undefined {
  if (outcome === "success") return true;
  if (outcome === "cancelled" || (error && errorTable[error.code].fault === "caller")) {
    return undefined;
  }
  return false;
}

/**
 * Packed at once, so that nothing of the call lives on for it. What takes time (hashes, features,
 * JSON, spans) is the background thread's.
 */
function logEvent(record: CallRecord, services: Services): void {
  const { call, ranking, rankRequest, trace } = record;
  const event: Mutable<CallEvent> = { receipt: toReceipt(record), tenant: call.caller.tenant };
  if (ranking) event.inputTokens = ranking.inputTokens;
  if (trace) event.trace = trace;
  const { telemetry } = services.config.routeiq;
  // What a mock answered is no lesson.
  if (!telemetry.events || call.options.mock) {
    services.events.append(event);
    return;
  }
  const query = ranking?.query ?? toRoutingQuery(call.chat ?? call.body);
  const features = ranking?.features;
  if (features) event.features = features;
  const extract = !features && hasFeatures(call);
  const session = rankRequest?.session?.key;
  const user = rankRequest?.user;
  event.unread = {
    text: query.text,
    toolCount: query.tools.length,
    toolText: extract && query.tools.length > 0 ? toToolText(query.tools) : "",
    ...(session === undefined ? undefined : { session }),
    ...(user === undefined ? undefined : { user }),
    extract,
    keep: telemetry.storePrompts,
  };
  if (extract && services.features) void appendLater(event, query, services.features, services);
  else services.events.append(event);
}

const hasFeatures = ({ operation }: Call) => operation === "chat" || operation === "responses";

/** Where features come from another thread, memory keeps the receipt until the log has it. */
async function appendLater(
  event: CallEvent,
  query: RoutingQuery,
  extractor: NonNullable<Services["features"]>,
  { events, receipts, onInternalFailure }: Services,
): Promise<void> {
  const { callId } = event.receipt;
  receipts.add(event.receipt);
  let features: RawFeatures | undefined;
  try {
    features = await extractor.extract(query);
  } catch (cause) {
    onInternalFailure(cause); // a row without features is worth more than no row
  }
  const unread = event.unread && { ...event.unread, toolText: "", extract: false };
  events.append({ ...event, ...(unread && { unread }), ...(features && { features }) });
  receipts.remove(callId);
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };
