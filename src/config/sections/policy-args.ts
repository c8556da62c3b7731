/** Options of the strategies that ask language models: keys of `routing_strategy_args`. */
import { Type } from "@sinclair/typebox";

const text = (description: string) => Type.Optional(Type.String({ minLength: 1, description }));

const share = Type.Number({ minimum: 0, maximum: 1 });

export const policyArgs = {
  router_model: text(
    "Group of the language model that routes: llmrouter-causallm, -r1, -knn-multiround, -llm-multiround.",
  ),
  base_model: text("LLMRouter's name of `router_model` in its multi-round strategies."),
  merge_model: text(
    "Multi-round strategies: group that joins the parts' answers. Default `router_model`.",
  ),
  router_api: Type.Optional(
    Type.Union([Type.Literal("chat"), Type.Literal("completion")], {
      description:
        "llmrouter-causallm: the API that the routing model is asked by; `completion` for models without a chat template. Default chat.",
      expected: "chat or completion",
    }),
  ),
  prompt_template: text(
    "llmrouter-causallm, llmrouter-r1: the prompt that the routing model was trained on. {models}, {descriptions} and {query} (also {question}) are filled in.",
  ),
  continue_final_message: Type.Optional(
    Type.Boolean({
      description:
        "llmrouter-r1: the model goes on writing one turn, as Router-R1's were trained (vLLM), instead of a chat's turns. Default false.",
    }),
  ),
  model_descriptions: Type.Optional(
    Type.Record(Type.String(), Type.String(), {
      description:
        "What a routing model is told of a model or group, beside price and size. Also `model_info.description`.",
      expected: "a map of models to text",
    }),
  ),
  small_model: text(
    "llmrouter-automix: the model or group that answers first. Default: the cheapest candidate.",
  ),
  large_model: text(
    "llmrouter-automix: the model or group that is asked where the first answer does not hold. Default: the dearest.",
  ),
  engine_small: text("LLMRouter's name of `small_model`."),
  engine_large: text("LLMRouter's name of `large_model`."),
  verifier_model: text("llmrouter-automix: the group that verifies. Default: the small model."),
  verifier: Type.Optional(
    Type.Union([Type.Literal("auto"), Type.Literal("llm"), Type.Literal("schema")], {
      description:
        "llmrouter-automix: `auto` checks JSON schemas and tool calls itself, for nothing, and asks a model about the rest; `llm` always asks; `schema` never does. Default auto.",
      expected: "auto, llm or schema",
    }),
  ),
  num_samples: Type.Optional(
    Type.Integer({
      minimum: 1,
      maximum: 32,
      description: "llmrouter-automix: verdicts per answer. Default 8.",
    }),
  ),
  routing_method: Type.Optional(
    Type.Union(
      (
        ["Threshold", "DoubleThreshold", "TripleThreshold", "SelfConsistency", "POMDP"] as const
      ).map((name) => Type.Literal(name)),
      {
        description:
          "llmrouter-automix: the rule that decides by the share of favourable verdicts. Default: the trained router's, else Threshold.",
        expected: "Threshold, DoubleThreshold, TripleThreshold, SelfConsistency or POMDP",
      },
    ),
  ),
  threshold: Type.Optional(
    Type.Union([share, Type.Array(share, { minItems: 1, maxItems: 3 })], {
      description:
        "llmrouter-automix: the rule's threshold, or its two or three. Goes before what was trained. Default 0.5.",
      expected: "a number from 0 to 1, or a list of up to three",
    }),
  ),
  alpha: Type.Optional(
    Type.Number({
      minimum: 0,
      maximum: 1,
      description: "The predecessor's name of llmrouter-automix's `threshold`.",
    }),
  ),
  max_rounds: Type.Optional(
    Type.Integer({
      minimum: 1,
      maximum: 16,
      description:
        "llmrouter-r1: rounds before it must answer (default 5). Multi-round strategies: parts of a query, at most (default 3).",
    }),
  ),
  max_new_tokens: Type.Optional(
    Type.Integer({
      minimum: 1,
      maximum: 32_768,
      description:
        "Tokens that a routing model may write at a time. Default 32 for llmrouter-causallm, 1024 else.",
    }),
  ),
  temperature: Type.Optional(
    Type.Number({
      minimum: 0,
      maximum: 2,
      description:
        "Of the routing or verifying model. Default 0.1 (causallm), 0 (multi-round), 1 (r1, automix).",
    }),
  ),
  max_calls: Type.Optional(
    Type.Integer({
      minimum: 1,
      maximum: 256,
      description: "Calls that such a strategy may make for one call. Default 24.",
    }),
  ),
  timeout_ms: Type.Optional(
    Type.Integer({
      minimum: 1,
      description:
        "Time that such a strategy may take to its decision; then the fallback strategy routes. Default 60000.",
    }),
  ),
  max_cost_usd: Type.Optional(
    Type.Number({
      minimum: 0,
      description: "Money that such a strategy may spend on one call before its answer. Default 1.",
    }),
  ),
} as const;
