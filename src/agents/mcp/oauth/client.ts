/**
 * The gateway's own access to a server that asks for OAuth 2.1: client credentials, or a code that
 * somebody allowed in a browser. A caller's token is never handed on.
 * Source: https://modelcontextprotocol.io/specification/2025-11-25/basic/authorization
 */

import type { McpOauth, McpServer } from "../../../domain/mcp.ts";
import {
  ClientCredentialsProvider,
  type OAuthClientMetadata,
  type OAuthClientProvider,
  type OAuthDiscoveryState,
  type OAuthTokens,
} from "../sdk.ts";
import type { Grants } from "./grants.ts";

export function createClientCredentials(oauth: McpOauth, name: string): OAuthClientProvider {
  const provider = new ClientCredentialsProvider({
    clientId: oauth.clientId ?? "",
    clientSecret: oauth.clientSecret ?? "",
    clientName: `routeiq ${name}`,
    ...(oauth.issuer === undefined ? {} : { expectedIssuer: oauth.issuer }),
    ...(oauth.scopes.length > 0 ? { scope: oauth.scopes.join(" ") } : {}),
  });
  const written = writtenDiscovery(oauth);
  return written ? Object.assign(provider, { discoveryState: () => written }) : provider;
}

export interface CodeAccess {
  readonly server: McpServer;
  readonly oauth: McpOauth;
  /** Whose grant it is: a caller's id, or "" for everybody's. */
  readonly owner: string;
  readonly grants: Grants;
  readonly now: () => number;
  /** Where the authorization server sends the browser back to. */
  readonly redirectUrl: string;
  /** https alone: the address at which the gateway describes itself as a client. */
  readonly metadataUrl?: string;
}

/** What a browser is sent away with; filled in by the SDK while it begins. */
export interface Beginning {
  readonly state: string;
  url?: URL;
  verifier?: string;
  discovery?: OAuthDiscoveryState;
  /** What was asked for. */
  scope?: string;
}

/**
 * Reads and keeps what was granted. Without a `beginning` nobody is there to be sent anywhere: the
 * call fails, and says that somebody must allow it.
 */
export function createCodeProvider(access: CodeAccess, beginning?: Beginning): OAuthClientProvider {
  const { server, oauth, owner, grants, redirectUrl } = access;
  /** The access token that was last read: what somebody else got since then is not thrown away. */
  let used: string | undefined;
  let found = beginning?.discovery;
  const written = writtenDiscovery(oauth);
  const metadataUrl = oauth.clientMetadataUrl ?? access.metadataUrl;
  return {
    redirectUrl,
    ...(metadataUrl === undefined ? {} : { clientMetadataUrl: metadataUrl }),
    clientMetadata: clientMetadata(redirectUrl, oauth),
    state: () => beginning?.state ?? "",
    async clientInformation() {
      const { clientId, clientSecret, issuer } = oauth;
      if (clientId !== undefined) {
        return {
          client_id: clientId,
          ...(clientSecret === undefined ? {} : { client_secret: clientSecret }),
          ...(issuer === undefined ? {} : { issuer }),
        };
      }
      const client = (await grants.read(server, owner))?.client;
      return isFor(client, redirectUrl) ? client : undefined;
    },
    saveClientInformation: (client) =>
      grants.change(server, owner, (grant) =>
        // One that the operator wrote is kept where he wrote it.
        oauth.clientId === undefined ? { ...grant, client } : undefined,
      ),
    async tokens() {
      // Whoever begins anew wants more than a refreshed token would have.
      if (beginning) return undefined;
      const tokens = (await grants.read(server, owner))?.tokens;
      used = tokens?.access_token;
      return tokens;
    },
    saveTokens: (tokens) =>
      grants.change(server, owner, (grant) =>
        withTokens(grant, tokens, access.now(), beginning?.scope),
      ),
    async redirectToAuthorization(url) {
      const scope = url.searchParams.get("scope");
      if (beginning) {
        beginning.url = url;
        if (scope !== null) beginning.scope = scope;
      } else if (scope !== null) {
        await grants.change(server, owner, (grant) => ({ ...grant, wantedScope: scope }));
      }
    },
    saveCodeVerifier(verifier) {
      if (beginning) beginning.verifier = verifier;
    },
    codeVerifier: () => beginning?.verifier ?? "",
    async invalidateCredentials(what) {
      if (what === "verifier" || what === "discovery") return;
      await grants.change(server, owner, (grant) => {
        if (what === "client") return without(grant, "client");
        const isCurrent = grant.tokens?.access_token === used;
        const kept = isCurrent ? without(grant, "tokens") : grant;
        return what === "all" ? without(kept, "client") : kept;
      });
    },
    discoveryState: () => written ?? found,
    saveDiscoveryState(state) {
      assertIssuer(state);
      found = state;
      if (beginning) beginning.discovery = state;
    },
  };
}

/** A client is registered with the address that the browser comes back to: with another, it is none. */
function isFor(client: object | undefined, redirectUrl: string): boolean {
  const uris = client && "redirect_uris" in client ? client.redirect_uris : undefined;
  return !Array.isArray(uris) || uris.includes(redirectUrl);
}

function withTokens<T extends { tokens?: OAuthTokens }>(
  grant: T,
  tokens: OAuthTokens,
  now: number,
  asked: string | undefined,
) {
  // RFC 6749 §6: where no new refresh token comes, the old one stays good.
  const refresh = tokens.refresh_token ?? grant.tokens?.refresh_token;
  // §5.1: where no scope is named, it is the one that was asked for.
  const scope = tokens.scope ?? asked ?? grant.tokens?.scope;
  const kept = {
    ...tokens,
    ...(refresh === undefined ? {} : { refresh_token: refresh }),
    ...(scope === undefined ? {} : { scope }),
  };
  return { ...without(grant, "wantedScope"), tokens: kept, tokensAtMs: now };
}

function without<T extends object>(value: T, key: string): T {
  return Object.fromEntries(Object.entries(value).filter(([name]) => name !== key)) as T;
}

export function clientMetadata(
  redirectUrl: string,
  { scopes, clientSecret }: Pick<McpOauth, "scopes" | "clientSecret">,
): OAuthClientMetadata & { readonly application_type: string } {
  return {
    client_name: "RouteIQ",
    redirect_uris: [redirectUrl],
    application_type: isLoopback(redirectUrl) ? "native" : "web",
    grant_types: ["authorization_code", "refresh_token"],
    response_types: ["code"],
    ...(clientSecret === undefined ? {} : { token_endpoint_auth_method: "client_secret_basic" }),
    ...(scopes.length > 0 ? { scope: scopes.join(" ") } : {}),
  };
}

/** OpenID Connect Registration §2: who comes back to this machine is no client of the web. */
const isLoopback = (address: string) =>
  ["localhost", "127.0.0.1", "[::1]"].includes(new URL(address).hostname);

/**
 * Wider leave holds what was allowed before: what is asked for replaces it (SEP-2350).
 * Source: https://modelcontextprotocol.io/specification/2026-07-28/basic/authorization
 */
export function unionOfScopes(...scopes: readonly (string | undefined)[]): string | undefined {
  const all = new Set(scopes.flatMap((scope) => scope?.split(" ") ?? []).filter(Boolean));
  return all.size > 0 ? [...all].join(" ") : undefined;
}

/** Endpoints that the operator wrote are asked for at no metadata's address. */
function writtenDiscovery({ endpoints, issuer }: McpOauth): OAuthDiscoveryState | undefined {
  if (!endpoints) return undefined;
  const at = issuer ?? new URL(endpoints.token).origin;
  return {
    authorizationServerUrl: at,
    authorizationServerMetadata: {
      issuer: at,
      authorization_endpoint: endpoints.authorization ?? endpoints.token,
      token_endpoint: endpoints.token,
      ...(endpoints.registration ? { registration_endpoint: endpoints.registration } : {}),
      response_types_supported: ["code"],
      code_challenge_methods_supported: ["S256"],
    },
  };
}

/** RFC 8414 §3.3: metadata that speaks for another issuer than it was asked for is not used. */
function assertIssuer(state: OAuthDiscoveryState): void {
  const {
    authorizationServerUrl: asked,
    authorizationServerMetadata: told,
    resourceMetadata,
  } = state;
  if (!told || !resourceMetadata || bare(told.issuer) === bare(asked)) return;
  throw new Error(`the metadata of ${asked} says that it is ${told.issuer}'s`);
}

const bare = (address: string) =>
  (URL.canParse(address) ? new URL(address).href : address).replace(/\/$/, "");

/**
 * RFC 9207: an answer that another authorization server gave is not taken for this one's.
 * @throws Error
 */
export function assertAnswerIssuer(
  discovery: OAuthDiscoveryState | undefined,
  iss: string | undefined,
): void {
  const told = discovery?.authorizationServerMetadata;
  if (!told) return;
  const promises =
    "authorization_response_iss_parameter_supported" in told &&
    told.authorization_response_iss_parameter_supported === true;
  if (iss === undefined && !promises) return;
  if (iss !== told.issuer) throw new Error("another authorization server answered than was asked");
}
