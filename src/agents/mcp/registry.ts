/** The servers there are: those of the operator's file, and those that administrators registered. */
import { isAddress, type McpRow, problemOf, toMcpServer } from "../../config/mcp.ts";
import { GatewayError } from "../../domain/errors.ts";
import { isObject, type JsonObject } from "../../domain/json.ts";
import type { McpServer } from "../../domain/mcp.ts";
import type { Services } from "../../pipeline/services.ts";
import type { RecordStore, StoredRecord } from "../../storage/record-store.ts";
import { readMcpRow } from "./read-row.ts";

export interface Registered {
  readonly server: McpServer;
  /** As it was registered; undefined for those of the file. Has credentials in it. */
  readonly row: JsonObject | undefined;
}

export interface Registry {
  /** In the order of the file, then of registration. The file's names come first. */
  servers(): Promise<readonly McpServer[]>;
  find(name: string): Promise<Registered | undefined>;
  /** @throws GatewayError invalid_request, address_refused; undefined where the name is taken */
  add(name: string, row: JsonObject): Promise<McpServer | undefined>;
  /** Whole. Undefined where nobody registered it. @throws as `add` */
  replace(name: string, row: JsonObject): Promise<McpServer | undefined>;
  remove(name: string): Promise<boolean>;
  /**
   * One that nobody sees or calls, kept for `trialMs`: to be allowed its use before it is registered.
   * Undefined where the name is taken. @throws as `add`
   */
  addTrial(name: string, row: JsonObject): Promise<McpServer | undefined>;
  trial(name: string): Promise<McpServer | undefined>;
  /** Names of those that anybody may know of, whole; names that are no servers are left out. */
  publish(names: readonly string[]): Promise<void>;
  published(): Promise<readonly McpServer[]>;
}

const kind = "mcp-server";
const trialKind = "mcp-server-trial";
const publicKind = "mcp-server-public";
const publicId = "names";
/** Of all that came by API. */
const serverLimit = 500;
/** As long as an authorization may be under way. */
export const trialMs = 600_000;
/** At once. */
const trialLimit = 100;

export interface RegistryParts {
  readonly records: RecordStore;
  readonly services: () => Services;
}

export function createRegistry({ records, services }: RegistryParts): Registry {
  const fromFile = () => services().config.mcpServers;

  function read(name: string, value: JsonObject): McpServer {
    const row: McpRow = readMcpRow(value);
    if (row.command !== undefined || row.transport === "stdio") {
      const message =
        "A process is started by the operator's file alone: write the server into mcp_servers.";
      throw new GatewayError("permission_denied", message, { param: "command" });
    }
    const document = row.openapi ?? row.spec_path;
    if (document !== undefined && !isAddress(document)) {
      const message = "A file is read for the operator alone: give the document's address.";
      throw new GatewayError("permission_denied", message, { param: "openapi" });
    }
    const problem = problemOf(name, row, fromFile());
    if (problem) {
      const message = `${problem.message}. ${problem.remedy}`;
      throw new GatewayError("invalid_request", message, { param: problem.key ?? "server_name" });
    }
    return toMcpServer(name, row, "strict");
  }

  const toRegistered = ({ id, value }: StoredRecord): Registered => {
    const row = isObject(value["row"]) ? value["row"] : {};
    return { server: toMcpServer(id, readMcpRow(row), "strict"), row };
  };

  async function stored(): Promise<readonly Registered[]> {
    const page = await records.list({ kind, order: "asc", limit: serverLimit });
    return page.records.map(toRegistered);
  }

  async function servers(): Promise<readonly McpServer[]> {
    const written = fromFile();
    const names = new Set(written.map(({ name }) => name));
    const others = (await stored()).filter(({ server }) => !names.has(server.name));
    return [...written, ...others.map(({ server }) => server)];
  }

  async function find(name: string): Promise<Registered | undefined> {
    const written = fromFile().find((server) => server.name === name);
    if (written) return { server: written, row: undefined };
    const record = await records.get(kind, name);
    return record && toRegistered(record);
  }

  return {
    servers,
    find,
    async add(name, row) {
      const server = read(name, row);
      if ((await records.count({ kind })) >= serverLimit) {
        const message = `${serverLimit} MCP servers are registered, which is the limit. Remove some.`;
        throw new GatewayError("invalid_request", message);
      }
      const made = await records.put({ kind, id: name, value: { row } }, { ifAbsent: true });
      return made && server;
    },
    async replace(name, row) {
      const server = read(name, row); // before anything is changed
      const changed = await records.update(kind, name, () => ({ value: { row } }));
      return changed && server;
    },
    remove: (name) => records.remove(kind, name),
    async addTrial(name, row) {
      const server = read(name, row);
      if (server.oauth?.flow !== "authorization_code") {
        const message = "Only the use of a server with auth_type: oauth2 is allowed in a browser.";
        throw new GatewayError("invalid_request", message, { param: "auth_type" });
      }
      if (await find(name)) return undefined;
      if ((await records.count({ kind: trialKind })) >= trialLimit) {
        const message = `${trialLimit} servers are being tried, which is the limit. Wait until some have ended.`;
        throw new GatewayError("overloaded", message);
      }
      const expiresMs = services().clock.now() + trialMs;
      await records.put({ kind: trialKind, id: name, expiresMs, value: { row } });
      return server;
    },
    async trial(name) {
      const record = await records.get(trialKind, name);
      return record && toRegistered(record).server;
    },
    async publish(names) {
      await records.put({ kind: publicKind, id: publicId, value: { names: [...names] } });
    },
    async published() {
      const names = (await records.get(publicKind, publicId))?.value["names"];
      if (!Array.isArray(names)) return [];
      return (await servers()).filter(({ name }) => names.includes(name));
    },
  };
}
