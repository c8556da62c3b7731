/** MCP servers that a session's tools name: the provider runs them, so here alone a key can close them. */
import type { Caller } from "../../domain/call.ts";
import { isForeignGranted } from "../../domain/grants.ts";
import { isObject, type Json } from "../../domain/json.ts";
import { denyClosed, grantsOf } from "../grants.ts";
import type { Services } from "../services.ts";

/** Costs one look at the configuration for keys that narrow nothing. @throws GatewayError permission_denied */
export function assertSessionTools(text: string, caller: Caller, services: Services): void {
  const grants = grantsOf(caller, services);
  // A word may be spelt with escapes.
  if (grants?.mcp === undefined || !(text.includes("mcp") || text.includes("\\"))) return;
  let event: Json;
  try {
    event = JSON.parse(text) as Json;
  } catch {
    return; // the provider says what is wrong with it
  }
  for (const within of isObject(event) ? [event["session"], event["response"]] : []) {
    const tools = isObject(within) && Array.isArray(within["tools"]) ? within["tools"] : [];
    for (const tool of tools) {
      if (!isObject(tool) || tool["type"] !== "mcp") continue;
      const { connector_id: connector, server_url: url, server_label: label } = tool;
      const places = [connector, url].filter((each) => typeof each === "string");
      // All that stands there: which of them the provider goes by is its own affair.
      const names = places.length > 0 ? places : [String(label)];
      const name = names.find((each) => !isForeignGranted(grants, each));
      if (name === undefined) continue;
      throw denyClosed({ what: "MCP server", name, param: "session.tools" }, caller, services);
    }
  }
}
