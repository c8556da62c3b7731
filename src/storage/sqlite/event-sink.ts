/**
 * The event database with its mishaps handled: a missing folder, a full disk, a file that was
 * deleted under us, that is damaged, or that is not ours. Runs in the background thread; nothing
 * here deletes a file, and whatever goes wrong is said once, with what to do.
 */
import { existsSync, mkdirSync, renameSync, statSync } from "node:fs";
import { join } from "node:path";
import type { Feedback, Receipt } from "../../domain/decision.ts";
import { GatewayError } from "../../domain/errors.ts";
import type { CallEvent } from "../../domain/event.ts";
import type { Clock } from "../../std/clock.ts";
import { completeEvent, type ExtractFeatures } from "../complete-event.ts";
import { decodeBatch } from "../event-batch.ts";
import {
  type EventRetention,
  eventFileName,
  type FeedbackResult,
  type WriteResult,
} from "../event-log.ts";
import { type EventStore, NotOurFile, openEventStore, pruneStepRows } from "./event-store.ts";

export interface SqliteEventSinkOptions {
  readonly dataDir: string;
  readonly retention: EventRetention;
  readonly clock: Clock;
  readonly log: (level: "info" | "warn" | "error", message: string) => void;
  /** Sees every batch once it is written, or refused: the exporter of spans, say. */
  readonly onEvents?: (events: readonly CallEvent[]) => void;
  /** Features of queries that came without. */
  readonly extract?: ExtractFeatures;
  /** A bound on the file's size, as a full disk would set it (tests). */
  readonly maxPages?: () => number | undefined;
}

/** The sink's methods, synchronous. */
export interface SqliteEventSink {
  probe(): WriteResult;
  write(bytes: Uint8Array): WriteResult;
  addFeedback(feedback: Feedback): FeedbackResult;
  find(callId: string): Receipt | undefined;
  close(): void;
}

/** Rows are deleted past their limits this often, at most. */
const pruneEveryMs = 60_000;

export function createSqliteEventSink(options: SqliteEventSinkOptions): SqliteEventSink {
  const path = join(options.dataDir, eventFileName);
  let open: { readonly store: EventStore; readonly inode: number } | undefined;
  let lastPruneMs = options.clock.now();

  /** The open store; opens it where it is not. */
  function store(): EventStore {
    if (open && inodeOf(path) !== open.inode) replaceLost(open.store);
    open ??= openFile();
    return open.store;
  }

  function openFile() {
    mkdirSync(options.dataDir, { recursive: true });
    const opened = openOrMoveAside();
    return { store: opened, inode: inodeOf(path) ?? -1 };
  }

  function openOrMoveAside(): EventStore {
    try {
      return openEventStore(path, options.maxPages?.());
    } catch (thrown) {
      if (!isDamaged(thrown)) throw thrown;
      moveAside(thrown);
      return openEventStore(path, options.maxPages?.());
    }
  }

  function moveAside(thrown: unknown): void {
    const stamp = new Date(options.clock.now()).toISOString().replaceAll(":", "-");
    const aside = `${path}.damaged-${stamp}`;
    for (const suffix of ["", "-wal", "-shm"]) {
      if (existsSync(path + suffix)) renameSync(path + suffix, aside + suffix);
    }
    options.log(
      "error",
      `The event database ${path} is damaged (${messageOf(thrown)}). It was moved to ${aside} and ` +
        `a new one begun. To save what can be read: sqlite3 '${aside}' .recover | sqlite3 rescued.db`,
    );
  }

  /**
   * The file's name is gone, or leads to another file; its contents live on in the open handle.
   * The old handle is closed before a new one opens: on closing, SQLite removes the log files by
   * name, and those would be the new file's.
   */
  function replaceLost(lost: EventStore): void {
    open = undefined;
    let saved = "its rows could not be saved";
    try {
      mkdirSync(options.dataDir, { recursive: true });
      if (existsSync(path)) saved = "another file stands in its place and is used from now on";
      else {
        lost.copyTo(path);
        saved = "its rows were written anew, none is lost";
      }
    } catch (thrown) {
      saved += ` (${messageOf(thrown)})`;
    }
    closeQuietly(lost);
    options.log("warn", `The event database ${path} was removed while in use: ${saved}.`);
  }

  /** Runs on the store; once more on a new file where the old one turns out to be damaged. */
  function run<T>(work: (store: EventStore) => T): T {
    try {
      return work(store());
    } catch (thrown) {
      if (!isDamaged(thrown)) throw thrown;
      if (open) closeQuietly(open.store);
      open = undefined;
      moveAside(thrown);
      return work(store());
    }
  }

  function pruneSometimes(): void {
    const now = options.clock.now();
    if (now - lastPruneMs < pruneEveryMs) return;
    lastPruneMs = now;
    const removed = run((store) => store.prune(options.retention, now));
    if (removed === pruneStepRows) lastPruneMs = now - pruneEveryMs; // more to go: next write
  }

  return {
    probe() {
      try {
        store();
        return { stored: true };
      } catch (thrown) {
        return { stored: false, error: explain(thrown, path) };
      }
    },
    write(bytes) {
      const events: CallEvent[] = [];
      for (const event of decodeBatch(bytes)) events.push(completeEvent(event, options.extract));
      try {
        run((store) => store.insert(events));
        pruneSometimes();
        return { stored: true };
      } catch (thrown) {
        return { stored: false, error: explain(thrown, path) };
      } finally {
        options.onEvents?.(events);
      }
    },
    addFeedback(feedback) {
      try {
        return run((store) => store.addFeedback(feedback)) ? "recorded" : "unknown";
      } catch (thrown) {
        return { error: explain(thrown, path) };
      }
    },
    find(callId) {
      try {
        return run((store) => store.find(callId));
      } catch (thrown) {
        throw new GatewayError("storage_failed", explain(thrown, path), { cause: thrown });
      }
    },
    close() {
      if (open) closeQuietly(open.store);
      open = undefined;
    },
  };
}

function closeQuietly(store: EventStore): void {
  try {
    store.close();
  } catch {
    // A handle whose file is gone or damaged may fail to close; the operating system will do it.
  }
}

function inodeOf(path: string): number | undefined {
  return statSync(path, { throwIfNoEntry: false })?.ino;
}

function isDamaged(thrown: unknown): boolean {
  const code = codeOf(thrown);
  return code.startsWith("SQLITE_CORRUPT") || code === "SQLITE_NOTADB";
}

function codeOf(thrown: unknown): string {
  const code = typeof thrown === "object" && thrown !== null && "code" in thrown && thrown.code;
  return typeof code === "string" ? code : "";
}

/** What is wrong with storage, and what to do about it. */
export function explain(thrown: unknown, path: string): string {
  const meanwhile = "Until then events are kept in memory, the last ones only.";
  if (thrown instanceof NotOurFile) {
    return thrown.ownership === "newer"
      ? `${path} was written by a newer routeiq. Start that version, or give another --data-dir. ${meanwhile}`
      : `${path} is another program's database. Give another --data-dir. ${meanwhile}`;
  }
  const code = codeOf(thrown);
  if (code === "SQLITE_FULL" || code === "ENOSPC" || code === "EDQUOT") {
    return `The disk under ${path} is full. Free some space, or give another --data-dir. ${meanwhile}`;
  }
  if (/^(EACCES|EROFS|EPERM|ENOTDIR|EEXIST|SQLITE_READONLY|SQLITE_CANTOPEN)/.test(code)) {
    return `${path} cannot be written (${code}). Make the folder writable for this user, or give another --data-dir. ${meanwhile}`;
  }
  if (code.startsWith("SQLITE_BUSY") || code === "SQLITE_LOCKED") {
    return `${path} is locked by another program. Close that program. ${meanwhile}`;
  }
  return `${path} cannot be used: ${messageOf(thrown)} (${code || "no code"}). ${meanwhile}`;
}

function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}
