/**
 * Facts of an OpenAI stream that passes as it is. Most chunks are told by a few searches in their
 * text and never parsed: within a JSON string every quote is escaped, so `"usage":` can only be a key.
 */
import { fromWireUsage, type WireUsage } from "../../domain/chat.ts";
import { isObject, type JsonObject } from "../../domain/json.ts";
import type { SseFrame } from "../../std/sse.ts";
import { assertClosed, parseFrame } from "../decode-wire.ts";
import type { FrameFacts, StreamWatch } from "../dialect.ts";
import { decodeStreamError, isError } from "./errors.ts";
import { readUsage, withService } from "./reply.ts";

const nothing: FrameFacts = { event: false, token: false, usageOnly: false, done: false };
const done: FrameFacts = { ...nothing, done: true };
const plain: FrameFacts = { ...nothing, event: true };
const token: FrameFacts = { ...plain, token: true };
const usageOnly: FrameFacts = { ...plain, usageOnly: true };

/** Where a delta carries something of the answer: the key, how its value begins, and one that is empty. */
const answers = [
  ['"content":', '"', '""'],
  ['"text":', '"', '""'], // of a text completion
  ['"tool_calls":', "[", "[]"],
  ['"reasoning_content":', '"', '""'],
  ['"reasoning":', '"', '""'],
  ['"refusal":', '"', '""'],
  ['"function_call":', "{", "{}"],
  ['"audio":', "{", "{}"],
] as const;

const failures = [
  ['"error":', "{"],
  ['"error":', '"'],
  ['"object":', '"error"'],
] as const;

export function createStreamWatch(): StreamWatch {
  let seen = false;
  let finishReason: string | undefined;
  let usage: WireUsage | undefined;
  /** The event that told it. */
  let told: JsonObject = {};

  function see({ event, data }: SseFrame): FrameFacts {
    if (data === "") return nothing;
    if (data === "[DONE]") return done;
    const hasUsage = opens(data, '"usage":', "{");
    const hasFinish = opens(data, '"finish_reason":', '"');
    const mayFail = event === "error" || (data.includes("error") && looksFailed(data));
    // The first one is read whole: after it, the stream is the caller's.
    if (!seen || hasUsage || hasFinish || mayFail) return read(data, event);
    assertClosed(data);
    return isAnswer(data) ? token : plain;
  }

  function read(data: string, event: string): FrameFacts {
    const body = parseFrame(data);
    if (isError(body, event)) return { ...nothing, error: decodeStreamError(body) };
    const choices = Array.isArray(body["choices"]) ? body["choices"] : undefined;
    const counted = readUsage(body["usage"]);
    if (counted) {
      usage = counted;
      told = body;
    }
    if (!choices && !counted) return nothing;
    seen = true;
    for (const choice of choices ?? []) {
      const reason: unknown = isObject(choice) ? choice["finish_reason"] : undefined;
      if (typeof reason === "string") finishReason ??= reason;
    }
    if (counted && !choices?.length) return usageOnly;
    return isAnswer(data) ? token : plain;
  }

  return {
    see,
    end: () => ({
      complete: finishReason !== undefined,
      ...(finishReason === undefined ? {} : { finishReason }),
      ...(usage ? { usage: withService(fromWireUsage(usage), told) } : {}),
    }),
  };
}

function looksFailed(data: string): boolean {
  for (const [key, first] of failures) if (opens(data, key, first)) return true;
  return false;
}

function isAnswer(data: string): boolean {
  for (const [key, first, nothing] of answers) {
    if (opens(data, key, first) && !opens(data, key, nothing)) return true;
  }
  return false;
}

/** Whether a key's value begins so, with or without a space after the colon. */
function opens(data: string, key: string, value: string): boolean {
  const at = data.indexOf(key);
  if (at < 0) return false;
  const start = at + key.length;
  return data.startsWith(value, data[start] === " " ? start + 1 : start);
}
