/**
 * `/mcp` as a resource of OAuth 2.1: whose tokens are let in, for which address, and what their scopes
 * open. A token ends here: no server ever sees it.
 * Source: https://modelcontextprotocol.io/specification/2025-11-25/basic/authorization, RFC 9728, RFC 8707
 */
import type { Caller } from "../../../domain/call.ts";
import { GatewayError } from "../../../domain/errors.ts";
import { isObject, type JsonObject } from "../../../domain/json.ts";
import type { McpIssuer, McpSettings } from "../../../domain/mcp.ts";
import { TokenRefused } from "../../../security/jwt.ts";
import {
  createTokenIssuer,
  type IssuerParts,
  type TokenIssuer,
} from "../../../security/token-issuer.ts";
import { matchesPattern } from "../../../std/pattern.ts";

/** What a caller must be told to get in: a status, and the challenge of RFC 6750 and RFC 9728. */
export class TokenChallenge extends GatewayError {
  /** Value of WWW-Authenticate. */
  readonly challenge: string;

  constructor(
    code: "missing_api_key" | "invalid_api_key" | "permission_denied",
    message: string,
    challenge: string,
  ) {
    super(code, message);
    this.challenge = challenge;
  }
}

export interface TokenGate {
  /** Whether any issuer's tokens are let in. */
  readonly isOpen: boolean;
  /** @throws TokenChallenge 401, 403; GatewayError upstream_failed where an issuer cannot be asked */
  admit(token: string, at: Resource): Promise<Caller>;
  /** @throws TokenChallenge 403, where another scope would open this tool */
  assertScope(caller: Caller, tool: string, at: Resource): void;
  /** For who came without any token. */
  challenge(at: Resource): TokenChallenge;
  /** RFC 9728's document. */
  describe(at: Resource): JsonObject;
  /** What the first issuer says of itself, for clients of before 2025-06-18. */
  issuerMetadata(): Promise<JsonObject | undefined>;
}

/** An address of the gateway's that tokens are for. */
export interface Resource {
  /** `https://ai.example`, without a slash. */
  readonly base: string;
  /** `/mcp`, or `/mcp/{server}`. */
  readonly path: string;
}

export const wellKnownResource = "/.well-known/oauth-protected-resource";

export function createTokenGate(parts: IssuerParts, settings: () => McpSettings): TokenGate {
  const made = new Map<string, TokenIssuer>();
  const issuerOf = (row: McpIssuer): TokenIssuer => {
    const text = JSON.stringify(row);
    const known = made.get(text);
    if (known) return known;
    if (made.size >= issuerLimit) made.clear(); // a configuration that changes all day
    const issuer = createTokenIssuer(row, parts);
    made.set(text, issuer);
    return issuer;
  };

  async function admit(token: string, at: Resource): Promise<Caller> {
    const rows = settings().oauth;
    const named = issuerIn(token);
    const candidates = rows.filter(({ issuer }) => named === undefined || issuer === named);
    let why = "its issuer is none of this gateway's";
    for (const row of candidates) {
      try {
        const claims = await issuerOf(row).verify(token);
        assertAudience(claims, row, at);
        assertRequired(claims, row, at);
        return toCaller(claims, row);
      } catch (thrown) {
        if (thrown instanceof TokenChallenge) throw thrown;
        if (!(thrown instanceof TokenRefused)) throw unasked(row, thrown);
        why = thrown.message;
      }
    }
    const message = `The access token is not accepted: ${why}.`;
    const challenge = challengeOf(at, rows, { error: "invalid_token", description: why });
    throw new TokenChallenge("invalid_api_key", message, challenge);
  }

  return {
    get isOpen() {
      return settings().oauth.length > 0;
    },
    admit,
    assertScope({ mcpTools }, tool, at) {
      if (mcpTools === undefined || isToolAllowed(mcpTools, tool)) return;
      const scope = settings()
        .oauth.flatMap(({ scopeTools = {} }) => Object.entries(scopeTools))
        .find(([, patterns]) => isToolAllowed(patterns, tool))?.[0];
      if (scope === undefined) return; // no scope opens it: it is simply not there
      const message = `The access token does not reach ${tool.slice(0, 100)}: it lacks the scope ${scope}.`;
      const challenge = challengeOf(at, settings().oauth, { error: "insufficient_scope", scope });
      throw new TokenChallenge("permission_denied", message, challenge);
    },
    challenge: (at) =>
      new TokenChallenge(
        "missing_api_key",
        "Send a key, or an access token of this gateway's authorization server, as Authorization: Bearer.",
        challengeOf(at, settings().oauth, {}),
      ),
    describe: ({ base, path }) => ({
      resource: `${base}${path}`,
      authorization_servers: settings().oauth.map(({ issuer }) => issuer),
      bearer_methods_supported: ["header"],
      scopes_supported: scopesOf(settings().oauth),
      resource_name: "RouteIQ MCP gateway",
    }),
    async issuerMetadata() {
      const [first] = settings().oauth;
      return first && (await issuerOf(first).metadata());
    },
  };
}

const issuerLimit = 100;

/** Unverified: only to find who could verify it. */
function issuerIn(token: string): string | undefined {
  try {
    const body = token.split(".")[1] ?? "";
    const claims: unknown = JSON.parse(Buffer.from(body, "base64url").toString("utf8"));
    return isObject(claims) && typeof claims["iss"] === "string" ? claims["iss"] : undefined;
  } catch {
    return undefined; // an opaque one: each issuer that can be asked is
  }
}

/** RFC 8707: a token for another resource is none for this one, whoever made it. */
function assertAudience(
  { aud }: JsonObject,
  { audiences }: McpIssuer,
  { base, path }: Resource,
): void {
  const given = (Array.isArray(aud) ? aud : [aud]).map((one) => bare(one));
  const wanted = audiences ?? [`${base}/mcp`, `${base}${path}`];
  if (wanted.some((one) => given.includes(bare(one)))) return;
  throw new TokenRefused("it was made for another resource (aud)");
}

const bare = (address: unknown) => String(address).replace(/\/$/, "");

function assertRequired(claims: JsonObject, row: McpIssuer, at: Resource): void {
  const granted = scopesIn(claims);
  const missing = row.requiredScopes.filter((scope) => !granted.has(scope));
  if (missing.length === 0) return;
  const scope = row.requiredScopes.join(" ");
  const message = `The access token lacks the scope ${missing.join(" ")}.`;
  const challenge = challengeOf(at, [row], { error: "insufficient_scope", scope });
  throw new TokenChallenge("permission_denied", message, challenge);
}

/** `scope` as RFC 8693 has it, or the lists that some issuers send in its place. */
function scopesIn({ scope, scp }: JsonObject): ReadonlySet<string> {
  const found = scope ?? scp;
  const words = Array.isArray(found) ? found.map(String) : String(found ?? "").split(" ");
  return new Set(words.filter((word) => word !== ""));
}

function toCaller(claims: JsonObject, row: McpIssuer): Caller {
  const who = claims[row.callerClaim] ?? claims["client_id"];
  if (typeof who !== "string" || who === "") {
    throw new TokenRefused(`it does not say whose it is (${row.callerClaim})`);
  }
  const tenant = row.tenantClaim === undefined ? undefined : claims[row.tenantClaim];
  const granted = scopesIn(claims);
  const open = row.scopeTools && Object.entries(row.scopeTools);
  const tools = open?.flatMap(([scope, patterns]) => (granted.has(scope) ? patterns : []));
  return {
    // The issuer stands in it, as two may know somebody by the same name.
    id: `${new URL(row.issuer).host}|${who}`.slice(0, callerChars),
    tenant: typeof tenant === "string" && tenant !== "" ? tenant : "default",
    admin: false,
    ...(tools ? { mcpTools: tools } : {}),
  };
}

const callerChars = 256;

/** `server.tool` against patterns, in which `*` stands for anything. */
export const isToolAllowed = (patterns: readonly string[], tool: string): boolean =>
  patterns.some((pattern) => matchesPattern(pattern, tool));

/** Whether some tool of a server may be among them. */
export const isServerOpen = (patterns: readonly string[], server: string): boolean =>
  patterns.some((pattern) => {
    const star = pattern.indexOf("*");
    const head = star < 0 ? pattern : pattern.slice(0, star);
    return head.startsWith(`${server}.`) || (star >= 0 && `${server}.`.startsWith(head));
  });

const scopesOf = (rows: readonly McpIssuer[]) => [
  ...new Set(
    rows.flatMap(({ requiredScopes, scopeTools = {} }) => [
      ...requiredScopes,
      ...Object.keys(scopeTools),
    ]),
  ),
];

interface ChallengeWords {
  readonly error?: string;
  readonly description?: string;
  readonly scope?: string;
}

function challengeOf(
  { base, path }: Resource,
  rows: readonly McpIssuer[],
  { error, description, scope }: ChallengeWords,
): string {
  const required = [...new Set(rows.flatMap(({ requiredScopes }) => requiredScopes))].join(" ");
  const asked = scope ?? required;
  const fields = [
    ...(error === undefined ? [] : [`error="${error}"`]),
    ...(description === undefined
      ? []
      : [`error_description="${description.replace(/["\\]/g, "'")}"`]),
    `resource_metadata="${base}${wellKnownResource}${path}"`,
    ...(asked === "" ? [] : [`scope="${asked}"`]),
  ];
  return `Bearer ${fields.join(", ")}`;
}

function unasked({ issuer }: McpIssuer, cause: unknown): GatewayError {
  const message = `The authorization server ${issuer} could not be asked about the access token; the gateway's log says why.`;
  return new GatewayError("upstream_failed", message, { cause });
}
