/** How somebody allows the gateway to use a server in his name: sent to its authorization server, and back. */

import type { Caller } from "../../../domain/call.ts";
import { GatewayError } from "../../../domain/errors.ts";
import type { McpOauth, McpServer, McpSettings } from "../../../domain/mcp.ts";
import type { Outbound } from "../../../security/outbound.ts";
import type { Clock } from "../../../std/clock.ts";
import type { RecordStore } from "../../../storage/record-store.ts";
import {
  auth,
  extractWWWAuthenticateParams,
  type FetchLike,
  LATEST_PROTOCOL_VERSION,
  type OAuthClientProvider,
} from "../sdk.ts";
import { createGuardedFetch } from "../upstream/guarded-fetch.ts";
import { reasonOf } from "../upstream/link-error.ts";
import {
  assertAnswerIssuer,
  type Beginning,
  type CodeAccess,
  createClientCredentials,
  createCodeProvider,
  unionOfScopes,
} from "./client.ts";
import { createGrants, type Grants, pendingMs } from "./grants.ts";

export const callbackPath = "/mcp/oauth/callback";
export const clientMetadataPath = "/mcp/oauth/client-metadata.json";

export interface Begun {
  /** For a browser; it leads to the authorization server. */
  readonly url: string;
  readonly expiresAtMs: number;
}

export interface GrantState {
  readonly connected: boolean;
  readonly scope?: string;
  readonly expiresAtMs?: number;
  /** Whether it is renewed without anybody's help. */
  readonly renewable: boolean;
}

export interface OauthFlow {
  /** For connecting; undefined where the server is not spoken to with OAuth. */
  provider(server: McpServer, caller: Caller | undefined): OAuthClientProvider | undefined;
  /** `base`: the gateway's address as browsers know it. @throws GatewayError */
  begin(server: McpServer, caller: Caller, base: string): Promise<Begun>;
  /** What the browser came back with. Gives the server's name. @throws GatewayError */
  finish(
    answer: URLSearchParams,
    serverOf: (name: string) => Promise<McpServer | undefined>,
  ): Promise<string>;
  state(server: McpServer, caller: Caller): Promise<GrantState>;
  forget(server: McpServer, caller: Caller): Promise<boolean>;
  /** Of a server that is no more. */
  forgetAll(server: string): Promise<void>;
  /** Grows with every grant: who failed before may try again at once. */
  readonly granted: number;
}

export interface OauthParts {
  readonly records: RecordStore;
  readonly outbound: Outbound;
  readonly clock: Clock;
  readonly settings: () => McpSettings;
}

const limits = { connectMs: 10_000, maxMs: 30_000, maxBytes: 1024 * 1024 } as const;

export function createOauthFlow({ records, outbound, clock, settings }: OauthParts): OauthFlow {
  const grants: Grants = createGrants(records, () => clock.now());
  let granted = 0;

  const accessOf = (server: McpServer, oauth: McpOauth, at: Place): CodeAccess => {
    const isPublic = at.base?.startsWith("https://") === true;
    return {
      server,
      oauth,
      owner: at.owner,
      grants,
      now: () => clock.now(),
      redirectUrl: at.redirectUrl ?? `${at.base ?? nowhere}${callbackPath}`,
      ...(isPublic ? { metadataUrl: `${at.base}${clientMetadataPath}` } : {}),
    };
  };
  const fetchOf = ({ url = "", trust, headers }: McpServer): FetchLike =>
    createGuardedFetch({
      outbound,
      trust,
      clock,
      headers,
      origin: new URL(url).origin,
      connectTimeoutMs: limits.connectMs,
      maxBytes: limits.maxBytes,
      maxMs: limits.maxMs,
      onBreach: () => undefined, // the stream fails, and whoever reads it is told
    });

  return {
    get granted() {
      return granted;
    },
    provider(server, caller) {
      const { oauth } = server;
      if (!oauth) return undefined;
      if (oauth.flow === "client_credentials") return createClientCredentials(oauth, server.name);
      const base = settings().publicUrl;
      const at = { owner: ownerOf(oauth, caller), ...(base === undefined ? {} : { base }) };
      return createCodeProvider(accessOf(server, oauth, at));
    },
    async begin(server, caller, base) {
      const oauth = codeOf(server);
      assertMay(oauth, caller);
      const owner = ownerOf(oauth, caller);
      const beginning: Beginning = { state: randomText() };
      const access = accessOf(server, oauth, { owner, base });
      const fetchFn = fetchOf(server);
      try {
        const challenge = await ask(fetchFn, server);
        const { wantedScope, tokens } = (await grants.read(server, owner)) ?? {};
        const isWider = wantedScope !== undefined;
        const scope = isWider ? unionOfScopes(tokens?.scope, wantedScope) : challenge.scope;
        const { resourceMetadataUrl } = challenge;
        await auth(createCodeProvider(access, beginning), {
          serverUrl: server.url ?? "",
          fetchFn,
          ...(scope === undefined ? {} : { scope }),
          ...(resourceMetadataUrl === undefined ? {} : { resourceMetadataUrl }),
        });
      } catch (cause) {
        throw failed(server.name, cause);
      }
      const { url, verifier, discovery, state, scope } = beginning;
      if (!url || verifier === undefined)
        throw failed(server.name, "it asked for no authorization");
      await grants.begin(state, {
        server: server.name,
        url: server.url ?? "",
        owner,
        verifier,
        redirectUrl: access.redirectUrl,
        ...(discovery === undefined ? {} : { discovery }),
        ...(scope === undefined ? {} : { scope }),
      });
      return { url: url.href, expiresAtMs: clock.now() + pendingMs };
    },
    async finish(answer, serverOf) {
      const pending = await grants.take(answer.get("state") ?? "");
      const server = pending && (await serverOf(pending.server));
      if (!pending || !server || server.url !== pending.url) throw unknownState();
      const { owner, redirectUrl, verifier, discovery, scope } = pending;
      const code = answer.get("code");
      try {
        assertAnswerIssuer(discovery, answer.get("iss") ?? undefined);
        if (code === null) throw new Error(refusalIn(answer));
        const found = {
          ...(discovery === undefined ? {} : { discovery }),
          ...(scope === undefined ? {} : { scope }),
        };
        const access = accessOf(server, codeOf(server), { owner, redirectUrl });
        await auth(createCodeProvider(access, { state: "", verifier, ...found }), {
          serverUrl: server.url ?? "",
          authorizationCode: code,
          fetchFn: fetchOf(server),
        });
      } catch (cause) {
        throw failed(server.name, cause);
      }
      granted++;
      return server.name;
    },
    async state(server, caller) {
      const oauth = codeOf(server);
      const grant = await grants.read(server, ownerOf(oauth, caller));
      const { tokens, tokensAtMs } = grant ?? {};
      const seconds = tokens?.expires_in;
      return {
        connected: tokens !== undefined,
        renewable: tokens?.refresh_token !== undefined,
        ...(tokens?.scope === undefined ? {} : { scope: tokens.scope }),
        ...(seconds === undefined || tokensAtMs === undefined
          ? {}
          : { expiresAtMs: tokensAtMs + seconds * 1000 }),
      };
    },
    forget(server, caller) {
      const oauth = codeOf(server);
      assertMay(oauth, caller);
      return grants.remove(server.name, ownerOf(oauth, caller));
    },
    forgetAll: (server) => grants.removeAll(server),
  };
}

interface Place {
  readonly owner: string;
  readonly base?: string;
  readonly redirectUrl?: string;
}

/** No browser is sent back while a call is under way, so that the address does not matter. */
const nowhere = "http://localhost";

const ownerOf = ({ perCaller }: McpOauth, caller: Caller | undefined) =>
  perCaller ? (caller?.id ?? "") : "";

/** @throws GatewayError permission_denied */
function assertMay({ perCaller }: McpOauth, caller: Caller): void {
  if (caller.admin) return;
  if (perCaller && caller.id !== "anonymous") return;
  const message = perCaller
    ? "Send a key: what is allowed is kept for its holder."
    : "All callers share this server's grant, so an administrator decides on it.";
  throw new GatewayError("permission_denied", message);
}

/** @throws GatewayError invalid_request */
function codeOf({ name, oauth }: McpServer): McpOauth {
  if (oauth?.flow === "authorization_code") return oauth;
  const message = `The MCP server "${name}" is not used by anybody's leave: it has no oauth2 with an authorization code.`;
  throw new GatewayError("invalid_request", message);
}

/** As somebody without a token, to hear which scope and metadata the server wants. */
async function ask(fetchFn: FetchLike, { url = "" }: McpServer) {
  const clientInfo = { name: "routeiq", version: "1" };
  const params = { protocolVersion: LATEST_PROTOCOL_VERSION, capabilities: {}, clientInfo };
  const response = await fetchFn(url, {
    method: "POST",
    headers: { "content-type": "application/json", accept: "application/json, text/event-stream" },
    body: JSON.stringify({ jsonrpc: "2.0", id: 0, method: "initialize", params }),
  });
  await response.body?.cancel();
  return response.status === 401 || response.status === 403
    ? extractWWWAuthenticateParams(response)
    : {};
}

const randomText = () =>
  Buffer.from(crypto.getRandomValues(new Uint8Array(32))).toString("base64url");

const refusalIn = (answer: URLSearchParams) =>
  `it answered ${(answer.get("error") ?? "no code").slice(0, 80)} ${(answer.get("error_description") ?? "").slice(0, 200)}`.trim();

function failed(server: string, cause: unknown): GatewayError {
  const why = typeof cause === "string" ? cause : reasonOf(cause);
  const message = `The authorization for the MCP server "${server}" failed: ${why}.`;
  return new GatewayError("upstream_failed", message, { cause });
}

const unknownState = () =>
  new GatewayError(
    "invalid_request",
    "This authorization is not under way (any more): it was used, replaced, or is older than 10 minutes. Begin it again.",
  );
