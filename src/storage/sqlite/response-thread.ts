/** The responses' half in the background thread. */
import { systemClock } from "../../std/clock.ts";
import { RpcError } from "../../std/rpc.ts";
import type { Lease, ResponseLimits } from "../response-store.ts";
import { openResponseTable, type ResponseRow, type ResponseTable } from "./response-table.ts";

export interface ResponseServiceOptions {
  readonly dataDir: string;
  readonly limits: ResponseLimits;
}

/** What the serving thread may ask. A file that cannot be opened is tried again at the next call. */
export interface ResponseService {
  open(options: ResponseServiceOptions): void;
  put(row: ResponseRow): void;
  update(row: ResponseRow): void;
  find(id: string): string | undefined;
  chain(of: { readonly id: string; readonly limit: number }): readonly string[];
  remove(id: string): boolean;
  renew(lease: Lease): boolean;
  leaseOf(id: string): number | undefined;
  stop(id: string): void;
  close(params: null): void;
}

export function createResponseThread(
  log: (level: "info" | "warn" | "error", message: string) => void,
): ResponseService {
  let options: ResponseServiceOptions | undefined;
  let table: ResponseTable | undefined;
  const opened = (): ResponseTable => {
    if (!options) throw new RpcError("storage_failed", "The store of responses is not open.");
    table ??= openResponseTable({ ...options, clock: systemClock, log });
    return table;
  };
  return {
    open(next) {
      table?.close();
      table = undefined;
      options = next;
    },
    put: (row) => opened().put(row),
    update: (row) => opened().update(row),
    find: (id) => opened().find(id),
    chain: ({ id, limit }) => opened().chain(id, limit),
    remove: (id) => opened().remove(id),
    renew: (lease) => opened().renew(lease),
    leaseOf: (id) => opened().leaseOf(id),
    stop: (id) => opened().stop(id),
    close() {
      table?.close();
      table = undefined;
    },
  };
}
