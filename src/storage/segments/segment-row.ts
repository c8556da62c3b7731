/**
 * A call as a row of a segment: flat columns for whoever asks in SQL, the features' arrays as bytes,
 * and the event itself as JSON, from which `train` reads everything back.
 */
import type { Feedback } from "../../domain/decision.ts";
import type { CallEvent } from "../../domain/event.ts";
import { type EventJson, parseEventJson, toEvent, toEventText } from "../event-json.ts";

export type ColumnType = "STRING" | "JSON" | "BYTE_ARRAY" | "DOUBLE" | "BOOLEAN" | "TIMESTAMP";
export type Cell = string | number | boolean | Date | Uint8Array | undefined;

export interface Column<Row> {
  readonly name: string;
  readonly type: ColumnType;
  readonly of: (row: Row) => Cell;
}

const answeredBy = ({ receipt }: CallEvent) =>
  receipt.attempts.findLast(({ outcome }) => outcome === "ok") ?? receipt.attempts.at(-1);

/** Times in ms, money in micro-USD; arrays are little endian: f32, but buckets u16 and counts u8. */
export const eventColumns: readonly Column<CallEvent>[] = [
  { name: "call_id", type: "STRING", of: ({ receipt }) => receipt.callId },
  { name: "request_id", type: "STRING", of: ({ receipt }) => receipt.requestId },
  { name: "ts", type: "TIMESTAMP", of: ({ receipt }) => new Date(receipt.atMs) },
  { name: "caller", type: "STRING", of: ({ receipt }) => receipt.caller },
  { name: "tenant", type: "STRING", of: ({ tenant }) => tenant },
  { name: "operation", type: "STRING", of: ({ receipt }) => receipt.operation },
  { name: "requested_model", type: "STRING", of: ({ receipt }) => receipt.requestedModel },
  { name: "stream", type: "BOOLEAN", of: ({ receipt }) => receipt.stream },
  { name: "query_hash", type: "STRING", of: ({ queryHash }) => queryHash },
  { name: "query_length", type: "DOUBLE", of: ({ queryLength }) => queryLength },
  { name: "session_hash", type: "STRING", of: ({ sessionHash }) => sessionHash },
  { name: "strategy", type: "STRING", of: ({ receipt }) => receipt.decision?.strategy },
  { name: "artifact", type: "STRING", of: ({ receipt }) => receipt.decision?.artifact },
  { name: "reason", type: "STRING", of: ({ receipt }) => receipt.decision?.reason },
  { name: "chosen", type: "STRING", of: ({ receipt }) => receipt.decision?.chosen },
  {
    name: "probability",
    type: "DOUBLE",
    of: ({ receipt: { decision } }) =>
      decision?.candidates.find(({ model }) => model === decision.chosen)?.probability,
  },
  { name: "novelty", type: "DOUBLE", of: ({ receipt }) => receipt.decision?.novelty },
  { name: "model", type: "STRING", of: (event) => answeredBy(event)?.model },
  { name: "provider", type: "STRING", of: (event) => answeredBy(event)?.provider },
  { name: "deployment", type: "STRING", of: ({ receipt }) => receipt.deployment },
  { name: "attempts", type: "DOUBLE", of: ({ receipt }) => receipt.attempts.length },
  { name: "outcome", type: "STRING", of: ({ receipt }) => receipt.outcome },
  { name: "error", type: "STRING", of: ({ receipt }) => receipt.error },
  { name: "finish_reason", type: "STRING", of: ({ receipt }) => receipt.finishReason },
  { name: "input_tokens", type: "DOUBLE", of: ({ receipt }) => receipt.usage?.inputTokens },
  { name: "output_tokens", type: "DOUBLE", of: ({ receipt }) => receipt.usage?.outputTokens },
  { name: "cost_micro_usd", type: "DOUBLE", of: ({ receipt }) => receipt.costMicroUsd },
  { name: "decision_us", type: "DOUBLE", of: ({ receipt }) => receipt.timings.decisionUs },
  { name: "overhead_us", type: "DOUBLE", of: ({ receipt }) => receipt.timings.overheadUs },
  { name: "first_token_ms", type: "DOUBLE", of: ({ receipt }) => receipt.timings.firstTokenMs },
  { name: "latency_ms", type: "DOUBLE", of: ({ receipt }) => receipt.timings.totalMs },
  { name: "prompt", type: "STRING", of: ({ prompt }) => prompt },
  { name: "embedder_id", type: "STRING", of: ({ features }) => features?.embedderId },
  { name: "embedding", type: "BYTE_ARRAY", of: ({ features }) => bytesOf(features?.embedding) },
  {
    name: "lexical_buckets",
    type: "BYTE_ARRAY",
    of: ({ features }) => bytesOf(features?.lexicalBuckets),
  },
  {
    name: "lexical_counts",
    type: "BYTE_ARRAY",
    of: ({ features }) => bytesOf(features?.lexicalCounts),
  },
  { name: "shape", type: "BYTE_ARRAY", of: ({ features }) => bytesOf(features?.shape) },
  { name: "event", type: "JSON", of: toEventText },
];

export const feedbackColumns: readonly Column<Feedback>[] = [
  { name: "call_id", type: "STRING", of: ({ callId }) => callId },
  { name: "ts", type: "TIMESTAMP", of: ({ atMs }) => new Date(atMs) },
  { name: "score", type: "DOUBLE", of: ({ score }) => score },
  { name: "source", type: "STRING", of: ({ source }) => source },
  { name: "comment", type: "STRING", of: ({ comment }) => comment },
];

function bytesOf(array: ArrayBufferView | undefined): Uint8Array | undefined {
  return array && new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
}

export type SegmentRecord = Readonly<Record<string, unknown>>;

/** What a reader needs of a segment's columns. */
export const eventColumnsRead = [
  ...["event", "embedding", "lexical_buckets", "lexical_counts", "shape"],
] as const;

/** The event of a row, undefined where it is none of ours. */
export function fromRecord(record: SegmentRecord): CallEvent | undefined {
  const { event } = record;
  const json =
    typeof event === "string" ? parseEventJson<EventJson>(event) : (event as EventJson | undefined);
  if (typeof json?.receipt?.callId !== "string") return undefined;
  const [embedding, lexicalBuckets, lexicalCounts, shape] = [
    ...["embedding", "lexical_buckets", "lexical_counts", "shape"],
  ].map((name) => toBytes(record[name]));
  if (!embedding || !lexicalBuckets || !lexicalCounts || !shape) return toEvent(json);
  return toEvent(json, { embedding, lexicalBuckets, lexicalCounts, shape });
}

/** Undefined where it is none of ours. */
export function toFeedbackRow(record: SegmentRecord): Feedback | undefined {
  const { call_id: callId, score, source, comment, ts } = record;
  if (typeof callId !== "string" || typeof score !== "number") return undefined;
  const atMs = ts instanceof Date ? ts.getTime() : Date.parse(String(ts));
  return {
    callId,
    score,
    source: typeof source === "string" ? source : "user",
    atMs: Number.isFinite(atMs) ? atMs : 0,
    ...(typeof comment === "string" ? { comment } : {}),
  };
}

/** Bytes as Parquet has them, or base64 as JSON lines do. */
function toBytes(value: unknown): Uint8Array | undefined {
  if (value instanceof Uint8Array) return value;
  return typeof value === "string" ? new Uint8Array(Buffer.from(value, "base64")) : undefined;
}
