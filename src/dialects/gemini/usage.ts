/** Token counts: Gemini counts thoughts beside the answer, OpenAI within it. */
import { Value } from "@sinclair/typebox/value";
import { fromWireUsage, type WireUsage } from "../../domain/chat.ts";
import { isObject, type Json, type JsonObject } from "../../domain/json.ts";
import type { Usage } from "../../domain/usage.ts";
import { UsageMetadata } from "./wire.ts";

/** The `usageMetadata` of a response, where it is one that counts. */
export function readUsage(holder: JsonObject): UsageMetadata | undefined {
  const usage = holder["usageMetadata"];
  if (!isObject(usage) || !Value.Check(UsageMetadata, usage)) return undefined;
  return typeof usage.promptTokenCount === "number" || typeof usage.totalTokenCount === "number"
    ? usage
    : undefined;
}

export function toWireUsage(usage: UsageMetadata): WireUsage {
  const input = (usage.promptTokenCount ?? 0) + (usage.toolUsePromptTokenCount ?? 0);
  const said = usage.candidatesTokenCount ?? 0;
  const thoughts = usage.thoughtsTokenCount ?? 0;
  // Some models count the thoughts within the candidates; their own total tells.
  const isWithin = thoughts > 0 && usage.totalTokenCount === input + said;
  const output = isWithin ? said : said + thoughts;
  const cached = usage.cachedContentTokenCount ?? 0;
  const audioIn = audioOf((usage as JsonObject)["promptTokensDetails"]);
  const audioOut = audioOf((usage as JsonObject)["candidatesTokensDetails"]);
  return {
    prompt_tokens: input,
    completion_tokens: output,
    total_tokens: input + output,
    prompt_tokens_details: {
      cached_tokens: cached,
      ...(audioIn ? { audio_tokens: audioIn } : {}),
    },
    ...(thoughts || audioOut
      ? {
          completion_tokens_details: {
            reasoning_tokens: thoughts,
            ...(audioOut ? { audio_tokens: audioOut } : {}),
          },
        }
      : {}),
  };
}

function audioOf(details: Json | undefined): number {
  if (!Array.isArray(details)) return 0;
  const audio = details.find((each: Json) => isObject(each) && each["modality"] === "AUDIO");
  const count = isObject(audio) ? audio["tokenCount"] : undefined;
  return typeof count === "number" ? count : 0;
}

export const toUsage = (usage: UsageMetadata): Usage => fromWireUsage(toWireUsage(usage));

export function fromUsage(wire: WireUsage | null | undefined): JsonObject {
  if (!wire) return {};
  const usage = fromWireUsage(wire);
  const thoughts = usage.reasoningTokens ?? 0;
  return {
    usageMetadata: {
      promptTokenCount: usage.inputTokens,
      candidatesTokenCount: Math.max(0, usage.outputTokens - thoughts),
      totalTokenCount: usage.inputTokens + usage.outputTokens,
      ...(usage.cachedInputTokens ? { cachedContentTokenCount: usage.cachedInputTokens } : {}),
      ...(thoughts ? { thoughtsTokenCount: thoughts } : {}),
      ...(wire["cost"] === undefined ? {} : { cost: wire["cost"] }),
    },
  };
}

export function usageOf(reply: JsonObject): Usage | undefined {
  const usage = readUsage(reply);
  return usage && toUsage(usage);
}
