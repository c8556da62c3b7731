/**
 * Tools' definitions, pinned: a server that changes what a tool says of itself, after people came to
 * trust it, is not believed until an administrator looked at it.
 */
import { isObject, type JsonObject } from "../../../domain/json.ts";
import type { McpSettings } from "../../../domain/mcp.ts";
import { sha256Hex } from "../../../security/hashing.ts";
import type { RecordStore, StoredRecord } from "../../../storage/record-store.ts";
import type { Telemetry } from "../../../telemetry/telemetry.ts";

const kind = "mcp-pin";
/** Of a definition that is kept to be looked at. */
const definitionBytes = 65_536;

export interface HeldTool {
  readonly server: string;
  readonly tool: string;
  readonly hash: string;
  readonly definition: JsonObject;
  /** What is in force meanwhile: nothing is called by it. Missing: the tool is new. */
  readonly approved?: JsonObject;
  readonly sinceMs: number;
}

export interface Pins {
  /** Those that may be shown and called; the others are held, and told of once. */
  judge(server: string, tools: readonly JsonObject[]): Promise<readonly JsonObject[]>;
  held(server?: string): Promise<readonly HeldTool[]>;
  /** Takes the definition that is held. False where none is, or not of this hash. */
  approve(server: string, tool: string, hash?: string): Promise<boolean>;
}

export interface PinParts {
  readonly records: RecordStore;
  readonly telemetry: Telemetry;
  readonly settings: () => McpSettings;
}

export function createPins({ records, telemetry, settings }: PinParts): Pins {
  const count = telemetry.counter(
    "routeiq.mcp.tools.held",
    "Definitions of tools that were held back until somebody approves of them.",
    ["server"],
  );

  async function known(server: string): Promise<ReadonlyMap<string, StoredRecord>> {
    const found = new Map<string, StoredRecord>();
    for (let after: string | undefined; ; ) {
      const cursor = after === undefined ? {} : { after };
      const page = await records.list({ kind, parent: server, ...cursor, limit: 1_000 });
      for (const record of page.records) found.set(String(record.value["tool"]), record);
      after = page.records.at(-1)?.id;
      if (!page.hasMore || after === undefined) return found;
    }
  }

  async function hold(server: string, tool: JsonObject, before: StoredRecord | undefined) {
    const name = String(tool["name"]);
    const hash = hashOf(tool);
    if (before?.value["pending_hash"] === hash) return;
    const value = { ...before?.value, tool: name, pending_hash: hash, pending: shown(tool) };
    await records.put({ kind, id: idOf(server, name), parent: server, tag: "held", value });
    count.add(1, server);
    telemetry.log("warn", "an MCP server changed a tool's definition; it is held back", {
      server,
      tool: name,
      hash,
      remedy: `look at GET /v1/mcp/pins, then POST /v1/mcp/pins/approve {server: ${server}, tool: ${name}}`,
    });
  }

  return {
    async judge(server, tools) {
      const { pinning } = settings();
      if (pinning === "off") return tools;
      const pinned = await known(server);
      const fine: JsonObject[] = [];
      for (const tool of tools) {
        const name = String(tool["name"]);
        const record = pinned.get(name);
        const hash = hashOf(tool);
        if (record?.value["hash"] === hash) fine.push(tool);
        else if (record || pinning === "strict") await hold(server, tool, record);
        else {
          const value = { tool: name, hash, approved: shown(tool) };
          await records.put(
            { kind, id: idOf(server, name), parent: server, tag: "pinned", value },
            { ifAbsent: true },
          );
          fine.push(tool);
        }
      }
      return fine;
    },
    async held(server) {
      const { records: found } = await records.list({
        kind,
        tag: "held",
        ...(server === undefined ? {} : { parent: server }),
        limit: 1_000,
      });
      return found.map(toHeld);
    },
    async approve(server, tool, hash) {
      const record = await records.get(kind, idOf(server, tool));
      const pending = record?.value["pending_hash"];
      if (!record || typeof pending !== "string") return false;
      if (hash !== undefined && hash !== pending) return false;
      const value = { tool, hash: pending, approved: record.value["pending"] ?? {} };
      const id = idOf(server, tool);
      // By its version: what is approved is what was looked at.
      const next = { kind, id, parent: server, tag: "pinned", value };
      return (await records.put(next, { ifVersion: record.version })) !== undefined;
    },
  };
}

const idOf = (server: string, tool: string) => `${server}/${tool}`;

function toHeld({ parent, value, updatedMs }: StoredRecord): HeldTool {
  const { tool, pending_hash: hash, pending, approved } = value;
  return {
    server: parent,
    tool: String(tool),
    hash: String(hash),
    definition: isObject(pending) ? pending : {},
    ...(isObject(approved) ? { approved } : {}),
    sinceMs: updatedMs,
  };
}

const pinnedFields = [
  "name",
  "title",
  "description",
  "inputSchema",
  "outputSchema",
  "annotations",
] as const;

/** sha256 of what models and people read of a tool, whatever order its fields come in. */
export function hashOf(tool: JsonObject): string {
  const parts = pinnedFields.map((field) => [field, sorted(tool[field] ?? null)]);
  return sha256Hex(JSON.stringify(parts));
}

/** Deeper, a schema is taken as it stands. */
const depthLimit = 64;

function sorted(value: unknown, depth = 0): unknown {
  if (depth > depthLimit) return value;
  if (Array.isArray(value)) return value.map((item) => sorted(item, depth + 1));
  if (!isObject(value)) return value;
  const keys = Object.keys(value).sort();
  return keys.map((key) => [key, sorted(value[key], depth + 1)]);
}

function shown(tool: JsonObject): JsonObject {
  const kept = Object.fromEntries(
    pinnedFields.flatMap((field) => (tool[field] === undefined ? [] : [[field, tool[field]]])),
  );
  if (JSON.stringify(kept).length <= definitionBytes) return kept;
  return { name: String(tool["name"]), description: "(too long to keep)" };
}
