/** What a call counts and measures. Names: the predecessor's and OpenTelemetry's gen_ai ones. */
import type { Telemetry } from "../telemetry/telemetry.ts";
import { type CallRecord, costOf, retriesOf } from "./record.ts";

export interface CallMetrics {
  active(count: number): void;
  finished(record: CallRecord): void;
  /** A request refused before it became a call: no key, broken JSON. */
  refused(operation: string, code: string): void;
}

const doubling = (from: number, count: number) =>
  Array.from({ length: count }, (_, n) => from * 2 ** n);

const buckets = {
  duration: doubling(0.01, 14),
  firstToken: doubling(0.01, 12),
  tokens: Array.from({ length: 12 }, (_, n) => 4 ** n),
  tokensPerSecond: [1, 2, 5, 10, 20, 50, 100, 200, 500],
  decision: [0.000_01, 0.000_05, 0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1],
  overhead: [0.0001, 0.000_25, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.1, 1],
  cost: [0.0001, 0.001, 0.01, 0.1, 0.5, 1, 5, 10],
} as const;

export function createCallMetrics(telemetry: Telemetry): CallMetrics {
  const of = ["gen_ai.operation.name", "gen_ai.request.model", "gen_ai.system"];
  const duration = telemetry.histogram(
    "gen_ai.client.operation.duration",
    "Seconds from a call's arrival to the end of its reply.",
    buckets.duration,
    of,
  );
  const firstToken = telemetry.histogram(
    "gen_ai.server.time_to_first_token",
    "Seconds from a call's arrival to the first token of its stream.",
    buckets.firstToken,
    of,
  );
  const usage = telemetry.histogram(
    "gen_ai.client.token.usage",
    "Tokens per call.",
    buckets.tokens,
    [...of, "gen_ai.token.type"],
  );
  const speed = telemetry.histogram(
    "gen_ai.client.tokens_per_second",
    "Output tokens per second of a call.",
    buckets.tokensPerSecond,
    of,
  );
  const total = telemetry.counter("gateway.request.total", "Calls that ended.", [
    "operation",
    "outcome",
  ]);
  const errors = telemetry.counter("gateway.request.error", "Calls that failed.", [
    "operation",
    "code",
  ]);
  const activeCalls = telemetry.gauge("gateway.request.active", "Calls in flight.");
  const decision = telemetry.histogram(
    "gateway.routing.decision.duration",
    "Seconds that a routing decision took.",
    buckets.decision,
    ["strategy"],
  );
  const strategies = telemetry.counter("gateway.routing.strategy.usage", "Decisions.", [
    "strategy",
    "reason",
  ]);
  const overhead = telemetry.histogram(
    "routeiq.overhead",
    "Seconds in the gateway until the upstream was called.",
    buckets.overhead,
  );
  const cost = telemetry.counter("gateway.cost.total", "USD spent.", ["gen_ai.request.model"]);
  const perRequest = telemetry.histogram("gateway.cost.per_request", "USD per call.", buckets.cost);
  const unpriced = telemetry.counter(
    "gateway.cost.errors",
    "Calls whose cost is unknown for want of a price.",
    ["gen_ai.request.model"],
  );
  const tokens = telemetry.counter("gateway.tokens.total", "Tokens.", ["gen_ai.token.type"]);
  const retries = telemetry.counter("routeiq.retries", "Attempts after a call's first.", [
    "because",
  ]);

  function countDecision(record: CallRecord): void {
    if (!record.ranking) return;
    const { strategy, reason, decisionUs } = record.ranking.decision;
    decision.observe(decisionUs / 1e6, strategy);
    strategies.add(1, strategy, reason);
  }

  function countUsage(record: CallRecord, labels: readonly string[], model: string): void {
    if (!record.usage) return;
    const { inputTokens, outputTokens } = record.usage;
    usage.observe(inputTokens, ...labels, "input");
    usage.observe(outputTokens, ...labels, "output");
    tokens.add(inputTokens, "input");
    tokens.add(outputTokens, "output");
    if (record.totalMs > 0 && outputTokens > 0) {
      speed.observe((outputTokens * 1000) / record.totalMs, ...labels);
    }
    const micro = costOf(record);
    if (micro === undefined) {
      unpriced.add(1, model);
      return;
    }
    cost.add(micro / 1e6, model);
    perRequest.observe(micro / 1e6);
  }

  return {
    active: (count) => activeCalls.set(count),
    refused(operation, code) {
      total.add(1, operation, "refused");
      errors.add(1, operation, code);
    },
    finished(record) {
      const { operation } = record.call;
      total.add(1, operation, record.outcome ?? "failure");
      if (record.error) errors.add(1, operation, record.error.code);
      countDecision(record);
      const { deployment } = record;
      if (!deployment) return;
      // The model's name is the operator's, never the caller's text: labels stay few.
      const labels = [operation, deployment.candidate, deployment.provider];
      duration.observe(record.totalMs / 1000, ...labels);
      overhead.observe(record.overheadUs / 1e6);
      if (record.firstTokenMs !== undefined)
        firstToken.observe(record.firstTokenMs / 1000, ...labels);
      countUsage(record, labels, deployment.candidate);
      const again = retriesOf(record);
      if (again > 0) retries.add(again, "retry");
      if (record.fallbacks > 0) retries.add(record.fallbacks, "fallback");
    },
  };
}
