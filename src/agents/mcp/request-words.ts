/** What a posted request wants, and how one is refused that belongs to no session. */
import type { Caller } from "../../domain/call.ts";
import { isObject } from "../../domain/json.ts";
import type { Scope } from "./scope.ts";

export interface McpRequest {
  readonly request: Request;
  readonly caller: Caller;
  /** What stands after `/mcp/`: a server's name, or an access group's. */
  readonly path?: string;
  /** Parsed; undefined for GET and DELETE. */
  readonly body?: unknown;
}

/** Names of servers and groups, as LiteLLM's clients send them. */
export function namesIn({ headers }: Request): string[] {
  const text = headers.get("x-mcp-servers") ?? "";
  return text
    .split(",")
    .map((name) => name.trim())
    .filter((name) => name !== "");
}

/** `?mode=search` or `x-mcp-mode: search`; `all` where the configuration would search. */
export function modeIn({ url, headers }: Request): Scope["mode"] {
  const mode = new URL(url).searchParams.get("mode") ?? headers.get("x-mcp-mode");
  return mode === "search" || mode === "all" ? mode : undefined;
}

export const paramsOf = (body: unknown) => (isObject(body) ? body["params"] : undefined);
export const isInitialize = (body: unknown) => isObject(body) && body["method"] === "initialize";

function jsonRpcError(status: number, code: number, message: string): Response {
  return Response.json({ jsonrpc: "2.0", error: { code, message }, id: null }, { status });
}

export const sessionNotFound = () =>
  jsonRpcError(404, -32001, "Session not found: it has ended, or never was. Initialize a new one.");
export const needsSession = () =>
  jsonRpcError(400, -32000, "Bad Request: Mcp-Session-Id is missing; it comes with `initialize`.");
