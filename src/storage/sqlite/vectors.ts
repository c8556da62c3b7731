/** Vectors on SQLite, in a background thread of their own, which starts when somebody asks. */
import { GatewayError } from "../../domain/errors.ts";
import { type Remote, RpcError } from "../../std/rpc.ts";
import type { VectorStore } from "../vectors.ts";
import type { VectorService } from "./vector-thread.ts";

export interface SqliteVectorStore extends VectorStore {
  /** To be called when the background thread runs again after a crash. */
  restarted(): void;
}

export function createSqliteVectorStore(
  remote: Remote<VectorService>,
  dataDir: string,
): SqliteVectorStore {
  let open: Promise<void> | undefined;

  async function ask<T>(work: (db: Remote<VectorService>) => Promise<T>): Promise<T> {
    try {
      open ??= remote.call("open", { dataDir });
      await open;
      return await work(remote);
    } catch (cause) {
      if (cause instanceof RpcError && cause.code === "invalid_request") {
        throw new GatewayError("invalid_request", cause.message, { cause });
      }
      const why = cause instanceof Error ? cause.message : String(cause);
      const message = `The vectors cannot be read or written: ${why}`.slice(0, 300);
      throw new GatewayError("storage_failed", message, { cause });
    }
  }

  return {
    isWhole: true,
    put: (collection, document) => ask((db) => db.call("put", { collection, document })),
    setAttributes: (collection, document, attributes) =>
      ask((db) => db.call("setAttributes", { collection, document, attributes })),
    remove: (collection, document) => ask((db) => db.call("remove", { collection, document })),
    drop: (collection) => ask((db) => db.call("drop", collection)),
    search: (collection, query) => ask((db) => db.call("search", { collection, query })),
    read: (collection, document) => ask((db) => db.call("read", { collection, document })),
    restarted() {
      open = undefined;
    },
    async close() {
      if (open) await remote.call("close", null);
    },
  };
}
