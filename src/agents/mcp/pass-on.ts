/** A request of a caller's on its way to the server whose it is: over which connection, and how it fails. */
import { isServerGranted } from "../../domain/grants.ts";
import type { JsonObject } from "../../domain/json.ts";
import type { McpServer } from "../../domain/mcp.ts";
import { denyClosed, grantsOf } from "../../pipeline/grants.ts";
import { rethrown } from "./mcp-error.ts";
import { ErrorCode, type McpError } from "./sdk.ts";
import { isTaskOnly } from "./sessions/session-tasks.ts";
import { askable, hasTasks } from "./stateless/words.ts";
import { toCallerError } from "./tools/run-tool.ts";
import type { Link, LinkRequest } from "./upstream/link.ts";
import type { View } from "./view.ts";

export interface Asked extends LinkRequest {
  readonly id: string | number;
  readonly params: JsonObject;
  /** Told whose it is that is asked for, once that is known. */
  readonly onOwner?: (server: McpServer) => void;
}

async function during<T>(
  pending: (string | number)[],
  id: string | number,
  run: () => Promise<T>,
): Promise<T> {
  pending.push(id);
  try {
    return await run();
  } finally {
    pending.splice(pending.lastIndexOf(id), 1);
  }
}

/** Over a connection of its own where what is asked may be answered with a question. */
export async function over(
  view: View,
  server: McpServer,
  { id }: Asked,
  run: (link: Link) => Promise<JsonObject>,
): Promise<JsonObject> {
  const borrowed = await view.borrow?.(server);
  if (!borrowed) {
    const { link, pending } = view.reach(server);
    return await during(pending, id, () => run(link));
  }
  let isSound = false;
  try {
    const result = await run(borrowed.link);
    isSound = true;
    return result;
  } finally {
    borrowed.release(isSound);
  }
}

/** Passes a request on, and the server's own errors back. */
export async function passOn(
  view: View,
  server: McpServer,
  method: string,
  asked: Asked,
): Promise<JsonObject> {
  if (!isOpen(view, server)) throw denied(view, "MCP server", server.name);
  asked.onOwner?.(server);
  const send = (link: Link) => link.request(method, asked.params, asked);
  try {
    if (askable.has(method)) return await over(view, server, asked, send);
    const { link, pending } = view.reach(server);
    return await during(pending, asked.id, () => send(link));
  } catch (thrown) {
    throw toCallerError(thrown, server);
  }
}

/** A tool that a server with sessions runs as a task alone, for a caller who cannot ask for one. */
export async function taskModeOf(
  view: View,
  server: McpServer,
  definition: JsonObject,
  { envelope }: Asked,
): Promise<"handle" | "waits" | undefined> {
  if (!envelope || !isTaskOnly(definition)) return undefined;
  const { era } = await view.reach(server).link.open();
  if (era === "stateless") return undefined;
  return hasTasks(envelope.capabilities) ? "handle" : "waits";
}

export function denied(
  view: View,
  what: "MCP tool" | "MCP server" | "skill",
  name: string,
): McpError {
  const { requestId, caller } = view;
  const of = requestId === undefined ? {} : { requestId };
  const { message, code } = denyClosed({ what, name, ...of }, caller, view.services());
  return rethrown(ErrorCode.InvalidRequest, message, { code });
}

/** A session may be older than what its caller's key opens now. */
export function isOpen(view: View, server: McpServer): boolean {
  const grants = server.foreign ? undefined : grantsOf(view.caller, view.services());
  return !grants || isServerGranted(grants, server);
}
