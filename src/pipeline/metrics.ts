/**
 * What a call counts and measures. Names: the predecessor's and OpenTelemetry's gen_ai ones.
 * Label values are names of the operator's, never a caller's text, so that series stay few.
 */
import type { Deployment } from "../domain/model.ts";
import type { Counter, CounterSeries, HistogramSeries, Telemetry } from "../telemetry/telemetry.ts";
import { type CallRecord, costOf } from "./record.ts";

export interface CallMetrics {
  finished(record: CallRecord): void;
  /** A request refused before it became a call: no key, broken JSON. */
  refused(operation: string, code: string): void;
  /** A call that a strategy made on its way to the answer. */
  asked(record: CallRecord, purpose: string, outcome: string): void;
  /** A strategy that asks models failed; `code` of ErrorCode, or `stopped` at a limit of its own. */
  unpoliced(strategy: string, code: string): void;
}

const doubling = (from: number, count: number) =>
  Array.from({ length: count }, (_, n) => from * 2 ** n);

const buckets = {
  duration: doubling(0.01, 14),
  firstToken: doubling(0.01, 12),
  tokens: Array.from({ length: 12 }, (_, n) => 4 ** n),
  tokensPerSecond: [1, 2, 5, 10, 20, 50, 100, 200, 500],
  decision: [0.00001, 0.00005, 0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1],
  overhead: [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.1, 1],
  cost: [0.0001, 0.001, 0.01, 0.1, 0.5, 1, 5, 10],
} as const;

/** `active` is asked when metrics are read. */
export function createCallMetrics(telemetry: Telemetry, active: () => number): CallMetrics {
  const metrics = declare(telemetry);
  const inFlight = telemetry.gauge("gateway.request.active", "Calls in flight.");
  telemetry.onCollect(() => inFlight.set(active()));

  let draws: Counter | undefined;
  const ofOperation = new Map<string, CounterSeries>();
  const ofDeployment = new WeakMap<Deployment, Map<string, DeploymentSeries>>();
  const ofStrategy = new Map<string, HistogramSeries>();
  const tokens = { input: metrics.tokens.of("input"), output: metrics.tokens.of("output") };
  const [overhead, perRequest] = [metrics.overhead.of(), metrics.perRequest.of()];

  function seriesOf(deployment: Deployment, operation: string): DeploymentSeries {
    const held = ofDeployment.get(deployment) ?? new Map<string, DeploymentSeries>();
    const known = held.get(operation);
    if (known) return known;
    const labels = [operation, deployment.candidate, deployment.provider];
    const series = {
      duration: metrics.duration.of(...labels),
      firstToken: metrics.firstToken.of(...labels),
      input: metrics.usage.of(...labels, "input"),
      output: metrics.usage.of(...labels, "output"),
      speed: metrics.speed.of(...labels),
      cost: metrics.cost.of(deployment.candidate),
      unpriced: metrics.unpriced.of(deployment.candidate),
    };
    ofDeployment.set(deployment, held.set(operation, series));
    return series;
  }

  function countUsage(record: CallRecord, series: DeploymentSeries): void {
    if (!record.usage) return;
    const micro = costOf(record);
    if (record.isCounted) {
      if (micro !== undefined) perRequest.observe(micro / 1e6);
      return;
    }
    const { inputTokens, outputTokens } = record.usage;
    series.input.observe(inputTokens);
    series.output.observe(outputTokens);
    tokens.input.add(inputTokens);
    tokens.output.add(outputTokens);
    if (record.totalMs > 0 && outputTokens > 0) {
      series.speed.observe((outputTokens * 1000) / record.totalMs);
    }
    if (micro === undefined) {
      series.unpriced.add(1);
      return;
    }
    series.cost.add((micro - record.askedMicroUsd) / 1e6);
    if (!record.isPart) perRequest.observe(micro / 1e6);
  }

  return {
    asked(record, purpose, outcome) {
      metrics.asked.add(1, purpose, outcome);
      const { deployment, totalMs, call } = record;
      if (!deployment) return;
      const series = seriesOf(deployment, call.operation);
      series.duration.observe(totalMs / 1000);
      countUsage(record, series);
    },
    unpoliced: (strategy, code) => metrics.unpoliced.add(1, strategy, code),
    refused(operation, code) {
      metrics.total.add(1, operation, "refused");
      metrics.errors.add(1, operation, code);
    },
    finished(record) {
      const { operation } = record.call;
      if (record.outcome === "success") {
        remembered(ofOperation, operation, () => metrics.total.of(operation, "success")).add(1);
      } else metrics.total.add(1, operation, record.outcome ?? "failure");
      if (record.error) metrics.errors.add(1, operation, record.error.code);
      if (record.ranking) {
        const { strategy, reason, decisionUs } = record.ranking.decision;
        remembered(ofStrategy, strategy, () => metrics.decision.of(strategy)).observe(
          decisionUs / 1e6,
        );
        metrics.strategies.add(1, strategy, reason);
        const { exploration } = record.ranking.decision;
        if (exploration) {
          draws ??= declareDraws(telemetry);
          draws.add(1, exploration.mode, reason === "explored" ? "other" : "best");
        }
      }
      const { deployment, firstTokenMs } = record;
      if (!deployment) return;
      const series = seriesOf(deployment, operation);
      series.duration.observe(record.totalMs / 1000);
      overhead.observe(record.overheadUs / 1e6);
      if (firstTokenMs !== undefined) series.firstToken.observe(firstTokenMs / 1000);
      countUsage(record, series);
      if (record.attempts.length < 2) return;
      for (const { because } of record.attempts) {
        if (because !== "first") metrics.retries.add(1, because);
      }
    },
  };
}

/** What a deployment counts per operation; gone with the deployment. */
interface DeploymentSeries {
  readonly duration: HistogramSeries;
  readonly firstToken: HistogramSeries;
  readonly input: HistogramSeries;
  readonly output: HistogramSeries;
  readonly speed: HistogramSeries;
  readonly cost: CounterSeries;
  readonly unpriced: CounterSeries;
}

/** Keys are names of the operator's or of ours, so few. */
function remembered<T>(known: Map<string, T>, key: string, make: () => T): T {
  const held = known.get(key);
  if (held) return held;
  const made = make();
  known.set(key, made);
  return made;
}

/** Where nobody explores, nothing of it is among the metrics. */
function declareDraws({ counter }: Telemetry): Counter {
  const help = "Draws of exploration: whether the best model came of it, or another.";
  return counter("routeiq.exploration.draws", help, ["mode", "drawn"]);
}

function declare({ counter, histogram }: Telemetry) {
  const model = ["gen_ai.request.model"];
  const of = ["gen_ai.operation.name", ...model, "gen_ai.system"];
  const kind = ["gen_ai.token.type"];
  return {
    duration: histogram(
      "gen_ai.client.operation.duration",
      "From a call's arrival to the end of its reply.",
      buckets.duration,
      of,
      "s",
    ),
    firstToken: histogram(
      "gen_ai.server.time_to_first_token",
      "From a call's arrival to the first token of its stream.",
      buckets.firstToken,
      of,
      "s",
    ),
    usage: histogram(
      "gen_ai.client.token.usage",
      "Tokens per call.",
      buckets.tokens,
      [...of, ...kind],
      "{token}",
    ),
    speed: histogram(
      "gen_ai.client.tokens_per_second",
      "Output tokens per second of a call.",
      buckets.tokensPerSecond,
      of,
    ),
    total: counter("gateway.request.total", "Calls that ended.", ["operation", "outcome"]),
    errors: counter("gateway.request.error", "Calls that failed.", ["operation", "code"]),
    decision: histogram(
      "gateway.routing.decision.duration",
      "What a routing decision took.",
      buckets.decision,
      ["strategy"],
      "s",
    ),
    strategies: counter("gateway.routing.strategy.usage", "Decisions.", ["strategy", "reason"]),
    overhead: histogram(
      "routeiq.overhead",
      "Time in the gateway until the upstream was called.",
      buckets.overhead,
      [],
      "s",
    ),
    cost: counter("gateway.cost.total", "Money spent.", model, "USD"),
    perRequest: histogram("gateway.cost.per_request", "Money per call.", buckets.cost, [], "USD"),
    unpriced: counter("gateway.cost.errors", "Calls whose cost is unknown: no price.", model),
    tokens: counter("gateway.tokens.total", "Tokens.", kind, "{token}"),
    asked: counter("routeiq.strategy.calls", "Calls that a strategy made on its way.", [
      "purpose",
      "outcome",
    ]),
    unpoliced: counter(
      "routeiq.strategy.fallbacks",
      "Calls routed statically, as the strategy that asks models failed.",
      ["strategy", "code"],
    ),
    retries: counter("routeiq.retries", "Attempts after a call's first.", ["because"]),
  };
}
