/**
 * The predecessor's event of a routing decision, `routeiq.router_decision.v1`, on the call's span:
 * its keys in its order, all of them always there, its values what this gateway knows. No text of
 * the query is in it, only its length.
 */
import type { Decision, DecisionReason, Receipt } from "../domain/decision.ts";
import type { CallEvent } from "../domain/event.ts";
import { withoutPrefix } from "../domain/model.ts";

export const decisionEventName = "routeiq.router_decision.v1";
/** Attribute of the event that holds the JSON text. */
export const decisionPayloadKey = "routeiq.router_decision.payload";

/** The predecessor's words for why: its own four. Ours stands in `custom_attributes`. */
const selectionReasons: Readonly<Record<DecisionReason, string>> = {
  utility: "strategy_prediction",
  floor: "strategy_prediction",
  infeasible: "strategy_prediction",
  fixed: "strategy_prediction",
  explored: "strategy_prediction",
  abstained: "no_prediction",
  prior: "strategy_prediction",
  cost_aware: "strategy_prediction",
  sticky: "active_strategy",
  single_candidate: "active_strategy",
  named: "strategy_prediction",
  verified: "strategy_prediction",
  escalated: "strategy_prediction",
  composed: "strategy_prediction",
  static: "active_strategy",
  fallback: "no_prediction",
};

const apiTypes: Readonly<Record<string, string>> = {
  chat: "chat_completion",
  responses: "responses",
  embedding: "embedding",
};

/** Stands where a call's own value goes; nobody outside can know it, so nobody can write it. */
const blank = `blank-${crypto.randomUUID()}`;

/**
 * The event's text for all calls that are alike, in pieces: between them go the values of the call,
 * in the order of `FillPayload`. Made once for many calls.
 */
export function toPayloadPieces(event: CallEvent, decision: Decision): readonly string[] {
  const { receipt } = event;
  const apiType = apiTypes[receipt.operation] ?? receipt.operation;
  const text = JSON.stringify({
    contract_version: "v1",
    contract_name: decisionEventName,
    event_id: blank,
    trace_id: blank,
    span_id: blank,
    parent_span_id: blank,
    timestamp_utc: blank,
    timestamp_unix_ms: blank,
    input: {
      requested_model: receipt.requestedModel,
      query_length: blank,
      user_id: receipt.caller === "anonymous" ? null : receipt.caller,
      team_id: event.tenant,
      api_type: apiType,
      request_metadata: {},
    },
    strategy_name: decision.strategy,
    strategy_version: decision.artifact === "none" ? null : decision.artifact,
    candidate_deployments: blank,
    selected_deployment: decision.chosen,
    selection_reason: decision.arm?.experiment ? "ab_test" : selectionReasons[decision.reason],
    experiment: toExperiment(decision),
    timings: {
      total_ms: blank,
      strategy_ms: blank,
      embedding_ms: null,
      candidate_filter_ms: null,
    },
    outcome: {
      status: toStatus(receipt),
      error_message: toErrorMessage(receipt),
      error_type: receipt.error ?? null,
      input_tokens: blank,
      output_tokens: blank,
      total_tokens: blank,
      api_type: apiType,
    },
    fallback: toFallback(receipt),
    custom_attributes: { call_id: blank, reason: decision.reason },
  });
  return text.split(`"${blank}"`);
}

function toExperiment({ arm, strategy, artifact }: Decision) {
  return {
    experiment_id: arm?.experiment ?? null,
    variant: arm?.variant ?? null,
    strategy_name: arm ? strategy : null,
    strategy_version: arm && artifact !== "none" ? artifact : null,
    weight: arm ? Math.round(arm.probability * arm.buckets) : null,
    total_weight: arm?.buckets ?? null,
    hash_bucket: blank,
    hash_key_type: arm?.keyType ?? null,
  };
}

/** Puts a call's own values between the pieces; keeps what one call has in common with the last. */
export type FillPayload = (
  pieces: readonly string[],
  event: CallEvent,
  decision: Decision,
  /** A UUID of version 4. */
  eventId: string,
) => string;

/** Candidates whose beginning is remembered. */
const beginningLimit = 1_000;

export function createFillPayload(): FillPayload {
  const beginnings = new Map<string, string>();
  let second = Number.NaN;
  let utc = "";

  /** To the second, as the predecessor wrote it. */
  function toUtc(ms: number): string {
    const whole = Math.floor(ms / 1000);
    if (whole !== second) {
      second = whole;
      utc = `${new Date(whole * 1000).toISOString().slice(0, 19)}.000Z`;
    }
    return utc;
  }

  function beginningOf(model: string, receipt: Receipt): string {
    const provider = providerOf(model, receipt);
    const key = `${provider}\n${model}`;
    const known = beginnings.get(key);
    if (known !== undefined) return known;
    if (beginnings.size >= beginningLimit) beginnings.clear();
    const named = JSON.stringify({ model_name: model, provider });
    const beginning = `${named.slice(0, -1)},"score":`;
    beginnings.set(key, beginning);
    return beginning;
  }

  function candidatesText({ candidates }: Decision, receipt: Receipt): string {
    let text = "";
    for (const { model, quality, filtered } of candidates) {
      const start = text === "" ? "[" : ",";
      const available = filtered === undefined ? "true}" : "false}";
      text += `${start}${beginningOf(model, receipt)}${toJson(quality)},"available":${available}`;
    }
    return text === "" ? "[]" : `${text}]`;
  }

  return (pieces, { receipt, trace, queryLength = 0 }, decision, eventId) => {
    const { usage, atMs } = receipt;
    const at = (n: number) => pieces[n] as string;
    const ms = toJson(decision.decisionUs / 1000);
    // One expression, so that the engine joins it in one go.
    return `${at(0)}"${eventId}"${at(1)}${quoted(trace?.traceId)}${at(2)}${quoted(trace?.spanId)}${at(3)}${quoted(trace?.parentSpanId)}${at(4)}"${toUtc(atMs)}"${at(5)}${Math.round(atMs)}${at(6)}${queryLength}${at(7)}${candidatesText(decision, receipt)}${at(8)}${toJson(decision.arm?.bucket)}${at(9)}${ms}${at(10)}${ms}${at(11)}${toJson(usage?.inputTokens)}${at(12)}${toJson(usage?.outputTokens)}${at(13)}${toJson(usage && usage.inputTokens + usage.outputTokens)}${at(14)}${quoted(receipt.callId)}${at(15)}`;
  };
}

/** An id of ours, in which nothing is to be escaped. */
const quoted = (id: string | undefined) => (id === undefined ? "null" : `"${id}"`);

/** JSON has neither NaN nor infinities. */
function toJson(value: number | undefined): string {
  return value !== undefined && Number.isFinite(value) ? String(value) : "null";
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
