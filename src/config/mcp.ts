/** `mcp_servers` to what the gateway connects to; and the same for those that come by API. */
import { isAbsolute } from "node:path";
import type { Static } from "@sinclair/typebox";
import { isObject, type Json } from "../domain/json.ts";
import { type McpIssuer, type McpServer, type McpSettings, mcpNamePattern } from "../domain/mcp.ts";
import { decodeSection } from "./decode.ts";
import type { Environment } from "./files.ts";
import type { Sourced } from "./merge.ts";
import { type ResolveOptions, resolveReferences } from "./references.ts";
import { litellmMcpKeys, McpServerRow } from "./sections/mcp-servers.ts";
import type { McpSection } from "./sections/mcp-settings.ts";
import type { Spot } from "./yaml.ts";

export type McpRow = Static<typeof McpServerRow>;

/** Names in the order of the file. What is wrong is told in the report. */
export async function readMcpServers(
  section: Sourced | undefined,
  options: ResolveOptions,
): Promise<readonly McpServer[]> {
  const { report } = options;
  if (!section || section.value === null) return [];
  if (!isObject(section.value)) {
    const remedy = "Write name: {url: https://host/mcp} below it.";
    report.refuse(section.spot, "mcp_servers must be a map of names", remedy);
    return [];
  }
  const servers: McpServer[] = [];
  for (const [key, value] of Object.entries(section.value)) {
    const spot = { ...section.spot, path: [...section.spot.path, key] };
    const resolved = (await resolveReferences((value ?? {}) as Json, spot, options)) ?? {};
    const row = decodeSection(McpServerRow, resolved, spot, report, { litellm: litellmMcpKeys });
    const problem = problemOf(row.alias ?? key, row, servers);
    if (problem) report.refuse(at(spot, problem.key), problem.message, problem.remedy);
    else servers.push(toMcpServer(row.alias ?? key, row, "operator"));
  }
  return servers;
}

const at = (spot: Spot, key: string | undefined): Spot =>
  key === undefined ? spot : { ...spot, path: [...spot.path, key] };

interface Problem {
  readonly key?: string;
  readonly message: string;
  readonly remedy: string;
}

/** What of a row cannot be served. */
export function problemOf(
  name: string,
  row: McpRow,
  others: readonly Pick<McpServer, "name">[],
): Problem | undefined {
  if (!mcpNamePattern.test(name) || reserved.has(name)) {
    const message = `"${name.slice(0, 80)}" cannot be the name of an MCP server`;
    return {
      message,
      remedy: `Use letters, digits, - and _, at most 64, and not ${[...reserved].join(", ")}.`,
    };
  }
  if (others.some((other) => other.name === name)) {
    return {
      message: `two MCP servers are called "${name}"`,
      remedy: "Names are namespaces: rename one.",
    };
  }
  const { url, command, transport } = row;
  const openapi = row.openapi ?? row.spec_path;
  if (openapi !== undefined && (command !== undefined || transport === "stdio")) {
    return {
      key: "command",
      message: `"${name}" has an OpenAPI document and a command`,
      remedy: "Remove one of the two.",
    };
  }
  if (url !== undefined && command !== undefined) {
    return {
      key: "command",
      message: `"${name}" has a url and a command`,
      remedy: "Remove one of the two.",
    };
  }
  if (url === undefined && command === undefined && openapi === undefined) {
    return {
      message: `"${name}" has no url, no command and no openapi`,
      remedy: "Write url: https://host/mcp, a command, or openapi: https://host/openapi.json.",
    };
  }
  if ((transport === "stdio") !== (command !== undefined) && transport !== undefined) {
    return {
      key: "transport",
      message: `"${name}" cannot be spoken to over ${transport}`,
      remedy: "stdio goes with a command, http and sse with a url.",
    };
  }
  if (command !== undefined && !isAbsolute(command) && /[\\/]/.test(command)) {
    return {
      key: "command",
      message: `the command of "${name}" is a relative path`,
      remedy: "Write an absolute path, or a bare name that is on PATH.",
    };
  }
  return credentialProblem(name, row);
}

function credentialProblem(name: string, row: McpRow): Problem | undefined {
  const value = row.auth_value ?? row.authentication_token;
  const type = row.auth_type ?? "none";
  if (type === "oauth2" && flowOf(row) === "client_credentials") {
    if (row.client_id === undefined || row.client_secret === undefined) {
      return {
        key: "auth_type",
        message: `"${name}" lacks client_id or client_secret`,
        remedy: "The gateway gets its own tokens (client credentials): write both.",
      };
    }
  }
  if (type === "oauth2" && row.authorization_url !== undefined && row.token_url === undefined) {
    return {
      key: "authorization_url",
      message: `"${name}" lacks token_url`,
      remedy: "Write both, or neither: then the server's metadata is asked.",
    };
  }
  if (type !== "none" && type !== "oauth2" && value === undefined) {
    return {
      key: "auth_type",
      message: `"${name}" lacks auth_value`,
      remedy: "Write auth_value: os.environ/NAME.",
    };
  }
  return undefined;
}

/** Paths below `/mcp` that mean something else. */
const reserved: ReadonlySet<string> = new Set(["sse", "messages", "transport", "oauth"]);

export function toMcpServer(name: string, row: McpRow, trust: McpServer["trust"]): McpServer {
  const costs = row.mcp_info?.mcp_server_cost_info;
  const given = row.transport === "streamable_http" ? "http" : row.transport;
  const { url, command, cwd, description, allowed_tools: allowedTools } = row;
  const authType = row.auth_type ?? "none";
  const openapi = row.openapi ?? row.spec_path;
  return {
    name,
    ...(openapi === undefined ? {} : { openapi: { source: openapi, isFile: !isAddress(openapi) } }),
    transport:
      openapi === undefined ? (given ?? (command === undefined ? "http" : "stdio")) : "inner",
    transportIsGiven: given !== undefined,
    ...(url === undefined ? {} : { url }),
    ...(command === undefined ? {} : { command }),
    ...(cwd === undefined ? {} : { cwd }),
    ...(description === undefined ? {} : { description }),
    ...(allowedTools === undefined ? {} : { allowedTools }),
    headers: headersOf(row),
    ...(authType === "oauth2" ? { oauth: oauthOf(row) } : {}),
    args: row.args ?? [],
    env: row.env ?? {},
    disallowedTools: row.disallowed_tools ?? [],
    accessGroups: row.access_groups ?? row.mcp_access_groups ?? [],
    timeoutMs: row.timeout * 1000,
    costPerCallUsd: costs?.default_cost_per_query ?? 0,
    toolCostsUsd: costs?.tool_name_to_cost_per_query ?? {},
    trust,
    authType,
  };
}

export const isAddress = (source: string) => /^https?:\/\//i.test(source);

const flowOf = ({ oauth2_flow, client_id, client_secret }: McpRow) =>
  oauth2_flow ??
  (client_id !== undefined && client_secret !== undefined
    ? "client_credentials"
    : "authorization_code");

function oauthOf(row: McpRow): NonNullable<McpServer["oauth"]> {
  const { client_id: clientId, client_secret: clientSecret, issuer } = row;
  const { client_metadata_url: clientMetadataUrl, token_url: token } = row;
  const { authorization_url: authorization, registration_url: registration } = row;
  const more = {
    ...(authorization === undefined ? {} : { authorization }),
    ...(registration === undefined ? {} : { registration }),
  };
  return {
    flow: flowOf(row),
    perCaller: row.oauth2_grant === "per_caller",
    ...(clientId === undefined ? {} : { clientId }),
    ...(clientSecret === undefined ? {} : { clientSecret }),
    ...(clientMetadataUrl === undefined ? {} : { clientMetadataUrl }),
    ...(token === undefined ? {} : { endpoints: { token, ...more } }),
    ...(issuer === undefined ? {} : { issuer }),
    scopes: row.scopes ?? [],
  };
}

function headersOf(row: McpRow): Record<string, string> {
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries({ ...row.static_headers, ...row.headers })) {
    headers[name.toLowerCase()] = value;
  }
  const value = row.auth_value ?? row.authentication_token ?? "";
  if (row.auth_type === "api_key") headers["x-api-key"] = value;
  if (row.auth_type === "bearer_token") headers["authorization"] = `Bearer ${value}`;
  if (row.auth_type === "authorization") headers["authorization"] = value;
  if (row.auth_type === "basic") headers["authorization"] = `Basic ${btoa(value)}`;
  return headers;
}

function toIssuer(row: McpSection["oauth"][number]): McpIssuer {
  const { audience, jwks_url: jwksUrl, introspection_url: introspectionUrl } = row;
  const { client_id: clientId, client_secret: clientSecret, tenant_claim: tenantClaim } = row;
  return {
    issuer: row.issuer,
    ...(audience === undefined ? {} : { audiences: [audience].flat() }),
    ...(jwksUrl === undefined ? {} : { jwksUrl }),
    ...(introspectionUrl === undefined ? {} : { introspectionUrl }),
    ...(clientId === undefined ? {} : { clientId }),
    ...(clientSecret === undefined ? {} : { clientSecret }),
    ...(tenantClaim === undefined ? {} : { tenantClaim }),
    ...(row.scope_tools === undefined ? {} : { scopeTools: row.scope_tools }),
    requiredScopes: row.required_scopes ?? [],
    callerClaim: row.caller_claim ?? "sub",
  };
}

/** LiteLLM's PROXY_BASE_URL stands in where the file says nothing. */
export function toMcpSettings(section: McpSection, env: Environment): McpSettings {
  const publicUrl = (section.public_url ?? env["PROXY_BASE_URL"] ?? "").replace(/\/+$/, "");
  return {
    ...(publicUrl === "" ? {} : { publicUrl }),
    oauth: section.oauth.map(toIssuer),
    allowAnonymous: section.allow_anonymous,
    pinning: section.pinning,
    ...(section.search_above === undefined ? {} : { searchAbove: section.search_above }),
    operators: section.operators,
    pageSize: section.page_size,
    maxSessions: section.max_sessions,
    maxSessionsPerCaller: section.max_sessions_per_caller,
    sessionIdleMs: section.session_idle_seconds * 1000,
    maxResultBytes: section.max_result_bytes,
    maxCallMs: section.max_call_seconds * 1000,
    maxProcesses: section.max_processes,
  };
}
