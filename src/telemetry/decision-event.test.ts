/** The predecessor's decision event: every key, in its order, with real values. */
import { describe, expect, test } from "bun:test";
import { callEvent } from "../../test/support/events.ts";
import type { Decision, Receipt } from "../domain/decision.ts";
import type { CallEvent } from "../domain/event.ts";
import { createFillPayload, toPayloadPieces } from "./decision-event.ts";

/** As the predecessor's program wrote it: reference of names and order. */
const reference =
  '{"contract_version":"v1","contract_name":"routeiq.router_decision.v1","event_id":"<uuid4>","trace_id":null,"span_id":null,"parent_span_id":null,"timestamp_utc":"2026-11-24T02:51:09.000Z","timestamp_unix_ms":1795488669767,"input":{"requested_model":"auto","query_length":42,"user_id":null,"team_id":null,"api_type":null,"request_metadata":{}},"strategy_name":"llmrouter-knn","strategy_version":"abc123","candidate_deployments":[{"model_name":"openai/gpt-4o","provider":"openai","score":0.9,"available":true}],"selected_deployment":"openai/gpt-4o","selection_reason":"strategy_prediction","experiment":{"experiment_id":null,"variant":null,"strategy_name":null,"strategy_version":null,"weight":null,"total_weight":null,"hash_bucket":null,"hash_key_type":null},"timings":{"total_ms":1.5,"strategy_ms":null,"embedding_ms":null,"candidate_filter_ms":null},"outcome":{"status":"success","error_message":null,"error_type":null,"input_tokens":null,"output_tokens":null,"total_tokens":null,"api_type":null},"fallback":{"fallback_triggered":false,"original_model":null,"fallback_reason":null,"fallback_attempt":0},"custom_attributes":{}}';

const decision: Decision = {
  strategy: "llmrouter-knn",
  artifact: "router@12",
  reason: "utility",
  candidates: [
    { model: "openai/gpt-4o", group: "auto", quality: 0.9, probability: 1 },
    { model: "groq/llama", group: "auto", filtered: "context_window", probability: 0 },
  ],
  chosen: "openai/gpt-4o",
  decisionUs: 1500,
};

const attempt = {
  deployment: "d1",
  model: "openai/gpt-4o",
  provider: "openai",
  startedAtMs: 0,
  durationMs: 1,
  status: 200,
  outcome: "ok",
  because: "first",
} as const;

function payloadOf(changes: Partial<Receipt> = {}, event: Partial<CallEvent> = {}) {
  const base = callEvent(1, { decision, attempts: [attempt], ...changes });
  const { trace: _, ...rest } = base;
  const whole = { ...rest, tenant: "default", queryLength: 42, ...event };
  const pieces = toPayloadPieces(whole, decision);
  return JSON.parse(createFillPayload()(pieces, whole, decision, "id"));
}

/** Every key path of a value, in order; lists by their first element. */
function keysOf(value: unknown, path = ""): string[] {
  if (Array.isArray(value)) return keysOf(value[0], `${path}[]`);
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([key, inner]) => [
    `${path}.${key}`,
    ...(key === "custom_attributes" ? [] : keysOf(inner, `${path}.${key}`)),
  ]);
}

describe("routeiq.router_decision.v1", () => {
  test("has the predecessor's keys in the predecessor's order", () => {
    expect(keysOf(payloadOf())).toEqual(keysOf(JSON.parse(reference)));
  });

  test("an experiment's arm, with the bucket of each call", () => {
    const arm = {
      experiment: "e1",
      variant: "b",
      probability: 0.25,
      bucket: 95,
      buckets: 100,
      keyType: "tenant_user",
      unit: 7,
    } as const;
    const event = callEvent(1, { decision: { ...decision, arm }, attempts: [attempt] });
    const pieces = toPayloadPieces(event, { ...decision, arm });
    const payload = JSON.parse(createFillPayload()(pieces, event, { ...decision, arm }, "id"));
    expect(payload).toMatchObject({ selection_reason: "ab_test" });
    expect(payload.experiment).toEqual({
      experiment_id: "e1",
      variant: "b",
      strategy_name: "llmrouter-knn",
      strategy_version: "router@12",
      weight: 25,
      total_weight: 100,
      hash_bucket: 95,
      hash_key_type: "tenant_user",
    });
  });

  test("its values are real", () => {
    const trace = { traceId: "a".repeat(32), spanId: "b".repeat(16), sampled: true };
    expect(payloadOf({ atMs: 1_795_488_669_767 }, { trace })).toMatchObject({
      event_id: "id",
      trace_id: trace.traceId,
      span_id: trace.spanId,
      timestamp_utc: "2026-11-24T02:51:09.000Z",
      timestamp_unix_ms: 1_795_488_669_767,
      input: { requested_model: "auto", query_length: 42, api_type: "chat_completion" },
      strategy_version: "router@12",
      candidate_deployments: [
        { model_name: "openai/gpt-4o", provider: "openai", score: 0.9, available: true },
        { model_name: "groq/llama", provider: "groq", score: null, available: false },
      ],
      timings: { total_ms: 1.5 },
      outcome: { status: "success", input_tokens: 10, output_tokens: 20, total_tokens: 30 },
    });
  });

  test.each([
    [{ outcome: "failure", error: "upstream_failed" }, "failure"],
    [{ outcome: "failure", error: "no_deployment" }, "no_candidates"],
    [{ outcome: "failure", error: "upstream_timeout" }, "timeout"],
    [{ outcome: "truncated", error: "stream_truncated" }, "error"],
    [{ outcome: "cancelled", error: "caller_gone" }, "error"],
  ] as const)("outcome %o is %s", (changes, status) => {
    const payload = payloadOf(changes);
    expect(payload.outcome.status).toBe(status);
    expect(payload.outcome.error_type).toBe(changes.error);
  });

  test("a fallback says from what, and why", () => {
    const failed = {
      ...attempt,
      outcome: "failed",
      status: 500,
      error: "upstream_failed",
    } as const;
    const second = {
      ...attempt,
      model: "groq/llama",
      provider: "groq",
      because: "fallback",
    } as const;
    const payload = payloadOf({ attempts: [failed, second] });
    expect(payload.outcome.status).toBe("fallback");
    expect(payload.fallback).toEqual({
      fallback_triggered: true,
      original_model: "openai/gpt-4o",
      fallback_reason: "upstream_failed",
      fallback_attempt: 1,
    });
  });
});
