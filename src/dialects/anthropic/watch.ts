/** Facts of an Anthropic stream that passes as it is; most frames are told by their name alone. */

import { isObject } from "../../domain/json.ts";
import type { SseFrame } from "../../std/sse.ts";
import { assertClosed, parseFrame } from "../decode-wire.ts";
import type { FrameFacts, StreamWatch } from "../dialect.ts";
import { decodeStreamError } from "./errors.ts";
import { readUsage } from "./facts.ts";
import { mergeUsage, toUsage } from "./usage.ts";
import { type AnthropicUsage, toFinishReason } from "./wire.ts";

const nothing: FrameFacts = { event: false, token: false, usageOnly: false, done: false };
const plain: FrameFacts = { ...nothing, event: true };
const token: FrameFacts = { ...plain, token: true };
const done: FrameFacts = { ...plain, done: true };

export function createStreamWatch(): StreamWatch {
  let usage: AnthropicUsage | undefined;
  let stopReason: string | undefined;

  function see(frame: SseFrame): FrameFacts {
    const { data } = frame;
    const event = frame.event || typeOf(data);
    if (data !== "") assertClosed(data);
    if (event === "content_block_delta") return data ? token : nothing;
    if (event === "content_block_start") return data.includes('"tool_use"') ? token : plain;
    if (event === "content_block_stop") return plain;
    if (event === "message_stop") return done;
    if (event === "error") return { ...nothing, error: decodeStreamError(parseFrame(data)) };
    if (event === "ping" || data === "") return nothing;
    if (event === "message_start") {
      const { message } = parseFrame(data);
      if (isObject(message)) usage = readUsage(message);
    } else if (event === "message_delta") {
      const body = parseFrame(data);
      const later = readUsage(body);
      if (later) usage = mergeUsage(usage ?? {}, later);
      const delta = body["delta"];
      if (isObject(delta) && typeof delta["stop_reason"] === "string") {
        stopReason = delta["stop_reason"];
      }
    }
    return plain;
  }

  return {
    see,
    end: () => ({
      complete: stopReason !== undefined,
      ...(stopReason === undefined ? {} : { finishReason: toFinishReason(stopReason) }),
      ...(usage ? { usage: toUsage(usage) } : {}),
    }),
  };
}

/** For servers that leave the `event` field out. */
function typeOf(data: string): string {
  return /^\{\s*"type"\s*:\s*"(\w+)"/.exec(data)?.[1] ?? "";
}
