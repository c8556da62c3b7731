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
}

const kind = "mcp-server";
/** Of all that came by API. */
const serverLimit = 500;

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

  return {
    async servers() {
      const written = fromFile();
      const names = new Set(written.map(({ name }) => name));
      const others = (await stored()).filter(({ server }) => !names.has(server.name));
      return [...written, ...others.map(({ server }) => server)];
    },
    async find(name) {
      const written = fromFile().find((server) => server.name === name);
      if (written) return { server: written, row: undefined };
      const record = await records.get(kind, name);
      return record && toRegistered(record);
    },
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
  };
}
