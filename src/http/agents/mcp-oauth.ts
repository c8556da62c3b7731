/** How somebody allows the gateway to use an MCP server in his name: to its authorization server, and back. */
import type { Live, Mcp } from "../../agents/mcp/mcp.ts";
import { wellKnownResource } from "../../agents/mcp/oauth/token-gate.ts";
import { GatewayError, toGatewayError } from "../../domain/errors.ts";
import { toHtml } from "../openapi/page.ts";
import { callerOf, type Route, type RouteContext } from "../route.ts";
import { grantedServerOf } from "./mcp-answers.ts";

const source = "https://modelcontextprotocol.io/specification/2025-11-25/basic/authorization";

export function mcpOauthRoutes(mcp: Mcp): readonly Route[] {
  const authorize = async (request: Request, context: RouteContext) => {
    const live = await mcp.live();
    const server = await grantedServerOf(live, request, context);
    const caller = callerOf(request, context.services);
    return await live.oauth.begin(server, caller, baseOf(request, context));
  };
  const own = { who: "caller-or-admin", errors: "detail", docs: { source } } as const;
  return [
    {
      ...own,
      method: "POST",
      path: "/v1/mcp/server/:id/oauth/authorize",
      summary: "Begin to allow the gateway the use of a server: an address for the browser.",
      handle: async (request, context) => {
        const { url, expiresAtMs } = await authorize(request, context);
        return Response.json({
          authorization_url: url,
          expires_at: new Date(expiresAtMs).toISOString(),
        });
      },
    },
    {
      ...own,
      method: "GET",
      path: "/v1/mcp/server/oauth/:id/authorize",
      summary: "The same, as a redirect there.",
      docs: { source, status: "302" },
      handle: async (request, context) => {
        if (request.method === "HEAD") return new Response(null);
        const { url } = await authorize(request, context);
        return new Response(null, { status: 302, headers: { location: url } });
      },
    },
    {
      ...own,
      method: "GET",
      path: "/v1/mcp/server/:id/oauth",
      summary: "Whether the use of a server has been allowed.",
      handle: async (request, context) => {
        const live = await mcp.live();
        const server = await grantedServerOf(live, request, context);
        const state = await live.oauth.state(server, callerOf(request, context.services));
        const { connected, scope = null, expiresAtMs, renewable } = state;
        const expires = expiresAtMs === undefined ? null : new Date(expiresAtMs).toISOString();
        return Response.json({ connected, scope, expires_at: expires, renewable });
      },
    },
    {
      ...own,
      method: "DELETE",
      path: "/v1/mcp/server/:id/oauth",
      summary: "Forget what was allowed: tokens and the client that was registered.",
      handle: async (request, context) => {
        const live = await mcp.live();
        const server = await grantedServerOf(live, request, context);
        const forgotten = await live.oauth.forget(server, callerOf(request, context.services));
        return Response.json({ forgotten });
      },
    },
    {
      method: "GET",
      path: "/mcp/oauth/callback",
      who: "anyone",
      errors: "openai",
      summary: "Where an authorization server sends the browser back to.",
      docs: {
        source,
        reply: "text/html",
        query: { code: "The code.", state: "What the gateway sent.", iss: "RFC 9207." },
      },
      handle: async (request) => await finish(await mcp.live(), request),
    },
    {
      method: "GET",
      path: "/mcp/oauth/client-metadata.json",
      who: "anyone",
      errors: "openai",
      summary: "The gateway as a client of authorization servers; its address is the client's id.",
      docs: { source },
      handle: (request, context) => {
        const base = baseOf(request, context);
        return Response.json({
          client_id: `${base}/mcp/oauth/client-metadata.json`,
          client_name: "RouteIQ",
          client_uri: base,
          redirect_uris: [`${base}/mcp/oauth/callback`],
          grant_types: ["authorization_code", "refresh_token"],
          response_types: ["code"],
          token_endpoint_auth_method: "none",
        });
      },
    },
  ];
}

/** What clients ask before they have a token. */
export function mcpResourceRoutes(mcp: Mcp): readonly Route[] {
  const rfc = "https://www.rfc-editor.org/rfc/rfc9728";
  const describe = (request: Request, context: RouteContext, path: string): Response => {
    if (!mcp.gate.isOpen) throw notProtected();
    return Response.json(mcp.gate.describe({ base: baseOf(request, context), path }));
  };
  const route = (path: string, pathOf: (context: RouteContext) => string): Route => ({
    method: "GET",
    path,
    who: "anyone",
    errors: "openai",
    summary: "Which authorization servers' tokens `/mcp` takes (RFC 9728).",
    docs: { source: rfc },
    handle: (request, context) => describe(request, context, pathOf(context)),
  });
  return [
    route(wellKnownResource, () => "/mcp"),
    route(`${wellKnownResource}/mcp`, () => "/mcp"),
    route(
      `${wellKnownResource}/mcp/:server`,
      ({ params }) => `/mcp/${encodeURIComponent(params["server"] ?? "")}`,
    ),
    {
      method: "GET",
      path: "/.well-known/oauth-authorization-server",
      who: "anyone",
      errors: "openai",
      summary: "The authorization server's own metadata, for clients that look for it here.",
      docs: { source: "https://www.rfc-editor.org/rfc/rfc8414" },
      handle: async () => {
        const found = await mcp.gate.issuerMetadata();
        if (!found) throw notProtected();
        return Response.json(found);
      },
    },
  ];
}

const notProtected = () =>
  new GatewayError(
    "not_found",
    "No authorization server's tokens are taken here (routeiq_settings.mcp.oauth): use a key.",
  );

/** The operator's word for it, and else the address that this request came to. */
export const baseOf = (request: Request, { services }: RouteContext): string =>
  services.config.routeiq.mcp.publicUrl ?? new URL(request.url).origin;

/** One that is registered, or that is to be. */
export const grantable = async (live: Live, name: string) =>
  (await live.registry.find(name))?.server ?? (await live.registry.trial(name));

/** A browser shows this: words, and nothing that runs. */
async function finish(live: Live, request: Request): Promise<Response> {
  if (request.method === "HEAD") return new Response(null); // a code is good once
  try {
    const { searchParams } = new URL(request.url);
    const server = await live.oauth.finish(searchParams, (name) => grantable(live, name));
    live.changed();
    return page(200, "Allowed", `The gateway may now use the MCP server “${server}”.`);
  } catch (thrown) {
    const { status, message } = toGatewayError(thrown);
    return page(status, "Not allowed", message);
  }
}

function page(status: number, title: string, text: string): Response {
  const body = `<!doctype html><meta charset="utf-8"><title>${toHtml(title)}</title><h1>${toHtml(title)}</h1><p>${toHtml(text)}</p><p>You can close this page.</p>`;
  return new Response(body, {
    status,
    headers: {
      "content-type": "text/html; charset=utf-8",
      "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
      "referrer-policy": "no-referrer", // the code stands in this page's address
      "cache-control": "no-store",
    },
  });
}
