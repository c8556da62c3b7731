/**
 * The event log, copied to a folder or bucket as segments that other programs read. The log itself is
 * the queue: a place in it is kept, moved only when a segment lies where it should, so that a crash or
 * a lost network costs a repetition and never a row (but those that retention took before). Readers
 * know a call by its id. Feedback goes in segments of its own, as it comes later than its call.
 * Memory: one segment.
 */
import { randomBytes } from "node:crypto";
import { GatewayError } from "../../domain/errors.ts";
import { isObject } from "../../domain/json.ts";
import type { ObjectStore } from "../object-store.ts";
import type { EventReader } from "../sqlite/read-events.ts";
import { type SegmentSpan, toSegmentKey } from "./segment-name.ts";
import { type Column, eventColumns, feedbackColumns } from "./segment-row.ts";
import { type SegmentFormat, writeSegment } from "./write-segment.ts";

/** How far a log was copied. */
export interface ExportPlace {
  /** Names the log: 16 hex digits, drawn at its first export. */
  readonly log: string;
  /** The last rows that lie in segments. */
  readonly event: number;
  readonly feedback: number;
}

export interface ExportOptions {
  readonly reader: EventReader;
  readonly store: ObjectStore;
  readonly format: SegmentFormat;
  /** Rows of a segment at most. */
  readonly segmentRows: number;
  /** Rows that wait for a segment to be whole; 0: none do. */
  readonly waitForRows: number;
  readonly place: ExportPlace;
  /** Called after each segment, before the next is read. */
  readonly save: (place: ExportPlace) => Promise<void>;
  readonly signal?: AbortSignal;
  readonly onSegment?: (key: string, rows: number) => void;
}

export interface Exported {
  readonly place: ExportPlace;
  readonly segments: number;
  readonly events: number;
  readonly feedback: number;
  /** Calls that the log no longer had when their turn came. */
  readonly lost: number;
}

export const exportLimits = {
  /** A segment of calls takes 2 to 3 KB a row in memory, some 1.5 KB when packed. */
  segmentRows: { default: 20_000, min: 100, max: 100_000 },
} as const;

export function newPlace(): ExportPlace {
  return { log: randomBytes(8).toString("hex"), event: 0, feedback: 0 };
}

/** A place as it was saved. @throws GatewayError storage_failed where it is none */
export function parsePlace(text: string, name: string): ExportPlace {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    value = undefined; // said below
  }
  if (isObject(value)) {
    const { log, event, feedback } = value;
    const whole = Number.isSafeInteger(event) && Number.isSafeInteger(feedback);
    if (typeof log === "string" && /^[0-9a-f]{16}$/.test(log) && whole) {
      return { log, event: Number(event), feedback: Number(feedback) };
    }
  }
  throw new GatewayError(
    "storage_failed",
    `${name} is no place of an export. Remove it to export the log anew; readers drop what they have twice.`,
  );
}

/** Copies what is new. @throws GatewayError storage_failed where a segment cannot be written */
export async function exportEvents(options: ExportOptions): Promise<Exported> {
  const { reader, segmentRows } = options;
  const ends = reader.ends();
  // A log that ends before our place is another log in the same folder: it begins anew.
  const known = options.place.event <= ends.lastEvent || ends.lastEvent === 0;
  let place = known ? options.place : newPlace();
  const lost = Math.max(0, ends.firstEvent - 1 - place.event);
  const counts = { segments: 0, events: 0, feedback: 0 };
  const put = async <Row>(span: Omit<SegmentSpan, "log">, part: Part<Row>, next: ExportPlace) => {
    const key = toSegmentKey({ ...span, log: place.log }, options.format);
    const bytes = await writeSegment(part.rows, part.columns, options.format);
    await options.store.put(key, bytes);
    place = next;
    await options.save(place);
    counts.segments++;
    options.onSegment?.(key, part.rows.length);
  };
  for (;;) {
    options.signal?.throwIfAborted();
    const page = sameDay(reader.eventsAfter(place.event, segmentRows));
    const [first, last] = [page[0], page.at(-1)];
    if (!first || !last) break;
    if (page.length < options.waitForRows && last.seq === reader.ends().lastEvent) break;
    const span = { kind: "events", first: first.seq, last: last.seq } as const;
    await put(
      { ...span, atMs: first.event.receipt.atMs },
      { rows: page.map(({ event }) => event), columns: eventColumns },
      { ...place, event: last.seq },
    );
    counts.events += page.length;
  }
  // Feedback whose call lies in segments; the rest comes with or after its call.
  for (;;) {
    options.signal?.throwIfAborted();
    const page = reader.feedbackAfter(place.feedback, segmentRows);
    const [first, last] = [page[0], page.at(-1)];
    if (!first || !last || page.length < options.waitForRows) break;
    await put(
      { kind: "feedback", first: first.id, last: last.id, atMs: first.feedback.atMs },
      { rows: page.map(({ feedback }) => feedback), columns: feedbackColumns },
      { ...place, feedback: last.id },
    );
    counts.feedback += page.length;
  }
  return { place, lost, ...counts };
}

interface Part<Row> {
  readonly rows: readonly Row[];
  readonly columns: readonly Column<Row>[];
}

const dayMs = 86_400_000;

/** The rows of the first row's day: a segment lies in one partition. */
function sameDay<T extends { readonly event: { readonly receipt: { readonly atMs: number } } }>(
  rows: readonly T[],
): readonly T[] {
  const day = (row: T) => Math.floor(row.event.receipt.atMs / dayMs);
  const [first] = rows;
  if (!first) return rows;
  const end = rows.findIndex((row) => day(row) !== day(first));
  return end < 0 ? rows : rows.slice(0, end);
}
