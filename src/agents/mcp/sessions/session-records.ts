/**
 * What is kept of a session, so that any process on the same store can go on with it: how it began.
 * Connections to servers, and what they remember, are the process's own, and made anew.
 */
import type { Caller } from "../../../domain/call.ts";
import { isObject, type JsonObject } from "../../../domain/json.ts";
import type { McpSettings } from "../../../domain/mcp.ts";
import type { Clock } from "../../../std/clock.ts";
import type { RecordStore } from "../../../storage/record-store.ts";
import type { Telemetry } from "../../../telemetry/telemetry.ts";

export interface SessionBeginning {
  /** The parameters of `initialize`. */
  readonly params: JsonObject;
  /** What stands after `/mcp/`. */
  readonly path?: string;
  /** The header fields that say which servers, and how their tools are listed. */
  readonly headers: Readonly<Record<string, string>>;
  /** `mode` of the address. */
  readonly mode?: string;
}

export interface SessionRecords {
  /** Before its client is answered. Where the store fails, the session lives in this process alone. */
  keep(id: string, caller: Caller, beginning: SessionBeginning): Promise<void>;
  /** Its own caller's alone. @throws GatewayError storage_failed */
  find(id: string, caller: Caller): Promise<SessionBeginning | undefined>;
  /** Whether it was ended elsewhere; asked of the store now and then. Also says that it is in use. */
  isEnded(id: string): Promise<boolean>;
  remove(id: string): Promise<void>;
}

const kind = "mcp-session";
/** How long what the store said of a session is believed. */
const believedMs = 5_000;
/** Capabilities and names, nothing more: a client that sends more than this is not gone on with. */
const paramsChars = 64 * 1024;

export interface SessionRecordParts {
  readonly records: RecordStore;
  readonly clock: Clock;
  readonly telemetry: Telemetry;
  readonly settings: () => McpSettings;
}

export function createSessionRecords(parts: SessionRecordParts): SessionRecords {
  const { records, clock, telemetry, settings } = parts;
  /** Those of this process that the store has → when it was asked last. */
  const asked = new Map<string, number>();
  const untilMs = () => clock.now() + 2 * settings().sessionIdleMs;

  /** In use: from now on it is kept for longer than it may be idle, so that not every use is written. */
  async function renew(id: string): Promise<boolean> {
    const leastMs = 1.5 * settings().sessionIdleMs;
    const record = await records.get(kind, id);
    if (!record) return false;
    if ((record.expiresMs ?? 0) - clock.now() < leastMs)
      await records.update(kind, id, () => ({ expiresMs: untilMs() }));
    return true;
  }

  return {
    async keep(id, caller, beginning) {
      if (JSON.stringify(beginning.params).length > paramsChars) return;
      const value = beginning as unknown as JsonObject;
      try {
        await records.put({ kind, id, owner: caller.id, expiresMs: untilMs(), value });
        asked.set(id, clock.now());
      } catch (thrown) {
        const error = thrown instanceof Error ? thrown.message : String(thrown);
        telemetry.log("warn", "an MCP session is known to this process alone", { error });
      }
    },
    async find(id, caller) {
      const record = id.length > idChars ? undefined : await records.get(kind, id);
      if (!record || record.owner !== caller.id) return undefined;
      asked.set(id, clock.now());
      const { params, path, headers, mode } = record.value;
      return {
        params: isObject(params) ? params : {},
        headers: (isObject(headers) ? headers : {}) as Record<string, string>,
        ...(typeof path === "string" ? { path } : {}),
        ...(typeof mode === "string" ? { mode } : {}),
      };
    },
    async isEnded(id) {
      const at = asked.get(id);
      if (at === undefined || clock.now() - at < believedMs) return false;
      asked.set(id, clock.now());
      if (await renew(id)) return false;
      asked.delete(id);
      return true;
    },
    async remove(id) {
      asked.delete(id);
      await records.remove(kind, id);
    },
  };
}

const idChars = 100;
