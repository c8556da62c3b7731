/** The records' database: one open file, every method at once, on the background thread. */
import type { SQLQueryBindings } from "bun:sqlite";
import { type PutCondition, type RecordQuery, recordFileName } from "../record-store.ts";
import { type DatabaseKind, type OpenOptions, openDatabase } from "./open-database.ts";

/** A record as it crosses threads: its value is JSON already. */
export interface RecordRow {
  readonly kind: string;
  readonly id: string;
  readonly owner: string;
  readonly parent: string;
  readonly tag: string;
  readonly created_ms: number;
  readonly updated_ms: number;
  readonly expires_ms: number | null;
  readonly version: number;
  readonly json: string;
}

export type NewRow = Omit<RecordRow, "version" | "updated_ms">;

export interface RecordTable {
  get(kind: string, id: string): RecordRow | undefined;
  put(row: NewRow, condition: PutCondition): RecordRow | undefined;
  putAll(rows: readonly NewRow[]): void;
  remove(kind: string, id: string): boolean;
  removeAll(kind: string, parent: string): number;
  list(query: RecordQuery): readonly RecordRow[];
  count(query: Omit<RecordQuery, "limit">): number;
  close(): void;
}

const kind: DatabaseKind = {
  fileName: recordFileName,
  what: "of records",
  applicationId: 0x7269716b, // "riqk"
  schemaVersion: 1,
  schema: `
CREATE TABLE records (
  kind TEXT NOT NULL,
  id TEXT NOT NULL,
  owner TEXT NOT NULL,
  parent TEXT NOT NULL,
  tag TEXT NOT NULL,
  created_ms INTEGER NOT NULL,
  updated_ms INTEGER NOT NULL,
  expires_ms INTEGER,
  version INTEGER NOT NULL,
  json TEXT NOT NULL,
  PRIMARY KEY (kind, id)
) WITHOUT ROWID;
CREATE INDEX records_by_age ON records (kind, created_ms, id);
CREATE INDEX records_by_parent ON records (kind, parent, created_ms, id);
CREATE INDEX records_by_tag ON records (kind, tag, created_ms, id);
CREATE INDEX records_by_end ON records (expires_ms) WHERE expires_ms IS NOT NULL;
`,
};

const columns =
  "kind, id, owner, parent, tag, created_ms, updated_ms, expires_ms, version, json" as const;
const sweepEveryMs = 60_000;

/** @throws SQLiteError; Error where the file is another program's */
export function openRecordTable(options: OpenOptions): RecordTable {
  const { clock } = options;
  const db = openDatabase(kind, options);
  db.run("PRAGMA secure_delete = ON"); // a credential that was removed is not left in a free page
  let sweepAtMs = clock.now();
  const alive = "(expires_ms IS NULL OR expires_ms > ?)";
  const findOne = db.query<RecordRow, SQLQueryBindings[]>(
    `SELECT ${columns} FROM records WHERE kind = ? AND id = ? AND ${alive}`,
  );
  // The time of creation and the owner are the first writer's for good.
  const write = db.query<RecordRow, SQLQueryBindings[]>(
    `INSERT INTO records (${columns}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, 1, ?9)
     ON CONFLICT (kind, id) DO UPDATE SET
       parent = ?4, tag = ?5, updated_ms = ?7, expires_ms = ?8, version = version + 1, json = ?9
     RETURNING ${columns}`,
  );
  const removeOne = db.query("DELETE FROM records WHERE kind = ? AND id = ?");

  function writeRow(row: NewRow): RecordRow {
    const written = write.get(
      row.kind,
      row.id,
      row.owner,
      row.parent,
      row.tag,
      row.created_ms,
      clock.now(),
      row.expires_ms,
      row.json,
    );
    if (!written) throw new Error("a record was not written");
    return written;
  }

  const find = (of: string, id: string) => findOne.get(of, id, clock.now()) ?? undefined;

  const putOne = db.transaction((row: NewRow, { ifAbsent, ifVersion }: PutCondition) => {
    const held = ifAbsent || ifVersion !== undefined ? find(row.kind, row.id) : undefined;
    if (ifAbsent && held) return undefined;
    if (ifVersion !== undefined && held?.version !== ifVersion) return undefined;
    // One that has expired and was not swept yet is no record any more.
    if (!held)
      db.run("DELETE FROM records WHERE kind = ? AND id = ? AND expires_ms <= ?", [
        row.kind,
        row.id,
        clock.now(),
      ]);
    return writeRow(row);
  });
  const putEach = db.transaction((rows: readonly NewRow[]) => {
    for (const row of rows) writeRow(row);
  });

  function sweep(): void {
    const now = clock.now();
    if (now < sweepAtMs) return;
    sweepAtMs = now + sweepEveryMs;
    db.run("DELETE FROM records WHERE expires_ms <= ?", [now]);
    db.run("PRAGMA incremental_vacuum(1000)");
  }

  function conditions(query: Omit<RecordQuery, "limit">) {
    const { owner, parent, tag } = query;
    const where = ["kind = ?", alive];
    const values: SQLQueryBindings[] = [query.kind, clock.now()];
    for (const [column, value] of Object.entries({ owner, parent, tag })) {
      if (value === undefined) continue;
      where.push(`${column} = ?`);
      values.push(value);
    }
    return { where, values };
  }

  return {
    get: find,
    put(row, condition) {
      const written = putOne.immediate(row, condition);
      sweep();
      return written;
    },
    putAll(rows) {
      putEach.immediate(rows);
      sweep();
    },
    remove: (of, id) => removeOne.run(of, id).changes > 0,
    removeAll: (of, parent) =>
      db.query("DELETE FROM records WHERE kind = ? AND parent = ?").run(of, parent).changes,
    list(query) {
      const { order = "desc", after, before, limit } = query;
      const { where, values } = conditions(query);
      const cursors = [
        { id: after, sign: order === "desc" ? "<" : ">" },
        { id: before, sign: order === "desc" ? ">" : "<" },
      ];
      for (const { id, sign } of cursors) {
        if (id === undefined) continue;
        where.push(
          `(created_ms, id) ${sign} (SELECT created_ms, id FROM records WHERE kind = ? AND id = ?)`,
        );
        values.push(query.kind, id);
      }
      // With `before` alone the page ends at the cursor, so it is read backwards and turned round.
      const backwards = before !== undefined && after === undefined;
      const way = (order === "desc") === backwards ? "ASC" : "DESC";
      const sql = `SELECT ${columns} FROM records WHERE ${where.join(" AND ")}
         ORDER BY created_ms ${way}, id ${way} LIMIT ?`;
      const rows = db.query<RecordRow, SQLQueryBindings[]>(sql).all(...values, limit);
      return backwards ? rows.toReversed() : rows;
    },
    count(query) {
      const { where, values } = conditions(query);
      const sql = `SELECT count(*) AS n FROM records WHERE ${where.join(" AND ")}`;
      return db.query<{ n: number }, SQLQueryBindings[]>(sql).get(...values)?.n ?? 0;
    },
    close: () => db.close(),
  };
}
