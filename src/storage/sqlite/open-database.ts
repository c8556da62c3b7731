/** Opening a database of ours: its mode, its owner, its version; a damaged one is moved aside. */
import { Database } from "bun:sqlite";
import { closeSync, existsSync, mkdirSync, openSync, renameSync } from "node:fs";
import { join } from "node:path";
import type { Clock } from "../../std/clock.ts";

export interface DatabaseKind {
  readonly fileName: string;
  /** For messages: "of responses". */
  readonly what: string;
  /** Four letters in ASCII: whose file it is. */
  readonly applicationId: number;
  readonly schemaVersion: number;
  readonly schema: string;
}

export interface OpenOptions {
  readonly dataDir: string;
  readonly clock: Clock;
  readonly log: (level: "info" | "warn" | "error", message: string) => void;
}

/** @throws SQLiteError; Error where the file is another program's */
export function openDatabase(kind: DatabaseKind, options: OpenOptions): Database {
  const path = join(options.dataDir, kind.fileName);
  mkdirSync(options.dataDir, { recursive: true });
  try {
    return open(path, kind);
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
      `The database ${kind.what}, ${path}, is damaged (${code}). It was moved to ${aside} and a new one begun.`,
    );
    return open(path, kind);
  }
}

function open(path: string, { schema, schemaVersion, applicationId }: DatabaseKind): Database {
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
