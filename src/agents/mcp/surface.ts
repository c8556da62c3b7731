/**
 * Tools for those who are no MCP clients: REST routes, and chat's tool loop. What they list and call
 * passes the same pins, limits, receipts and charges as a client's calls.
 */
import { toMcpServer } from "../../config/mcp.ts";
import type { Caller } from "../../domain/call.ts";
import type { JsonObject } from "../../domain/json.ts";
import type { McpServer } from "../../domain/mcp.ts";
import { readMcpRow } from "./read-row.ts";
import { type Scope, toScope } from "./scope.ts";
import { reasonOf } from "./upstream/link-error.ts";
import type { View } from "./view.ts";

export interface ListedTool {
  readonly server: McpServer;
  /** Without its namespace. */
  readonly bare: string;
  /** As the server defines it, its name with the namespace: `server.tool`. */
  readonly tool: JsonObject;
}

export interface ListedTools {
  readonly tools: readonly ListedTool[];
  /** Servers that could not be asked, and why. */
  readonly away: readonly { readonly server: string; readonly why: string }[];
}

export interface ListRequest {
  readonly caller: Caller;
  readonly signal: AbortSignal;
  /** Names of servers and of access groups. Default: all. */
  readonly wanted?: readonly string[];
}

export interface ToolCallRequest {
  readonly caller: Caller;
  readonly server: McpServer;
  /** Without its namespace. */
  readonly tool: string;
  readonly args: JsonObject;
  readonly signal: AbortSignal;
  /** Of the request that it is part of, for its receipt. */
  readonly requestId?: string;
}

export type ForeignCall = Pick<ToolCallRequest, "tool" | "args" | "signal" | "requestId">;

export interface ForeignServer {
  /** Its namespace: what the request calls it. */
  readonly label: string;
  readonly url: string;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface OpenForeign {
  /** Bare names. @throws McpError */
  tools(signal: AbortSignal): Promise<readonly JsonObject[]>;
  /** The result of `tools/call`. @throws McpError */
  call(request: ForeignCall): Promise<JsonObject>;
  /** Ends its connection; whoever opened it must. */
  close(): Promise<void>;
}

export interface Surface {
  /** In the order of servers' and tools' names. */
  tools(request: ListRequest): Promise<ListedTools>;
  /** The result of `tools/call`. @throws McpError, with words for the caller */
  callTool(request: ToolCallRequest): Promise<JsonObject>;
  /**
   * A server that a request names by its address: the strict rule of addresses, a connection of its
   * own, and no pins, as nothing of it is kept. Connected when it is first asked.
   * @throws GatewayError invalid_request, where the address is none
   */
  openForeign(server: ForeignServer, caller: Caller): OpenForeign;
}

export interface SurfaceParts {
  servers(caller: Caller): Promise<readonly McpServer[]>;
  view(caller: Caller, scope: Scope): View;
  call(view: View, params: JsonObject, signal: AbortSignal): Promise<JsonObject>;
  foreign(caller: Caller, server: McpServer): { readonly view: View; close(): Promise<void> };
}

export function createSurface(parts: SurfaceParts): Surface {
  return {
    tools: (request) => listTools(parts, request),
    callTool({ caller, server, tool, args, signal, ...of }) {
      const view = { ...parts.view(caller, { servers: [server], single: true }), ...of };
      return parts.call(view, { name: tool, arguments: args }, signal);
    },
    openForeign({ label, url, headers = {} }, caller) {
      const name = label.replace(/[^A-Za-z0-9_-]/g, "_").slice(0, nameChars) || "server";
      const row = readMcpRow({ url, headers });
      const server: McpServer = { ...toMcpServer(name, row, "strict"), foreign: true };
      const { view, close } = parts.foreign(caller, server);
      return {
        tools: (signal) => view.tools(server, signal),
        call: ({ tool, args, signal, ...of }) =>
          parts.call({ ...view, ...of }, { name: tool, arguments: args }, signal),
        close,
      };
    },
  };
}

const nameChars = 64;

async function listTools(parts: SurfaceParts, request: ListRequest): Promise<ListedTools> {
  const { caller, wanted = [], signal } = request;
  const scope = toScope(await parts.servers(caller), undefined, wanted);
  const servers = scope?.servers ?? [];
  const view = parts.view(caller, { servers, single: false });
  const lists = await Promise.allSettled(servers.map((server) => view.tools(server, signal)));
  const tools: ListedTool[] = [];
  const away: { readonly server: string; readonly why: string }[] = [];
  for (const [index, server] of servers.entries()) {
    const list = lists[index];
    if (list?.status === "fulfilled") {
      for (const tool of list.value) {
        const bare = String(tool["name"]);
        tools.push({ server, bare, tool: { ...tool, name: `${server.name}.${bare}` } });
      }
    } else away.push({ server: server.name, why: reasonOf(list?.reason) });
  }
  return { tools, away };
}
