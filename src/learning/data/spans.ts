/**
 * Spans of Jaeger and of OTLP, from their JSON, in one shape.
 * Sources: Jaeger's query API and its Elasticsearch documents (jaegertracing.io/docs, model/json),
 * https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding
 */
import { isObject, type JsonObject } from "../../domain/json.ts";
import { textOf } from "./fields.ts";

export interface TraceSpan {
  readonly traceId: string;
  readonly spanId: string;
  readonly name: string;
  readonly startMs: number;
  readonly durationMs: number;
  /** Values as they came: text, number, boolean, list. */
  readonly attributes: Readonly<Record<string, unknown>>;
  readonly events: readonly SpanEvent[];
  readonly failed: boolean;
}

export interface SpanEvent {
  readonly name: string;
  readonly attributes: Readonly<Record<string, unknown>>;
}

/** The spans of a value, undefined where it holds no traces. */
export function toSpans(value: unknown): readonly TraceSpan[] | undefined {
  if (!isObject(value)) return undefined;
  if (Array.isArray(value["resourceSpans"])) return fromOtlp(value["resourceSpans"]);
  const { result, data, _source: source } = value;
  if (isObject(result) && Array.isArray(result["resourceSpans"])) return toSpans(result); // API v3
  if (isObject(source) && source["traceID"] !== undefined) return toSpans(source);
  if (Array.isArray(value["spans"])) return value["spans"].flatMap(fromJaeger);
  if (Array.isArray(data) && data.every((trace) => isObject(trace) && "spans" in trace)) {
    return data.flatMap((trace) => toSpans(trace) ?? []);
  }
  if (value["traceID"] !== undefined && value["spanID"] !== undefined) return fromJaeger(value);
  return undefined;
}

function fromJaeger(span: unknown): TraceSpan[] {
  if (!isObject(span)) return [];
  const tags = { ...toTagObject(span["tag"]), ...toTags(span["tags"]) };
  const logs = Array.isArray(span["logs"]) ? span["logs"] : [];
  return [
    {
      traceId: String(span["traceID"] ?? ""),
      spanId: String(span["spanID"] ?? ""),
      name: textOf(span["operationName"]) ?? "",
      startMs: Number(span["startTime"] ?? 0) / 1000,
      durationMs: Number(span["duration"] ?? 0) / 1000,
      attributes: tags,
      events: logs.filter(isObject).map((log) => {
        const attributes = toTags(log["fields"]);
        return {
          name: textOf(attributes["event"]) ?? textOf(attributes["name"]) ?? "",
          attributes,
        };
      }),
      failed:
        tags["error"] === true || tags["error"] === "true" || isError(tags["otel.status_code"]),
    },
  ];
}

function toTags(list: unknown): Record<string, unknown> {
  if (!Array.isArray(list)) return {};
  return Object.fromEntries(
    list.filter(isObject).map(({ key, value, type }) => {
      const numeric = /^(int64|float64)$/i.test(String(type)) && typeof value === "string";
      return [String(key), numeric ? Number(value) : value];
    }),
  );
}

/** Elasticsearch may hold tags as an object, with "@" for the dots. */
function toTagObject(tags: unknown): Record<string, unknown> {
  if (!isObject(tags)) return {};
  return Object.fromEntries(
    Object.entries(tags).map(([key, value]) => [key.replaceAll("@", "."), value]),
  );
}

const isError = (status: unknown) => status === 2 || /error$/i.test(String(status ?? ""));

function fromOtlp(resources: readonly unknown[]): TraceSpan[] {
  const spans: TraceSpan[] = [];
  for (const resource of resources.filter(isObject)) {
    const scopes = resource["scopeSpans"] ?? resource["instrumentationLibrarySpans"];
    for (const scope of Array.isArray(scopes) ? scopes.filter(isObject) : []) {
      const list = scope["spans"];
      for (const span of Array.isArray(list) ? list.filter(isObject) : []) {
        spans.push(fromOtlpSpan(span));
      }
    }
  }
  return spans;
}

function fromOtlpSpan(span: JsonObject): TraceSpan {
  const startNs = Number(span["startTimeUnixNano"] ?? 0);
  const endNs = Number(span["endTimeUnixNano"] ?? startNs);
  const events = Array.isArray(span["events"]) ? span["events"].filter(isObject) : [];
  const status = isObject(span["status"]) ? span["status"]["code"] : undefined;
  return {
    traceId: toHex(span["traceId"]),
    spanId: toHex(span["spanId"]),
    name: textOf(span["name"]) ?? "",
    startMs: startNs / 1e6,
    durationMs: Math.max(0, (endNs - startNs) / 1e6),
    attributes: toAttributes(span["attributes"]),
    events: events.map((event) => ({
      name: textOf(event["name"]) ?? "",
      attributes: toAttributes(event["attributes"]),
    })),
    failed: isError(status),
  };
}

/** Hexadecimal by OTLP's rule; base64 where protobuf's own JSON mapping wrote it. */
function toHex(id: unknown): string {
  const text = textOf(id) ?? "";
  if (/^[0-9a-f]*$/i.test(text) && text.length % 8 === 0) return text.toLowerCase();
  return Buffer.from(text, "base64").toString("hex");
}

function toAttributes(list: unknown): Record<string, unknown> {
  if (!Array.isArray(list)) return {};
  return Object.fromEntries(
    list.filter(isObject).map(({ key, value }) => [String(key), toValue(value)]),
  );
}

function toValue(value: unknown): unknown {
  if (!isObject(value)) return undefined;
  if ("stringValue" in value) return value["stringValue"];
  if ("intValue" in value) return Number(value["intValue"]);
  if ("doubleValue" in value) return Number(value["doubleValue"]);
  if ("boolValue" in value) return value["boolValue"];
  const { arrayValue, kvlistValue } = value;
  if (isObject(arrayValue)) {
    return Array.isArray(arrayValue["values"]) ? arrayValue["values"].map(toValue) : [];
  }
  if (isObject(kvlistValue)) return toAttributes(kvlistValue["values"]);
  return undefined;
}
