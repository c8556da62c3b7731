/** Telemetry of one process: metrics here, log lines out, spans and metrics on to the background thread. */
import type { Clock } from "../std/clock.ts";
import type { Remote } from "../std/rpc.ts";
import { createLog, type LogOptions } from "./log.ts";
import { createMetricRegistry, type MetricRegistry, type MetricSnapshot } from "./metrics.ts";
import type { OtlpStats } from "./otlp-exporter.ts";
import type { OtlpService, OtlpSettings } from "./otlp-thread.ts";
import { toPrometheus } from "./prometheus.ts";
import type { SpanRecord, Telemetry } from "./telemetry.ts";

export interface TelemetryOptions {
  readonly clock: Clock;
  readonly log: Omit<LogOptions, "clock">;
  /** Where spans and metrics are sent; missing: nowhere, and spans cost nothing. */
  readonly otlp?: OtlpSettings & {
    readonly remote: Remote<OtlpService>;
    readonly metricIntervalMs?: number;
  };
}

export interface GatewayTelemetry extends Telemetry {
  readonly registry: MetricRegistry;
  /** The metrics as `/metrics` shows them. */
  prometheus(): string;
  /** To be called when the background thread runs again after a crash. */
  restarted(): void;
  /** Sends all that waits, or gives it up. */
  flush(): Promise<void>;
  close(): Promise<void>;
}

/** Spans of our own (not of calls) that wait on the serving thread, at most. */
export const pendingSpanLimit = 1_024;
const spanDelayMs = 500;
const defaultMetricIntervalMs = 60_000;

export function createTelemetry(options: TelemetryOptions): GatewayTelemetry {
  const { clock, otlp } = options;
  const registry = createMetricRegistry();
  const collectors: (() => void)[] = [];
  const log = createLog({ ...options.log, clock });
  const count = (name: string, help: string) =>
    registry.declare({ name, help, kind: "counter", labels: [], unit: "", buckets: [] });
  const exportOf = otlp && {
    spans: count("routeiq.otlp.spans", "Spans that the OTLP endpoint took."),
    dropped: count("routeiq.otlp.spans.dropped", "Spans given up: the endpoint failed too long."),
    failures: count("routeiq.otlp.failures", "Requests to the OTLP endpoint that failed."),
  };
  let lostSpans = 0;
  let spans: SpanRecord[] = [];
  let cancelSpans: (() => void) | undefined;
  let cancelMetrics: (() => void) | undefined;

  function collect(): readonly MetricSnapshot[] {
    for (const collector of collectors) collector();
    return registry.snapshot();
  }

  function sendSpans(): Promise<void> {
    cancelSpans?.();
    cancelSpans = undefined;
    if (!otlp || spans.length === 0) return Promise.resolve();
    const batch = spans;
    spans = [];
    return otlp.remote.call("spans", JSON.stringify(batch)).catch(() => {
      lostSpans += batch.length; // the thread is down: its crash is in the log already
    });
  }

  function sendMetrics(): Promise<void> {
    if (!otlp) return Promise.resolve();
    const sent = otlp.remote.call("metrics", JSON.stringify(collect()));
    // A snapshot that does not arrive is no loss: the next one holds its sums.
    return sent.then(showExport, () => undefined);
  }

  function showExport(stats: OtlpStats): void {
    exportOf?.spans.set(stats.exportedSpans);
    exportOf?.dropped.set(stats.droppedSpans + lostSpans);
    exportOf?.failures.set(stats.failedRequests);
  }

  function scheduleMetrics(): void {
    if (!otlp) return;
    cancelMetrics = clock.after(otlp.metricIntervalMs ?? defaultMetricIntervalMs, () => {
      void sendMetrics();
      scheduleMetrics();
    });
  }

  function open(): void {
    if (!otlp) return;
    const { endpoint, headers, source } = otlp;
    otlp.remote.call("open", { endpoint, headers, source }).catch((cause: unknown) => {
      log("error", "The OTLP exporter cannot start; no spans or metrics are sent.", { cause });
    });
  }

  open();
  scheduleMetrics();
  return {
    registry,
    counter: (name, help, labels = [], unit = "") =>
      registry.declare({ name, help, kind: "counter", labels, unit, buckets: [] }),
    histogram: (name, help, buckets, labels = [], unit = "") =>
      registry.declare({ name, help, kind: "histogram", labels, unit, buckets }),
    gauge: (name, help, labels = [], unit = "") =>
      registry.declare({ name, help, kind: "gauge", labels, unit, buckets: [] }),
    onCollect: (collector) => void collectors.push(collector),
    log,
    spansOn: otlp !== undefined,
    span(record) {
      if (!otlp) return;
      if (spans.length >= pendingSpanLimit) return void lostSpans++;
      spans.push(record);
      cancelSpans ??= clock.after(spanDelayMs, () => void sendSpans());
    },
    prometheus: () => toPrometheus(collect()),
    restarted: open,
    async flush() {
      await Promise.all([sendSpans(), sendMetrics()]);
      await otlp?.remote.call("flush", null).catch(() => undefined); // best effort by contract
    },
    async close() {
      cancelMetrics?.();
      await Promise.all([sendSpans(), sendMetrics()]);
      await otlp?.remote.call("close", null).catch(() => undefined); // best effort by contract
    },
  };
}
