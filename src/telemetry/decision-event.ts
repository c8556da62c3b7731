/**
 * The predecessor's event of a routing decision, `routeiq.router_decision.v1`, on the call's span:
 * its keys in its order, all of them always there, its values what this gateway knows. No text of
 * the query is in it, only its length.
 */
import type { CandidateScore, Decision, DecisionReason, Receipt } from "../domain/decision.ts";
import type { CallEvent } from "../domain/event.ts";
import { withoutPrefix } from "../domain/model.ts";

export const decisionEventName = "routeiq.router_decision.v1";
/** Attribute of the event that holds the JSON text. */
export const decisionPayloadKey = "routeiq.router_decision.payload";

/** The predecessor's words for why: its own four. Ours stands in `custom_attributes`. */
const selectionReasons: Readonly<Record<DecisionReason, string>> = {
  utility: "strategy_prediction",
  floor: "strategy_prediction",
  fixed: "strategy_prediction",
  explored: "strategy_prediction",
  abstained: "no_prediction",
  sticky: "active_strategy",
  single_candidate: "active_strategy",
  static: "active_strategy",
  fallback: "no_prediction",
};

const apiTypes: Readonly<Record<string, string>> = {
  chat: "chat_completion",
  responses: "responses",
  embedding: "embedding",
};

/** JSON text of the event. @param eventId a UUID of version 4 */
export function toDecisionPayload(event: CallEvent, decision: Decision, eventId: string): string {
  const { receipt, trace } = event;
  const apiType = apiTypes[receipt.operation] ?? receipt.operation;
  return JSON.stringify({
    contract_version: "v1",
    contract_name: decisionEventName,
    event_id: eventId,
    trace_id: trace?.traceId ?? null,
    span_id: trace?.spanId ?? null,
    parent_span_id: trace?.parentSpanId ?? null,
    timestamp_utc: `${new Date(receipt.atMs).toISOString().slice(0, 19)}.000Z`,
    timestamp_unix_ms: Math.round(receipt.atMs),
    input: {
      requested_model: receipt.requestedModel,
      query_length: event.queryLength ?? 0,
      user_id: receipt.caller === "anonymous" ? null : receipt.caller,
      team_id: event.tenant,
      api_type: apiType,
      request_metadata: {},
    },
    strategy_name: decision.strategy,
    strategy_version: decision.artifact === "none" ? null : decision.artifact,
    candidate_deployments: decision.candidates.map((one) => toCandidate(one, receipt)),
    selected_deployment: decision.chosen,
    selection_reason: selectionReasons[decision.reason],
    experiment: {
      experiment_id: null,
      variant: null,
      strategy_name: null,
      strategy_version: null,
      weight: null,
      total_weight: null,
      hash_bucket: null,
      hash_key_type: null,
    },
    timings: {
      total_ms: decision.decisionUs / 1000,
      strategy_ms: decision.decisionUs / 1000,
      embedding_ms: null,
      candidate_filter_ms: null,
    },
    outcome: {
      status: toStatus(receipt),
      error_message: toErrorMessage(receipt),
      error_type: receipt.error ?? null,
      input_tokens: receipt.usage?.inputTokens ?? null,
      output_tokens: receipt.usage?.outputTokens ?? null,
      total_tokens: receipt.usage ? receipt.usage.inputTokens + receipt.usage.outputTokens : null,
      api_type: apiType,
    },
    fallback: toFallback(receipt),
    custom_attributes: { call_id: receipt.callId, reason: decision.reason },
  });
}

function toCandidate(candidate: CandidateScore, receipt: Receipt) {
  return {
    model_name: candidate.model,
    provider: providerOf(candidate.model, receipt),
    score: candidate.quality ?? null,
    available: candidate.filtered === undefined,
  };
}

/** The provider an attempt met, else the prefix that names it in `litellm_params.model`. */
export function providerOf(model: string, receipt: Receipt): string {
  const met = receipt.attempts.find((attempt) => attempt.model === model)?.provider;
  if (met !== undefined) return met;
  return model === withoutPrefix(model) ? "openai" : model.slice(0, model.indexOf("/"));
}

function toStatus(receipt: Receipt): string {
  if (receipt.outcome === "success") return hasFallback(receipt) ? "fallback" : "success";
  if (receipt.error === "no_deployment") return "no_candidates";
  if (receipt.error === "upstream_timeout" || receipt.error === "deadline_exceeded") {
    return "timeout";
  }
  return receipt.outcome === "failure" ? "failure" : "error";
}

/** The receipt keeps codes, not texts: the provider's status and our code. */
function toErrorMessage(receipt: Receipt): string | null {
  if (receipt.error === undefined) return null;
  const last = receipt.attempts.at(-1);
  return last && last.outcome !== "ok" ? `${receipt.error} (status ${last.status})` : receipt.error;
}

export function hasFallback(receipt: Receipt): boolean {
  return receipt.attempts.some((attempt) => attempt.because === "fallback");
}

function toFallback(receipt: Receipt) {
  const first = receipt.attempts.findIndex((attempt) => attempt.because === "fallback");
  const before = receipt.attempts[first - 1];
  return {
    fallback_triggered: first >= 0,
    original_model: first >= 0 ? (receipt.attempts[0]?.model ?? null) : null,
    fallback_reason: before?.error ?? null,
    fallback_attempt: receipt.attempts.filter((attempt) => attempt.because === "fallback").length,
  };
}
