/** Token counts: Converse counts cached input beside the fresh, OpenAI within the whole. */
import { Value } from "@sinclair/typebox/value";
import { fromWireUsage, type WireUsage } from "../../domain/chat.ts";
import { isObject, type JsonObject } from "../../domain/json.ts";
import type { Usage } from "../../domain/usage.ts";
import { withService } from "../openai-chat/reply.ts";
import { TokenUsage } from "./wire.ts";

export function toWireUsage(usage: TokenUsage): WireUsage {
  const cached = usage.cacheReadInputTokens ?? 0;
  const written = usage.cacheWriteInputTokens ?? 0;
  const input = (usage.inputTokens ?? 0) + cached + written;
  const output = usage.outputTokens ?? 0;
  return {
    prompt_tokens: input,
    completion_tokens: output,
    total_tokens: input + output,
    prompt_tokens_details: { cached_tokens: cached },
    // LiteLLM's names, which its clients read.
    ...(written ? { cache_creation_input_tokens: written } : {}),
    ...(cached ? { cache_read_input_tokens: cached } : {}),
  };
}

export function usageOf(reply: JsonObject): Usage | undefined {
  const { usage } = reply;
  if (!Value.Check(TokenUsage, usage)) return undefined;
  return withService(fromWireUsage(toWireUsage(usage)), { service_tier: tierOf(reply) });
}

/** The tier that served the call, in OpenAI's words. */
export function tierOf({ serviceTier: tier }: JsonObject): string | undefined {
  const type = isObject(tier) ? tier["type"] : undefined;
  return typeof type === "string" ? type : undefined;
}
