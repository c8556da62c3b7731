/** What the rest of the gateway may say of itself: counts, measures, gauges, spans, log lines. */

export type Labels = readonly string[];

/** A counter whose label values are given at each use, in the declared order. */
export interface Counter {
  add(value: number, ...labelValues: string[]): void;
}
export interface Histogram {
  observe(value: number, ...labelValues: string[]): void;
}
export interface Gauge {
  set(value: number, ...labelValues: string[]): void;
}

export type LogLevel = "debug" | "info" | "warn" | "error";

export interface Telemetry {
  counter(name: string, help: string, labels?: Labels): Counter;
  histogram(name: string, help: string, buckets: readonly number[], labels?: Labels): Histogram;
  gauge(name: string, help: string, labels?: Labels): Gauge;
  /** A structured line; values are redacted. */
  log(level: LogLevel, message: string, fields?: Readonly<Record<string, unknown>>): void;
  /** One finished span as a compact record; dropped at no cost when nothing exports. */
  span(record: SpanRecord): void;
  readonly spansOn: boolean;
}

export interface SpanRecord {
  readonly name: string;
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly kind: "server" | "client" | "internal";
  readonly startMs: number;
  readonly endMs: number;
  readonly error?: string;
  readonly attributes: Readonly<Record<string, string | number | boolean | readonly string[]>>;
  readonly events?: readonly {
    readonly name: string;
    readonly atMs: number;
    readonly attributes: Readonly<Record<string, string | number | boolean>>;
  }[];
}
