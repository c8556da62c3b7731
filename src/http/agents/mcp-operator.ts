/**
 * The gateway as an MCP server for its operators: `/mcp/routeiq`. Each tool is one of the
 * administrators' routes, so that it says and does what the route does; those that change something
 * are there only where the configuration says so.
 */
import type { InnerCall, InnerServer } from "../../agents/mcp/tools/inner-tools.ts";
import { GatewayError } from "../../domain/errors.ts";
import { isObject, type JsonObject } from "../../domain/json.ts";
import type { Services } from "../../pipeline/services.ts";
import { AdminError, type Route } from "../route.ts";

interface Tool {
  readonly name: string;
  readonly method: Route["method"];
  readonly path: string;
  readonly description: string;
  /** Of the path, and of the query. */
  readonly params?: Readonly<Record<string, string>>;
  readonly query?: Readonly<Record<string, string>>;
  /** Whether it takes a body, and what is in it. */
  readonly body?: string;
  /** What no route tells. */
  readonly answer?: (args: JsonObject, services: Services) => JsonObject;
  /** Lines that have this word alone are told: the whole would fill a prompt. */
  readonly filtered?: boolean;
}

const read = (name: string, path: string, description: string, more: Partial<Tool> = {}): Tool => ({
  name,
  method: "GET",
  path,
  description,
  ...more,
});

const tools: readonly Tool[] = [
  read("models", "/model_group/info", "What callers may ask for, with prices and limits.", {
    query: { model_group: "One of them." },
  }),
  read("deployments", "/v2/model/info", "Deployments of models, without their secrets, in pages.", {
    query: { page: "From 1.", size: "At most 100.", search: "A part of a name." },
  }),
  read("readiness", "/_health/ready", "Whether calls are taken, and what is degraded."),
  read(
    "deployment_health",
    "/health/latest",
    "What each deployment last answered to a health check.",
  ),
  read(
    "receipt",
    "/v1/routing/decisions/:call_id",
    "Why a call went where it went: candidates, scores, attempts, timings, cost.",
    {
      params: { call_id: "The call's id (x-routeiq-call-id, x-litellm-call-id)." },
    },
  ),
  read(
    "router",
    "/router/info",
    "The strategies, the one in force, its artifact, alarms of drift.",
  ),
  read(
    "rollout",
    "/admin/model/status",
    "The release in force, the one on its way, and the last verdicts.",
  ),
  read(
    "experiments",
    "/admin/experiments",
    "Experiments: shares, calls, each variant held against the control.",
  ),
  read(
    "configuration",
    "/config/status",
    "Where the configuration comes from, and how the last reload went.",
  ),
  read("mcp_servers", "/v1/mcp/server", "MCP servers behind this gateway."),
  read(
    "mcp_pins",
    "/v1/mcp/pins",
    "Definitions of tools that wait for approval, with the approved ones.",
  ),
  read("agents", "/v1/agents", "A2A agents behind this gateway."),
  read("spend", "", "What a caller's calls have cost since this process started.", {
    params: { caller: "Its id: master, a key's, or an access token's." },
    answer: ({ caller }, { spend }) => ({
      caller: String(caller),
      usd: spend.of(String(caller)) / 1e6,
    }),
  }),
  read(
    "metrics",
    "/metrics",
    "Metrics as Prometheus reads them, whose line has a word: calls, tokens, cost, errors.",
    {
      query: { contains: "A word of the line: routeiq_cost, tokens, mcp." },
      filtered: true,
    },
  ),
  {
    name: "reload_configuration",
    method: "POST",
    path: "/config/reload",
    description: "Reads the configuration anew; the old one stays where it is refused.",
  },
  {
    name: "reload_router",
    method: "POST",
    path: "/llmrouter/reload",
    description: "Looks for a newer trained router at once.",
  },
  {
    name: "promote_release",
    method: "POST",
    path: "/admin/model/promote",
    description: "Puts the staged release in force.",
  },
  {
    name: "roll_back_release",
    method: "POST",
    path: "/admin/model/rollback",
    description: "Drops the staged release, or goes back to the one before.",
  },
  {
    name: "stop_experiment",
    method: "POST",
    path: "/admin/experiments/:id/stop",
    description: "Stops a variant: the control answers for it.",
    params: { id: "The experiment's." },
    body: "{variant}",
  },
  {
    name: "start_experiment",
    method: "POST",
    path: "/admin/experiments/:id/start",
    description: "Gives a stopped variant its share again.",
    params: { id: "The experiment's." },
    body: "{variant}",
  },
  {
    name: "approve_tool",
    method: "POST",
    path: "/v1/mcp/pins/approve",
    description: "Approves a held definition of a tool.",
    body: "{server, tool, hash}, as mcp_pins has them",
  },
  {
    name: "record_feedback",
    method: "POST",
    path: "/v1/feedback",
    description: "Records what an answer was worth.",
    body: "{call_id, score | thumbs, source?, comment?}",
  },
];

export const operatorServerName = "routeiq";

/** @param table every route beside the hot ones */
export function createOperatorServer(
  table: () => readonly Route[],
  services: () => Services,
): InnerServer {
  const mode = () => services().config.routeiq.mcp.operators;
  const offered = () => tools.filter(({ method }) => method === "GET" || mode() === "write");
  return {
    name: operatorServerName,
    description: "This gateway, for its operators.",
    instructions:
      "Looks after a RouteIQ gateway: its models, health, routing decisions, trained routers, experiments and MCP servers.",
    // Its tools are no caller's business, and would crowd the list of those that work.
    apart: true,
    isFor: ({ admin }) => admin && mode() !== "off",
    tools: () => Promise.resolve(offered().map(toDefinition)),
    async call(call) {
      const tool = offered().find(({ name }) => name === call.tool);
      if (!tool || !call.caller.admin) {
        throw new GatewayError("not_found", `There is no tool "${call.tool.slice(0, 100)}".`);
      }
      return await run(tool, call, { table: table(), services: services() });
    },
  };
}

function toDefinition({
  name,
  description,
  method,
  params = {},
  query = {},
  body,
}: Tool): JsonObject {
  const texts = Object.entries({ ...params, ...query });
  const properties: Record<string, JsonObject> = Object.fromEntries(
    texts.map(([key, about]) => [key, { type: "string", description: about }]),
  );
  if (body !== undefined) properties["body"] = { type: "object", description: body };
  const required = [...Object.keys(params), ...(body === undefined ? [] : ["body"])];
  const reads = method === "GET";
  return {
    name,
    description,
    inputSchema: { type: "object", properties, ...(required.length > 0 ? { required } : {}) },
    annotations: { readOnlyHint: reads, destructiveHint: !reads, openWorldHint: false },
  };
}

interface RunParts {
  readonly table: readonly Route[];
  readonly services: Services;
}

/** The route as an administrator would have asked it. @throws GatewayError */
async function run(
  tool: Tool,
  call: InnerCall,
  { table, services }: RunParts,
): Promise<JsonObject> {
  const { method, path } = tool;
  if (tool.answer) return await toResult(Response.json(tool.answer(call.args, services)), tool, {});
  const route = table.find((each) => each.method === method && each.path === path);
  if (!route) throw new GatewayError("not_found", `${method} ${path} is not here.`);
  const params = Object.fromEntries(
    Object.keys(tool.params ?? {}).map((key) => [key, String(call.args[key] ?? "")]),
  );
  try {
    const request = toRequest(tool, call, services);
    const context = { services, requestId: Bun.randomUUIDv7(), params };
    return await toResult(await route.handle(request, context), tool, call.args);
  } catch (thrown) {
    if (!(thrown instanceof AdminError)) throw thrown;
    return {
      content: [{ type: "text", text: `${thrown.code}: ${thrown.message}` }],
      isError: true,
    };
  }
}

/** It carries the key that its caller has shown already; it never leaves this process. */
function toRequest(
  { method, path, query = {}, body }: Tool,
  { args, signal }: InnerCall,
  services: Services,
): Request {
  const url = new URL(path, "http://localhost");
  for (const key of Object.keys(query)) {
    if (args[key] !== undefined) url.searchParams.set(key, String(args[key]));
  }
  const { masterKey } = services.config.general;
  const text = JSON.stringify(body !== undefined && isObject(args["body"]) ? args["body"] : {});
  return new Request(url, {
    method,
    signal,
    headers: {
      "content-type": "application/json",
      ...(method === "POST" ? { "content-length": String(Buffer.byteLength(text)) } : {}),
      ...(masterKey === undefined ? {} : { authorization: `Bearer ${masterKey}` }),
    },
    ...(method === "POST" ? { body: text } : {}),
  });
}

async function toResult(response: Response, tool: Tool, args: JsonObject): Promise<JsonObject> {
  const whole = await response.text();
  const word = String(args["contains"] ?? "");
  const text = tool.filtered
    ? whole
        .split("\n")
        .filter((line) => !line.startsWith("#") && line.includes(word))
        .join("\n")
    : whole;
  const failed = response.ok ? {} : { isError: true };
  const value = objectIn(text);
  return {
    content: [{ type: "text", text }],
    ...(value ? { structuredContent: value } : {}),
    ...failed,
  };
}

function objectIn(text: string): JsonObject | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) ? value : undefined;
  } catch {
    return undefined; // metrics are no JSON
  }
}
