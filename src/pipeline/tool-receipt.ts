/**
 * The end of whatever an agent has the gateway do: a tool's call, say. A row in the event log under
 * an operation of its own, metrics, and the charge, as every call of a model has them.
 */
import type { Caller } from "../domain/call.ts";
import type { CallOutcome, Receipt } from "../domain/decision.ts";
import type { Services } from "./services.ts";

export interface ToolEnd {
  /** Ours, a UUIDv7; the receipt's key. */
  readonly callId: string;
  readonly requestId?: string;
  readonly caller: Caller;
  /** `mcp_tool`, `skill_run`, `vector_search`. */
  readonly operation: string;
  /** What was asked for: `server.tool`. */
  readonly name: string;
  /** Who did it: the server's name. Few, and the operator's own. */
  readonly provider: string;
  readonly startedAtMs: number;
  readonly outcome: CallOutcome;
  /** A code word, where it failed. */
  readonly error?: string;
  readonly costMicroUsd?: number;
}

const durations = [0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 300];

/** Metrics: `routeiq_tool_calls_total` and `routeiq_tool_duration_seconds`, by operation and provider. */
export function recordTool(end: ToolEnd, services: Services): void {
  const { telemetry, clock, events, spend } = services;
  const { operation, provider, outcome, costMicroUsd: cost } = end;
  const totalMs = Math.max(0, clock.now() - end.startedAtMs);
  const labels = ["operation", "provider"];
  telemetry
    .counter("routeiq.tool.calls", "Tools that ran.", [...labels, "outcome"])
    .add(1, operation, provider, outcome);
  telemetry
    .histogram("routeiq.tool.duration", "What a tool's run took.", durations, labels, "s")
    .observe(totalMs / 1000, operation, provider);
  if (cost) spend.charge(end.caller.id, cost);
  events.append({ receipt: toReceipt(end, totalMs), tenant: end.caller.tenant });
}

function toReceipt(end: ToolEnd, totalMs: number): Receipt {
  const { callId, name, provider, startedAtMs, outcome, error, costMicroUsd } = end;
  const failed = outcome === "cancelled" ? "cancelled" : "failed";
  return {
    callId,
    requestId: end.requestId ?? callId,
    atMs: startedAtMs,
    caller: end.caller.id,
    requestedModel: name,
    operation: end.operation,
    stream: false,
    attempts: [
      {
        deployment: provider,
        model: name,
        provider,
        startedAtMs,
        durationMs: totalMs,
        status: outcome === "success" ? 200 : 0,
        outcome: outcome === "success" ? "ok" : failed,
        ...(error === undefined ? {} : { error }),
        because: "first",
      },
    ],
    deployment: provider,
    outcome,
    timings: { decisionUs: 0, overheadUs: 0, totalMs },
    feedback: [],
    ...(error === undefined ? {} : { error }),
    ...(costMicroUsd ? { costMicroUsd } : {}),
  };
}
