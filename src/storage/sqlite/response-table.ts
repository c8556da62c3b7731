/** The responses' database: one open file, every method at once, on the background thread. */
import { type Lease, type ResponseLimits, responseFileName } from "../response-store.ts";
import { type DatabaseKind, type OpenOptions, openDatabase } from "./open-database.ts";

export interface ResponseTableOptions extends OpenOptions {
  readonly limits: ResponseLimits;
}

/** A response as it crosses threads: its JSON, and what is searched by. */
export interface ResponseRow {
  readonly id: string;
  readonly previous: string | null;
  readonly json: string;
}

export interface ResponseTable {
  put(row: ResponseRow): void;
  update(row: ResponseRow): void;
  find(id: string): string | undefined;
  chain(id: string, limit: number): readonly string[];
  remove(id: string): boolean;
  renew(lease: Lease): boolean;
  leaseOf(id: string): number | undefined;
  stop(id: string): void;
  close(): void;
}

const kind: DatabaseKind = {
  fileName: responseFileName,
  what: "of responses",
  applicationId: 0x72697172, // "riqr"
  schemaVersion: 1,
  schema: `
CREATE TABLE responses (
  id TEXT PRIMARY KEY,
  previous TEXT,
  expires_ms INTEGER NOT NULL,
  size INTEGER NOT NULL,
  lease_ms INTEGER,
  stop INTEGER NOT NULL DEFAULT 0,
  json TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX responses_by_age ON responses (expires_ms, size);
`,
};

/** A response and those before it, the latest first. */
const chainOf = `
WITH RECURSIVE chain (id, previous, depth) AS (
  SELECT id, previous, 0 FROM responses WHERE id = ?
  UNION ALL
  SELECT r.id, r.previous, depth + 1 FROM responses r JOIN chain c ON r.id = c.previous
  WHERE depth + 1 < ?
)`;

const dayMs = 86_400_000;
const pruneEveryMs = 60_000;
const pruneStepRows = 1_000;
/** How far back the life of earlier responses is prolonged. */
const touchDepth = 1_000;

/** @throws SQLiteError; Error where the file is another program's */
export function openResponseTable(options: ResponseTableOptions): ResponseTable {
  const { limits, clock } = options;
  const db = openDatabase(kind, options);
  let pruneAtMs = clock.now();
  const expiry = () => clock.now() + limits.maxAgeDays * dayMs;

  const insert = db.query(
    `INSERT INTO responses (id, previous, expires_ms, size, json) VALUES (?1, ?2, ?3, ?4, ?5)
     ON CONFLICT (id) DO UPDATE SET json = ?5, size = ?4, expires_ms = ?3`,
  );
  const touch = db.query(
    `${chainOf} UPDATE responses SET expires_ms = ? WHERE id IN (SELECT id FROM chain)`,
  );
  const change = db.query("UPDATE responses SET json = ?, size = ?, lease_ms = NULL WHERE id = ?");
  const findOne = db.query("SELECT json FROM responses WHERE id = ? AND expires_ms > ?");
  const findChain = db.query(
    `${chainOf} SELECT r.json FROM chain c JOIN responses r ON r.id = c.id ORDER BY depth DESC`,
  );
  const removeOne = db.query("DELETE FROM responses WHERE id = ?");
  const renewOne = db.query("UPDATE responses SET lease_ms = ? WHERE id = ? AND stop = 0");
  const putAll = db.transaction(({ id, previous, json }: ResponseRow) => {
    insert.run(id, previous, expiry(), json.length, json);
    if (previous !== null) touch.run(previous, touchDepth, expiry());
  });

  function prune(): void {
    const now = clock.now();
    if (now < pruneAtMs) return;
    pruneAtMs = now + pruneEveryMs;
    db.run("DELETE FROM responses WHERE expires_ms <= ?", [now]);
    for (;;) {
      const { rows, bytes } = db
        .query("SELECT count(*) AS rows, coalesce(sum(size), 0) AS bytes FROM responses")
        .get() as { rows: number; bytes: number };
      const over = Math.max(rows - limits.maxRows, rows * (1 - limits.maxBytes / (bytes || 1)));
      if (over <= 0) break;
      const step = Math.min(pruneStepRows, Math.ceil(over));
      const oldest = "SELECT id FROM responses ORDER BY expires_ms LIMIT ?";
      db.run(`DELETE FROM responses WHERE id IN (${oldest})`, [step]);
    }
    db.run("PRAGMA incremental_vacuum(1000)");
  }

  return {
    put(row) {
      putAll.immediate(row);
      prune();
    },
    update: ({ id, json }) => void change.run(json, json.length, id),
    find: (id) => (findOne.get(id, clock.now()) as { json: string } | null)?.json,
    chain: (id, limit) => (findChain.all(id, limit) as { json: string }[]).map(({ json }) => json),
    remove: (id) => removeOne.run(id).changes > 0,
    renew: ({ id, untilMs }) => renewOne.run(untilMs, id).changes > 0,
    leaseOf(id) {
      const row = db.query("SELECT lease_ms FROM responses WHERE id = ?").get(id);
      return (row as { lease_ms: number | null } | null)?.lease_ms ?? undefined;
    },
    stop: (id) => void db.run("UPDATE responses SET stop = 1 WHERE id = ?", [id]),
    close: () => db.close(),
  };
}
