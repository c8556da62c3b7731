/** What one session sees: one server under its own names, or several with namespaces. */

import type { JsonObject } from "../../domain/json.ts";
import type { McpServer } from "../../domain/mcp.ts";
import { rethrown } from "./mcp-error.ts";
import { ErrorCode } from "./sdk.ts";

export interface Scope {
  /** In the order of names, so that lists come the same every time. */
  readonly servers: readonly McpServer[];
  /** Names have no namespace: there is but this one server, and the caller asked for it. */
  readonly single: boolean;
  /** Whether tools are searched for (`search`), or all listed (`all`), whatever their number. */
  readonly mode?: "search" | "all";
}

/** `path`: what stands after `/mcp/`. `wanted`: names and groups of the `x-mcp-servers` header. */
export function toScope(
  all: readonly McpServer[],
  path: string | undefined,
  wanted: readonly string[],
): Scope | undefined {
  const servers = [...all].sort((a, b) => (a.name < b.name ? -1 : 1));
  if (path !== undefined) {
    const one = servers.find(({ name }) => name === path);
    if (one) return { servers: [one], single: true };
    const group = servers.filter((server) => isCalled(server, path));
    return group.length > 0 ? { servers: group, single: false } : undefined;
  }
  if (wanted.length === 0) return { servers: servers.filter(({ apart }) => !apart), single: false };
  const some = servers.filter((server) => wanted.some((name) => isCalled(server, name)));
  return some.length > 0 ? { servers: some, single: false } : undefined;
}

/** By its own name, or one of its groups. */
export const isCalled = (server: McpServer, name: string): boolean =>
  server.name === name || server.accessGroups.includes(name);

export function nameIn(scope: Scope, server: McpServer, name: string): string {
  return scope.single ? name : `${server.name}.${name}`;
}

/** Whose it is, and what it is called there. @throws McpError invalid params */
export function ownerOf(scope: Scope, name: unknown, what: string): [McpServer, string] {
  if (typeof name !== "string" || name === "") {
    throw rethrown(ErrorCode.InvalidParams, `'name' must be the name of a ${what}.`);
  }
  const [only] = scope.servers;
  if (scope.single && only) return [only, name];
  const dot = name.indexOf(".");
  const server = scope.servers.find((each) => each.name === name.slice(0, Math.max(0, dot)));
  if (server) return [server, name.slice(dot + 1)];
  const message = `There is no ${what} "${name.slice(0, 100)}"; ${what}s are called server.${what}, as ${what}s/list gives them.`;
  throw rethrown(ErrorCode.InvalidParams, message);
}

export function isAllowed({ allowedTools, disallowedTools }: McpServer, tool: string): boolean {
  if (disallowedTools.includes(tool)) return false;
  return allowedTools === undefined || allowedTools.includes(tool);
}

/** A page of a list. The cursor is opaque, and good for the list as it stood. */
export function pageOf(
  items: readonly JsonObject[],
  cursor: unknown,
  pageSize: number,
): { readonly items: readonly JsonObject[]; readonly nextCursor?: string } {
  const from = cursor === undefined || cursor === null ? 0 : readCursor(cursor);
  const to = from + pageSize;
  const page = items.slice(from, to);
  return to < items.length ? { items: page, nextCursor: btoa(String(to)) } : { items: page };
}

function readCursor(cursor: unknown): number {
  try {
    const at = Number(atob(String(cursor)));
    if (Number.isSafeInteger(at) && at > 0) return at;
  } catch {
    // No base64: told below.
  }
  throw rethrown(ErrorCode.InvalidParams, "The cursor is none of this list's; begin without one.");
}
