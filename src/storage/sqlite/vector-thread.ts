/** The vectors' half in a background thread: the database, and the built-in embedder beside it. */

import type { JsonObject } from "../../domain/json.ts";
import { systemClock } from "../../std/clock.ts";
import { RpcError } from "../../std/rpc.ts";
import type { CollectionFacts, VectorDocument, VectorHit, VectorQuery } from "../vectors.ts";
import { openVectorTable, type VectorTable } from "./vector-table.ts";

export interface Of {
  readonly collection: string;
  readonly document: string;
}

/** What the serving thread may ask. A file that cannot be opened is tried again at the next call. */
export interface VectorService {
  open(options: { readonly dataDir: string }): void;
  put(of: { readonly collection: string; readonly document: VectorDocument }): CollectionFacts;
  setAttributes(of: Of & { readonly attributes: JsonObject }): void;
  remove(of: Of): number;
  drop(collection: string): void;
  search(of: { readonly collection: string; readonly query: VectorQuery }): readonly VectorHit[];
  read(of: Of): readonly string[];
  close(params: null): void;
}

export function createVectorThread(
  log: (level: "info" | "warn" | "error", message: string) => void,
): VectorService {
  let dataDir: string | undefined;
  let table: VectorTable | undefined;
  const opened = (): VectorTable => {
    if (dataDir === undefined) throw new RpcError("storage_failed", "The vectors are not open.");
    table ??= openVectorTable({ dataDir, clock: systemClock, log });
    return table;
  };
  return {
    open(options) {
      table?.close();
      table = undefined;
      dataDir = options.dataDir;
    },
    put: ({ collection, document }) => opened().put(collection, document),
    setAttributes: ({ collection, document, attributes }) =>
      opened().setAttributes(collection, document, attributes),
    remove: ({ collection, document }) => opened().remove(collection, document),
    drop: (collection) => opened().drop(collection),
    search: ({ collection, query }) => opened().search(collection, query),
    read: ({ collection, document }) => opened().read(collection, document),
    close() {
      table?.close();
      table = undefined;
    },
  };
}
