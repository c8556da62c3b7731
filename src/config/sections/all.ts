/** The whole file as one schema: what editors complete by and `config explain` reads. */
import { Type } from "@sinclair/typebox";
import { AgentRow } from "../agents.ts";
import { FinetuneRow } from "../finetune.ts";
import { RegistryRow } from "../vector-registry.ts";
import { CredentialRow } from "./credential-list.ts";
import { GeneralSettings } from "./general-settings.ts";
import { LitellmSettings } from "./litellm-settings.ts";
import { McpServerRow } from "./mcp-servers.ts";
import { ModelRow } from "./model-list.ts";
import { RouteiqSettings } from "./routeiq-settings.ts";
import { RouterSettings } from "./router-settings.ts";

export const configSchema = Type.Object(
  {
    model_list: Type.Optional(
      Type.Array(ModelRow, { description: "What callers may ask for, and who serves it." }),
    ),
    router_settings: Type.Optional(RouterSettings),
    general_settings: Type.Optional(GeneralSettings),
    litellm_settings: Type.Optional(LitellmSettings),
    routeiq_settings: Type.Optional(RouteiqSettings),
    environment_variables: Type.Optional(
      Type.Record(Type.String(), Type.Union([Type.String(), Type.Number(), Type.Boolean()]), {
        description: "Stand above the process environment.",
      }),
    ),
    credential_list: Type.Optional(
      Type.Array(CredentialRow, {
        description: "Credentials that rows of `model_list` name by `litellm_credential_name`.",
      }),
    ),
    mcp_servers: Type.Optional(
      Type.Record(Type.String(), McpServerRow, {
        description: "Servers of the Model Context Protocol, by name: docs/mcp.md.",
      }),
    ),
    agent_list: Type.Optional(
      Type.Array(AgentRow, { description: "Agents that are served by A2A: docs/a2a.md." }),
    ),
    vector_store_registry: Type.Optional(
      Type.Array(RegistryRow, {
        description:
          "Vector stores that lie at a provider, opened to callers: docs/vector-stores.md.",
      }),
    ),
    finetune_settings: Type.Optional(
      Type.Array(FinetuneRow, { description: "Where models are tuned: `/v1/fine_tuning/jobs`." }),
    ),
    include: Type.Optional(
      Type.Array(Type.String(), { description: "Further files, relative to this one." }),
    ),
  },
  { $schema: "https://json-schema.org/draft/2020-12/schema", title: "RouteIQ configuration" },
);
