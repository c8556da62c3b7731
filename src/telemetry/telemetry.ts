/** What the rest of the gateway may say of itself: counts, measures, gauges, spans, log lines. */

export type Labels = readonly string[];

/**
 * A counter whose label values are given at each use, in the declared order. Label values must be
 * few: past `seriesLimit` distinct ones everything new counts as "_other". Cost: about 50 ns.
 */
export interface Counter {
  add(value: number, ...labelValues: string[]): void;
  /** The series of these label values, for whoever counts it often: found once. Cost: about 5 ns. */
  of(...labelValues: string[]): CounterSeries;
}
export interface CounterSeries {
  add(value: number): void;
}
export interface Histogram {
  observe(value: number, ...labelValues: string[]): void;
  /** As a counter's. */
  of(...labelValues: string[]): HistogramSeries;
}
export interface HistogramSeries {
  observe(value: number): void;
}
export interface Gauge {
  set(value: number, ...labelValues: string[]): void;
}

export type LogLevel = "debug" | "info" | "warn" | "error";

export interface Telemetry {
  /**
   * Metric and label names are OpenTelemetry's, with dots: `gen_ai.client.operation.duration`. Units
   * are UCUM's: "s", "By", "{token}", "USD". Prometheus sees underscores and the unit's word:
   * `gen_ai_client_operation_duration_seconds`; a counter ends in `_total`. Declaring a name again
   * gives the same metric. @throws AssertionFailed where it is declared again as something else
   */
  counter(name: string, help: string, labels?: Labels, unit?: string): Counter;
  histogram(
    name: string,
    help: string,
    buckets: readonly number[],
    labels?: Labels,
    unit?: string,
  ): Histogram;
  gauge(name: string, help: string, labels?: Labels, unit?: string): Gauge;
  /** Called before metrics are read, to set gauges that are cheaper to ask than to keep. */
  onCollect(listener: () => void): void;
  /** A structured line; values are redacted. An Error gives its message, code and causes. */
  log(level: LogLevel, message: string, fields?: Readonly<Record<string, unknown>>): void;
  /** One finished span as a compact record; dropped at no cost when nothing exports. */
  span(record: SpanRecord): void;
  readonly spansOn: boolean;
}

export type AttributeValue = string | number | boolean | readonly string[];
export type Attributes = Readonly<Record<string, AttributeValue>>;

export interface SpanRecord {
  readonly name: string;
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly kind: "server" | "client" | "internal" | "producer" | "consumer";
  readonly startMs: number;
  readonly endMs: number;
  /** Set where the span failed: what went wrong. */
  readonly error?: string;
  readonly attributes: Attributes;
  readonly events?: readonly SpanEvent[];
}

export interface SpanEvent {
  readonly name: string;
  readonly atMs: number;
  readonly attributes: Attributes;
}
