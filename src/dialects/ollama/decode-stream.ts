/**
 * Ollama's stream to our chunks: a line each, calls whole, the last one with `done` and the counts.
 * Source: https://docs.ollama.com/api/streaming
 */
import type { ChatChunk, ChunkDelta } from "../../domain/chat.ts";
import { GatewayError } from "../../domain/errors.ts";
import type { JsonObject } from "../../domain/json.ts";
import type { SseFrame } from "../../std/sse.ts";
import { decodeWire, parseFrame } from "../decode-wire.ts";
import type { ReplyContext } from "../dialect.ts";
import { decodeStreamError } from "./errors.ts";
import {
  ChatResponse,
  createdOf,
  toCalls,
  toFinishReason,
  toLogprobs,
  toWireUsage,
} from "./wire.ts";

export async function* decodeStream(
  frames: AsyncIterable<SseFrame>,
  context: ReplyContext = {},
): AsyncGenerator<ChatChunk> {
  let calls = 0;
  let started = false;
  for await (const { data } of frames) {
    const body = parseFrame(data);
    if (body["error"] !== undefined) throw decodeStreamError(body);
    const { message, model, done, done_reason: reason } = decodeWire(ChatResponse, body, "line");
    const chunk = (delta: ChunkDelta, more: JsonObject = {}): ChatChunk => ({
      id: `chatcmpl-${context.callId ?? ""}`,
      object: "chat.completion.chunk",
      created: createdOf(body, context),
      model: model ?? context.model ?? "",
      choices: [{ index: 0, delta, finish_reason: null, ...more }],
    });
    const made = toCalls(message.tool_calls, context, calls);
    const delta: ChunkDelta = {
      ...(started ? {} : { role: "assistant", content: "" }),
      ...(message.thinking ? { reasoning_content: message.thinking } : {}),
      ...(message.content ? { content: message.content } : {}),
      ...(made.length > 0
        ? { tool_calls: made.map((call, i) => ({ index: calls + i, ...call })) }
        : {}),
    };
    started = true;
    calls += made.length;
    if (Object.keys(delta).length > 0) yield chunk(delta, toLogprobs(body));
    if (done !== true) continue;
    yield chunk({}, { finish_reason: toFinishReason(reason, calls > 0) });
    const usage = toWireUsage(body);
    if (usage) yield { ...chunk({}), choices: [], usage };
    return;
  }
  const message = "The provider's stream ended before its answer was complete.";
  throw new GatewayError("stream_truncated", message);
}
