/**
 * Spans and metrics in OTLP's protobuf: what every collector takes, and half the size of its JSON.
 * Source: https://opentelemetry.io/docs/specs/otlp/#binary-protobuf-encoding, opentelemetry-proto 1.x
 */
import { assert } from "../std/assert.ts";
import { type ProtoBuffer, slotIntBytes } from "../std/proto-buffer.ts";
import type { MetricSnapshot, SeriesSnapshot } from "./metrics.ts";
import type { Attributes, AttributeValue, SpanRecord } from "./telemetry.ts";

export interface OtlpSource {
  /** `service.name` and what else describes this process. */
  readonly resource: Attributes;
  readonly scope: { readonly name: string; readonly version: string };
}

/** Field numbers of opentelemetry.proto.trace.v1 and its kin. */
export const spanField = {
  traceId: 1,
  spanId: 2,
  parentSpanId: 4,
  name: 5,
  kind: 6,
  start: 7,
  end: 8,
  attributes: 9,
  events: 11,
  status: 15,
  flags: 16,
} as const;
export const eventField = { time: 1, name: 2, attributes: 3 } as const;
export const attributeField = { key: 1, value: 2 } as const;
export const valueField = { text: 1, bool: 2, int: 3, double: 4, array: 5 } as const;
const statusField = { message: 2, code: 3 } as const;
const metricField = { name: 1, help: 2, unit: 3, gauge: 5, sum: 7, histogram: 9 } as const;
const pointField = { attributes: 7, start: 2, time: 3, double: 4 } as const;
const bucketField = { attributes: 9, start: 2, time: 3, count: 4, sum: 5, counts: 6, bounds: 7 };
/** Of a request to its resource, of that to its scope, of that to what is told. */
const outer = 1;
const scoped = 2;
const told = 2;
/** Where a message of `ScopeSpans` has its spans: to be opened by whoever writes one. */
export const spanInScope = told;

const sampledFlag = 1;
const errorCode = 2;
const cumulative = 2;
export const kinds = { internal: 1, server: 2, client: 3, producer: 4, consumer: 5 } as const;

/**
 * Writes the body of `POST /v1/traces`.
 * @param spans encoded by `writeSpan` and the like, in any number of parts
 */
export function writeTraces(
  out: ProtoBuffer,
  spans: readonly Uint8Array[],
  source: OtlpSource,
): void {
  writeRequest(out, source, () => {
    for (const part of spans) out.raw(part);
  });
}

function writeRequest(out: ProtoBuffer, { resource, scope }: OtlpSource, tell: () => void): void {
  const request = out.begin(outer);
  const from = out.begin(1);
  writeAttributes(out, 1, resource);
  out.end(from);
  const within = out.begin(scoped);
  const by = out.begin(1);
  out.text(1, scope.name);
  out.text(2, scope.version);
  out.end(by);
  tell();
  out.end(within);
  out.end(request);
}

/** One span, as a field of its scope. */
export function writeSpan(out: ProtoBuffer, span: SpanRecord): void {
  const mark = out.begin(spanInScope);
  out.hex(spanField.traceId, span.traceId);
  out.hex(spanField.spanId, span.spanId);
  if (span.parentSpanId !== undefined) out.hex(spanField.parentSpanId, span.parentSpanId);
  writeTime(out, spanField.start, span.startMs);
  writeTime(out, spanField.end, span.endMs);
  writeSpanFacts(out, span);
  for (const { name, atMs, attributes } of span.events ?? []) {
    const event = out.begin(spanField.events);
    writeTime(out, eventField.time, atMs);
    out.text(eventField.name, name);
    writeAttributes(out, eventField.attributes, attributes);
    out.end(event);
  }
  out.end(mark);
}

export type SpanFacts = Pick<SpanRecord, "name" | "kind" | "error" | "attributes">;

/** What a span says beside when, and in which trace. */
export function writeSpanFacts(
  out: ProtoBuffer,
  { name, kind, error, attributes }: SpanFacts,
): void {
  out.text(spanField.name, name);
  out.int(spanField.kind, kinds[kind]);
  writeAttributes(out, spanField.attributes, attributes);
  if (error !== undefined) {
    const status = out.begin(spanField.status);
    out.text(statusField.message, error);
    out.int(statusField.code, errorCode);
    out.end(status);
  }
  out.fixed32(spanField.flags, sampledFlag);
}

const two32 = 2 ** 32;

/** Nanoseconds since 1970; of whole microseconds: as fine as the clocks are, and exact in a double. */
export function writeTime(out: ProtoBuffer, number: number, ms: number): void {
  const us = Math.max(0, Math.round(ms * 1000));
  const low = (us % two32) * 1000;
  out.fixed64(number, Math.floor(us / two32) * 1000 + Math.floor(low / two32), low % two32);
}

function writeAttributes(out: ProtoBuffer, number: number, attributes: Attributes): void {
  for (const key in attributes) {
    writeAttribute(out, number, key, attributes[key] as AttributeValue);
  }
}

export function writeAttribute(
  out: ProtoBuffer,
  number: number,
  key: string,
  value: AttributeValue,
): void {
  const mark = out.begin(number);
  out.text(attributeField.key, key);
  writeValue(out, attributeField.value, value);
  out.end(mark);
}

/** A whole number, a double, or a text of so many ASCII characters. */
export type SlotKind = "int" | "double" | number;

/**
 * An attribute whose value is patched in later: says where that goes. Whole numbers take five bytes
 * whatever they are, which every reader of varints accepts.
 */
export function writeSlot(out: ProtoBuffer, number: number, key: string, kind: SlotKind): number {
  const name = new TextEncoder().encode(key);
  const room = kind === "int" ? slotIntBytes : kind === "double" ? 8 : kind;
  const head =
    kind === "int"
      ? [valueField.int << 3]
      : kind === "double"
        ? [(valueField.double << 3) | 1]
        : [(valueField.text << 3) | 2, room];
  const size = head.length + room;
  assert(name.length + size < 120, "a slot's lengths take one byte each");
  out.bytes(
    number,
    Uint8Array.from([
      ...[(attributeField.key << 3) | 2, name.length, ...name],
      ...[(attributeField.value << 3) | 2, size, ...head, ...new Uint8Array(room)],
    ]),
  );
  return out.length - room;
}

function writeValue(out: ProtoBuffer, number: number, value: AttributeValue): void {
  const mark = out.begin(number);
  if (typeof value === "string") out.text(valueField.text, value);
  else if (typeof value === "boolean") out.bool(valueField.bool, value);
  else if (typeof value !== "number") {
    const list = out.begin(valueField.array);
    for (const one of value) writeValue(out, 1, one);
    out.end(list);
  } else if (Number.isSafeInteger(value)) out.int(valueField.int, value);
  else out.double(valueField.double, value);
  out.end(mark);
}

interface Times {
  readonly startMs: number;
  readonly atMs: number;
}

/** Writes the body of `POST /v1/metrics`: sums since `startMs`, as they stand at `atMs`. */
export function writeMetrics(
  out: ProtoBuffer,
  metrics: readonly MetricSnapshot[],
  source: OtlpSource,
  times: Times,
): void {
  writeRequest(out, source, () => {
    for (const metric of metrics) if (metric.series.length > 0) writeMetric(out, metric, times);
  });
}

function writeMetric(out: ProtoBuffer, metric: MetricSnapshot, times: Times): void {
  const mark = out.begin(told);
  out.text(metricField.name, metric.name);
  out.text(metricField.help, metric.help);
  out.text(metricField.unit, metric.unit);
  const { kind } = metric;
  const field = {
    gauge: metricField.gauge,
    histogram: metricField.histogram,
    counter: metricField.sum,
  };
  const data = out.begin(field[kind]);
  const write = kind === "histogram" ? writeBuckets : writePoint;
  for (const series of metric.series) write(out, metric, series, times);
  if (kind !== "gauge") out.int(2, cumulative);
  if (kind === "counter") out.bool(3, true); // monotonic
  out.end(data);
  out.end(mark);
}

function writePoint(
  out: ProtoBuffer,
  metric: MetricSnapshot,
  series: SeriesSnapshot,
  times: Times,
) {
  const mark = out.begin(1);
  writeAttributes(out, pointField.attributes, toAttributes(metric, series));
  writeTime(out, pointField.start, times.startMs);
  writeTime(out, pointField.time, times.atMs);
  out.double(pointField.double, series.values[0] ?? 0);
  out.end(mark);
}

function writeBuckets(
  out: ProtoBuffer,
  metric: MetricSnapshot,
  series: SeriesSnapshot,
  times: Times,
): void {
  const counts = series.values.slice(0, -1);
  const mark = out.begin(1);
  writeAttributes(out, bucketField.attributes, toAttributes(metric, series));
  writeTime(out, bucketField.start, times.startMs);
  writeTime(out, bucketField.time, times.atMs);
  const total = counts.reduce((sum, count) => sum + count, 0);
  out.fixed64(bucketField.count, Math.floor(total / two32), total % two32);
  out.double(bucketField.sum, series.values.at(-1) ?? 0);
  out.counts(bucketField.counts, counts);
  out.doubles(bucketField.bounds, metric.buckets);
  out.end(mark);
}

function toAttributes(metric: MetricSnapshot, series: SeriesSnapshot): Attributes {
  const labels = series.labels ?? metric.labels;
  return Object.fromEntries(labels.map((label, at) => [label, series.labelValues[at] ?? ""]));
}
