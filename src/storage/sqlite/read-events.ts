/**
 * The event log read from outside the process that writes it: for training, evaluation and `why`.
 * Opens read-only, works while a server writes, and never holds more than a page in memory.
 */
import { constants, Database } from "bun:sqlite";
import { existsSync, statSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import type { Feedback } from "../../domain/decision.ts";
import { GatewayError } from "../../domain/errors.ts";
import type { CallEvent } from "../../domain/event.ts";
import { parseEventJson, toEvent } from "../event-json.ts";
import { eventFileName } from "../event-log.ts";
import { type FeedbackRow, feedbackOfCall, toFeedback } from "./event-store.ts";
import { ownershipOf } from "./schema.ts";

/** Rows that are read at once: some 2 MB. */
const pageRows = 500;

export interface EventReader {
  /** Path of the database file. */
  readonly path: string;
  /** Rows there were when the reader opened; for progress bars. */
  readonly rows: number;
  find(callId: string): CallEvent | undefined;
  /**
   * Every call up to the time of opening, oldest first. `receipt.feedback` holds what was recorded
   * for it, in order; `features` are there where routing computed them; `prompt` where the operator
   * had it stored. How a label is made of these is for learning to say.
   */
  events(): AsyncGenerator<CallEvent>;
  /** The next calls after a place in the log (0: from its start), with the feedback they have now. */
  eventsAfter(seq: number, limit: number): readonly NumberedEvent[];
  /** The next feedback after a place, whenever its call was. */
  feedbackAfter(id: number, limit: number): readonly NumberedFeedback[];
  /** The first and last places there are now; 0 where there is none. */
  ends(): LogEnds;
  close(): void;
}

export interface NumberedEvent {
  readonly seq: number;
  readonly event: CallEvent;
}
export interface NumberedFeedback {
  readonly id: number;
  readonly feedback: Feedback;
}
export interface LogEnds {
  readonly firstEvent: number;
  readonly lastEvent: number;
  readonly lastFeedback: number;
}

/**
 * @param source a data folder, or `sqlite:PATH`
 * @throws GatewayError not_found where there is no log, storage_failed where it cannot be read
 */
export function openEvents(source: string): EventReader {
  const path = toPath(source);
  try {
    return readerOf(path, openReadOnly(path));
  } catch (thrown) {
    if (thrown instanceof GatewayError) throw thrown;
    const reason = thrown instanceof Error ? thrown.message : String(thrown);
    throw new GatewayError("storage_failed", `${path} cannot be read: ${reason}.`, {
      cause: thrown,
    });
  }
}

/** Every event of a source, as `openEvents(source).events()`; closes the file at the end. */
export async function* readEvents(source: string): AsyncGenerator<CallEvent> {
  const reader = openEvents(source);
  try {
    yield* reader.events();
  } finally {
    reader.close();
  }
}

function toPath(source: string): string {
  const scheme = /^([a-z][a-z0-9+]*):/i.exec(source)?.[1]?.toLowerCase();
  if (scheme !== undefined && scheme.length > 1 && scheme !== "sqlite") {
    throw new GatewayError(
      "invalid_request",
      `Events cannot be read from ${scheme}: sources. Give a data folder or sqlite:PATH.`,
    );
  }
  const path = scheme === "sqlite" ? source.slice("sqlite:".length) : source;
  const stat = statSync(path, { throwIfNoEntry: false });
  const file = stat?.isDirectory() ? join(path, eventFileName) : path;
  if (existsSync(file)) return file;
  throw new GatewayError(
    "not_found",
    `There is no event log at ${file}. Give the --data-dir of a gateway that has served calls.`,
  );
}

function openReadOnly(path: string): Database {
  const db = openAny(path);
  if (ownershipOf(db) === "ours") return db;
  const ownership = ownershipOf(db);
  db.close();
  const why = ownership === "newer" ? "was written by a newer routeiq" : "is no event log";
  throw new GatewayError("storage_failed", `${path} ${why}.`);
}

function openAny(path: string): Database {
  try {
    const db = new Database(path, { readonly: true, strict: true });
    db.run("PRAGMA busy_timeout = 5000");
    db.query("SELECT count(*) FROM sqlite_schema").get();
    return db;
  } catch (thrown) {
    // A folder that cannot be written has no room for the shared-memory file that WAL needs. With
    // no writer (no -wal file) the database can be read as it lies.
    if (existsSync(`${path}-wal`)) throw thrown;
    const flags = constants.SQLITE_OPEN_READONLY | constants.SQLITE_OPEN_URI;
    return new Database(`${pathToFileURL(path).href}?immutable=1`, flags);
  }
}

interface EventRow {
  readonly seq: number;
  readonly event: string;
  readonly embedding: Uint8Array | null;
  readonly lexical_buckets: Uint8Array;
  readonly lexical_counts: Uint8Array;
  readonly shape: Uint8Array;
}

function readerOf(path: string, db: Database): EventReader {
  const ends = db.query("SELECT count(*) AS rows, max(seq) AS last FROM events").get() as {
    rows: number;
    last: number | null;
  };
  const page = db.query("SELECT * FROM events WHERE seq > ? AND seq <= ? ORDER BY seq LIMIT ?");
  const pageFeedback = db.query(
    `SELECT call_id, score, source, comment, at_ms FROM feedback
     WHERE call_id IN (SELECT call_id FROM events WHERE seq BETWEEN ? AND ?) ORDER BY id`,
  );

  const pageAfter = db.query("SELECT * FROM events WHERE seq > ? ORDER BY seq LIMIT ?");
  const feedbackPage = db.query(
    "SELECT id, call_id, score, source, comment, at_ms FROM feedback WHERE id > ? ORDER BY id LIMIT ?",
  );

  function feedbackBetween(first: number, last: number): Map<string, Feedback[]> {
    const byCall = new Map<string, Feedback[]>();
    for (const row of pageFeedback.all(first, last) as FeedbackRow[]) {
      byCall.set(row.call_id, [...(byCall.get(row.call_id) ?? []), toFeedback(row)]);
    }
    return byCall;
  }

  return {
    path,
    rows: ends.rows,
    find(callId) {
      const row = db.query("SELECT * FROM events WHERE call_id = ?").get(callId);
      if (!row) return undefined;
      const feedback = (db.query(feedbackOfCall).all(callId) as FeedbackRow[]).map(toFeedback);
      return fromRow(row as EventRow, new Map([[callId, feedback]]));
    },
    async *events() {
      for (let after = 0; ; ) {
        const rows = page.all(after, ends.last ?? 0, pageRows) as EventRow[];
        const [first, last] = [rows[0], rows.at(-1)];
        if (!first || !last) return;
        const feedback = feedbackBetween(first.seq, last.seq);
        for (const row of rows) yield fromRow(row, feedback);
        after = last.seq;
      }
    },
    eventsAfter(seq, limit) {
      const rows = pageAfter.all(seq, limit) as EventRow[];
      const [first, last] = [rows[0], rows.at(-1)];
      const feedback = first && last ? feedbackBetween(first.seq, last.seq) : new Map();
      return rows.map((row) => ({ seq: row.seq, event: fromRow(row, feedback) }));
    },
    feedbackAfter(id, limit) {
      const rows = feedbackPage.all(id, limit) as (FeedbackRow & { readonly id: number })[];
      return rows.map((row) => ({ id: row.id, feedback: toFeedback(row) }));
    },
    ends: () =>
      db
        .query(
          `SELECT coalesce((SELECT min(seq) FROM events), 0) AS firstEvent,
             coalesce((SELECT max(seq) FROM events), 0) AS lastEvent,
             coalesce((SELECT max(id) FROM feedback), 0) AS lastFeedback`,
        )
        .get() as LogEnds,
    close: () => db.close(),
  };
}

function fromRow(row: EventRow, feedback: ReadonlyMap<string, readonly Feedback[]>): CallEvent {
  const json = parseEventJson(row.event);
  const event =
    row.embedding === null
      ? toEvent(json)
      : toEvent(json, {
          embedding: row.embedding,
          lexicalBuckets: row.lexical_buckets,
          lexicalCounts: row.lexical_counts,
          shape: row.shape,
        });
  const own = feedback.get(json.receipt.callId);
  return own ? { ...event, receipt: { ...event.receipt, feedback: own } } : event;
}
