/**
 * Responses on SQLite, written and read by the background thread. What cannot be written is kept in
 * memory, in plain sight, until the process ends.
 */
import { GatewayError } from "../../domain/errors.ts";
import type { Clock } from "../../std/clock.ts";
import type { Remote } from "../../std/rpc.ts";
import { createMemoryResponseStore } from "../memory/response-store.ts";
import type { ResponseLimits, ResponseStore, StoredResponse } from "../response-store.ts";
import type { ResponseRow } from "./response-table.ts";
import type { ResponseService } from "./response-thread.ts";

export interface SqliteResponseStoreOptions {
  readonly remote: Remote<ResponseService>;
  readonly dataDir: string;
  readonly limits: ResponseLimits;
  readonly clock: Clock;
  /** Told when writing begins to fail, and when it works again (undefined). */
  readonly onHealth: (problem: string | undefined) => void;
}

export interface SqliteResponseStore extends ResponseStore {
  /** To be called when the background thread runs again after a crash. */
  restarted(): void;
}

export function createSqliteResponseStore(
  options: SqliteResponseStoreOptions,
): SqliteResponseStore {
  const { remote, limits, clock } = options;
  const spare = createMemoryResponseStore(limits, clock);
  let problem: string | undefined;
  let open: Promise<void> | undefined;

  function health(next: string | undefined): void {
    if ((problem === undefined) !== (next === undefined)) options.onHealth(next);
    problem = next;
  }

  /** Opened at the first call: a gateway that nobody asks for responses makes no file. */
  async function ready(): Promise<Remote<ResponseService>> {
    open ??= remote.call("open", { dataDir: options.dataDir, limits });
    await open;
    return remote;
  }

  async function write(stored: StoredResponse, method: "put" | "update"): Promise<void> {
    try {
      await (await ready()).call(method, toRow(stored));
      health(undefined);
    } catch (thrown) {
      health(messageOf(thrown));
      await spare[method](stored);
    }
  }

  async function read<T>(work: (remote: Remote<ResponseService>) => Promise<T>): Promise<T> {
    try {
      return await work(await ready());
    } catch (cause) {
      const message = `Stored responses cannot be read: ${messageOf(cause)}`;
      throw new GatewayError("storage_failed", message.slice(0, 300), { cause });
    }
  }

  return {
    get problem() {
      return problem;
    },
    put: (stored) => write(stored, "put"),
    async update(stored) {
      if (await spare.find(stored.id)) await spare.update(stored);
      else await write(stored, "update");
    },
    async find(id) {
      const here = await spare.find(id);
      if (here) return here;
      return toStored(await read((db) => db.call("find", id)));
    },
    async chain(id, limit) {
      const here = await spare.chain(id, limit);
      const from = here.length > 0 ? here[0]?.previous : id;
      if (from === undefined || here.length >= limit) return here;
      const rows = await read((db) => db.call("chain", { id: from, limit: limit - here.length }));
      return [...rows.map((json) => JSON.parse(json) as StoredResponse), ...here];
    },
    async remove(id) {
      return (await spare.remove(id)) || (await read((db) => db.call("remove", id)));
    },
    async renew(lease) {
      if (await spare.find(lease.id)) return spare.renew(lease);
      return (await read((db) => db.call("renew", lease))) ? "go on" : "stop";
    },
    async leaseOf(id) {
      return (await spare.leaseOf(id)) ?? (await read((db) => db.call("leaseOf", id)));
    },
    async stop(id) {
      await spare.stop(id);
      await read((db) => db.call("stop", id));
    },
    restarted() {
      open = undefined;
    },
    async close() {
      if (open) await remote.call("close", null);
    },
  };
}

function toRow(stored: StoredResponse): ResponseRow {
  return { id: stored.id, previous: stored.previous ?? null, json: JSON.stringify(stored) };
}

function toStored(json: string | undefined): StoredResponse | undefined {
  return json === undefined ? undefined : (JSON.parse(json) as StoredResponse); // written by toRow
}

const messageOf = (thrown: unknown) => (thrown instanceof Error ? thrown.message : String(thrown));
