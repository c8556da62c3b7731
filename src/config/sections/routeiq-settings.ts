/** `routeiq_settings`: what LiteLLM has no name for. */
import { Type } from "@sinclair/typebox";
import { AgentSettings } from "./agent-settings.ts";
import { ExperimentSettings } from "./experiment-settings.ts";
import { HostedToolSection } from "./hosted-tools.ts";
import { KeyRow } from "./key-settings.ts";
import { McpSection } from "./mcp-settings.ts";
import { BatchSettings, FileSettings, ResponseSettings } from "./memory-settings.ts";
import {
  ConcurrencySettings,
  ContinuationSettings,
  HedgingSettings,
  IdempotencySettings,
} from "./survival-settings.ts";
import { TelemetrySettings } from "./telemetry-settings.ts";
import { VectorStoreSettings } from "./vector-store-settings.ts";

const ms = (fallback: number, description: string) =>
  Type.Integer({
    default: fallback,
    minimum: 1,
    maximum: 86_400_000,
    description: `${description} Milliseconds.`,
  });

const AutoModelSettings = Type.Object({
  candidates: Type.Optional(
    Type.Array(Type.String(), {
      description: "Groups it ranks over. Default: every chat group of the caller.",
    }),
  ),
});

export const RouteiqSettings = Type.Object(
  {
    auto_models: Type.Record(Type.String(), AutoModelSettings, {
      default: { auto: {} },
      description:
        "Names that mean: choose for me. `{auto: {candidates: [gpt-4o, claude-sonnet]}}`.",
      expected: "a map of names",
    }),
    experiments: Type.Record(Type.String(), ExperimentSettings, {
      default: {},
      description:
        "A/B experiments by id: calls shared between variants of routing, the same users always with the same one. See docs/rollout.md.",
      expected: "a map of experiments",
    }),
    experiment_figures: Type.Optional(
      Type.String({
        minLength: 1,
        description:
          "Where the gateways of a fleet share what experiments came to, so that results and stops are of all their calls: a folder or `s3://bucket/prefix` that all may write. Processes of one data folder share without it.",
        examples: ["s3://models/router-experiments"],
      }),
    ),
    timeouts: Type.Object(
      {
        connect_ms: ms(3_000, "Name resolution, connection and TLS together."),
        first_token_ms: ms(
          300_000,
          "Until a stream's first token; pings and headers do not count.",
        ),
        idle_ms: ms(120_000, "Between two events of a stream."),
        total_ms: ms(6_000_000, "A whole call, all attempts."),
        write_stall_ms: ms(30_000, "How long a caller may not read before the call is given up."),
        receive_ms: ms(
          30_000,
          "For a request's head and body to come; bodies over 64 KiB get a second more per 8 kB. Heads and small bodies: at most 255 s, as at the start of the process.",
        ),
      },
      { default: {}, description: "Timers of a call. LiteLLM's timeouts win where set." },
    ),
    max_attempts: Type.Integer({
      default: 8,
      minimum: 1,
      maximum: 100,
      description: "Attempts of one call at most, over all retries and fallbacks.",
    }),
    body_limit_bytes: Type.Integer({
      default: 33_554_432,
      minimum: 1024,
      maximum: 1_073_741_824,
      description:
        "Limit of a request's body; 413 above it. general_settings.max_request_size_mb wins.",
    }),
    cors_origins: Type.Array(Type.String(), {
      default: [],
      description: 'Origins whose pages may call: exact ones, or ["*"]. Empty: no CORS headers.',
    }),
    telemetry: TelemetrySettings,
    price_file: Type.Optional(
      Type.String({
        minLength: 1,
        description:
          "A JSON file of prices in LiteLLM's format (model_prices_and_context_window.json), above the built-in ones. Relative to the configuration's folder. Default: LITELLM_MODEL_COST_MAP_URL where it is a file:// address; nothing is fetched.",
      }),
    ),
    responses: ResponseSettings,
    files: FileSettings,
    encryption: Type.Object(
      {
        salt_key: Type.Optional(
          Type.String({
            minLength: 1,
            description:
              "Long and random; a reference, best. Default: LITELLM_SALT_KEY, else the master key, else a key made in the data folder.",
          }),
        ),
        previous_salt_keys: Type.Array(Type.String({ minLength: 1 }), {
          default: [],
          description:
            "Former keys: what they sealed is read, and sealed again with the one in force.",
        }),
      },
      {
        default: {},
        description:
          "How credentials that are registered by API (MCP servers, agents, vector databases) are encrypted at rest: AES-256-GCM.",
      },
    ),
    skills: Type.Object(
      {
        folder: Type.Optional(
          Type.String({
            minLength: 1,
            description:
              "The operator's skills, a folder each. Default: ROUTEIQ_SKILLS_DIR, ./skills, ./docs/skills, whichever is there first.",
          }),
        ),
        timeout_ms: ms(5_000, "How long a skill may run."),
        memory_mb: Type.Integer({
          default: 64,
          minimum: 1,
          maximum: 1_024,
          description: "Memory that a skill may use, in MiB.",
        }),
        output_bytes: Type.Integer({
          default: 1_048_576,
          minimum: 1,
          description: "Bytes that a skill may answer.",
        }),
        concurrency: Type.Integer({
          default: 4,
          minimum: 1,
          maximum: 64,
          description: "Skills at work at once; a thread each.",
        }),
        hosts: Type.Array(Type.String(), {
          default: [],
          description:
            "Hosts that skills of callers may reach, if they ask for them. Default: none.",
        }),
        python_runtime: Type.Optional(
          Type.String({
            minLength: 1,
            description:
              "Python's runtime for skills, an archive or a folder. Default: ROUTEIQ_PYTHON_RUNTIME, what `routeiq skills install-python` installed, the archive beside the executable.",
          }),
        ),
      },
      { default: {}, description: "Skills: what they are and what they may use." },
    ),
    vector_stores: VectorStoreSettings,
    a2a: AgentSettings,
    batches: BatchSettings,
    mcp: McpSection,
    hosted_tools: HostedToolSection,
    keys: Type.Record(Type.String(), KeyRow, {
      default: {},
      description:
        "Callers' keys by name, beside the master key, and what they open: docs/keys.md. Names have letters, digits, `_`, `-` and `.`.",
      expected: "a map of names",
    }),
    concurrency: ConcurrencySettings,
    continuation: ContinuationSettings,
    hedging: HedgingSettings,
    idempotency: IdempotencySettings,
    embedding: Type.Object(
      {
        onnx_path: Type.Optional(
          Type.String({
            description:
              "Folder of a sentence transformer (ONNX) to embed queries with, in a worker.",
          }),
        ),
        model: Type.Optional(
          Type.String({
            description:
              "Embeddings model (a model_name) to embed queries with, for routers trained on its vectors. A network call per decision.",
          }),
        ),
        dimensions: Type.Optional(
          Type.Integer({
            minimum: 1,
            maximum: 8192,
            description: "Length of that model's vectors.",
          }),
        ),
        normalize: Type.Boolean({
          default: true,
          description:
            "Brings vectors to unit length. false for routers whose vectors were not, such as LLMRouter's of Longformer.",
        }),
        timeout_ms: Type.Integer({
          default: 250,
          minimum: 1,
          maximum: 30_000,
          description:
            "How long a decision may take where its embedding is made elsewhere; past it, routing of that call is static.",
        }),
      },
      { default: {}, description: "How queries become vectors." },
    ),
    outbound: Type.Object(
      {
        allow_cidrs: Type.Array(Type.String(), {
          default: [],
          description:
            "Address ranges that addresses out of requests may reach: 10.1.0.0/16. Metadata services never.",
        }),
        allow_hosts: Type.Array(Type.String(), {
          default: [],
          description:
            "Hosts that addresses out of requests may reach although private: exact, or `*.example.com`.",
        }),
      },
      {
        default: {},
        description:
          "What is opened for addresses that come by request. Addresses in this file need none of it.",
      },
    ),
    realtime: Type.Object(
      {
        idle_ms: ms(900_000, "Silence of both sides after which a session is closed."),
        max_session_ms: ms(7_200_000, "How long a session may last."),
        max_message_bytes: Type.Integer({
          default: 16_777_216,
          minimum: 1024,
          maximum: 134_217_728,
          description:
            "Bytes of one message, either way; a larger one closes the session with 1009. Read at start.",
        }),
      },
      {
        default: {},
        description:
          "Sessions over WebSocket (`/v1/realtime`). A model's `timeout` bounds their opening, not their length.",
      },
    ),
    upstream_protocol: Type.Union([Type.Literal("http1"), Type.Literal("http2")], {
      default: "http1",
      description: "How providers are spoken to over TLS.",
    }),
    reload: Type.Object(
      {
        watch: Type.Boolean({
          default: true,
          description:
            "Take changed files (this one, includes, prices, secrets) into service as they change. CONFIG_HOT_RELOAD wins.",
        }),
        interval_seconds: Type.Number({
          default: 5,
          minimum: 0.5,
          maximum: 86_400,
          description:
            "How often files are looked at where the system tells of no changes. Seconds.",
        }),
        remote_interval_seconds: Type.Number({
          default: 60,
          minimum: 1,
          maximum: 86_400,
          description:
            "How often a bucket is asked, by ETag. CONFIG_SYNC_INTERVAL wins; CONFIG_SYNC_ENABLED=false turns it off. Seconds.",
        }),
      },
      { default: {}, description: "How a changed configuration is noticed. Whole or not at all." },
    ),
    http_client: Type.Union([Type.Literal("own"), Type.Literal("fetch")], {
      default: "own",
      description:
        "What speaks HTTP/1.1 to providers: the gateway's own client, or the runtime's. The latter also where HTTP/2 is chosen or HTTP_PROXY is set.",
    }),
    upstream_idle_ms: Type.Integer({
      default: 30_000,
      minimum: 1_000,
      maximum: 600_000,
      description:
        "How long the gateway's own client keeps an idle connection to a provider. A provider's `Keep-Alive: timeout` shortens it. Milliseconds.",
    }),
    mock_requests: Type.Union(
      [Type.Literal("anyone"), Type.Literal("admin"), Type.Literal("nobody")],
      {
        default: "anyone",
        description:
          "Who may send `mock_response`, `mock_timeout` and `mock_testing_…`. Such calls cost nothing, reach no provider, say nothing of a deployment's health and are not learnt from.",
      },
    ),
    drain_ms: ms(30_000, "How long streams may finish after SIGTERM."),
  },
  { description: "What LiteLLM has no name for." },
);
