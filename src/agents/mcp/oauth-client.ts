/**
 * The gateway's own access to a server that asks for OAuth 2: client credentials, found by the
 * server's metadata. A caller's token is never handed on.
 * Source: https://modelcontextprotocol.io/specification/2025-11-25/basic/authorization
 */
import type { OAuthClientProvider } from "@modelcontextprotocol/sdk/client/auth.js";
import { ClientCredentialsProvider } from "@modelcontextprotocol/sdk/client/auth-extensions.js";
import type { McpOauth } from "../../domain/mcp.ts";

export function createClientCredentials(oauth: McpOauth, name: string): OAuthClientProvider {
  return new ClientCredentialsProvider({
    clientId: oauth.clientId,
    clientSecret: oauth.clientSecret,
    clientName: `routeiq ${name}`,
    ...(oauth.issuer === undefined ? {} : { expectedIssuer: oauth.issuer }),
    ...(oauth.scopes.length > 0 ? { scope: oauth.scopes.join(" ") } : {}),
  });
}
