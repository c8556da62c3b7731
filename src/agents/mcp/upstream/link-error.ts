/** Why a server cannot answer, in words for callers: nothing of its address or its credentials. */

import type { McpServer } from "../../../domain/mcp.ts";
import { plainMessage } from "../mcp-error.ts";
import { ErrorCode, McpError } from "../sdk.ts";

export function unreachable({ name }: McpServer, why: string): McpError {
  return new McpError(ErrorCode.InternalError, `The MCP server "${name}" cannot answer: ${why}.`);
}

export function reasonOf(thrown: unknown): string {
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  return plainMessage(message).replace(/\.$/, "").slice(0, 300);
}
