/** Token counts: Anthropic counts cached input beside the fresh, OpenAI within the whole. */
import { fromWireUsage, type WireUsage } from "../../domain/chat.ts";
import type { JsonObject } from "../../domain/json.ts";
import type { Usage } from "../../domain/usage.ts";
import type { AnthropicUsage } from "./wire.ts";

/** A later report of a stream on top of an earlier one: counts are cumulative, missing ones stand. */
export function mergeUsage(before: AnthropicUsage, after: AnthropicUsage): AnthropicUsage {
  const told = Object.entries(after).filter(([, value]) => value !== null && value !== undefined);
  return { ...before, ...Object.fromEntries(told) };
}

export function toWireUsage(usage: AnthropicUsage): WireUsage {
  const cached = usage.cache_read_input_tokens ?? 0;
  const written = usage.cache_creation_input_tokens ?? 0;
  const input = (usage.input_tokens ?? 0) + cached + written;
  const output = usage.output_tokens ?? 0;
  const thinking = usage.output_tokens_details?.thinking_tokens ?? 0;
  return {
    prompt_tokens: input,
    completion_tokens: output,
    total_tokens: input + output,
    prompt_tokens_details: { cached_tokens: cached },
    ...(thinking ? { completion_tokens_details: { reasoning_tokens: thinking } } : {}),
    // LiteLLM's names, which its clients read.
    ...(written ? { cache_creation_input_tokens: written } : {}),
    ...(cached ? { cache_read_input_tokens: cached } : {}),
  };
}

export const toUsage = (usage: AnthropicUsage): Usage => fromWireUsage(toWireUsage(usage));

export function fromUsage(wire: WireUsage | null | undefined): JsonObject {
  if (!wire) return { input_tokens: 0, output_tokens: 0 };
  const usage = fromWireUsage(wire);
  const cached = usage.cachedInputTokens ?? 0;
  const written = usage.cacheWriteTokens ?? 0;
  return {
    input_tokens: Math.max(0, usage.inputTokens - cached - written),
    output_tokens: usage.outputTokens,
    cache_read_input_tokens: cached,
    cache_creation_input_tokens: written,
  };
}
