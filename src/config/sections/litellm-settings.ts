/** `litellm_settings`: what LiteLLM keeps on its module. Those of its keys that mean something here. */
import { Type } from "@sinclair/typebox";
import { fallbackList } from "./router-settings.ts";

const CostMargin = Type.Object({
  percentage: Type.Optional(Type.Number({ minimum: 0, description: "Share of the price." })),
  fixed_amount: Type.Optional(Type.Number({ minimum: 0, description: "USD per call." })),
});

export const LitellmSettings = Type.Object(
  {
    drop_params: Type.Boolean({
      default: false,
      description:
        "Leave out parameters that a provider does not know instead of refusing the call.",
    }),
    modify_params: Type.Boolean({
      default: false,
      description:
        "Put right what a provider would refuse: a conversation that an assistant begins, tool calls without tools, more tokens of output than the model has.",
    }),
    request_timeout: Type.Optional(
      Type.Number({
        exclusiveMinimum: 0,
        description: "Limit of a whole call. Seconds. Default 6000.",
      }),
    ),
    return_response_headers: Type.Boolean({
      default: false,
      description:
        "Answer with more headers: `x-litellm-response-duration-ms` and limits, the cost in its parts, the provider's own as `llm_provider-…` and its rate limits.",
    }),
    include_cost_in_streaming_usage: Type.Boolean({
      default: false,
      description: "Add `usage.cost` (USD) to a stream's usage.",
    }),
    cost_discount_config: Type.Optional(
      Type.Record(Type.String(), Type.Number({ minimum: 0, maximum: 1 }), {
        expected: "a map such as {vertex_ai: 0.05}",
        description: "A provider's discount: its share of the list price, 0 to 1.",
      }),
    ),
    cost_margin_config: Type.Optional(
      Type.Record(Type.String(), Type.Union([Type.Number({ minimum: 0 }), CostMargin]), {
        expected: "a map such as {global: 0.05, openai: {percentage: 0.1, fixed_amount: 0.0005}}",
        description:
          "What is put on top of a provider's price: a share, USD per call, or both. `global` is for those not named.",
      }),
    ),
    num_retries: Type.Optional(
      Type.Integer({ minimum: 0, maximum: 100, description: "As in router_settings, which wins." }),
    ),
    allowed_fails: Type.Optional(
      Type.Integer({ minimum: 0, description: "As in router_settings, which wins." }),
    ),
    fallbacks: fallbackList("As in router_settings, which wins."),
    context_window_fallbacks: fallbackList("As in router_settings, which wins."),
    content_policy_fallbacks: fallbackList("As in router_settings, which wins."),
    default_fallbacks: Type.Optional(
      Type.Array(Type.String(), { description: "As in router_settings, which wins." }),
    ),
  },
  { description: "LiteLLM's module settings." },
);
