/** `routeiq_settings.keys`: keys of callers that stand in the file, and what they open. */
import { type Static, Type } from "@sinclair/typebox";
import type { GatewayKey, Grants, McpGrants } from "../../domain/grants.ts";

const names = (description: string) =>
  Type.Optional(Type.Array(Type.String({ minLength: 1 }), { description, maxItems: 10_000 }));

const ObjectPermission = Type.Object(
  {
    mcp_servers: names(
      "MCP servers, by name. A server that a request names itself goes by its address: https://mcp.example/*. Missing, with the next two: all.",
    ),
    mcp_access_groups: names("Groups of MCP servers."),
    mcp_tool_permissions: Type.Optional(
      Type.Record(Type.String(), Type.Array(Type.String()), {
        description: "Server → its tools: of these servers, these tools alone.",
        expected: "a map of lists",
      }),
    ),
    vector_stores: names("Vector stores, by id: to search and read, whoever made them."),
    agents: names("A2A agents, by name or id."),
    skills: names("Skills, by name or id."),
  },
  {
    description:
      "What the key opens beside models, in LiteLLM's words. A list that is missing opens all of its kind, an empty one nothing; `*` in a name stands for anything.",
  },
);

export const KeyRow = Type.Object({
  api_key: Type.String({
    minLength: 16,
    description: "The key itself; a reference, best. At least 16 characters.",
  }),
  tenant: Type.String({ default: "default", minLength: 1, description: "Whose calls they are." }),
  object_permission: Type.Optional(ObjectPermission),
  allowed_passthrough_routes: names(
    "Ways through to other services, by path: /openai, /vertex_ai/*. Missing: all, or none where object_permission narrows the key, as nobody here reads what passes.",
  ),
});

/** What stands in a caller's id, in receipts and in metrics. */
export const keyNamePattern = /^[A-Za-z0-9_.-]{1,64}$/;

export function toGatewayKeys(
  rows: Readonly<Record<string, Static<typeof KeyRow>>>,
): Readonly<Record<string, GatewayKey>> {
  const keys = Object.entries(rows).map(([name, row]): [string, GatewayKey] => [
    name,
    // A reference to nothing leaves none: config/check/check-keys.ts refuses that.
    {
      apiKey: (row.api_key as string | undefined) ?? "",
      tenant: row.tenant,
      grants: toGrants(row),
    },
  ]);
  return Object.fromEntries(keys);
}

function toGrants(row: Static<typeof KeyRow>): Grants {
  const { allowed_passthrough_routes: routes, object_permission: given = {} } = row;
  const mcp = toMcpGrants(given);
  return {
    ...(mcp ? { mcp } : {}),
    ...(given.vector_stores ? { vectorStores: given.vector_stores } : {}),
    ...(given.agents ? { agents: given.agents } : {}),
    ...(given.skills ? { skills: given.skills } : {}),
    ...(routes ? { passThroughRoutes: routes } : {}),
  };
}

function toMcpGrants(given: Static<typeof ObjectPermission>): McpGrants | undefined {
  const { mcp_servers: servers, mcp_access_groups: accessGroups } = given;
  const { mcp_tool_permissions: tools } = given;
  if (!servers && !accessGroups && !tools) return undefined;
  return { servers: servers ?? [], accessGroups: accessGroups ?? [], tools: tools ?? {} };
}
