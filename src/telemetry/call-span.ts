/**
 * The spans of a call, made from its event in the background thread, so that the serving thread pays
 * for neither. Attribute names: OpenTelemetry's gen_ai conventions and the predecessor's.
 * Source: https://opentelemetry.io/docs/specs/semconv/gen-ai/
 */
import type { AttemptRecord, Decision, Receipt } from "../domain/decision.ts";
import type { CallEvent, CallTrace } from "../domain/event.ts";
import { withoutPrefix } from "../domain/model.ts";
import {
  decisionEventName,
  decisionPayloadKey,
  hasFallback,
  providerOf,
  toDecisionPayload,
} from "./decision-event.ts";
import type { Attributes, SpanRecord } from "./telemetry.ts";

export interface SpanIds {
  /** 16 hex digits. */
  readonly newSpanId: () => string;
  /** A UUID of version 4. */
  readonly newEventId: () => string;
}

const operations: Readonly<Record<string, string>> = {
  chat: "chat",
  responses: "chat",
  embedding: "embeddings",
};

/** The call's span, one for its routing decision and one for each attempt; none where not sampled. */
export function toSpans(event: CallEvent, ids: SpanIds): SpanRecord[] {
  const { receipt, trace } = event;
  if (!trace?.sampled) return [];
  const { decision } = receipt;
  const spans: SpanRecord[] = [toCallSpan(event, trace, ids)];
  if (decision) spans.push(toDecisionSpan(receipt, decision, trace, ids));
  for (const attempt of receipt.attempts) spans.push(toAttemptSpan(receipt, attempt, trace, ids));
  return spans;
}

function toCallSpan(event: CallEvent, trace: CallTrace, ids: SpanIds): SpanRecord {
  const { receipt } = event;
  const { decision, timings, atMs } = receipt;
  const payload = decision && toDecisionPayload(event, decision, ids.newEventId());
  return {
    name: `${operations[receipt.operation] ?? receipt.operation} ${receipt.requestedModel}`,
    traceId: trace.traceId,
    spanId: trace.spanId,
    ...(trace.parentSpanId !== undefined && { parentSpanId: trace.parentSpanId }),
    kind: "server",
    startMs: atMs,
    endMs: atMs + timings.totalMs,
    ...(receipt.outcome !== "success" && { error: receipt.error ?? receipt.outcome }),
    attributes: {
      ...callAttributes(receipt),
      ...(decision && routerAttributes(receipt, decision)),
    },
    ...(payload !== undefined && {
      events: [
        {
          name: decisionEventName,
          atMs: atMs + timings.overheadUs / 1000,
          attributes: { [decisionPayloadKey]: payload },
        },
      ],
    }),
  };
}

function callAttributes(receipt: Receipt): Attributes {
  const { usage, timings, costMicroUsd, error, deployment } = receipt;
  const answered = receipt.attempts.findLast((attempt) => attempt.outcome === "ok");
  return {
    "gen_ai.operation.name": operations[receipt.operation] ?? receipt.operation,
    "gen_ai.request.model": receipt.requestedModel,
    "routeiq.call_id": receipt.callId,
    "routeiq.outcome": receipt.outcome,
    "routeiq.stream": receipt.stream,
    "routeiq.attempts": receipt.attempts.length,
    "routeiq.overhead_us": timings.overheadUs,
    ...(answered && {
      "gen_ai.system": answered.provider,
      "gen_ai.provider.name": answered.provider,
      "gen_ai.response.model": withoutPrefix(answered.model),
    }),
    ...(usage && {
      "gen_ai.usage.input_tokens": usage.inputTokens,
      "gen_ai.usage.output_tokens": usage.outputTokens,
    }),
    ...(receipt.finishReason !== undefined && {
      "gen_ai.response.finish_reasons": [receipt.finishReason],
    }),
    ...(timings.firstTokenMs !== undefined && {
      "gen_ai.response.time_to_first_chunk": timings.firstTokenMs / 1000,
    }),
    ...(costMicroUsd !== undefined && { "llm.cost.total": costMicroUsd / 1e6 }),
    ...(deployment !== undefined && { "routeiq.deployment": deployment }),
    ...(error !== undefined && { "error.type": error }),
  };
}

function routerAttributes(receipt: Receipt, decision: Decision): Attributes {
  const chosen = decision.candidates.find((one) => one.model === decision.chosen);
  const version = decision.artifact === "none" ? undefined : decision.artifact;
  return {
    "router.strategy": decision.strategy,
    "router.model_selected": decision.chosen,
    "router.candidates_evaluated": decision.candidates.filter((one) => !one.filtered).length,
    "router.decision_outcome": receipt.outcome,
    "router.decision_reason": decision.reason,
    "router.latency_ms": decision.decisionUs / 1000,
    "router.fallback_triggered": hasFallback(receipt),
    "routing.strategy_name": decision.strategy,
    ...(chosen?.quality !== undefined && { "router.score": chosen.quality }),
    ...(version !== undefined && {
      "router.strategy_version": version,
      "routing.strategy_version": version,
    }),
    ...(receipt.error !== undefined && { "router.error_type": receipt.error }),
  };
}

function toDecisionSpan(
  receipt: Receipt,
  decision: Decision,
  trace: CallTrace,
  ids: SpanIds,
): SpanRecord {
  const endMs = receipt.atMs + receipt.timings.overheadUs / 1000;
  return {
    name: "llm.routing.decision",
    traceId: trace.traceId,
    spanId: ids.newSpanId(),
    parentSpanId: trace.spanId,
    kind: "internal",
    startMs: Math.max(receipt.atMs, endMs - decision.decisionUs / 1000),
    endMs,
    attributes: {
      "llm.routing.strategy": decision.strategy,
      "llm.routing.model_count": decision.candidates.length,
    },
  };
}

function toAttemptSpan(
  receipt: Receipt,
  attempt: AttemptRecord,
  trace: CallTrace,
  ids: SpanIds,
): SpanRecord {
  const model = withoutPrefix(attempt.model);
  return {
    name: `${operations[receipt.operation] ?? receipt.operation} ${model}`,
    traceId: trace.traceId,
    spanId: ids.newSpanId(),
    parentSpanId: trace.spanId,
    kind: "client",
    startMs: attempt.startedAtMs,
    endMs: attempt.startedAtMs + attempt.durationMs,
    ...(attempt.outcome !== "ok" && { error: attempt.error ?? attempt.outcome }),
    attributes: {
      "gen_ai.operation.name": operations[receipt.operation] ?? receipt.operation,
      "gen_ai.request.model": model,
      "gen_ai.system": providerOf(attempt.model, receipt),
      "gen_ai.provider.name": providerOf(attempt.model, receipt),
      "routeiq.deployment": attempt.deployment,
      "routeiq.attempt.because": attempt.because,
      "http.response.status_code": attempt.status,
      ...(attempt.error !== undefined && { "error.type": attempt.error }),
    },
  };
}
