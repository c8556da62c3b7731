/** The records' half in the background thread. */
import { systemClock } from "../../std/clock.ts";
import { RpcError } from "../../std/rpc.ts";
import type { PutCondition, RecordQuery } from "../record-store.ts";
import { type NewRow, openRecordTable, type RecordRow, type RecordTable } from "./record-table.ts";

export interface RecordServiceOptions {
  readonly dataDir: string;
}

export interface Named {
  readonly kind: string;
  readonly id: string;
}

/** What the serving thread may ask. A file that cannot be opened is tried again at the next call. */
export interface RecordService {
  open(options: RecordServiceOptions): void;
  get(of: Named): RecordRow | undefined;
  put(of: { readonly row: NewRow; readonly condition: PutCondition }): RecordRow | undefined;
  putAll(rows: readonly NewRow[]): void;
  remove(of: Named): boolean;
  removeAll(of: { readonly kind: string; readonly parent: string }): number;
  list(query: RecordQuery): readonly RecordRow[];
  count(query: Omit<RecordQuery, "limit">): number;
  close(params: null): void;
}

export function createRecordThread(
  log: (level: "info" | "warn" | "error", message: string) => void,
): RecordService {
  let options: RecordServiceOptions | undefined;
  let table: RecordTable | undefined;
  const opened = (): RecordTable => {
    if (!options) throw new RpcError("storage_failed", "The store of records is not open.");
    table ??= openRecordTable({ ...options, clock: systemClock, log });
    return table;
  };
  return {
    open(next) {
      table?.close();
      table = undefined;
      options = next;
    },
    get: ({ kind, id }) => opened().get(kind, id),
    put: ({ row, condition }) => opened().put(row, condition),
    putAll: (rows) => opened().putAll(rows),
    remove: ({ kind, id }) => opened().remove(kind, id),
    removeAll: ({ kind, parent }) => opened().removeAll(kind, parent),
    list: (query) => opened().list(query),
    count: (query) => opened().count(query),
    close() {
      table?.close();
      table = undefined;
    },
  };
}
