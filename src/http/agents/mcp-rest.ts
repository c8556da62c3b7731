/**
 * MCP servers and tools over REST: LiteLLM's `/v1/mcp/*` and the predecessor's `/llmrouter/mcp/*`,
 * in their shapes. Credentials never come back.
 */
import type { Live, Mcp } from "../../agents/mcp/mcp.ts";
import { GatewayError } from "../../domain/errors.ts";
import { isObject, type JsonObject } from "../../domain/json.ts";
import type { McpServer } from "../../domain/mcp.ts";
import { checkUrl, parseAllowRules } from "../../security/ssrf.ts";
import { readAdminBody } from "../admin/read-admin-body.ts";
import { AdminError, callerOf, type Route, type RouteContext, type Who } from "../route.ts";
import {
  callByName,
  noServer,
  type ShownTool,
  serverHealth,
  serverOf,
  toolsOf,
} from "./mcp-answers.ts";

type Run = (live: Live, request: Request, context: RouteContext) => Promise<Response>;

export function mcpRestRoutes(mcp: Mcp): readonly Route[] {
  const route = (
    method: Route["method"],
    path: string,
    who: Who,
    summary: string,
    run: Run,
  ): Route => ({
    method,
    path,
    who,
    errors: "detail",
    summary,
    ...(method === "POST" || method === "PUT" ? { docs: { body: "McpServerRequest" } } : {}),
    handle: async (request, context) => run(await mcp.live(), request, context),
  });
  const user = "caller-or-admin";
  return [
    route(
      "GET",
      "/v1/mcp/server",
      user,
      "MCP servers, in LiteLLM's form.",
      async (live, request, { services }) =>
        Response.json((await live.servers(callerOf(request, services))).map(toLitellm)),
    ),
    ...["/v1/mcp/server/health", "/v1/llmrouter/mcp/server/health"].map((path) =>
      route("GET", path, user, "Whether MCP servers can be reached: each is asked.", health),
    ),
    route("GET", "/v1/mcp/server/:id", user, "One MCP server.", async (live, request, context) => {
      const server = await serverOf(live, request, context);
      const { status } = await serverHealth(live, server);
      return Response.json({ ...toLitellm(server), status });
    }),
    route("POST", "/v1/mcp/server", "admin", "Register an MCP server: http or sse.", add(201)),
    route("PUT", "/v1/mcp/server", "admin", "Replace a registered server, whole.", replace(202)),
    route("DELETE", "/v1/mcp/server/:id", "admin", "Remove a registered server.", remove(202)),
    route("GET", "/v1/mcp/tools", user, "Tools of all servers.", async (live, request, context) => {
      const tools = await toolsOf(live, callerOf(request, context.services), request.signal);
      return Response.json({ tools: tools.map(({ tool }) => tool) });
    }),
    ...["/v1/mcp/access_groups", "/v1/llmrouter/mcp/access_groups"].map((path) =>
      route("GET", path, user, "Groups that servers can be asked for by.", groups),
    ),
    route("GET", "/v1/mcp/registry.json", user, "Servers as an MCP registry has them.", registry),
    route(
      "GET",
      "/v1/llmrouter/mcp/registry.json",
      user,
      "Servers; `?access_groups=a,b`.",
      olderRegistry,
    ),
    route(
      "GET",
      "/v1/mcp/pins",
      "admin",
      "Tools whose definition waits for approval.",
      async (live) =>
        Response.json({ held: (await live.pins.held()).map((tool) => ({ ...tool })) }),
    ),
    route(
      "POST",
      "/v1/mcp/pins/approve",
      "admin",
      "Approve a held definition: {server, tool, hash?}.",
      approve,
    ),
    route("GET", "/llmrouter/mcp/servers", user, "MCP servers.", async (live, request, context) => {
      const servers = await live.servers(callerOf(request, context.services));
      const tools = await toolsOf(live, callerOf(request, context.services), request.signal);
      return Response.json({ servers: servers.map((server) => toOlder(server, tools)) });
    }),
    route("POST", "/llmrouter/mcp/servers", "admin", "Register an MCP server.", add(200)),
    route(
      "GET",
      "/llmrouter/mcp/servers/:id",
      user,
      "One MCP server.",
      async (live, request, context) => {
        const server = await serverOf(live, request, context);
        const tools = await toolsOf(live, callerOf(request, context.services), request.signal);
        const more = {
          auth_type: server.authType,
          metadata: { access_groups: server.accessGroups },
        };
        return Response.json({ ...toOlder(server, tools), ...more });
      },
    ),
    route(
      "PUT",
      "/llmrouter/mcp/servers/:id",
      "admin",
      "Replace a registered server.",
      replace(200),
    ),
    route(
      "DELETE",
      "/llmrouter/mcp/servers/:id",
      "admin",
      "Remove a registered server.",
      remove(200),
    ),
    ...["/llmrouter/mcp/tools", "/llmrouter/mcp/tools/list"].map((path) =>
      route("GET", path, user, "Tools of all servers.", async (live, request, context) => {
        const tools = await toolsOf(live, callerOf(request, context.services), request.signal);
        const shown = tools.map((each) => toOlderTool(each));
        return Response.json({ tools: shown, count: shown.length });
      }),
    ),
    route(
      "POST",
      "/llmrouter/mcp/tools/call",
      user,
      "Call a tool: {tool_name, arguments}.",
      async (live, request, context) => {
        const body = await readAdminBody(request, context.services);
        const caller = callerOf(request, context.services);
        return Response.json(await callByName(live, { body, caller, signal: request.signal }));
      },
    ),
    route(
      "GET",
      "/llmrouter/mcp/tools/:name",
      user,
      "One tool.",
      async (live, request, context) => {
        const name = context.params["name"] ?? "";
        const tools = await toolsOf(live, callerOf(request, context.services), request.signal);
        const found = tools.find(({ tool, bare }) => tool["name"] === name || bare === name);
        if (!found) throw new AdminError(404, "tool_not_found", "There is no tool of this name.");
        return Response.json(toOlderTool(found));
      },
    ),
  ];
}

const health: Run = async (live, request, { services }) => {
  const wanted = new URL(request.url).searchParams
    .getAll("server_ids")
    .flatMap((ids) => ids.split(","));
  const all = await live.servers(callerOf(request, services));
  const some = wanted.length === 0 ? all : all.filter(({ name }) => wanted.includes(name));
  const servers = await Promise.all(some.map((server) => serverHealth(live, server)));
  const healthy = servers.filter(({ status }) => status === "healthy").length;
  const total = servers.length;
  return Response.json({ servers, summary: { total, healthy, unhealthy: total - healthy } });
};

const groups: Run = async (live, request, { services }) => {
  const servers = await live.servers(callerOf(request, services));
  const names = [...new Set(servers.flatMap(({ accessGroups }) => accessGroups))].sort();
  return Response.json({ access_groups: names, count: names.length });
};

const registry: Run = async (live, request, { services }) => {
  const { origin } = new URL(request.url);
  const servers = (await live.servers(callerOf(request, services))).map(
    ({ name, description = "" }) => ({
      server: {
        name,
        title: name,
        description,
        version: "1.0.0",
        remotes: [{ type: "streamable-http", url: `${origin}/mcp/${name}/mcp` }],
      },
    }),
  );
  return Response.json({ servers });
};

const olderRegistry: Run = async (live, request, { services }) => {
  const wanted = (new URL(request.url).searchParams.get("access_groups") ?? "")
    .split(",")
    .filter((name) => name !== "");
  const all = await live.servers(callerOf(request, services));
  const some = all.filter(
    ({ accessGroups }) => wanted.length === 0 || accessGroups.some((name) => wanted.includes(name)),
  );
  const tools = await toolsOf(live, callerOf(request, services), request.signal);
  const servers = some.map((server) => {
    const { server_id: id, ...rest } = toOlder(server, tools);
    return { id, ...rest, auth_type: server.authType };
  });
  return Response.json({ version: "1.0", servers, server_count: servers.length });
};

const approve: Run = async (live, request, { services }) => {
  const { server, tool, hash } = await readAdminBody(request, services);
  if (typeof server !== "string" || typeof tool !== "string") {
    throw new AdminError(
      400,
      "invalid_request",
      "Send {server, tool}, as GET /v1/mcp/pins has them.",
    );
  }
  const done = await live.pins.approve(server, tool, typeof hash === "string" ? hash : undefined);
  if (!done) {
    throw new AdminError(
      404,
      "not_held",
      "No such definition is held (any more); look at GET /v1/mcp/pins.",
    );
  }
  services.telemetry.log("info", "an MCP tool's definition was approved", { server, tool });
  live.changed();
  return Response.json({ status: "approved", server, tool });
};

const add =
  (status: number): Run =>
  async (live, request, context) => {
    const { name, row } = await readServer(request, context);
    const server = await registered(() => live.registry.add(name, row));
    const taken = `There is an MCP server "${name}" already.`;
    if (!server) throw new AdminError(400, "invalid_request", taken);
    live.changed();
    const shown = { status: "registered", server_id: name };
    return Response.json(status === 201 ? { ...toLitellm(server), ...shown } : shown, { status });
  };

const replace =
  (status: number): Run =>
  async (live, request, context) => {
    const { name, row } = await readServer(request, context);
    const server = await registered(() => live.registry.replace(name, row));
    if (!server) throw noServer();
    live.changed();
    const shown = { status: "updated", server_id: name, server: toLitellm(server) };
    return Response.json(shown, { status });
  };

const remove =
  (status: number): Run =>
  async (live, _, { params }) => {
    const name = params["id"] ?? "";
    if (!(await live.registry.remove(name))) throw noServer();
    await live.oauth.forgetAll(name);
    live.changed();
    return Response.json({ status: "unregistered", server_id: name }, { status });
  };

/** Both shapes are read: LiteLLM's fields, and the predecessor's `name`, `server_id`, `metadata`. */
export async function readServer(request: Request, { services, params }: RouteContext) {
  const body = await readAdminBody(request, services);
  const {
    server_id,
    server_name,
    name: olderName,
    alias,
    metadata,
    tools,
    resources,
    ...rest
  } = body;
  const name = params["id"] ?? alias ?? server_name ?? server_id ?? olderName;
  const groups = isObject(metadata) ? metadata["access_groups"] : undefined;
  const row: JsonObject = { ...rest, ...(Array.isArray(groups) ? { access_groups: groups } : {}) };
  const { allowCidrs, allowHosts } = services.config.routeiq.outbound;
  const document = row["openapi"] ?? row["spec_path"];
  const addresses = [row["url"] ?? (document === undefined ? "" : undefined), document];
  try {
    for (const address of addresses) {
      if (address === undefined || address === null) continue;
      checkUrl(String(address), "strict", parseAllowRules(allowCidrs, allowHosts));
    }
  } catch (thrown) {
    const why = thrown instanceof GatewayError ? thrown.message : "it is no address";
    throw new AdminError(400, "ssrf_blocked", `Server URL blocked for security reasons: ${why}`);
  }
  return { name: String(name ?? ""), row };
}

/** A refusal in the words of these routes. @throws AdminError */
export async function registered<T>(run: () => Promise<T>) {
  try {
    return await run();
  } catch (thrown) {
    if (!(thrown instanceof GatewayError)) throw thrown;
    throw new AdminError(thrown.status, thrown.code, thrown.message);
  }
}

export function toLitellm(server: McpServer): JsonObject {
  return {
    server_id: server.name,
    server_name: server.name,
    alias: server.name,
    description: server.description ?? null,
    url: server.url ?? null,
    transport: server.transport === "inner" ? "http" : server.transport,
    ...(server.openapi === undefined ? {} : { spec_path: server.openapi.source }),
    auth_type: server.authType,
    allowed_tools: server.allowedTools ?? [],
    mcp_access_groups: server.accessGroups,
  };
}

function toOlder(server: McpServer, tools: readonly ShownTool[]) {
  return {
    server_id: server.name,
    name: server.name,
    url: server.url ?? "",
    transport: shownTransport(server),
    tools: tools.filter((each) => each.server === server).map(({ bare }) => bare),
    resources: [],
  };
}

/** Callers reach every server over Streamable HTTP; an inner one knows no other. */
const shownTransport = ({ transport }: McpServer) =>
  transport === "http" || transport === "inner" ? "streamable_http" : transport;

function toOlderTool({ tool, server }: ShownTool): JsonObject {
  const { name = "", description = "", inputSchema = { type: "object" } } = tool;
  return {
    name,
    tool: name,
    description,
    input_schema: inputSchema,
    server_id: server.name,
    server_name: server.name,
  };
}
