/**
 * OTLP's protobuf read as its JSON form would be, for tests that play the collector.
 * Source: https://github.com/open-telemetry/opentelemetry-proto
 */
import { type ProtoField, readFields } from "../../src/std/protobuf.ts";

export interface WireValue {
  readonly stringValue?: string;
  readonly intValue?: string;
  readonly doubleValue?: number;
  readonly boolValue?: boolean;
  readonly arrayValue?: { readonly values: readonly WireValue[] };
}
export interface WireAttribute {
  readonly key: string;
  readonly value: WireValue;
}
export interface WireSpan {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly name: string;
  readonly kind: number;
  readonly startTimeUnixNano: string;
  readonly endTimeUnixNano: string;
  readonly attributes: readonly WireAttribute[];
  readonly events: readonly {
    readonly name: string;
    readonly timeUnixNano: string;
    readonly attributes: readonly WireAttribute[];
  }[];
  readonly status: { readonly code?: number; readonly message?: string };
  readonly flags?: number;
}

/** A message's fields by number, and what stands under one. */
function open(bytes: Uint8Array) {
  const fields = [...readFields(bytes)];
  const all = (number: number) =>
    fields.filter((field) => field.number === number).map((field: ProtoField) => field.value);
  const first = (number: number) => all(number)[0];
  const message = (number: number) => all(number) as Uint8Array[];
  const view = (value: bigint | Uint8Array | undefined) =>
    value instanceof Uint8Array
      ? new DataView(value.buffer, value.byteOffset, value.byteLength)
      : undefined;
  return {
    messages: message,
    has: (number: number) => first(number) !== undefined,
    text: (number: number) => new TextDecoder().decode(message(number)[0] ?? new Uint8Array()),
    hex: (number: number) => Buffer.from(message(number)[0] ?? []).toString("hex"),
    int: (number: number) => BigInt.asIntN(64, (first(number) as bigint | undefined) ?? 0n),
    fixed64: (number: number) => view(first(number))?.getBigUint64(0, true) ?? 0n,
    fixed32: (number: number) => view(first(number))?.getUint32(0, true) ?? 0,
    double: (number: number) => view(first(number))?.getFloat64(0, true) ?? 0,
    list(number: number) {
      const packed = view(first(number));
      return Array.from({ length: (packed?.byteLength ?? 0) / 8 }, (_, i) => ({
        count: packed?.getBigUint64(i * 8, true) ?? 0n,
        double: packed?.getFloat64(i * 8, true) ?? 0,
      }));
    },
  };
}

function toAttributes(messages: readonly Uint8Array[]): WireAttribute[] {
  return messages.map((bytes) => {
    const pair = open(bytes);
    return { key: pair.text(1), value: toValue(pair.messages(2)[0] ?? new Uint8Array()) };
  });
}

function toValue(bytes: Uint8Array): WireValue {
  const value = open(bytes);
  if (value.has(1)) return { stringValue: value.text(1) };
  if (value.has(2)) return { boolValue: value.int(2) === 1n };
  if (value.has(3)) return { intValue: String(value.int(3)) };
  if (value.has(4)) return { doubleValue: value.double(4) };
  const [list = new Uint8Array()] = value.messages(5);
  return { arrayValue: { values: open(list).messages(1).map(toValue) } };
}

/** Of a body of `POST /v1/traces`. */
export function readTraces(body: Uint8Array) {
  const resources: WireAttribute[][] = [];
  const spans: WireSpan[] = [];
  for (const request of open(body).messages(1)) {
    const one = open(request);
    for (const resource of one.messages(1))
      resources.push(toAttributes(open(resource).messages(1)));
    for (const scope of one.messages(2)) spans.push(...open(scope).messages(2).map(toSpan));
  }
  return { resources, spans };
}

function toSpan(bytes: Uint8Array): WireSpan {
  const span = open(bytes);
  const [status] = span.messages(15).map(open);
  return {
    traceId: span.hex(1),
    spanId: span.hex(2),
    ...(span.has(4) && { parentSpanId: span.hex(4) }),
    name: span.text(5),
    kind: Number(span.int(6)),
    startTimeUnixNano: String(span.fixed64(7)),
    endTimeUnixNano: String(span.fixed64(8)),
    attributes: toAttributes(span.messages(9)),
    events: span.messages(11).map((inside) => {
      const event = open(inside);
      return {
        timeUnixNano: String(event.fixed64(1)),
        name: event.text(2),
        attributes: toAttributes(event.messages(3)),
      };
    }),
    status: status ? { message: status.text(2), code: Number(status.int(3)) } : {},
    flags: span.fixed32(16),
  };
}

/** Of a body of `POST /v1/metrics`. */
export function readMetrics(body: Uint8Array) {
  return open(body)
    .messages(1)
    .flatMap((resource) => open(resource).messages(2))
    .flatMap((scope) => open(scope).messages(2))
    .map((bytes) => {
      const metric = open(bytes);
      const [gauge] = metric.messages(5).map(open);
      const [sum] = metric.messages(7).map(open);
      const [histogram] = metric.messages(9).map(open);
      return {
        name: metric.text(1),
        description: metric.text(2),
        unit: metric.text(3),
        ...(gauge && { gauge: { dataPoints: gauge.messages(1).map(toPoint) } }),
        ...(sum && {
          sum: {
            dataPoints: sum.messages(1).map(toPoint),
            aggregationTemporality: Number(sum.int(2)),
            isMonotonic: sum.int(3) === 1n,
          },
        }),
        ...(histogram && {
          histogram: {
            dataPoints: histogram.messages(1).map(toBuckets),
            aggregationTemporality: Number(histogram.int(2)),
          },
        }),
      };
    });
}

function toPoint(bytes: Uint8Array) {
  const point = open(bytes);
  return {
    attributes: toAttributes(point.messages(7)),
    startTimeUnixNano: String(point.fixed64(2)),
    timeUnixNano: String(point.fixed64(3)),
    asDouble: point.double(4),
  };
}

function toBuckets(bytes: Uint8Array) {
  const point = open(bytes);
  return {
    attributes: toAttributes(point.messages(9)),
    startTimeUnixNano: String(point.fixed64(2)),
    timeUnixNano: String(point.fixed64(3)),
    count: String(point.fixed64(4)),
    sum: point.double(5),
    bucketCounts: point.list(6).map(({ count }) => String(count)),
    explicitBounds: point.list(7).map(({ double }) => double),
  };
}

/** Attributes as an object of plain values. */
export function toPlain(attributes: readonly WireAttribute[]): Record<string, unknown> {
  const plain = (value: WireValue): unknown =>
    value.arrayValue
      ? value.arrayValue.values.map(plain)
      : (value.stringValue ?? value.doubleValue ?? value.boolValue ?? Number(value.intValue));
  return Object.fromEntries(attributes.map(({ key, value }) => [key, plain(value)]));
}
