/** The responses' database: one open file, every method at once, on the background thread. */
import { Database } from "bun:sqlite";
import { closeSync, existsSync, mkdirSync, openSync, renameSync } from "node:fs";
import { join } from "node:path";
import type { Clock } from "../../std/clock.ts";
import { type Lease, type ResponseLimits, responseFileName } from "../response-store.ts";

export interface ResponseTableOptions {
  readonly dataDir: string;
  readonly limits: ResponseLimits;
  readonly clock: Clock;
  readonly log: (level: "info" | "warn" | "error", message: string) => void;
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

/** "riqr" in ASCII: whose file it is. */
const applicationId = 0x72697172;
const schemaVersion = 1;

const schema = `
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
`;

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
  const db = openOrMoveAside(options);
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

function openOrMoveAside(options: ResponseTableOptions): Database {
  const path = join(options.dataDir, responseFileName);
  mkdirSync(options.dataDir, { recursive: true });
  try {
    return open(path);
  } catch (thrown) {
    const code = String((thrown as { code?: unknown }).code ?? "");
    if (!/^SQLITE_(CORRUPT|NOTADB)/.test(code)) throw thrown;
    const stamp = new Date(options.clock.now()).toISOString().replaceAll(":", "-");
    const aside = `${path}.damaged-${stamp}`;
    for (const suffix of ["", "-wal", "-shm"]) {
      if (existsSync(path + suffix)) renameSync(path + suffix, aside + suffix);
    }
    options.log(
      "error",
      `The database of responses, ${path}, is damaged (${code}). It was moved to ${aside} and a new one begun.`,
    );
    return open(path);
  }
}

function open(path: string): Database {
  // What was said is nobody else's to read; SQLite's own files copy the mode.
  closeSync(openSync(path, "a", 0o600));
  const db = new Database(path, { create: true, strict: true });
  try {
    db.run("PRAGMA busy_timeout = 5000");
    const read = (name: string) =>
      Number(Object.values(db.query(`PRAGMA ${name}`).get() as Record<string, number>)[0]);
    const version = read("user_version");
    if (version > schemaVersion || (version > 0 && read("application_id") !== applicationId)) {
      throw new Error(
        `${path} was written by a newer routeiq, or by another program. Give another --data-dir.`,
      );
    }
    if (version === 0) db.run("PRAGMA auto_vacuum = INCREMENTAL");
    db.run("PRAGMA journal_mode = WAL");
    db.run("PRAGMA synchronous = NORMAL"); // a crash of the process loses nothing committed
    const create = db.transaction(() => {
      if (read("user_version") > 0) return; // another process came first
      db.run(schema);
      db.run(`PRAGMA application_id = ${applicationId}`);
      db.run(`PRAGMA user_version = ${schemaVersion}`);
    });
    create.immediate();
    return db;
  } catch (thrown) {
    db.close();
    throw thrown;
  }
}
