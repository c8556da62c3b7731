/**
 * Where a segment lies: `events/dt=2026-11-26/<log>-<first>-<last>.parquet`, and the same under
 * `feedback/`. The log's name and the span of its rows make the same rows the same name, so that
 * writing them again after a crash changes nothing; the day is a partition to DuckDB, Spark and Hive.
 */
import { type SegmentFormat, segmentSuffix } from "./write-segment.ts";

export type SegmentKind = "events" | "feedback";

export interface SegmentSpan {
  readonly kind: SegmentKind;
  /** Of the log that it is from: 16 hex digits. */
  readonly log: string;
  readonly first: number;
  readonly last: number;
  /** Of the first row; UTC. */
  readonly atMs: number;
}

export function toSegmentKey(
  { kind, log, first, last, atMs }: SegmentSpan,
  format: SegmentFormat,
): string {
  const day = new Date(atMs).toISOString().slice(0, 10);
  const number = (n: number) => String(n).padStart(12, "0");
  return `${kind}/dt=${day}/${log}-${number(first)}-${number(last)}.${segmentSuffix[format]}`;
}

/** The kind of a key; undefined where it is no segment. */
export function kindOfKey(key: string): SegmentKind | undefined {
  if (!/\.(parquet|jsonl|jsonl\.gz|jsonl\.zst|ndjson)$/.test(key)) return undefined;
  const kind = /(?:^|\/)(events|feedback)\//.exec(key)?.[1];
  return kind === "feedback" ? "feedback" : "events";
}
