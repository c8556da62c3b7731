/**
 * What a key opens beside models: MCP servers and their tools, vector stores, agents, skills. A list
 * that is not there opens all of its kind; an empty one opens nothing.
 * Names are LiteLLM's `object_permission`: https://docs.litellm.ai/docs/mcp_control
 */
import { matchesPattern } from "../std/pattern.ts";

export interface Grants {
  /** Missing: all servers, with all their tools. */
  readonly mcp?: McpGrants;
  /** Ids. */
  readonly vectorStores?: readonly string[];
  /** Names or ids. */
  readonly agents?: readonly string[];
  /** Names, or ids of registered ones. */
  readonly skills?: readonly string[];
  /** Paths of the ways through to other services; missing: where nothing else is narrowed, all. */
  readonly passThroughRoutes?: readonly string[];
}

export interface McpGrants {
  /** Names; addresses and connectors, of servers that requests name themselves. */
  readonly servers: readonly string[];
  readonly accessGroups: readonly string[];
  /** Server → its tools: it is open, and of its tools these alone. */
  readonly tools: Readonly<Record<string, readonly string[]>>;
}

/** A key of the configuration. */
export interface GatewayKey {
  readonly apiKey: string;
  readonly tenant: string;
  readonly grants: Grants;
}

/** What a key opens that is there no more. */
export const nothingGranted: Grants = {
  mcp: { servers: [], accessGroups: [], tools: {} },
  vectorStores: [],
  agents: [],
  skills: [],
  passThroughRoutes: [],
};

/** In every list `*` stands for anything. */
export const isListed = (list: readonly string[] | undefined, ...names: readonly string[]) =>
  list === undefined || names.some((name) => list.some((pattern) => matchesPattern(pattern, name)));

export interface GrantedServer {
  readonly name: string;
  readonly accessGroups?: readonly string[];
}

export function isServerGranted({ mcp }: Grants, server: GrantedServer): boolean {
  if (mcp === undefined) return true;
  const { name, accessGroups = [] } = server;
  if (isListed(mcp.servers, name) || Object.hasOwn(mcp.tools, name)) return true;
  return accessGroups.some((group) => isListed(mcp.accessGroups, group));
}

/** @param tool without its namespace */
export function isToolGranted(grants: Grants, server: GrantedServer, tool: string): boolean {
  if (!isServerGranted(grants, server)) return false;
  const tools = grants.mcp?.tools ?? {};
  return !Object.hasOwn(tools, server.name) || isListed(tools[server.name], tool);
}

/**
 * A server that a request names itself: by its address, or as a connector. A bare `*` is all servers
 * of the gateway, and none of these.
 */
export function isForeignGranted({ mcp }: Grants, named: string): boolean {
  if (mcp === undefined) return true;
  const meant = URL.canParse(named) ? new URL(named).href : named;
  return isListed(
    mcp.servers.filter((pattern) => pattern !== "*"),
    meant,
    meant.replace(/\/$/, ""),
  );
}

/**
 * A way through hands on what nobody here reads, tools among it: where any list narrows a key, a way
 * is open only if it is listed.
 */
export function isRouteGranted(grants: Grants, path: string): boolean {
  const { passThroughRoutes, ...others } = grants;
  if (passThroughRoutes === undefined) return Object.keys(others).length === 0;
  return passThroughRoutes.some(
    (route) => matchesPattern(route, path) || path.startsWith(`${route.replace(/\/$/, "")}/`),
  );
}
