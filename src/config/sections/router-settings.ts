/** `router_settings`: how a call finds its model and moves between deployments. LiteLLM's names. */
import { Type } from "@sinclair/typebox";
import { RoutingStrategyArgs } from "./routing-strategy-args.ts";

const groups = Type.Array(Type.Union([Type.String(), Type.Record(Type.String(), Type.Unknown())]));
export const fallbackList = (description: string) =>
  Type.Optional(
    Type.Array(Type.Record(Type.String(), groups), {
      description,
      expected: 'a list such as [{"gpt-4o": ["claude-sonnet"]}]',
    }),
  );

const retries = (when: string) =>
  Type.Optional(
    Type.Integer({ minimum: 0, maximum: 100, description: `Attempts after the first ${when}.` }),
  );
const fails = (when: string) =>
  Type.Optional(
    Type.Integer({ minimum: 0, description: `Failures ${when} before a deployment rests.` }),
  );

const RetryPolicyKeys = {
  BadRequestErrorRetries: retries("after a 400"),
  AuthenticationErrorRetries: retries("after a 401"),
  NotFoundErrorRetries: retries("after a 404"),
  TimeoutErrorRetries: retries("after a timeout"),
  RateLimitErrorRetries: retries("after a 429"),
  ContentPolicyViolationErrorRetries: retries("after a refusal of content"),
  InternalServerErrorRetries: retries("after a 500"),
  ServiceUnavailableErrorRetries: retries("after a 503"),
  DefaultRetries: retries("after anything else"),
};

export const RetryPolicy = Type.Object(RetryPolicyKeys);

export const AllowedFailsPolicy = Type.Object({
  BadRequestErrorAllowedFails: fails("with a 400"),
  AuthenticationErrorAllowedFails: fails("with a 401"),
  NotFoundErrorAllowedFails: fails("with a 404"),
  TimeoutErrorAllowedFails: fails("by timeout"),
  RateLimitErrorAllowedFails: fails("with a 429"),
  ContentPolicyViolationErrorAllowedFails: fails("by refusal of content"),
  InternalServerErrorAllowedFails: fails("with a 500"),
  BadGatewayErrorAllowedFails: fails("with a 502"),
  ServiceUnavailableErrorAllowedFails: fails("with a 503"),
});

export const RouterSettings = Type.Object(
  {
    routing_strategy: Type.String({
      default: "simple-shuffle",
      description:
        "A balancer (simple-shuffle, least-busy, latency-based-routing, usage-based-routing, " +
        "usage-based-routing-v2, cost-based-routing) over a group's deployments, or a learned " +
        "strategy (llmrouter-knn …) that ranks its models for each query, or auto: whatever " +
        "router was trained, and what the catalog says until there is one.",
    }),
    routing_strategy_args: Type.Object(RoutingStrategyArgs.properties, {
      default: {},
      description: RoutingStrategyArgs.description ?? "",
    }),
    num_retries: Type.Optional(
      Type.Integer({
        minimum: 0,
        maximum: 100,
        description:
          "Attempts after the first, on any deployment of the model. 0 turns retries off. Default 2.",
      }),
    ),
    retry_after: Type.Number({
      default: 0,
      minimum: 0,
      description: "Seconds before a retry, at least.",
    }),
    retry_policy: Type.Optional(
      Type.Object(RetryPolicy.properties, {
        description: "Attempts after the first, by kind of failure.",
      }),
    ),
    model_group_retry_policy: Type.Optional(
      Type.Record(Type.String(), RetryPolicy, {
        description: "`retry_policy` of single groups, above the general one.",
        expected: "a map of groups",
      }),
    ),
    fallbacks: fallbackList("Groups that serve when a group has failed. `*` as name: any group."),
    context_window_fallbacks: fallbackList("The same where the input is too long for the model."),
    content_policy_fallbacks: fallbackList("The same where the provider refuses the content."),
    default_fallbacks: Type.Optional(
      Type.Array(Type.String(), { description: "Groups that serve when any group has failed." }),
    ),
    max_fallbacks: Type.Integer({
      default: 5,
      minimum: 0,
      maximum: 100,
      description: "Groups tried after the first.",
    }),
    allowed_fails: Type.Optional(
      Type.Integer({
        minimum: 0,
        description:
          "Failures within `cooldown_time` before a deployment rests. Unset: judged by the rate of failures.",
      }),
    ),
    allowed_fails_policy: Type.Optional(
      Type.Object(AllowedFailsPolicy.properties, {
        description: "`allowed_fails` by kind of failure.",
      }),
    ),
    cooldown_time: Type.Number({
      default: 5,
      minimum: 0,
      description: "Seconds a failing deployment rests before it is tried again.",
    }),
    disable_cooldowns: Type.Boolean({
      default: false,
      description: "Never let a deployment rest.",
    }),
    timeout: Type.Optional(
      Type.Number({
        exclusiveMinimum: 0,
        description: "Limit of a whole call. Seconds. Default: litellm_settings.request_timeout.",
      }),
    ),
    stream_timeout: Type.Optional(
      Type.Number({
        exclusiveMinimum: 0,
        description: "The same for streams, until the first token. Seconds.",
      }),
    ),
    ttft_timeout: Type.Optional(
      Type.Number({
        exclusiveMinimum: 0,
        description: "A stream's first token, above `stream_timeout`. Seconds.",
      }),
    ),
    stream_idle_timeout: Type.Optional(
      Type.Number({
        exclusiveMinimum: 0,
        description: "Silence between a stream's events, above `stream_timeout`. Seconds.",
      }),
    ),
    model_group_alias: Type.Optional(
      Type.Record(
        Type.String(),
        Type.Union([
          Type.String(),
          Type.Object({ model: Type.String(), hidden: Type.Optional(Type.Boolean()) }),
        ]),
        {
          description:
            "Further names of groups: `{gpt-4: gpt-4o}` or `{gpt-4: {model: gpt-4o, hidden: true}}`.",
          expected: "a map of names to groups",
        },
      ),
    ),
    enable_pre_call_checks: Type.Boolean({
      default: false,
      description:
        "Leave out deployments whose context window, rpm or tpm the call would exceed, and those that lack what it needs.",
    }),
    optional_pre_call_checks: Type.Optional(
      Type.Array(Type.String(), {
        description:
          "`enforce_model_rate_limits`: a deployment's rpm and tpm are limits, whatever the strategy. Conversations and responses stick to their deployment unasked.",
      }),
    ),
    enable_tag_filtering: Type.Boolean({
      default: false,
      description:
        "Tags of a request (`tags`, `metadata.tags`, `x-litellm-tags`) choose among the deployments that carry them; `default` is for the rest.",
    }),
    tag_filtering_match_any: Type.Boolean({
      default: true,
      description: "One shared tag is enough; false: the deployment must carry all of them.",
    }),
    default_max_parallel_requests: Type.Optional(
      Type.Integer({
        minimum: 1,
        description: "Calls in flight to a deployment that has no limit, rpm or tpm of its own.",
      }),
    ),
    default_priority: Type.Optional(
      Type.Integer({
        description:
          "Priority of a call that names none, where calls wait. Lower is sooner. See routeiq_settings.concurrency.",
      }),
    ),
    default_litellm_params: Type.Optional(
      Type.Record(Type.String(), Type.Unknown(), {
        description: "`litellm_params` that every row has unless it says otherwise.",
        expected: "a map of keys",
      }),
    ),
  },
  { description: "How a call finds its model and moves between deployments." },
);
