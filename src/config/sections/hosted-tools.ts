/** `routeiq_settings.hosted_tools`: limits of the tools that the gateway runs for a model. */
import { type Static, Type } from "@sinclair/typebox";
import type { HostedToolSettings } from "../../domain/hosted-tool.ts";

const whole = (fallback: number, maximum: number, description: string) =>
  Type.Integer({ default: fallback, minimum: 1, maximum, description });

export const HostedToolSection = Type.Object(
  {
    max_rounds: whole(
      16,
      256,
      "Answers of the model in one request; before the last one it is told to call no more tools.",
    ),
    max_calls: whole(
      64,
      10_000,
      "Runs of tools in one request. A request's max_tool_calls may be less.",
    ),
    max_parallel: whole(8, 256, "Runs of tools at once, of one answer."),
    max_tools: whole(128, 10_000, "Tools that one request may tell its model of."),
    max_seconds: whole(
      600,
      86_400,
      "How long one request may take, models and tools together. Seconds.",
    ),
    max_cost_usd: Type.Optional(
      Type.Number({
        exclusiveMinimum: 0,
        maximum: 1_000_000,
        description:
          "What one request may cost, models and tools together: over it, it ends with an error. Default: no limit but the caller's own.",
      }),
    ),
    max_result_bytes: whole(
      131_072,
      16_777_216,
      "Of one tool's result, as its model reads it; the rest is cut off. Bytes.",
    ),
  },
  { default: {}, description: "Tools in chat and responses: docs/tools.md." },
);

export function toHostedToolSettings(
  section: Static<typeof HostedToolSection>,
): HostedToolSettings {
  const { max_cost_usd: maxCostUsd } = section;
  return {
    maxRounds: section.max_rounds,
    maxCalls: section.max_calls,
    maxParallel: section.max_parallel,
    maxTools: section.max_tools,
    maxMs: section.max_seconds * 1000,
    ...(maxCostUsd === undefined ? {} : { maxCostMicroUsd: Math.round(maxCostUsd * 1e6) }),
    maxResultBytes: section.max_result_bytes,
  };
}
