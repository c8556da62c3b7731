/**
 * Routes that LiteLLM's and the predecessor's clients know beside the registry's: what is published,
 * authorization before registration, resources in one list, which transports there are.
 */
import type { Live, Mcp } from "../../agents/mcp/mcp.ts";
import type { JsonObject } from "../../domain/json.ts";
import type { McpServer } from "../../domain/mcp.ts";
import { readAdminBody } from "../admin/read-admin-body.ts";
import { readAny } from "../read-body.ts";
import { AdminError, callerOf, type Route, type RouteContext } from "../route.ts";
import { grantedServerOf, noServer, toolsOf } from "./mcp-answers.ts";
import { baseOf, grantable } from "./mcp-oauth.ts";
import { readServer, registered, toLitellm } from "./mcp-rest.ts";

type Handle = (live: Live, request: Request, context: RouteContext) => Promise<Response>;

export function mcpParityRoutes(mcp: Mcp): readonly Route[] {
  const run = (handle: Handle): Route["handle"] => {
    return async (request, context) => handle(await mcp.live(), request, context);
  };
  const body = { docs: { body: "McpServerRequest" } } as const;
  const form = "application/x-www-form-urlencoded: `code` and `state` of the browser's address.";
  return [
    {
      method: "POST",
      path: "/v1/mcp/make_public",
      who: "admin",
      errors: "detail",
      summary: "Which servers anybody may know of, whole: {mcp_server_ids}.",
      docs: { ...body.docs, status: "202" },
      handle: run(makePublic),
    },
    {
      method: "GET",
      path: "/public/mcp_hub",
      who: "anyone",
      errors: "detail",
      summary: "The servers that were made public; to use one takes a key.",
      handle: run(hub),
    },
    {
      method: "POST",
      path: "/v1/mcp/server/oauth/session",
      who: "admin",
      errors: "detail",
      summary: "A server for ten minutes, to allow its use before it is registered.",
      ...body,
      handle: run(begin),
    },
    {
      method: "POST",
      path: "/v1/mcp/server/oauth/:id/token",
      who: "caller-or-admin",
      errors: "detail",
      summary: `End an authorization by hand. ${form}`,
      handle: run(finish),
    },
    {
      method: "POST",
      path: "/llmrouter/mcp/servers/:id/tools",
      who: "admin",
      errors: "detail",
      summary: "Open a tool of a registered server to callers: {name}.",
      ...body,
      handle: run(openTool),
    },
    {
      method: "GET",
      path: "/llmrouter/mcp/resources",
      who: "caller-or-admin",
      errors: "detail",
      summary: "Resources of all servers.",
      handle: run(resources),
    },
    {
      method: "GET",
      path: "/mcp/transport",
      who: "caller-or-admin",
      errors: "detail",
      summary: "Which transports `/mcp` has, and how long sessions last.",
      handle: (_, context) => Response.json(transports(context)),
    },
  ];
}

const makePublic: Handle = async (live, request, { services }) => {
  const { mcp_server_ids: ids } = await readAdminBody(request, services);
  if (!Array.isArray(ids) || !ids.every((id) => typeof id === "string")) {
    throw new AdminError(400, "invalid_request", "Send {mcp_server_ids: [names of servers]}.");
  }
  const known = new Set((await live.registry.servers()).map(({ name }) => name));
  const unknown = ids.find((id) => !known.has(id));
  if (unknown !== undefined) {
    const message = `There is no MCP server "${unknown.slice(0, 100)}"; nothing was changed.`;
    throw new AdminError(404, "server_not_found", message);
  }
  const names = [...new Set(ids)];
  await live.registry.publish(names);
  const shown = { mcp_server_ids: names, public_mcp_servers: names };
  return Response.json({ message: "These servers are public.", ...shown }, { status: 202 });
};

/** By the gateway's addresses: where the servers themselves are is nobody's business. */
const hub: Handle = async (live, request, context) => {
  const base = baseOf(request, context);
  const servers = await live.registry.published();
  return Response.json(
    servers.map(({ name, description = null }) => ({
      server_id: name,
      name,
      server_name: name,
      alias: name,
      description,
      url: `${base}/mcp/${name}`,
      transport: "http",
      auth_type: "bearer_token",
    })),
  );
};

const begin: Handle = async (live, request, context) => {
  const { name: given, row } = await readServer(request, context);
  const name = given === "" ? `session-${crypto.randomUUID().slice(0, 8)}` : given;
  const server = await registered(() => live.registry.addTrial(name, row));
  if (!server) {
    const message = `There is an MCP server "${name}" already: POST /v1/mcp/server/${name}/oauth/authorize.`;
    throw new AdminError(400, "invalid_request", message);
  }
  return Response.json(toLitellm(server));
};

/** The gateway made the verifier and keeps the tokens, so that only the code and the state are read. */
const finish: Handle = async (live, request, context) => {
  const server = await grantedServerOf(live, request, context);
  const answer = await readForm(request, context);
  if (!answer.has("state")) {
    const message = `Send the code with the state that GET /v1/mcp/server/oauth/${server.name}/authorize led to.`;
    throw new AdminError(400, "invalid_request", message);
  }
  await live.oauth.finish(answer, async (name) =>
    name === server.name ? await grantable(live, name) : undefined,
  );
  live.changed();
  const state = await live.oauth.state(server, callerOf(request, context.services));
  const { connected, scope = null, expiresAtMs, renewable } = state;
  const expires = expiresAtMs === undefined ? null : new Date(expiresAtMs).toISOString();
  return Response.json({ connected, scope, expires_at: expires, renewable });
};

const formLimitBytes = 16 * 1024;

async function readForm(request: Request, context: RouteContext): Promise<URLSearchParams> {
  const bytes = await readAny(request, context.services, formLimitBytes);
  return new URLSearchParams(new TextDecoder().decode(bytes));
}

/**
 * A server says itself which tools it has; what an administrator decides is which of them callers get.
 * One that lists no `allowed_tools` gives them all, and stays so.
 */
const openTool: Handle = async (live, request, context) => {
  const { name } = await readAdminBody(request, context.services);
  if (typeof name !== "string" || name === "") {
    throw new AdminError(400, "invalid_request", "Send {name}: the tool's, as its server has it.");
  }
  const id = context.params["id"] ?? "";
  const found = await live.registry.find(id);
  if (!found?.row) throw noServer();
  await assertHas(live, found.server, name, request.signal);
  const { server, row } = found;
  const { allowedTools, disallowedTools } = server;
  const isOpen = !disallowedTools.includes(name) && (allowedTools?.includes(name) ?? true);
  if (!isOpen) {
    const changed = await registered(() => live.registry.replace(id, withTool(row, name)));
    if (!changed) throw noServer();
    live.changed();
  }
  const caller = callerOf(request, context.services);
  const tools = await toolsOf(live, caller, request.signal);
  const tool = tools.find((each) => each.server.name === id && each.bare === name)?.tool;
  const { description = "", inputSchema = { type: "object" } } = tool ?? {};
  const definition = { description, input_schema: inputSchema };
  const status = tool ? "registered" : "held"; // until its definition is approved
  return Response.json({ status, server_id: id, tool: name, tool_name: name, ...definition });
};

function withTool(row: JsonObject, name: string): JsonObject {
  const { allowed_tools: allowed, disallowed_tools: refused, ...rest } = row;
  return {
    ...rest,
    ...(Array.isArray(allowed) ? { allowed_tools: [...new Set([...allowed, name])] } : {}),
    ...(Array.isArray(refused) ? { disallowed_tools: refused.filter((one) => one !== name) } : {}),
  };
}

/** @throws AdminError tool_not_found, server_unreachable */
async function assertHas(live: Live, server: McpServer, name: string, signal: AbortSignal) {
  const { link, catalog } = live.shared(server);
  let tools: readonly JsonObject[];
  try {
    tools = await catalog.list("tools", signal);
  } catch (thrown) {
    const why = link.problem ?? (thrown instanceof Error ? thrown.message : "no answer");
    const message = `The server "${server.name}" cannot be asked for its tools: ${why}`;
    throw new AdminError(502, "server_unreachable", message);
  }
  if (tools.some((tool) => tool["name"] === name)) return;
  const message = `The server "${server.name}" has no tool of this name; a server tells its tools itself.`;
  throw new AdminError(404, "tool_not_found", message);
}

/** Of the servers that can be reached; the others are named. */
const resources: Handle = async (live, request, { services }) => {
  const caller = callerOf(request, services);
  const servers = await live.servers(caller);
  const view = live.view(caller, { servers, single: false });
  const lists = await Promise.allSettled(
    servers.map((server) => view.reach(server).catalog.list("resources", request.signal)),
  );
  const shown = servers.flatMap((server, index) => {
    const list = lists[index];
    if (list?.status !== "fulfilled") return [];
    return list.value.map((resource) => toResource(server, resource));
  });
  const away = servers.filter((_, index) => lists[index]?.status === "rejected");
  const unreachable = away.map(({ name }) => name);
  return Response.json({ resources: shown, count: shown.length, unreachable });
};

function toResource({ name: server }: McpServer, resource: JsonObject) {
  const { uri, name = uri, description = "", mimeType = null } = resource;
  const of = { server_id: server, server_name: server };
  return { ...of, resource: uri, name, description, mime_type: mimeType };
}

function transports({ services }: RouteContext) {
  const { sessionIdleMs, maxSessions, maxSessionsPerCaller } = services.config.routeiq.mcp;
  return {
    transport: "streamable_http",
    transports: ["streamable_http", "sse"],
    endpoints: {
      streamable_http: { url: "/mcp", methods: ["POST", "GET", "DELETE"] },
      sse: { url: "/mcp/sse", messages: "/mcp/messages" },
    },
    sessions: {
      idle_seconds: sessionIdleMs / 1000,
      limit: maxSessions,
      limit_per_caller: maxSessionsPerCaller,
    },
  };
}
