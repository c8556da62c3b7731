/**
 * Segments of a folder or bucket back as calls: those that `events export` wrote, from any number of
 * logs. A call that lies in two segments is read once; feedback is joined by call id. A segment that
 * cannot be read is named and left out. Memory: one segment, 24 bytes a call, some 30 a feedback.
 */
import type { Feedback } from "../../domain/decision.ts";
import { GatewayError } from "../../domain/errors.ts";
import type { CallEvent } from "../../domain/event.ts";
import { createHashIndex } from "../../std/hash-index.ts";
import type { ObjectStore } from "../object-store.ts";
import { openParquet } from "./parquet-file.ts";
import { kindOfKey } from "./segment-name.ts";
import { eventColumnsRead, fromRecord, type SegmentRecord, toFeedbackRow } from "./segment-row.ts";

export const segmentLimits = {
  /** One segment, as it lies. */
  bytes: 512 * 1024 * 1024,
  /** One segment of lines, unpacked. */
  textBytes: 1024 * 1024 * 1024,
} as const;

export interface SegmentReading {
  readonly store: ObjectStore;
  /** Bytes of an object; whoever calls says how often to try. */
  readonly get: (key: string) => Promise<Uint8Array>;
  /** Read only segments whose key comes after this one (of the same log). */
  readonly after?: string;
  readonly onProblem: (message: string) => void;
  readonly onSegment?: (key: string, read: number, all: number) => void;
}

/** @throws GatewayError not_found where there is no segment, invalid_request where none can be read */
export async function* readSegments(reading: SegmentReading): AsyncGenerator<CallEvent> {
  const { store, onProblem } = reading;
  const keys = (await store.list("")).filter((key) => kindOfKey(key) !== undefined);
  const events = keys.filter((key) => kindOfKey(key) === "events" && isAfter(key, reading.after));
  if (events.length === 0) {
    throw new GatewayError(
      "not_found",
      `${store.url} holds neither an event log (the --data-dir of a gateway that has served calls) nor segments that \`routeiq events export\` wrote`,
    );
  }
  const feedback = createFeedbackBook();
  for (const key of keys.filter((one) => kindOfKey(one) === "feedback")) {
    for (const record of await open(reading, key)) {
      const row = toFeedbackRow(record);
      if (row) feedback.add(row);
      else onProblem(`${store.url}/${key}: a row is no feedback`);
    }
  }
  const seen = createHashIndex();
  let good = 0;
  for (const [at, key] of events.entries()) {
    reading.onSegment?.(key, at, events.length);
    let bad = 0;
    for (const record of await open(reading, key)) {
      const event = fromRecord(record);
      if (!event) {
        bad++;
        continue;
      }
      const { callId } = event.receipt;
      if (seen.get(callId) >= 0) continue;
      seen.set(callId, 1);
      good++;
      yield withFeedback(event, feedback.of(callId));
    }
    if (bad > 0) onProblem(`${store.url}/${key}: ${bad} rows are no events`);
  }
  if (good === 0) {
    throw new GatewayError("invalid_request", `${store.url}: no segment there can be read`);
  }
}

/** Keys of one log are compared by their spans: `<log>-<first>-<last>`. */
function isAfter(key: string, after: string | undefined): boolean {
  if (after === undefined) return true;
  const name = (path: string) => path.slice(path.lastIndexOf("/") + 1);
  const [log] = name(after).split("-", 1);
  return !name(key).startsWith(`${log}-`) || name(key) > name(after);
}

/** A segment's rows; none where it cannot be read, which is told. */
async function open(
  { store, get, onProblem }: SegmentReading,
  key: string,
): Promise<Iterable<SegmentRecord>> {
  try {
    const bytes = await get(key);
    if (bytes.length > segmentLimits.bytes) throw new Error("over 512 MiB");
    if (!key.endsWith(".parquet")) return parseLines(unpack(bytes, key));
    return await readParquet(`${store.url}/${key}`, bytes);
  } catch (error) {
    // A bucket out of reach is no broken segment: to go on would lose what lies there.
    if (error instanceof GatewayError && error.code !== "invalid_request") throw error;
    onProblem(`${store.url}/${key}: ${error instanceof Error ? error.message : String(error)}`);
    return [];
  }
}

async function readParquet(name: string, bytes: Uint8Array): Promise<SegmentRecord[]> {
  const blob = new Blob([bytes as Uint8Array<ArrayBuffer>]);
  const file = await openParquet({
    name,
    sizeBytes: blob.size,
    slice: (from, to) => blob.slice(from, to ?? blob.size).arrayBuffer(),
  });
  const wanted = file.columns.includes("event") ? eventColumnsRead : undefined;
  const rows: SegmentRecord[] = [];
  for await (const { value } of file.records(wanted)) rows.push(value);
  return rows;
}

function unpack(bytes: Uint8Array, key: string): Uint8Array {
  const packed = bytes as Uint8Array<ArrayBuffer>;
  const out = key.endsWith(".gz")
    ? Bun.gunzipSync(packed)
    : key.endsWith(".zst")
      ? Bun.zstdDecompressSync(packed)
      : bytes;
  if (out.length > segmentLimits.textBytes) throw new Error("over 1 GiB unpacked");
  return new Uint8Array(out);
}

/** A line at a time, so that one segment's text is not held twice as objects. */
function* parseLines(bytes: Uint8Array): Generator<SegmentRecord> {
  const decoder = new TextDecoder();
  for (let from = 0; from < bytes.length; ) {
    const end = bytes.indexOf(10, from);
    const line = bytes.subarray(from, end < 0 ? bytes.length : end);
    from = end < 0 ? bytes.length : end + 1;
    if (line.length === 0) continue;
    try {
      yield JSON.parse(decoder.decode(line)) as SegmentRecord;
    } catch {
      yield {}; // counted as no event
    }
  }
}

/** Feedback by call, in arrays: millions fit. Comments are not kept. */
function createFeedbackBook() {
  const first = createHashIndex();
  const next: number[] = [];
  const score: number[] = [];
  const atMs: number[] = [];
  const source: string[] = [];
  const seen = createHashIndex();
  return {
    add(row: Feedback): void {
      const identity = `${row.callId} ${row.atMs} ${row.source} ${row.score}`;
      if (seen.get(identity) >= 0) return;
      seen.set(identity, 1);
      const own = score.push(row.score) - 1;
      atMs.push(row.atMs);
      source.push(row.source);
      next.push(first.get(row.callId));
      first.set(row.callId, own);
    },
    of(callId: string): Feedback[] {
      const list: Feedback[] = [];
      for (let at = first.get(callId); at >= 0; at = next[at] as number) {
        list.push({
          callId,
          score: score[at] as number,
          source: source[at] as string,
          atMs: atMs[at] as number,
        });
      }
      return list.reverse();
    },
  };
}

/** What the event brought of feedback, and what came later; each once. */
function withFeedback(event: CallEvent, joined: readonly Feedback[]): CallEvent {
  if (joined.length === 0) return event;
  const own = event.receipt.feedback.filter(
    (one) => !joined.some((other) => other.atMs === one.atMs && other.source === one.source),
  );
  return { ...event, receipt: { ...event.receipt, feedback: [...own, ...joined] } };
}
