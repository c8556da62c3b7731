/** Facts of a reply that passes as it is. */
import { Value } from "@sinclair/typebox/value";
import type { JsonObject } from "../../domain/json.ts";
import type { Usage } from "../../domain/usage.ts";
import { toUsage } from "./usage.ts";
import { AnthropicUsage, toFinishReason } from "./wire.ts";

/** The `usage` of a message or event, where it is one. */
export function readUsage(holder: JsonObject): AnthropicUsage | undefined {
  const usage = holder["usage"];
  return Value.Check(AnthropicUsage, usage) ? usage : undefined;
}

export function usageOf(reply: JsonObject): Usage | undefined {
  const usage = readUsage(reply);
  return usage && toUsage(usage);
}

export function finishReasonOf(reply: JsonObject): string | undefined {
  const reason = reply["stop_reason"];
  return typeof reason === "string" ? toFinishReason(reason) : undefined;
}
