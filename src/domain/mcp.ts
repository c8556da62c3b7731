/** A server of the Model Context Protocol, as the operator's file or an administrator registered it. */

export type McpTransport = "http" | "sse" | "stdio";

/** Client credentials of OAuth 2: the gateway's own access, never a caller's. */
export interface McpOauth {
  readonly clientId: string;
  readonly clientSecret: string;
  /** The authorization server they are for; missing: the one that the server's metadata names. */
  readonly issuer?: string;
  readonly scopes: readonly string[];
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
  /** stdio: what is started. Only what stands in the operator's file has one. */
  readonly command?: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** Names without the namespace; undefined: all. */
  readonly allowedTools?: readonly string[];
  readonly disallowedTools: readonly string[];
  readonly accessGroups: readonly string[];
  /** A call without a word from the server for so long has failed. */
  readonly timeoutMs: number;
  readonly costPerCallUsd: number;
  readonly toolCostsUsd: Readonly<Record<string, number>>;
  /** `operator`: out of the file; `strict`: came by API. */
  readonly trust: "operator" | "strict";
  readonly authType: string;
}

/** How the gateway serves the protocol: `routeiq_settings.mcp`. */
export interface McpSettings {
  readonly allowAnonymous: boolean;
  /** `first_use`: a tool's first definition is taken; `strict`: each waits for approval; `off`. */
  readonly pinning: "first_use" | "strict" | "off";
  readonly pageSize: number;
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
