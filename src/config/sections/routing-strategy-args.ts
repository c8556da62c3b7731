/** `router_settings.routing_strategy_args`: how a learned router is found and used. */
import { Type } from "@sinclair/typebox";
import { customArgs } from "./custom-args.ts";
import { policyArgs } from "./policy-args.ts";
import { RolloutSettings } from "./rollout-settings.ts";

const Exploration = Type.Object(
  {
    mode: Type.Union([Type.Literal("epsilon"), Type.Literal("thompson"), Type.Literal("linucb")], {
      expected: "epsilon, thompson or linucb",
      description:
        "How another model than the best is drawn: `epsilon` evenly, `thompson` as often as it may be best, `linucb` where it may be best by far.",
    }),
    rate: Type.Number({
      default: 0.02,
      minimum: 0,
      maximum: 1,
      description:
        "Share of draws that are even among the models worth trying: none of them is drawn less often than this over their number.",
    }),
    width: Type.Number({
      default: 0.5,
      minimum: 0,
      maximum: 10,
      description:
        "Standard deviations of an interval: a model is worth trying where its interval reaches the best one's.",
    }),
    max_arms: Type.Integer({
      default: 5,
      minimum: 2,
      maximum: 32,
      description: "Models of a draw, the best ones.",
    }),
    online: Type.Optional(
      Type.Boolean({
        description:
          "Correct the router's predictions by the scores and failures of calls while serving. Default: true for thompson and linucb, false for epsilon.",
      }),
    ),
    max_usd_per_hour: Type.Optional(
      Type.Number({
        minimum: 0,
        description:
          "What exploring may cost beyond what the best models would have cost. USD an hour (UTC).",
      }),
    ),
    max_usd_per_day: Type.Number({
      default: 1,
      minimum: 0,
      description: "The same by the day (UTC). USD.",
    }),
  },
  {
    description:
      "Lets other models than the best answer now and then, to learn what they are worth.",
  },
);

export const RoutingStrategyArgs = Type.Object(
  {
    model_path: Type.Optional(
      Type.String({
        minLength: 1,
        description:
          "Where trained routers come from: a folder, `file:///…` or `s3://bucket/prefix`, laid out " +
          "as `routeiq models publish` writes it.",
      }),
    ),
    model_root: Type.Optional(
      Type.String({
        minLength: 1,
        description:
          "Trust anchor: the root file, or `sha256:<hex>` of `1.root.json`. Without it nothing is loaded.",
      }),
    ),
    model_name: Type.Optional(
      Type.String({ minLength: 1, description: "Name of the router there. Default `router`." }),
    ),
    hot_reload: Type.Optional(
      Type.Boolean({ description: "Look for a newer router while serving. Default true." }),
    ),
    reload_interval: Type.Optional(
      Type.Number({ minimum: 1, description: "Seconds between two looks. Default 300." }),
    ),
    max_stale: Type.Optional(
      Type.String({
        pattern: "^\\d+(ms|s|m|h|d)$",
        expected: "a length of time such as 7d",
        description:
          "How long past its expiry a router may serve while no newer one can be had. Default 7d.",
      }),
    ),
    fallback_strategy: Type.Optional(
      Type.String({
        description:
          "The balancer that serves while no router is in force. Default: the catalog prior, which " +
          "picks a model by its name, its price and the query's shape; simple-shuffle for " +
          "strategies that ask models.",
      }),
    ),
    tradeoff: Type.Optional(
      Type.Number({
        minimum: 0,
        maximum: 1,
        description: "0: the cheapest that holds the floor; 1: the best. Default 0.5.",
      }),
    ),
    floor: Type.Optional(
      Type.String({
        pattern: "^(0(\\.\\d+)?|1(\\.0+)?)@[^;]+(;\\s*violations\\s*=\\s*0?\\.\\d+\\s*)?$",
        expected: "a share of a model's quality such as 0.95@openai/gpt-4o",
        description:
          "Lowest quality wanted, as a share of a model's: the cheapest routing that was shown to hold it answers, else that model. With `;violations=0.05` at most that share of the queries may fall below it. Instead of `tradeoff`.",
      }),
    ),
    latency_weight: Type.Optional(
      Type.Number({
        minimum: 0,
        maximum: 100,
        description:
          "What quality the slowest model's mean latency is worth, in the same unit as quality: 0.2 gives up 0.2 of quality for it. Default 0: latency does not matter.",
      }),
    ),
    exploration: Type.Optional(Exploration),
    drift_detection: Type.Optional(
      Type.Boolean({
        description:
          "Raise an alarm when queries, scores or outcomes are no longer as they were when the router went into force. Default true.",
      }),
    ),
    balancer: Type.Optional(
      Type.String({
        description: "Picks among deployments of the chosen model. Default simple-shuffle.",
      }),
    ),
    label_mapping: Type.Optional(
      Type.Record(Type.String(), Type.String(), {
        description: "Name in the trained router → `litellm_params.model`.",
        expected: "a map of names",
      }),
    ),
    allow_unsigned_local: Type.Optional(
      Type.Boolean({
        description: "Serve an unsigned folder of this machine; shown as such. Default false.",
      }),
    ),
    quality_threshold: Type.Optional(
      Type.Number({
        description:
          "llmrouter-cost-aware: least quality that is good enough; kept in 0..1. Default 0.7.",
      }),
    ),
    cost_weight: Type.Optional(
      Type.Number({
        description: "llmrouter-cost-aware: how much price counts; kept in 0..1. Default 0.7.",
      }),
    ),
    quality_weight: Type.Optional(
      Type.Number({
        description: "llmrouter-cost-aware: how much quality counts. Default 1 − cost_weight.",
      }),
    ),
    max_cost_per_1k_tokens: Type.Optional(
      Type.Number({
        minimum: 0,
        description:
          "llmrouter-cost-aware: USD per 1,000 tokens, input and output averaged, that is too much.",
      }),
    ),
    inner_strategy: Type.Optional(
      Type.String({
        description:
          "llmrouter-cost-aware: where qualities come from: a learned strategy's predictions, or a " +
          "balancer, whose pick counts 1 and the others 0.5. Default: the router at model_path, " +
          "else every model counts 1.",
      }),
    ),
    inner_strategy_name: Type.Optional(Type.String({ description: "As `inner_strategy`." })),
    rollout: Type.Optional(RolloutSettings),
    model_s3_bucket: Type.Optional(
      Type.String({
        description: "With `model_s3_key`: the older way to write `model_path: s3://bucket/key`.",
      }),
    ),
    model_s3_key: Type.Optional(Type.String({ description: "See `model_s3_bucket`." })),
    ttl: Type.Optional(
      Type.Number({
        minimum: 1,
        description: "latency-based-routing: seconds that a sample counts. Default 3600.",
      }),
    ),
    lowest_latency_buffer: Type.Optional(
      Type.Number({
        minimum: 0,
        description:
          "latency-based-routing: also take deployments slower by this share. Default 0.",
      }),
    ),
    max_latency_list_size: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: 1000,
        description: "latency-based-routing: samples kept. Default 10.",
      }),
    ),
    ...policyArgs,
    ...customArgs,
  },
  { description: "Options of the strategy: how a learned router is found and used." },
);

/** The predecessor's options that have no meaning here: told, not used. */
export const olderStrategyArgs: ReadonlySet<string> = new Set([
  "llm_data_path",
  "config_path",
  "embedding_model",
  "embedding_device",
  "use_inference_only",
  "cost_refresh_interval",
  "enable_circuit_breaker_filtering",
  "rpm_weight",
  "tpm_weight",
]);
