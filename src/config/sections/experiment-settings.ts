/** `routeiq_settings.experiments`: calls shared between variants. Key names are the predecessor's. */
import { Type } from "@sinclair/typebox";

const Variant = Type.Union(
  [
    Type.String({ minLength: 1 }),
    Type.Object(
      {
        strategy: Type.Optional(Type.String({ minLength: 1 })),
        tradeoff: Type.Optional(Type.Number({ minimum: 0, maximum: 1 })),
        floor: Type.Optional(Type.String({ pattern: "^(0(\\.\\d+)?|1(\\.0+)?)@.+$" })),
        model_path: Type.Optional(Type.String({ minLength: 1 })),
        model_root: Type.Optional(Type.String({ minLength: 1 })),
        model_name: Type.Optional(Type.String({ minLength: 1 })),
        allow_unsigned_local: Type.Optional(Type.Boolean()),
      },
      { additionalProperties: false },
    ),
  ],
  {
    expected:
      "a strategy's name, or a map of strategy, tradeoff, floor, model_path, model_root, model_name, allow_unsigned_local",
  },
);

export const ExperimentSettings = Type.Object({
  variants: Type.Record(Type.String(), Variant, {
    description:
      "Variant → strategy (a balancer, or the learned one that is configured), or a map of what it changes: `{strategy, tradeoff, floor, model_path, model_root, model_name}`. `{}`: as configured.",
    expected: "a map of variants",
  }),
  weights: Type.Optional(
    Type.Record(Type.String(), Type.Integer({ minimum: 0, maximum: 1_000_000 }), {
      description:
        "Variant (or, as in older files, its strategy) → whole weight; its part of the sum is its share. Default: equal shares.",
      expected: "a map of whole numbers",
    }),
  ),
  enabled: Type.Boolean({ default: true, description: "Whether calls are shared out." }),
  description: Type.Optional(Type.String({ description: "What it is to show." })),
  start_time: Type.Optional(
    Type.String({
      description: "No call is shared out before this time, such as 2026-12-01T00:00:00Z.",
    }),
  ),
  end_time: Type.Optional(Type.String({ description: "Nor from this time on." })),
  models: Type.Optional(
    Type.Array(Type.String(), {
      description:
        "Names that calls ask for. Default: all. Of several experiments the first one that fits has the call.",
    }),
  ),
  control: Type.Optional(
    Type.String({ description: "The variant that others are held against. Default: the first." }),
  ),
  stop_on: Type.Array(
    Type.Union([
      Type.Literal("errors"),
      Type.Literal("latency"),
      Type.Literal("cost"),
      Type.Literal("quality"),
    ]),
    {
      default: ["errors"],
      description:
        "In what a variant that proves worse than the control, beyond what routing_strategy_args.rollout.thresholds tolerate, is stopped; the control answers for it. `[]`: never.",
    },
  ),
});
