/** `routing_strategy_args.rollout`: how a new release comes into force, step by step. */
import { Type } from "@sinclair/typebox";

const duration = (description: string) =>
  Type.Optional(
    Type.String({
      pattern: "^\\d+(ms|s|m|h|d)$",
      expected: "a length of time such as 24h",
      description,
    }),
  );
const share = { exclusiveMinimum: 0, maximum: 1 };

export const RolloutSettings = Type.Object(
  {
    shadow: Type.Optional(
      Type.Object(
        {
          share: Type.Optional(
            Type.Number({
              ...share,
              description: "Share of decisions that it scores as well. Default 1.",
            }),
          ),
          min_calls: Type.Optional(
            Type.Integer({
              minimum: 1,
              description: "Decisions before the next step. Default 200.",
            }),
          ),
          max_time: duration("After this time the next step follows all the same. Default 24h."),
        },
        {
          description:
            "Before it answers anybody, a new release scores what the one in force decides, in the background. `{}`: with the defaults.",
        },
      ),
    ),
    canary: Type.Optional(
      Type.Object(
        {
          share: Type.Optional(
            Type.Union(
              [Type.Number(share), Type.Array(Type.Number(share), { minItems: 1, maxItems: 10 })],
              {
                expected: "a share such as 0.05, or a list of growing ones",
                description:
                  "Share of users (conversations, calls) that the new release answers, or one share after the other: `[0.05, 0.25]`. Default 0.05.",
              },
            ),
          ),
          min_calls: Type.Optional(
            Type.Integer({
              minimum: 1,
              description:
                "Calls that it must have answered at each share, none of them a sign of harm. Default 1000.",
            }),
          ),
          max_time: duration("How long a share is kept at most. Default 24h."),
          undecided: Type.Optional(
            Type.Union([Type.Literal("promote"), Type.Literal("hold"), Type.Literal("roll_back")], {
              expected: "promote, hold or roll_back",
              description:
                "What follows where the time is over before the calls were enough, and nothing speaks against it. Default promote.",
            }),
          ),
        },
        {
          description:
            "Then it answers a share of the calls beside the one in force. `{}`: with the defaults.",
        },
      ),
    ),
    promote: Type.Optional(
      Type.Union([Type.Literal("auto"), Type.Literal("manual")], {
        expected: "auto or manual",
        description:
          "`manual`: a release waits for `routeiq models promote` after its last step; without steps, as staged. Default auto.",
      }),
    ),
    health: Type.Optional(
      Type.Object(
        {
          max_calls: Type.Optional(
            Type.Integer({ minimum: 1, description: "Calls after which it closes. Default 2000." }),
          ),
          max_time: duration("Time after which it closes. Default 6h."),
        },
        { description: "The health window after a release came into force." },
      ),
    ),
    thresholds: Type.Optional(
      Type.Object(
        {
          error_rise: Type.Optional(
            Type.Number({
              minimum: 0,
              maximum: 1,
              description: "Share of calls that may fail more than before. Default 0.02.",
            }),
          ),
          latency_factor: Type.Optional(
            Type.Number({
              minimum: 1,
              maximum: 100,
              description: "How many times as slow (geometric mean) calls may be. Default 1.5.",
            }),
          ),
          cost_factor: Type.Optional(
            Type.Number({
              minimum: 1,
              maximum: 100,
              description: "How many times as dear (mean) calls may be. Default 1.5.",
            }),
          ),
          quality_drop: Type.Optional(
            Type.Number({
              minimum: 0,
              maximum: 1,
              description: "How much of the mean feedback score may be lost. Default 0.05.",
            }),
          ),
          false_rollbacks: Type.Optional(
            Type.Number({
              exclusiveMinimum: 0,
              maximum: 0.5,
              description:
                "Share of good releases that may be taken back by chance, at most. Default 0.04.",
            }),
          ),
          min_calls: Type.Optional(
            Type.Integer({
              minimum: 10,
              description: "Calls on both sides before latency and cost are compared. Default 50.",
            }),
          ),
          min_feedback: Type.Optional(
            Type.Integer({
              minimum: 10,
              description: "Scores on both sides before quality is compared. Default 20.",
            }),
          ),
        },
        {
          description:
            "What is tolerated of a new release, in the canary and in the health window.",
        },
      ),
    ),
  },
  {
    description:
      "How a new release comes into force: scored in the shadow, then tried out by a share of the users, then by all, and taken back by itself. Unset: at once, with the health window. See docs/rollout.md.",
  },
);
