/** Errors of the protocol with our own words. */
import { McpError } from "./sdk.ts";

/** The SDK puts "MCP error …:" before a message when it is made, and sends it so. */
export function rethrown(code: number, message: string, data?: unknown): McpError {
  const error = new McpError(code, message, data);
  error.message = message;
  return error;
}

/** The SDK puts its code before every message. */
export const plainMessage = (text: string) => text.replace(/^MCP error -?\d+: /, "");
