/** The event database: one open file, every method at once and on the calling thread (a worker's). */
import { Database, type Statement } from "bun:sqlite";
import { closeSync, openSync } from "node:fs";
import type { Feedback, Receipt } from "../../domain/decision.ts";
import type { CallEvent } from "../../domain/event.ts";
import { parseEventJson, toEventText } from "../event-json.ts";
import type { EventRetention } from "../event-log.ts";
import { migrate, type Ownership, ownershipOf, pragma } from "./schema.ts";

/** The file is somebody else's, or a newer version's: it is left untouched. */
export class NotOurFile extends Error {
  readonly ownership: Ownership;
  constructor(ownership: Ownership) {
    super(`the file is ${ownership}`);
    this.ownership = ownership;
  }
}

export interface EventStore {
  /** All or nothing. A call that is there already stays as it is. */
  insert(events: readonly CallEvent[]): void;
  /** False where no such call is known. */
  addFeedback(feedback: Feedback): boolean;
  find(callId: string): Receipt | undefined;
  /** Deletes the oldest rows past the limits, at most `pruneStepRows` at once; says how many. */
  prune(retention: EventRetention, nowMs: number): number;
  /** Writes all of it into a new file; works also when the open file's name was deleted. */
  copyTo(path: string): void;
  close(): void;
}

export const pruneStepRows = 2_000;
const dayMs = 86_400_000;

/**
 * Opens or creates.
 * @param maxPages a bound on the file's size, as a full disk would set it (tests)
 * @throws NotOurFile; SQLiteError with its code (SQLITE_NOTADB, SQLITE_CORRUPT, SQLITE_CANTOPEN …)
 */
export function openEventStore(path: string, maxPages?: number): EventStore {
  // Embeddings, and perhaps prompts, are nobody else's to read; SQLite's own files copy the mode.
  closeSync(openSync(path, "a", 0o600));
  const db = new Database(path, { create: true, strict: true });
  try {
    prepare(db, maxPages);
  } catch (thrown) {
    db.close();
    throw thrown;
  }
  return storeOf(db);
}

function prepare(db: Database, maxPages: number | undefined): void {
  db.run("PRAGMA busy_timeout = 5000");
  const ownership = ownershipOf(db);
  if (ownership === "foreign" || ownership === "newer") throw new NotOurFile(ownership);
  if (ownership === "empty") {
    db.run("PRAGMA page_size = 16384"); // a row is 2 to 4 KB: several fit, none overflows
    db.run("PRAGMA auto_vacuum = INCREMENTAL");
  }
  db.run("PRAGMA journal_mode = WAL");
  // NORMAL: a crash of the process loses nothing committed; a power cut may lose the last commits.
  db.run("PRAGMA synchronous = NORMAL");
  db.run("PRAGMA wal_autocheckpoint = 2000");
  if (maxPages !== undefined) db.run(`PRAGMA max_page_count = ${maxPages}`);
  migrate(db);
}

function storeOf(db: Database): EventStore {
  const insert = [1, rowsAtOnce].map((rows) =>
    db.query(
      `INSERT OR IGNORE INTO events
       (call_id, event, embedding, lexical_buckets, lexical_counts, shape)
       VALUES ${Array(rows).fill("(?, ?, ?, ?, ?, ?)").join(", ")}`,
    ),
  );
  const insertFeedback = db.query(
    `INSERT INTO feedback (call_id, score, source, comment, at_ms)
     SELECT call_id, ?, ?, ?, ? FROM events WHERE call_id = ?`,
  );
  const findEvent = db.query("SELECT event FROM events WHERE call_id = ?");
  const findFeedback = db.query(feedbackOfCall);
  const insertAll = db.transaction((events: readonly CallEvent[]) => {
    const [one, many] = insert as [Statement, Statement];
    const whole = events.length - (events.length % rowsAtOnce);
    const cells: Cell[] = [];
    for (let at = 0; at < events.length; at++) {
      addCells(cells, events[at] as CallEvent);
      if (at < whole && cells.length < rowsAtOnce * columns) continue;
      (at < whole ? many : one).run(...cells);
      cells.length = 0;
    }
  });

  return {
    insert: (events) => insertAll.immediate(events),
    addFeedback({ callId, score, source, comment, atMs }) {
      return insertFeedback.run(score, source, comment ?? null, atMs, callId).changes > 0;
    },
    find(callId) {
      const row = findEvent.get(callId) as { event: string } | null;
      if (!row) return undefined;
      const feedback = (findFeedback.all(callId) as FeedbackRow[]).map(toFeedback);
      return { ...parseEventJson(row.event).receipt, feedback };
    },
    prune: (retention, nowMs) => prune(db, retention, nowMs),
    copyTo: (path) => db.run("VACUUM INTO ?", [path]),
    close() {
      try {
        db.run("PRAGMA optimize");
      } finally {
        db.close();
      }
    },
  };
}

type Cell = string | Uint8Array | null;
const columns = 6;
/** Rows that one statement writes: a third less to do per row. */
const rowsAtOnce = 8;

function addCells(cells: Cell[], event: CallEvent): void {
  const { features } = event;
  cells.push(event.receipt.callId, toEventText(event));
  if (!features) cells.push(null, null, null, null);
  else {
    const { embedding, lexicalBuckets, lexicalCounts, shape } = features;
    cells.push(toBytes(embedding), toBytes(lexicalBuckets), lexicalCounts, toBytes(shape));
  }
}

/** Little endian, as every processor that runs this is. */
function toBytes({ buffer, byteOffset, byteLength }: Float32Array | Uint16Array): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}

export const feedbackOfCall =
  "SELECT call_id, score, source, comment, at_ms FROM feedback WHERE call_id = ? ORDER BY id";

export interface FeedbackRow {
  readonly call_id: string;
  readonly score: number;
  readonly source: string;
  readonly comment: string | null;
  readonly at_ms: number;
}

export function toFeedback(row: FeedbackRow): Feedback {
  return {
    callId: row.call_id,
    score: row.score,
    source: row.source,
    ...(row.comment !== null && { comment: row.comment }),
    atMs: row.at_ms,
  };
}

function prune(db: Database, retention: EventRetention, nowMs: number): number {
  const cutoff = Math.min(firstToKeep(db, retention, nowMs), oldest(db) + pruneStepRows);
  const remove = db.transaction(() => {
    const old = "SELECT call_id FROM events WHERE seq < ?";
    db.run(`DELETE FROM feedback WHERE call_id IN (${old})`, [cutoff]);
    return db.run("DELETE FROM events WHERE seq < ?", [cutoff]).changes;
  });
  const removed = remove.immediate();
  if (removed > 0) db.run("PRAGMA incremental_vacuum(2000)"); // gives pages back to the disk
  return removed;
}

/** The lowest `seq` that stays. Rows are written in time's order, so the oldest have the lowest. */
function firstToKeep(db: Database, retention: EventRetention, nowMs: number): number {
  const read = (sql: string, ...cells: number[]) =>
    (db.query(sql).get(...cells) as { seq: number | null } | null)?.seq ?? 0;
  const last = read("SELECT max(seq) AS seq FROM events");
  const byRows = read(
    "SELECT seq FROM events ORDER BY seq DESC LIMIT 1 OFFSET ?",
    retention.maxRows,
  );
  const tooOldMs = nowMs - retention.maxAgeDays * dayMs;
  const step = `(SELECT seq, at_ms FROM calls ORDER BY seq LIMIT ${pruneStepRows})`;
  const byAge = read(`SELECT max(seq) AS seq FROM ${step} WHERE at_ms < ?`, tooOldMs);
  const usedPages = pragma(db, "page_count") - pragma(db, "freelist_count");
  const usedBytes = usedPages * pragma(db, "page_size");
  const excess = Math.max(0, 1 - retention.maxBytes / Math.max(1, usedBytes));
  const from = oldest(db);
  const byBytes = excess === 0 ? 0 : Math.ceil(from + (last - from + 1) * excess) - 1;
  return Math.max(byRows, byAge, byBytes) + 1;
}

function oldest(db: Database): number {
  return (db.query("SELECT min(seq) AS seq FROM events").get() as { seq: number | null }).seq ?? 0;
}
