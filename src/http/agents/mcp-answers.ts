/** What the REST routes ask of the MCP gateway: its tools, one call, a server's health. */
import type { Live } from "../../agents/mcp/mcp.ts";
import type { ListedTool } from "../../agents/mcp/surface.ts";
import type { Caller } from "../../domain/call.ts";
import { isObject, type JsonObject } from "../../domain/json.ts";
import type { McpServer } from "../../domain/mcp.ts";
import { AdminError, callerOf, type RouteContext } from "../route.ts";

export type ShownTool = ListedTool;

/** Of the servers that can be reached. */
export async function toolsOf(
  live: Live,
  caller: Caller,
  signal: AbortSignal,
): Promise<readonly ShownTool[]> {
  return (await live.tools({ caller, signal })).tools;
}

/** The one that the path names, if the caller may see it. @throws AdminError server_not_found */
export async function serverOf(
  live: Live,
  request: Request,
  { params, services }: RouteContext,
): Promise<McpServer> {
  const caller = callerOf(request, services);
  const { id = "" } = params;
  const found = (await live.servers(caller)).find(({ name }) => name === id);
  if (found) return found;
  throw (await closedTo(live, caller, id)) ?? noServer();
}

/** In these routes' words. */
async function closedTo(live: Live, caller: Caller, name: string) {
  const denied = await live.closed(caller, [name]);
  return denied && new AdminError(denied.status, denied.code, denied.message);
}

/** The same; an administrator's also among those that are not registered yet. @throws as `serverOf` */
export async function grantedServerOf(live: Live, request: Request, context: RouteContext) {
  const id = context.params["id"] ?? "";
  const { admin } = callerOf(request, context.services);
  const trial = admin && !(await live.registry.find(id)) && (await live.registry.trial(id));
  return trial || (await serverOf(live, request, context));
}

export const noServer = () =>
  new AdminError(
    404,
    "server_not_found",
    "No MCP server of this id is registered here; those of the configuration are changed there.",
  );

export interface NamedCall {
  readonly body: JsonObject;
  readonly caller: Caller;
  readonly signal: AbortSignal;
}

/** @throws AdminError tool_not_found, tool_invocation_failed */
export async function callByName(live: Live, { body, caller, signal }: NamedCall) {
  const wanted = String(body["tool_name"] ?? "");
  const tools = await toolsOf(live, caller, signal);
  // Without its namespace where only one server has such a tool.
  const bare = tools.filter((each) => each.bare === wanted);
  const found =
    tools.find(({ tool }) => tool["name"] === wanted) ?? (bare.length === 1 ? bare[0] : undefined);
  if (!found) {
    const unknown = new AdminError(404, "tool_not_found", "There is no tool of this name.");
    throw (await closedTo(live, caller, wanted)) ?? unknown;
  }
  const args = isObject(body["arguments"]) ? body["arguments"] : {};
  try {
    const { server, bare: tool } = found;
    const result = await live.callTool({ caller, server, tool, args, signal });
    return { status: "success", tool_name: wanted, server_id: found.server.name, result };
  } catch (thrown) {
    const message = thrown instanceof Error ? thrown.message : "the tool failed";
    throw new AdminError(400, "tool_invocation_failed", message);
  }
}

/** Asks it: a ping, or what connecting to it says. */
export async function serverHealth(live: Live, server: McpServer) {
  const { link } = live.shared(server);
  try {
    await link.request("ping", {}, { signal: AbortSignal.timeout(healthMs) });
    return { server_id: server.name, server_name: server.name, status: "healthy" };
  } catch (thrown) {
    const error = link.problem ?? (thrown instanceof Error ? thrown.message : "no answer");
    return { server_id: server.name, server_name: server.name, status: "unhealthy", error };
  }
}

const healthMs = 10_000;
