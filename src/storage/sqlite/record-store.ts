/**
 * Records on SQLite, written and read by the background thread. Where the file cannot be written a
 * call fails and says so: an API that promises memory does not keep it in a place that forgets.
 */
import { GatewayError } from "../../domain/errors.ts";
import type { JsonObject } from "../../domain/json.ts";
import type { Clock } from "../../std/clock.ts";
import type { Remote } from "../../std/rpc.ts";
import {
  type NewRecord,
  type PutCondition,
  type RecordQuery,
  type RecordStore,
  recordLimits,
  type StoredRecord,
} from "../record-store.ts";
import { updateRecord } from "../update-record.ts";
import type { NewRow, RecordRow } from "./record-table.ts";
import type { RecordService } from "./record-thread.ts";

export interface SqliteRecordStoreOptions {
  readonly remote: Remote<RecordService>;
  readonly dataDir: string;
  readonly clock: Clock;
  /** Told when writing begins to fail, and when it works again (undefined). */
  readonly onHealth: (problem: string | undefined) => void;
}

export interface SqliteRecordStore extends RecordStore {
  /** To be called when the background thread runs again after a crash. */
  restarted(): void;
}

export function createSqliteRecordStore(options: SqliteRecordStoreOptions): SqliteRecordStore {
  const { remote, clock } = options;
  let problem: string | undefined;
  let open: Promise<void> | undefined;

  function health(next: string | undefined): void {
    if ((problem === undefined) !== (next === undefined)) options.onHealth(next);
    problem = next;
  }

  /** Opened at the first call: a gateway that nobody asks for memory makes no file. */
  async function ask<T>(work: (db: Remote<RecordService>) => Promise<T>): Promise<T> {
    try {
      open ??= remote.call("open", { dataDir: options.dataDir });
      await open;
      const answer = await work(remote);
      health(undefined);
      return answer;
    } catch (cause) {
      const why = cause instanceof Error ? cause.message : String(cause);
      health(why);
      const message = `The gateway's records cannot be read or written: ${why}`.slice(0, 300);
      throw new GatewayError("storage_failed", message, { cause });
    }
  }

  function put(record: NewRecord): Promise<StoredRecord>;
  function put(record: NewRecord, condition: PutCondition): Promise<StoredRecord | undefined>;
  async function put(record: NewRecord, condition: PutCondition = {}) {
    const row = toRow(record, clock.now());
    return toRecord(await ask((db) => db.call("put", { row, condition })));
  }

  const store: SqliteRecordStore = {
    get problem() {
      return problem;
    },
    async get(kind, id) {
      return toRecord(await ask((db) => db.call("get", { kind, id })));
    },
    put,
    async putAll(records) {
      if (records.length > recordLimits.batch) throw tooMany(records.length);
      const rows = records.map((record) => toRow(record, clock.now()));
      await ask((db) => db.call("putAll", rows));
    },
    update: (...asked) => updateRecord(store, asked),
    remove: (kind, id) => ask((db) => db.call("remove", { kind, id })),
    removeAll: (kind, parent) => ask((db) => db.call("removeAll", { kind, parent })),
    async list(query) {
      const limit = Math.max(1, Math.min(recordLimits.page, query.limit));
      const rows = await ask((db) => db.call("list", { ...query, limit: limit + 1 }));
      return toPage(rows, query, limit);
    },
    count: (query) => ask((db) => db.call("count", query)),
    restarted() {
      open = undefined;
    },
    async close() {
      if (open) await remote.call("close", null);
    },
  };
  return store;
}

/** One row more than asked for says that there are more; it stands at the end that the page grows to. */
function toPage(rows: readonly RecordRow[], { before, after }: RecordQuery, limit: number) {
  const hasMore = rows.length > limit;
  const backwards = before !== undefined && after === undefined;
  const kept = !hasMore ? rows : backwards ? rows.slice(1) : rows.slice(0, limit);
  return {
    records: kept.map((row) => toRecord(row)).filter((each) => each !== undefined),
    hasMore,
  };
}

/** @throws GatewayError body_too_large */
function toRow(record: NewRecord, nowMs: number): NewRow {
  const json = JSON.stringify(record.value);
  if (json.length > recordLimits.bytes) {
    const message = `A ${record.kind} of ${json.length} bytes is over the limit of ${recordLimits.bytes}.`;
    throw new GatewayError("body_too_large", message);
  }
  return {
    kind: record.kind,
    id: record.id,
    owner: record.owner ?? "",
    parent: record.parent ?? "",
    tag: record.tag ?? "",
    created_ms: record.createdMs ?? nowMs,
    expires_ms: record.expiresMs ?? null,
    json,
  };
}

function toRecord(row: RecordRow | undefined): StoredRecord | undefined {
  if (!row) return undefined;
  return {
    kind: row.kind,
    id: row.id,
    owner: row.owner,
    parent: row.parent,
    tag: row.tag,
    createdMs: row.created_ms,
    updatedMs: row.updated_ms,
    ...(row.expires_ms === null ? {} : { expiresMs: row.expires_ms }),
    version: row.version,
    value: JSON.parse(row.json) as JsonObject, // written by toRow
  };
}

function tooMany(count: number): GatewayError {
  const message = `${count} records at once are over the limit of ${recordLimits.batch}.`;
  return new GatewayError("body_too_large", message);
}
