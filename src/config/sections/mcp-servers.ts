/** `mcp_servers`: name → a server of the Model Context Protocol. Key names are LiteLLM's. */
import { Type } from "@sinclair/typebox";

const texts = (description: string) =>
  Type.Optional(Type.Array(Type.String(), { description, expected: "a list of texts" }));
const map = (description: string) =>
  Type.Optional(
    Type.Record(Type.String(), Type.String(), { description, expected: "a map of texts" }),
  );

export const McpServerRow = Type.Object({
  url: Type.Optional(
    Type.String({ minLength: 1, description: "Its address: https://host/mcp. Or `command`." }),
  ),
  transport: Type.Optional(
    Type.Union(
      [
        Type.Literal("http"),
        Type.Literal("streamable_http"),
        Type.Literal("sse"),
        Type.Literal("stdio"),
      ],
      {
        description:
          "How it is spoken to. Default: stdio with a `command`; else http, and sse where the server knows no other.",
      },
    ),
  ),
  command: Type.Optional(
    Type.String({
      minLength: 1,
      description:
        "A program to start and speak to over its standard input: an absolute path, or a name found on PATH.",
    }),
  ),
  args: texts("Its arguments. No shell reads them."),
  env: map("Its environment, beside PATH, HOME, USER, LOGNAME, SHELL and TERM. Nothing else."),
  cwd: Type.Optional(Type.String({ minLength: 1, description: "Folder that it starts in." })),
  openapi: Type.Optional(
    Type.String({
      minLength: 1,
      description:
        "An OpenAPI document, by address or file: its operations become tools. `url`: where they are called, if not where the document says.",
    }),
  ),
  spec_path: Type.Optional(
    Type.String({ minLength: 1, description: "LiteLLM's word for openapi." }),
  ),
  description: Type.Optional(Type.String({ description: "For people." })),
  alias: Type.Optional(
    Type.String({ minLength: 1, description: "Its namespace, in place of the key." }),
  ),
  auth_type: Type.Optional(
    Type.Union(
      [
        Type.Literal("none"),
        Type.Literal("api_key"),
        Type.Literal("bearer_token"),
        Type.Literal("basic"),
        Type.Literal("authorization"),
        Type.Literal("oauth2"),
      ],
      {
        description:
          "How `auth_value` is sent: api_key as X-API-Key, bearer_token, basic, authorization as it stands. oauth2: client credentials.",
      },
    ),
  ),
  auth_value: Type.Optional(Type.String({ minLength: 1, description: "The credential." })),
  authentication_token: Type.Optional(
    Type.String({ minLength: 1, description: "LiteLLM's other word for auth_value." }),
  ),
  headers: map("Header fields of every request to it."),
  static_headers: map("LiteLLM's word for headers."),
  client_id: Type.Optional(Type.String({ description: "oauth2: the gateway's own client." })),
  client_secret: Type.Optional(Type.String({ description: "oauth2: its secret." })),
  issuer: Type.Optional(
    Type.String({
      description:
        "oauth2: the authorization server that the credentials are for; they are shown to no other.",
    }),
  ),
  scopes: texts("oauth2: what is asked for."),
  oauth2_flow: Type.Optional(
    Type.Union([Type.Literal("client_credentials"), Type.Literal("authorization_code")], {
      description:
        "oauth2: the gateway's own access, or what somebody allows it in a browser. Default: client_credentials with a client_id and client_secret, else authorization_code.",
    }),
  ),
  oauth2_grant: Type.Optional(
    Type.Union([Type.Literal("shared"), Type.Literal("per_caller")], {
      description:
        "authorization_code: one grant for all callers, which an administrator gives, or each caller's own. Default: shared.",
    }),
  ),
  client_metadata_url: Type.Optional(
    Type.String({
      description:
        "authorization_code: a document elsewhere that describes the gateway as a client. Default: its own, with an https public_url.",
    }),
  ),
  authorization_url: Type.Optional(
    Type.String({ description: "oauth2: where the server's metadata does not say it." }),
  ),
  token_url: Type.Optional(
    Type.String({ description: "oauth2: where the server's metadata does not say it." }),
  ),
  registration_url: Type.Optional(
    Type.String({ description: "oauth2: where the server's metadata does not say it." }),
  ),
  allowed_tools: texts("Tools that callers may see and call, without the namespace. Default: all."),
  disallowed_tools: texts("Tools that nobody sees."),
  access_groups: texts("Groups it can be asked for by: `/mcp/group`, `x-mcp-servers: group`."),
  mcp_access_groups: texts("LiteLLM's word for access_groups."),
  timeout: Type.Number({
    default: 60,
    exclusiveMinimum: 0,
    maximum: 86_400,
    description: "How long a call may take without a word of progress. Seconds.",
  }),
  mcp_info: Type.Optional(
    Type.Object(
      {
        mcp_server_cost_info: Type.Optional(
          Type.Object(
            {
              default_cost_per_query: Type.Optional(
                Type.Number({ minimum: 0, description: "What a call of any tool costs. USD." }),
              ),
              tool_name_to_cost_per_query: Type.Optional(
                Type.Record(Type.String(), Type.Number({ minimum: 0 }), {
                  description: "Tool → what a call of it costs. USD.",
                  expected: "a map of prices",
                }),
              ),
            },
            { description: "Prices of its tools." },
          ),
        ),
      },
      {
        description: "LiteLLM's description of the server; its prices count.",
        additionalProperties: true,
      },
    ),
  ),
});

/** Known to LiteLLM, without a meaning here yet. */
export const litellmMcpKeys: ReadonlySet<string> = new Set([
  "server_id",
  "extra_headers",
  "allow_all_keys",
  "spec_version",
  "allowed_params",
  "tool_name_to_display_name",
  "available_on_public_internet",
  "credentials",
]);
