/** `general_settings`: the gateway as a server. Key names are LiteLLM's. */
import { Type } from "@sinclair/typebox";

export const PassThroughRow = Type.Object({
  path: Type.String({
    pattern: "^/[^?#]*[^/?#]$",
    expected: "a path such as /v1/rerank",
    description: "What callers ask for. It stands above the gateway's own paths.",
  }),
  target: Type.String({
    pattern: "^https?://",
    expected: "an http or https address",
    description: "Where it leads. May be loopback or private.",
  }),
  headers: Type.Optional(
    Type.Record(Type.String(), Type.String(), {
      expected: "a map of texts",
      description:
        "Sent along, such as the service's key; `os.environ/NAME` within a value counts.",
    }),
  ),
  auth: Type.Optional(
    Type.Boolean({
      description:
        "Whether callers need a key of this gateway. Default true, unlike LiteLLM's: the service's key is lent out.",
    }),
  ),
  forward_headers: Type.Optional(
    Type.Boolean({
      description: "Whether the caller's headers go along, keys apart. Default false.",
    }),
  ),
  include_subpath: Type.Optional(
    Type.Boolean({
      description: "Whether what follows the path is put after the target. Default false.",
    }),
  ),
  cost_per_request: Type.Optional(
    Type.Number({ minimum: 0, description: "USD per request, where nothing tells what was used." }),
  ),
  timeout: Type.Optional(
    Type.Number({
      exclusiveMinimum: 0,
      description: "Above `pass_through_request_timeout`. Seconds.",
    }),
  ),
});

const forced = (what: string) =>
  Type.Optional(
    Type.String({
      minLength: 1,
      description: `The model that answers all ${what}, whatever requests name.`,
    }),
  );

export const GeneralSettings = Type.Object(
  {
    master_key: Type.Optional(
      Type.String({
        minLength: 1,
        description:
          "The key of the administrator; a reference, best. Default: LITELLM_MASTER_KEY. Without one, " +
          "callers on loopback need no key, and any wider address is refused at start.",
      }),
    ),
    key_management_system: Type.Optional(
      Type.String({
        description:
          "Where `os.environ/NAME` is looked up before the environment: aws_secret_manager, google_secret_manager, azure_key_vault or hashicorp_vault. Read at start and at every reload.",
      }),
    ),
    key_management_settings: Type.Optional(
      Type.Object(
        {
          hosted_keys: Type.Optional(
            Type.Array(Type.String(), { description: "Only these names are looked up there." }),
          ),
          primary_secret_name: Type.Optional(
            Type.String({
              description: "AWS: one secret that holds all others, as a JSON object by name.",
            }),
          ),
          access_mode: Type.Optional(
            Type.Union(
              ["read_only", "write_only", "read_and_write"].map((mode) => Type.Literal(mode)),
              {
                expected: "read_only, write_only or read_and_write",
                description: "With write_only nothing is read. Nothing is ever written.",
              },
            ),
          ),
        },
        {
          additionalProperties: true,
          description:
            "LiteLLM's further settings of the store (`aws_region_name` …) are read too.",
        },
      ),
    ),
    max_in_flight_requests_per_worker: Type.Optional(
      Type.Integer({
        minimum: 1,
        description: "Calls in the gateway at once; see routeiq_settings.concurrency.max_calls.",
      }),
    ),
    max_queued_requests_per_worker: Type.Optional(
      Type.Integer({
        minimum: 0,
        description: "Calls that may wait; see routeiq_settings.concurrency.max_queued.",
      }),
    ),
    admission_queue_timeout_seconds: Type.Optional(
      Type.Number({
        exclusiveMinimum: 0,
        description: "How long they wait; see routeiq_settings.concurrency.max_wait_ms. Seconds.",
      }),
    ),
    litellm_key_header_name: Type.Optional(
      Type.String({
        pattern: "^[A-Za-z0-9-]{1,64}$",
        expected: "a header's name",
        description: "A header of your own in which callers send their key, above the usual ones.",
      }),
    ),
    forward_client_headers_to_llm_api: Type.Boolean({
      default: false,
      description:
        "Callers' own `x-…` headers go along to providers; those of gateways and of connections never do.",
    }),
    background_health_checks: Type.Boolean({
      default: false,
      description:
        "Ask every deployment for its health every `health_check_interval`; `GET /health` then tells the last answers. It costs what it asks for.",
    }),
    health_check_interval: Type.Number({
      default: 300,
      minimum: 1,
      maximum: 86_400,
      description: "Seconds between two rounds of background health checks.",
    }),
    always_include_stream_usage: Type.Boolean({
      default: false,
      description: "Streams of chat tell what was used, whether their callers ask or not.",
    }),
    sse_keepalive_ping_interval_seconds: Type.Optional(
      Type.Number({
        minimum: 1,
        maximum: 300,
        description:
          "Seconds of silence after which a stream that has begun says `: ping`, a comment, so that no proxy cuts it. Unset: never.",
      }),
    ),
    completion_model: forced("chat and text completions"),
    embedding_model: forced("embeddings"),
    image_generation_model: forced("images"),
    moderation_model: forced("moderations"),
    pass_through_endpoints: Type.Optional(
      Type.Array(PassThroughRow, {
        description: "Paths that lead to other services, under this gateway's keys.",
      }),
    ),
    pass_through_request_timeout: Type.Number({
      default: 600,
      exclusiveMinimum: 0,
      description: "How long a service behind a way through may take to begin its answer. Seconds.",
    }),
    max_request_size_mb: Type.Optional(
      Type.Number({
        exclusiveMinimum: 0,
        maximum: 1024,
        description: "Limit of a request's body in MiB; 413 above it.",
      }),
    ),
    max_response_size_mb: Type.Optional(
      Type.Number({
        exclusiveMinimum: 0,
        maximum: 1024,
        description:
          "Limit of a provider's whole answer in MiB; 502 above it, and no more than that is read. Streams have none. Default, and at the most: 64.",
      }),
    ),
  },
  { description: "The gateway as a server." },
);
