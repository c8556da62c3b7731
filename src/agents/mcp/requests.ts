/** What a client asks, method by method: which server it concerns, and how names are put right. */

import {
  type GrantedServer,
  isListed,
  isServerGranted,
  isToolGranted,
} from "../../domain/grants.ts";
import { isObject, type JsonObject } from "../../domain/json.ts";
import type { McpServer } from "../../domain/mcp.ts";
import { grantsOf } from "../../pipeline/grants.ts";
import { rethrown } from "./mcp-error.ts";
import { type Asked, denied, isOpen, over, passOn, taskModeOf } from "./pass-on.ts";
import { findResourceOwner, readResourceUri, toSharedUri } from "./resource-names.ts";
import { nameIn, ownerOf, pageOf } from "./scope.ts";
import { ErrorCode } from "./sdk.ts";
import type { ListKind } from "./tools/catalog.ts";
import { listKinds, usualTtlMs } from "./tools/catalog.ts";
import { runTool, toCallerError } from "./tools/run-tool.ts";
import {
  callTool as callFoundTool,
  searchLimits,
  searchTool,
  searchTools,
} from "./tools/tool-search.ts";
import { reasonOf } from "./upstream/link-error.ts";
import { lit, taskLimit, type View } from "./view.ts";

type Method = (view: View, asked: Asked) => Promise<JsonObject>;

/** @throws McpError, with the code and words for the caller */
export async function answer(method: string, view: View, asked: Asked): Promise<JsonObject> {
  const found = methods.get(method);
  if (!found) throw rethrown(ErrorCode.MethodNotFound, "Method not found");
  return await found(view, asked);
}

/** A method by method table; what is not in it does not exist. */
const methods: ReadonlyMap<string, Method> = new Map<string, Method>([
  ["tools/list", (view, asked) => list("tools", view, asked)],
  ["prompts/list", (view, asked) => list("prompts", view, asked)],
  ["resources/list", (view, asked) => list("resources", view, asked)],
  ["resources/templates/list", (view, asked) => list("templates", view, asked)],
  ["tools/call", callTool],
  ["prompts/get", getPrompt],
  ["resources/read", (view, asked) => onResource("resources/read", view, asked)],
  ["resources/subscribe", (view, asked) => onResource("resources/subscribe", view, asked)],
  ["resources/unsubscribe", (view, asked) => onResource("resources/unsubscribe", view, asked)],
  ["completion/complete", complete],
  ["logging/setLevel", setLevel],
  ["tasks/get", (view, asked) => onTask("tasks/get", view, asked)],
  ["tasks/result", (view, asked) => onTask("tasks/result", view, asked)],
  ["tasks/cancel", (view, asked) => onTask("tasks/cancel", view, asked)],
]);

/** One server that is away does not hide the others; the list says who is missing. */
async function list(kind: ListKind, view: View, asked: Asked): Promise<JsonObject> {
  const { params, signal, envelope } = asked;
  const servers = view.scope.servers.filter((server) => isOpen(view, server));
  const lists = await Promise.allSettled(
    servers.map((server) => listOf(kind, view, server, signal)),
  );
  const away: string[] = [];
  const items: JsonObject[] = [];
  const seen = new Set<string>();
  for (const [index, listed] of lists.entries()) {
    const server = servers[index];
    if (!server) continue;
    if (listed.status === "fulfilled") {
      for (const item of listed.value) items.push(named(kind, view, server, item, seen));
    } else {
      if (view.scope.single) throw toCallerError(listed.reason, server);
      away.push(server.name);
      view.services().telemetry.log("warn", "an MCP server's list is missing from the whole", {
        server: server.name,
        error: reasonOf(listed.reason),
      });
    }
  }
  if (kind === "tools" && isSearched(view, items.length)) return { tools: searchTools };
  const { pageSize } = view.services().config.routeiq.mcp;
  const page = pageOf(items, params["cursor"], pageSize);
  return {
    [listKinds[kind].key]: page.items,
    ...(page.nextCursor === undefined ? {} : { nextCursor: page.nextCursor }),
    ...(envelope ? { ttlMs: lifetimeOf(kind, view) } : {}),
    ...(away.length === 0 ? {} : { _meta: { "routeiq/unreachable": away } }),
  };
}

/** Of the one that is good for the shortest time. */
const lifetimeOf = (kind: ListKind, { scope, reach }: View) =>
  Math.min(...scope.servers.map((server) => reach(server).catalog.ttlMs(kind)), usualTtlMs);

async function listOf(kind: ListKind, view: View, server: McpServer, signal: AbortSignal) {
  if (kind === "tools") return await view.tools(server, signal);
  const items = await view.reach(server).catalog.list(kind, signal);
  return lit(kind === "prompts" ? "prompt" : "resource", server, items, view.services());
}

function named(
  kind: ListKind,
  view: View,
  server: McpServer,
  item: JsonObject,
  seen: Set<string>,
): JsonObject {
  if (view.scope.single) return item;
  const { id } = listKinds[kind];
  if (id === "name") return { ...item, name: nameIn(view.scope, server, String(item[id])) };
  const uri = String(item[id]);
  const shown = seen.has(uri) ? toSharedUri(server.name, uri) : uri;
  seen.add(shown);
  return { ...item, [id]: shown };
}

/** By the caller's wish, and else by the number of tools. */
function isSearched({ scope, services }: View, count: number): boolean {
  const { searchAbove } = services().config.routeiq.mcp;
  if (scope.mode !== undefined) return scope.mode === "search";
  return searchAbove !== undefined && !scope.single && count > searchAbove;
}

/** No server's tool has such a name where there are several: theirs have a dot. */
const canSearch = ({ scope, services }: View) =>
  scope.mode === "search" ||
  (!scope.single && services().config.routeiq.mcp.searchAbove !== undefined);

async function findTools(view: View, { params, signal }: Asked): Promise<JsonObject> {
  const { query, limit } = isObject(params["arguments"]) ? params["arguments"] : {};
  if (typeof query !== "string" || query.trim() === "") {
    throw rethrown(ErrorCode.InvalidParams, "'query' must say what the tool should do.");
  }
  const { servers } = view.scope;
  const lists = await Promise.allSettled(servers.map((server) => view.tools(server, signal)));
  const all = lists.flatMap((list, i) => {
    const server = servers[i];
    if (!server || list.status === "rejected") return [];
    return list.value.map((tool) => ({
      ...tool,
      name: nameIn(view.scope, server, String(tool["name"])),
    }));
  });
  const most = Math.min(
    searchLimits.found,
    Math.max(1, Math.floor(Number(limit)) || searchLimits.foundByDefault),
  );
  const found = await view.search.find(query.slice(0, searchLimits.queryChars), all, most);
  const tools = found.map((tool) => {
    const { name, title, description, inputSchema } = tool as JsonObject;
    return { name, title, description, inputSchema };
  });
  const structured = JSON.parse(JSON.stringify({ tools, searched: all.length })) as JsonObject;
  return {
    content: [{ type: "text", text: JSON.stringify(structured) }],
    structuredContent: structured,
    _meta: { "routeiq/untrusted": true },
  };
}

function callFound(view: View, asked: Asked): Promise<JsonObject> {
  const { name, arguments: args } = isObject(asked.params["arguments"])
    ? asked.params["arguments"]
    : {};
  const params = { ...asked.params, name, arguments: isObject(args) ? args : {} };
  return callNamed(view, { ...asked, params });
}

function callTool(view: View, asked: Asked): Promise<JsonObject> {
  const { name } = asked.params;
  if (name === searchTool && canSearch(view)) return findTools(view, asked);
  if (name === callFoundTool && canSearch(view)) return callFound(view, asked);
  return callNamed(view, asked);
}

async function callNamed(view: View, asked: Asked): Promise<JsonObject> {
  const [server, tool] = ownerIn(view, asked.params["name"], "tool");
  try {
    return await callToolOf(view, server, tool, asked);
  } catch (thrown) {
    throw (await view.grantError(server)) ?? thrown;
  }
}

/** As `ownerOf`; what the caller's key closes is refused by that name. @throws McpError */
function ownerIn(view: View, name: unknown, what: "tool" | "prompt"): [McpServer, string] {
  const services = view.services();
  const grants = grantsOf(view.caller, services);
  const isNamed = typeof name === "string" && (view.scope.single || name.includes("."));
  if (!grants || !isNamed) return ownerOf(view.scope, name, what);
  const [only] = view.scope.servers;
  const [server, bare] =
    view.scope.single && only ? [only, name] : splitName(view.scope.servers, name);
  const granted =
    what === "tool" ? isToolGranted(grants, server, bare) : isServerGranted(grants, server);
  if (server.foreign || granted) return ownerOf(view.scope, name, what);
  throw isServerGranted(grants, server)
    ? denied(view, "MCP tool", `${server.name}.${bare}`)
    : denied(view, "MCP server", server.name);
}

/** One that is not in the scope is known by its name alone. */
function splitName(
  servers: readonly McpServer[],
  name: string,
): [GrantedServer & { readonly foreign?: boolean }, string] {
  const dot = name.indexOf(".");
  const space = name.slice(0, Math.max(0, dot));
  return [servers.find((each) => each.name === space) ?? { name: space }, name.slice(dot + 1)];
}

async function callToolOf(
  view: View,
  server: McpServer,
  tool: string,
  asked: Asked,
): Promise<JsonObject> {
  const definition = await assertCallable(view, server, tool, asked.signal);
  asked.onOwner?.(server);
  const asTask = await taskModeOf(view, server, definition, asked);
  // Whoever comes back for it is answered over the connection that is shared.
  const from = asTask === "handle" ? { ...view, borrow: undefined } : view;
  const result = await over(from, server, asked, (link) =>
    runTool({
      ...asked,
      link,
      tool,
      definition,
      caller: view.caller,
      requestId: view.requestId,
      services: view.services(),
      asTask,
    }),
  );
  if (isObject(result["task"])) keepTask(view, String(result["task"]["taskId"]), server);
  return result;
}

/** Its tools are skills, which keys list by themselves. */
const skillServer = "skills";

/** What is not listed is not called: tools that are not allowed, and those that are held back. */
export async function assertCallable(
  view: View,
  server: McpServer,
  tool: string,
  signal: AbortSignal,
): Promise<JsonObject> {
  const find = async () => (await view.tools(server, signal)).find(({ name }) => name === tool);
  try {
    const known = await find();
    if (known) return known;
    view.reach(server).catalog.forget("tools");
    const later = await find();
    if (later) return later;
  } catch (thrown) {
    throw toCallerError(thrown, server);
  }
  const isSkill = server.transport === "inner" && server.name === skillServer;
  const grants = isSkill ? grantsOf(view.caller, view.services()) : undefined;
  if (grants && !isListed(grants.skills, tool)) throw denied(view, "skill", tool);
  const name = nameIn(view.scope, server, tool).slice(0, 100);
  throw rethrown(
    ErrorCode.InvalidParams,
    `Unknown tool: ${name}. It is not there, not allowed, or its definition changed and waits for approval; tools/list has those that may be called.`,
  );
}

function getPrompt(view: View, asked: Asked): Promise<JsonObject> {
  const [server, name] = ownerIn(view, asked.params["name"], "prompt");
  return passOn(view, server, "prompts/get", { ...asked, params: { ...asked.params, name } });
}

async function onResource(method: string, view: View, asked: Asked): Promise<JsonObject> {
  const wanted = readResourceUri(asked.params["uri"]);
  const server = await findResourceOwner(view, wanted, asked.signal);
  const params = { ...asked.params, uri: wanted.uri };
  return await passOn(view, server, method, { ...asked, params });
}

async function complete(view: View, asked: Asked): Promise<JsonObject> {
  const { ref } = asked.params;
  if (!isObject(ref))
    throw rethrown(ErrorCode.InvalidParams, "'ref' must name a prompt or a resource.");
  if (ref["type"] === "ref/prompt") {
    const [server, name] = ownerIn(view, ref["name"], "prompt");
    const params = { ...asked.params, ref: { ...ref, name } };
    return await passOn(view, server, "completion/complete", { ...asked, params });
  }
  const wanted = readResourceUri(ref["uri"]);
  const server = await findResourceOwner(view, wanted, asked.signal);
  const params = { ...asked.params, ref: { ...ref, uri: wanted.uri } };
  return await passOn(view, server, "completion/complete", { ...asked, params });
}

const levels = ["debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"];

/** Every server that is spoken to is told; the others when they are first reached. */
async function setLevel(view: View, asked: Asked): Promise<JsonObject> {
  const { level } = asked.params;
  if (typeof level !== "string" || !levels.includes(level)) {
    throw rethrown(ErrorCode.InvalidParams, `'level' must be one of ${levels.join(", ")}.`);
  }
  view.level = level;
  for (const server of view.scope.servers) {
    const { link } = view.reach(server);
    if (!link.isOpen && !view.scope.single) continue;
    const { capabilities } = await link.open();
    if (capabilities.logging) await passOn(view, server, "logging/setLevel", asked);
  }
  return {};
}

export const isLoud = (level: unknown, from: string | undefined) =>
  from === undefined || levels.indexOf(String(level)) >= levels.indexOf(from);

function onTask(method: string, view: View, asked: Asked): Promise<JsonObject> {
  const id = String(asked.params["taskId"] ?? "");
  const [only] = view.scope.servers;
  const server = view.tasks.get(id) ?? (view.scope.single ? only : undefined);
  if (!server) throw rethrown(ErrorCode.InvalidParams, "There is no task of this id.");
  return passOn(view, server, method, asked);
}

function keepTask(view: View, id: string, server: McpServer): void {
  view.tasks.set(id, server);
  if (view.tasks.size <= taskLimit) return;
  for (const oldest of view.tasks.keys()) {
    view.tasks.delete(oldest);
    return;
  }
}
