/** Who speaks to `/mcp`: the holder of a key, of an access token, or nobody where that is allowed. */
import type { Mcp } from "../../agents/mcp/mcp.ts";
import { type Resource, TokenChallenge } from "../../agents/mcp/oauth/token-gate.ts";
import { callTool, searchTool } from "../../agents/mcp/tools/tool-search.ts";
import type { Caller } from "../../domain/call.ts";
import { GatewayError } from "../../domain/errors.ts";
import { isObject, type JsonObject } from "../../domain/json.ts";
import { refuse } from "../app.ts";
import { assertMcpKey, hasAdminKey, mcpCallerOf, nobody, type RouteContext } from "../route.ts";
import { baseOf } from "./mcp-oauth.ts";

/**
 * A key is looked at first: whoever holds one needs no token.
 * @throws TokenChallenge; GatewayError missing_api_key, invalid_api_key
 */
export async function findMcpCaller(
  request: Request,
  context: RouteContext,
  mcp: Mcp,
): Promise<Caller> {
  const { services } = context;
  if (!mcp.gate.isOpen) return mcpCallerOf(request, services);
  const { masterKey } = services.config.general;
  const token = /^bearer\s+(\S+)$/i.exec(request.headers.get("authorization") ?? "")?.[1];
  if (masterKey !== undefined || hasAdminKey(request, services)) {
    try {
      assertMcpKey(request, services);
      return mcpCallerOf(request, services);
    } catch (thrown) {
      if (!(thrown instanceof GatewayError)) throw thrown; // no key of ours: then a token, or none
    }
  } else if (token === undefined && services.config.routeiq.mcp.allowAnonymous) return nobody;
  if (token === undefined) throw mcp.gate.challenge(resourceOf(request, context));
  return await mcp.gate.admit(token, resourceOf(request, context));
}

/** A tool that another scope would open is refused as RFC 6750 has it, before it is looked for. */
export function assertToolScope(
  caller: Caller,
  body: unknown,
  at: { readonly request: Request; readonly context: RouteContext; readonly mcp: Mcp },
): void {
  if (caller.mcpTools === undefined || !isObject(body) || body["method"] !== "tools/call") return;
  const params = isObject(body["params"]) ? body["params"] : {};
  const name = toolIn(params, at.context.params["server"]);
  if (name === undefined) return;
  at.mcp.gate.assertScope(caller, name, resourceOf(at.request, at.context));
}

/**
 * With its namespace. Undefined for what search mode has in the place of tools: what these reach is
 * held to the scope where it is found and called.
 */
function toolIn(params: JsonObject, server: string | undefined): string | undefined {
  const { name = "", arguments: args } = params;
  if (name === searchTool) return undefined;
  if (name !== callTool) return server === undefined ? String(name) : `${server}.${String(name)}`;
  // On a server's own path it may as well be a tool of that server's.
  return server === undefined && isObject(args) ? String(args["name"] ?? "") : undefined;
}

function resourceOf(request: Request, context: RouteContext): Resource {
  const { server } = context.params;
  return {
    base: baseOf(request, context),
    path: server === undefined ? "/mcp" : `/mcp/${encodeURIComponent(server)}`,
  };
}

/** With the challenge, where it is one. @throws what is none */
export function toChallenge(thrown: unknown, request: Request, context: RouteContext): Response {
  if (!(thrown instanceof TokenChallenge)) throw thrown;
  const response = refuse(request, thrown, undefined, context.services);
  response.headers.set("www-authenticate", thrown.challenge);
  return response;
}
