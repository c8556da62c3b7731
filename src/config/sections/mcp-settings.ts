/** `routeiq_settings.mcp`: how the gateway serves the Model Context Protocol. */
import { type Static, Type } from "@sinclair/typebox";

const whole = (fallback: number, maximum: number, description: string) =>
  Type.Integer({ default: fallback, minimum: 1, maximum, description });

export const McpSection = Type.Object(
  {
    public_url: Type.Optional(
      Type.String({
        pattern: "^https?://",
        expected: "an address (https://…)",
        description:
          "The gateway's address as clients and browsers know it, as https://ai.example. Default: PROXY_BASE_URL, else the request's own.",
      }),
    ),
    oauth: Type.Array(
      Type.Object(
        {
          issuer: Type.String({
            pattern: "^https?://",
            expected: "an address (https://…)",
            description: "As it stands in the tokens' `iss`.",
          }),
          audience: Type.Optional(
            Type.Union([Type.String(), Type.Array(Type.String())], {
              description:
                "What tokens must be made for (`aud`). Default: {public_url}/mcp, or the server's path below it.",
            }),
          ),
          jwks_url: Type.Optional(
            Type.String({ description: "Its keys. Default: as its metadata says." }),
          ),
          introspection_url: Type.Optional(
            Type.String({ description: "Where tokens that are no JWTs are asked about." }),
          ),
          client_id: Type.Optional(Type.String({ description: "The gateway's, for asking." })),
          client_secret: Type.Optional(Type.String({ description: "Its secret." })),
          required_scopes: Type.Optional(
            Type.Array(Type.String(), { description: "Scopes that every token must have." }),
          ),
          scope_tools: Type.Optional(
            Type.Record(Type.String(), Type.Array(Type.String()), {
              description:
                "Scope → tools that it opens, as server.tool with * for anything. Default: every token opens all.",
              expected: "a map of lists",
            }),
          ),
          caller_claim: Type.Optional(
            Type.String({ description: "The claim that says whose calls they are. Default: sub." }),
          ),
          tenant_claim: Type.Optional(
            Type.String({ description: "The claim that says whose tenant." }),
          ),
        },
        { description: "An authorization server." },
      ),
      {
        default: [],
        maxItems: 20,
        description: "Authorization servers whose access tokens open `/mcp`, beside keys.",
      },
    ),
    allow_anonymous: Type.Boolean({
      default: false,
      description: "Opens `/mcp` to callers without a key.",
    }),
    pinning: Type.Union([Type.Literal("first_use"), Type.Literal("strict"), Type.Literal("off")], {
      default: "first_use",
      description:
        "What becomes of a tool's definition. first_use: the first one seen is pinned, and a changed one held until it is approved. strict: the first one is held as well. off: as servers say.",
    }),
    operators: Type.Union([Type.Literal("off"), Type.Literal("read"), Type.Literal("write")], {
      default: "read",
      description:
        "The gateway itself as an MCP server for administrators, at `/mcp/routeiq`: read looks, write also reloads, promotes, rolls back and approves.",
    }),
    search_above: Type.Optional(
      Type.Integer({
        minimum: 0,
        maximum: 100_000,
        description:
          "Over so many tools, `/mcp` lists search_tools and call_tool in their place. Default: never, unless a client asks (`?mode=search`).",
      }),
    ),
    page_size: whole(100, 1_000, "Items of one page of a list."),
    max_sessions: whole(1_000, 100_000, "Sessions at once; over it the longest idle one ends."),
    max_sessions_per_caller: whole(100, 100_000, "Of one caller."),
    session_idle_seconds: whole(1_800, 604_800, "Silence after which a session ends. Seconds."),
    max_result_bytes: whole(
      1_048_576,
      67_108_864,
      "Of one message from a server, such as a tool's result. Bytes.",
    ),
    max_call_seconds: whole(
      600,
      86_400,
      "How long one call may take, whatever progress it reports. Seconds.",
    ),
    max_processes: whole(
      16,
      1_000,
      "Processes of one stdio server at once: a session has its own.",
    ),
  },
  { default: {}, description: "The Model Context Protocol: docs/mcp.md." },
);
export type McpSection = Static<typeof McpSection>;
