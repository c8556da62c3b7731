/** `model_list`: what callers may ask for, and who serves it. Key names are LiteLLM's. */
import { Type } from "@sinclair/typebox";
import { AllowedFailsPolicy } from "./router-settings.ts";

const seconds = (description: string) =>
  Type.Optional(Type.Number({ minimum: 0, description: `${description} Seconds.` }));
const usdPerToken = (description: string) =>
  Type.Optional(Type.Number({ minimum: 0, description: `${description} USD per token.` }));
const texts = (description: string) =>
  Type.Optional(
    Type.Record(Type.String(), Type.String(), { description, expected: "a map of texts" }),
  );

export const LitellmParams = Type.Object(
  {
    model: Type.String({
      minLength: 1,
      expected: "a name such as openai/gpt-4o",
      description:
        "`provider/model` as the provider knows it. Also the candidate's name in routing.",
    }),
    custom_llm_provider: Type.Optional(
      Type.String({ description: "The provider, where the model's prefix does not say it." }),
    ),
    api_base: Type.Optional(
      Type.String({
        description: "Base URL. May be loopback or private. Default: the provider's own.",
      }),
    ),
    base_url: Type.Optional(Type.String({ description: "Another name for `api_base`." })),
    api_key: Type.Optional(
      Type.String({
        description:
          "A reference (`os.environ/NAME`, `file:///run/secrets/name`) or the key itself. " +
          "Default: the provider's own environment variable.",
      }),
    ),
    api_version: Type.Optional(
      Type.String({
        description:
          "Azure OpenAI's. Default: AZURE_API_VERSION, else 2025-02-01-preview. `v1`: its newer paths.",
      }),
    ),
    azure_ad_token: Type.Optional(
      Type.String({ description: "Azure: a token of Entra ID, in place of a key." }),
    ),
    tenant_id: Type.Optional(
      Type.String({
        description: "Azure: with client_id and client_secret, tokens are got by us.",
      }),
    ),
    client_id: Type.Optional(Type.String({ description: "Azure: the application's id." })),
    client_secret: Type.Optional(Type.String({ description: "Azure: the application's secret." })),
    vertex_project: Type.Optional(
      Type.String({
        description:
          "Vertex AI: the project. Default: VERTEXAI_PROJECT, else the credentials' own.",
      }),
    ),
    vertex_location: Type.Optional(
      Type.String({ description: "Vertex AI. Default: VERTEXAI_LOCATION, else us-central1." }),
    ),
    vertex_credentials: Type.Optional(
      Type.Union([Type.String(), Type.Record(Type.String(), Type.Unknown()), Type.Null()], {
        expected: "Google's credentials as JSON, or the path of their file",
        description:
          "Vertex AI: a service account's key or a gcloud login, as JSON or as the path of its " +
          "file; `metadata` for the account that the machine itself runs as on Google's clouds. " +
          "Default: GOOGLE_APPLICATION_CREDENTIALS, else gcloud's own file, else `metadata`.",
      }),
    ),
    aws_region_name: Type.Optional(
      Type.String({
        description: "Bedrock. Default: the ARN's, AWS_REGION_NAME, AWS_REGION, else us-west-2.",
      }),
    ),
    aws_access_key_id: Type.Optional(
      Type.String({
        description:
          "Bedrock, with `aws_secret_access_key`. Default: AWS_BEARER_TOKEN_BEDROCK, else what " +
          "the AWS tools find (environment, files, container, instance).",
      }),
    ),
    aws_secret_access_key: Type.Optional(
      Type.String({ description: "Bedrock: the secret of `aws_access_key_id`." }),
    ),
    aws_session_token: Type.Optional(
      Type.String({ description: "Bedrock: the token of a session's key." }),
    ),
    aws_profile_name: Type.Optional(
      Type.String({ description: "Bedrock: a profile of the AWS tools' files." }),
    ),
    aws_role_name: Type.Optional(
      Type.String({ description: "Bedrock: the ARN of a role to assume." }),
    ),
    aws_session_name: Type.Optional(
      Type.String({ description: "Bedrock: the name of the role's session. Default: routeiq." }),
    ),
    aws_external_id: Type.Optional(
      Type.String({ description: "Bedrock: what the role's owner asks for beside its ARN." }),
    ),
    aws_web_identity_token: Type.Optional(
      Type.String({
        description:
          "Bedrock: with `aws_role_name`, the token, its file, or oidc/env/NAME, oidc/file/PATH.",
      }),
    ),
    aws_sts_endpoint: Type.Optional(
      Type.String({ description: "Bedrock: where roles are assumed. Default: the region's own." }),
    ),
    aws_bedrock_runtime_endpoint: Type.Optional(
      Type.String({
        description:
          "Bedrock's address. Default: AWS_BEDROCK_RUNTIME_ENDPOINT, else the region's own.",
      }),
    ),
    model_id: Type.Optional(
      Type.String({
        description: "Bedrock: an ARN that is called in the model's place (profile, throughput).",
      }),
    ),
    organization: Type.Optional(Type.String({ description: "OpenAI's organization header." })),
    weight: Type.Optional(
      Type.Number({
        minimum: 0,
        description: "Share of a group's calls under simple-shuffle. 0: only when alone.",
      }),
    ),
    rpm: Type.Optional(
      Type.Number({ minimum: 0, description: "Requests per minute of this deployment." }),
    ),
    tpm: Type.Optional(
      Type.Number({ minimum: 0, description: "Tokens per minute of this deployment." }),
    ),
    order: Type.Optional(
      Type.Integer({
        description:
          "Deployments with the lowest number come first; the next serve when those fail.",
      }),
    ),
    max_parallel_requests: Type.Optional(
      Type.Integer({ minimum: 1, description: "Calls in flight to this deployment at most." }),
    ),
    timeout: seconds("Limit of a whole call to this deployment."),
    request_timeout: seconds("Another name for `timeout`."),
    stream_timeout: seconds("The same for streams, until the first token."),
    ttft_timeout: seconds("A stream's first token, above `stream_timeout`."),
    stream_idle_timeout: seconds("Silence between a stream's events, above `stream_timeout`."),
    num_retries: Type.Optional(
      Type.Integer({
        minimum: 0,
        maximum: 100,
        description: "Attempts after the first; above the router's value.",
      }),
    ),
    cooldown_time: seconds("How long this deployment rests after failing. 0: never."),
    tags: Type.Optional(
      Type.Array(Type.String(), {
        description:
          "Which tagged requests it serves, under `enable_tag_filtering`; `default`: those whose tags match nothing.",
      }),
    ),
    region_name: Type.Optional(
      Type.String({
        description:
          "Where its data stays: `eu`, `us-east-1`. For requests with `allowed_model_region`. Default: what its cloud's own key says.",
      }),
    ),
    litellm_credential_name: Type.Optional(
      Type.String({
        description: "An entry of `credential_list`, whose values stand where the row has none.",
      }),
    ),
    configurable_clientside_auth_params: Type.Optional(
      Type.Union(
        [
          Type.Array(Type.Union([Type.String(), Type.Record(Type.String(), Type.String())])),
          Type.Record(Type.String(), Type.String()),
        ],
        {
          expected: "a list such as [api_key, api_base]",
          description:
            "What a request may set of `api_key` and `api_base`; `{api_base: '^https://…'}` by pattern. The operator's key never goes to a caller's address.",
        },
      ),
    ),
    mock_response: Type.Optional(
      Type.Union(
        [Type.String(), Type.Record(Type.String(), Type.Unknown()), Type.Array(Type.Number())],
        {
          expected: "a text, a reply or a list of numbers",
          description:
            "Answered in the provider's place, which is never asked. `litellm.RateLimitError` and the like fail so.",
        },
      ),
    ),
    mock_timeout: Type.Optional(
      Type.Boolean({
        description: "The deployment never answers, so that its timeout ends calls.",
      }),
    ),
    mock_delay: seconds("The mock's answer takes this long."),
    additional_drop_params: Type.Optional(
      Type.Array(Type.String(), {
        description:
          "Fields of the body that this deployment does not get: `seed`, `tools[*].function.strict`.",
      }),
    ),
    allowed_openai_params: Type.Optional(
      Type.Array(Type.String(), {
        description: "Parameters that it takes although its provider is not known to.",
      }),
    ),
    input_cost_per_token: usdPerToken("Price of input; above the catalog's."),
    output_cost_per_token: usdPerToken("Price of output; above the catalog's."),
    cache_read_input_token_cost: usdPerToken("Price of input read from the provider's cache."),
    cache_creation_input_token_cost: usdPerToken("Price of input written to the provider's cache."),
    use_in_pass_through: Type.Optional(
      Type.Boolean({
        description: "Its key and base serve `/<provider>/*` too, the provider's own API.",
      }),
    ),
    drop_params: Type.Optional(
      Type.Boolean({
        description: "Leave out parameters that the provider does not know instead of refusing.",
      }),
    ),
    modify_params: Type.Optional(
      Type.Boolean({ description: "As in litellm_settings, for this deployment." }),
    ),
    keepalive_seconds: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: 300,
        description:
          "Seconds of silence after which a stream that has begun says `: ping`; above general_settings.sse_keepalive_ping_interval_seconds.",
      }),
    ),
    merge_reasoning_content_in_choices: Type.Optional(
      Type.Boolean({
        description:
          "Chat: what the model thinks stands in the answer's content, as `<think>…</think>`, and not in `reasoning_content`.",
      }),
    ),
    headers: texts("Headers sent with every request."),
    extra_headers: texts("Headers sent with every request."),
    extra_body: Type.Optional(
      Type.Record(Type.String(), Type.Unknown(), {
        description: "Fields added to every request's body.",
      }),
    ),
  },
  {
    description: "How to reach the model. Any other key is a default field of the request's body.",
  },
);

export const ModelInfo = Type.Object(
  {
    id: Type.Optional(
      Type.String({
        minLength: 1,
        description: "The deployment's id. Default: a hash of its litellm_params.",
      }),
    ),
    mode: Type.Optional(
      Type.String({
        description: "`chat` (default) or `embedding`; LiteLLM's other words are kept.",
      }),
    ),
    description: Type.Optional(
      Type.String({
        description:
          "What a routing model is told of it (llmrouter-causallm, -r1, -llm-multiround).",
      }),
    ),
    base_model: Type.Optional(
      Type.String({
        description:
          "The catalog's name of the model, where the deployment's tells nothing (Azure).",
      }),
    ),
    max_tokens: Type.Optional(
      Type.Integer({ minimum: 1, description: "Tokens of output at most." }),
    ),
    max_input_tokens: Type.Optional(
      Type.Integer({ minimum: 1, description: "Context window: tokens of input at most." }),
    ),
    max_output_tokens: Type.Optional(
      Type.Integer({ minimum: 1, description: "Tokens of output at most." }),
    ),
    input_cost_per_token: usdPerToken("Price of input; above the catalog's."),
    output_cost_per_token: usdPerToken("Price of output; above the catalog's."),
    cache_read_input_token_cost: usdPerToken("Price of input read from the provider's cache."),
    cache_creation_input_token_cost: usdPerToken("Price of input written to the provider's cache."),
    supports_function_calling: Type.Optional(
      Type.Boolean({ description: "Whether it takes tools." }),
    ),
    supports_vision: Type.Optional(Type.Boolean({ description: "Whether it takes images." })),
    supports_response_schema: Type.Optional(
      Type.Boolean({ description: "Whether it holds to a JSON schema." }),
    ),
    supports_audio_input: Type.Optional(Type.Boolean({ description: "Whether it takes audio." })),
    supports_reasoning: Type.Optional(
      Type.Boolean({ description: "Whether it reasons before it answers." }),
    ),
    supported_environments: Type.Optional(
      Type.Array(Type.String(), {
        description:
          "Serve the row only where LITELLM_ENVIRONMENT is one of these: production, staging, development.",
      }),
    ),
    disable_background_health_check: Type.Optional(
      Type.Boolean({ description: "Left out of `background_health_checks`." }),
    ),
    cooldown_time: seconds("As in litellm_params, which wins."),
    allowed_fails: Type.Optional(
      Type.Integer({ minimum: 0, description: "The router's, for this deployment." }),
    ),
    allowed_fails_policy: Type.Optional(
      Type.Object(AllowedFailsPolicy.properties, {
        description: "The router's, for this deployment.",
      }),
    ),
    size_b: Type.Optional(
      Type.Number({
        exclusiveMinimum: 0,
        description: "Billions of parameters, for llmrouter-smallest and -largest.",
      }),
    ),
  },
  { description: "What is known of the model; above the catalog's facts." },
);

export const ModelRow = Type.Object({
  model_name: Type.String({
    minLength: 1,
    expected: "a name",
    description:
      "What callers ask for. Rows with one name form a group. A `*` matches anything: `openai/*`.",
  }),
  litellm_params: LitellmParams,
  model_info: Type.Optional(ModelInfo),
});
