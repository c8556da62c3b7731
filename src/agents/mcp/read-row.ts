/** A server's row out of a body of the API: the same keys as in the file, checked by the same schema. */
import { Value } from "@sinclair/typebox/value";
import type { McpRow } from "../../config/mcp.ts";
import { McpServerRow } from "../../config/sections/mcp-servers.ts";
import { GatewayError } from "../../domain/errors.ts";
import type { JsonObject } from "../../domain/json.ts";

/** References (`os.environ/X`) stay as they are: what comes by API reads no environment. @throws GatewayError invalid_request */
export function readMcpRow(body: JsonObject): McpRow {
  const row = Value.Default(McpServerRow, withoutNulls(body));
  if (Value.Check(McpServerRow, row)) return row;
  const [first] = Value.Errors(McpServerRow, row);
  const param = first?.path.slice(1).replaceAll("/", ".") ?? "";
  const message = `'${param}' is not as it should be: ${first?.message ?? "see docs/mcp.md"}.`;
  throw new GatewayError("invalid_request", message, { param });
}

/** LiteLLM's clients send null for what they leave out. */
function withoutNulls(body: JsonObject): JsonObject {
  return Object.fromEntries(Object.entries(body).filter(([, value]) => value !== null));
}
