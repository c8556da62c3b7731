/** A server of the Model Context Protocol, as the operator's file or an administrator registered it. */

/** `inner`: no other process; the gateway answers, by an OpenAPI document or by itself. */
export type McpTransport = "http" | "sse" | "stdio" | "inner";

/** OAuth 2.1: the gateway's own access, or what somebody allowed it; never a token of a caller's. */
export interface McpOauth {
  readonly flow: "client_credentials" | "authorization_code";
  /** Missing: the gateway registers itself, or is known by its metadata document. */
  readonly clientId?: string;
  readonly clientSecret?: string;
  /** A document elsewhere that describes the gateway as a client; it is then the client's id. */
  readonly clientMetadataUrl?: string;
  /** Written by the operator where the server has no metadata. */
  readonly endpoints?: {
    readonly token: string;
    readonly authorization?: string;
    readonly registration?: string;
  };
  /** Each caller allows it for himself; else one grant serves all. */
  readonly perCaller: boolean;
  /** The authorization server they are for; missing: the one that the server's metadata names. */
  readonly issuer?: string;
  readonly scopes: readonly string[];
}

/** A document whose operations are the server's tools. */
export interface McpOpenapi {
  /** An address, or a file of the operator's. */
  readonly source: string;
  readonly isFile: boolean;
}

export interface McpServer {
  /** Its namespace: tools are called `name.tool`. No dot in it. */
  readonly name: string;
  readonly description?: string;
  readonly transport: McpTransport;
  /** Whether `transport` was said; else `http` falls back to `sse` where the server knows no other. */
  readonly transportIsGiven: boolean;
  readonly url?: string;
  /** Header fields of every request to it, credentials among them. */
  readonly headers: Readonly<Record<string, string>>;
  readonly oauth?: McpOauth;
  /** `inner` alone. `url`, where given, is where its operations are called. */
  readonly openapi?: McpOpenapi;
  /** stdio: what is started. Only what stands in the operator's file has one. */
  readonly command?: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** Names without the namespace; undefined: all. */
  readonly allowedTools?: readonly string[];
  readonly disallowedTools: readonly string[];
  readonly accessGroups: readonly string[];
  /** Reached by its own path, or where it is named; not among the others of `/mcp`. */
  readonly apart?: boolean;
  /** Named by one request, by its address: nothing of it is kept. */
  readonly foreign?: boolean;
  /** A call without a word from the server for so long has failed. */
  readonly timeoutMs: number;
  readonly costPerCallUsd: number;
  readonly toolCostsUsd: Readonly<Record<string, number>>;
  /** `operator`: out of the file; `strict`: came by API. */
  readonly trust: "operator" | "strict";
  readonly authType: string;
}

/** How the gateway serves the protocol: `routeiq_settings.mcp`. */
/** An authorization server whose access tokens `/mcp` takes. */
export interface McpIssuer {
  readonly issuer: string;
  /** Default: the gateway's own addresses. */
  readonly audiences?: readonly string[];
  readonly jwksUrl?: string;
  readonly introspectionUrl?: string;
  readonly clientId?: string;
  readonly clientSecret?: string;
  readonly requiredScopes: readonly string[];
  /** Scope → `server.tool` patterns. Missing: every token opens all. */
  readonly scopeTools?: Readonly<Record<string, readonly string[]>>;
  readonly callerClaim: string;
  readonly tenantClaim?: string;
}

export interface McpSettings {
  readonly oauth: readonly McpIssuer[];
  /** The gateway's address as clients and browsers know it; no slash at its end. */
  readonly publicUrl?: string;
  readonly allowAnonymous: boolean;
  /** `first_use`: a tool's first definition is taken; `strict`: each waits for approval; `off`. */
  readonly pinning: "first_use" | "strict" | "off";
  readonly pageSize: number;
  /** `/mcp/routeiq`, for administrators: whether it is there, and may change something. */
  readonly operators: "off" | "read" | "write";
  /** Over so many tools, `/mcp` offers to search them; undefined: it lists them all. */
  readonly searchAbove?: number;
  readonly maxSessions: number;
  readonly maxSessionsPerCaller: number;
  readonly sessionIdleMs: number;
  readonly maxResultBytes: number;
  /** Of one call, whatever progress it reports. */
  readonly maxCallMs: number;
  /** Processes of one stdio server at once. */
  readonly maxProcesses: number;
}

export const mcpNamePattern = /^[A-Za-z0-9_-]{1,64}$/;
