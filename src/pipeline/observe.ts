/** The end of every call: its receipt, its row in the event log, its metrics, its span. Once. */
import type { Call } from "../domain/call.ts";
import type { Receipt } from "../domain/decision.ts";
import type { RawFeatures, RoutingQuery } from "../domain/features.ts";
import { toRoutingQuery } from "../routing/query-text.ts";
import { sha256Hex } from "../security/hashing.ts";
import { type CallRecord, costOf, toReceipt } from "./record.ts";
import type { Services } from "./services.ts";
import type { StreamEnd } from "./stream.ts";

export function finish(record: CallRecord, end: StreamEnd, services: Services): void {
  if (record.outcome !== undefined) return;
  const { clock, activity, receipts, metrics, router } = services;
  record.outcome = end.outcome;
  record.error = end.error;
  record.totalMs = clock.now() - record.call.startedAtMs;
  record.release();
  const receipt = toReceipt(record);
  receipts.add(receipt);
  metrics.finished(record);
  const cost = costOf(record);
  if (cost) services.spend.charge(record.call.caller.id, cost);
  const { deployment, rankRequest, ranking } = record;
  if (end.outcome === "success" && deployment && rankRequest) {
    const inputTokens = record.usage?.inputTokens ?? ranking?.inputTokens ?? 0;
    router.remember(rankRequest, deployment.candidate, inputTokens);
  }
  activity.leave(record);
  queueEvent(record, receipt, services);
}

/** After the reply: the features and hashes of a row are nobody's waiting time. */
function queueEvent(record: CallRecord, receipt: Receipt, services: Services): void {
  setImmediate(() => {
    logEvent(record, receipt, services).catch(services.onInternalFailure);
  });
}

/** The log has the receipt from here on; where that fails, memory keeps it. */
async function logEvent(record: CallRecord, receipt: Receipt, services: Services): Promise<void> {
  const { call, ranking, rankRequest, trace } = record;
  const { telemetry } = services.config.routeiq;
  const key = rankRequest?.session?.key;
  services.events.append({
    receipt,
    tenant: call.caller.tenant,
    // What a mock answered is no lesson.
    ...(telemetry.events && !call.options.mock ? await queryFacts(record, services) : {}),
    ...(key !== undefined && telemetry.events ? { sessionHash: sha256Hex(key) } : {}),
    ...(ranking ? { inputTokens: ranking.inputTokens } : {}),
    ...(trace ? { trace } : {}),
  });
  services.receipts.remove(receipt.callId);
}

/** What learning needs of the query. The text itself only where the operator wants it stored. */
async function queryFacts({ call, ranking }: CallRecord, services: Services) {
  const { text, ...query } = ranking?.query ?? toRoutingQuery(call.chat ?? call.body);
  const features = ranking?.features ?? (await extractFeatures(call, { text, ...query }, services));
  return {
    queryHash: sha256Hex(text),
    queryLength: text.length,
    ...(features ? { features } : {}),
    ...(services.config.routeiq.telemetry.storePrompts ? { prompt: text } : {}),
  };
}

/** A row without features is worth more than no row. */
async function extractFeatures(
  call: Call,
  query: RoutingQuery,
  services: Services,
): Promise<RawFeatures | undefined> {
  if (call.operation !== "chat" && call.operation !== "responses") return undefined;
  try {
    return await services.features?.extract(query);
  } catch (cause) {
    services.onInternalFailure(cause);
    return undefined;
  }
}
