/** The end of every call: its receipt, its row in the event log, its metrics, its span. Once. */
import type { Receipt } from "../domain/decision.ts";
import type { CallEvent } from "../domain/event.ts";
import type { RawFeatures } from "../domain/features.ts";
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
  if (services.events) queueEvent(record, receipt, services);
}

/** After the reply: the features and hashes of a row are nobody's waiting time. */
function queueEvent(record: CallRecord, receipt: Receipt, services: Services): void {
  setImmediate(() => {
    logEvent(record, receipt, services).catch((cause: unknown) =>
      services.onInternalFailure(cause),
    );
  });
}

async function logEvent(record: CallRecord, receipt: Receipt, services: Services): Promise<void> {
  const { call, ranking, rankRequest } = record;
  const query = ranking?.query ?? toRoutingQuery(call.body);
  let features: RawFeatures | undefined = ranking?.features;
  if (!features && call.operation === "chat") features = await services.features?.extract(query);
  const key = rankRequest?.session?.key;
  const event: CallEvent = {
    receipt,
    tenant: call.caller.tenant,
    queryHash: sha256Hex(query.text),
    queryLength: query.text.length,
    ...(key === undefined ? {} : { sessionHash: sha256Hex(key) }),
    ...(features ? { features } : {}),
    ...(ranking ? { inputTokens: ranking.inputTokens } : {}),
    ...(services.config.routeiq.telemetry.storePrompts ? { prompt: query.text } : {}),
  };
  services.events?.append(event);
}
