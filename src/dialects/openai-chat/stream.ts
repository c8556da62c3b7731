/** Streams, both ways. Source: https://platform.openai.com/docs/api-reference/chat-streaming */
import type { ChatChunk, ChatRequest } from "../../domain/chat.ts";
import { GatewayError } from "../../domain/errors.ts";
import { isObject, type Json, type JsonObject } from "../../domain/json.ts";
import { encodeSse, type SseFrame } from "../../std/sse.ts";
import { decodeWire, parseFrame } from "../decode-wire.ts";
import type { ReplyContext } from "../dialect.ts";
import { decodeStreamError, isError } from "./errors.ts";
import { readUsage, withReasoning, withTextArguments } from "./reply.ts";
import { Chunk } from "./wire.ts";

const terminator = "[DONE]";

export async function* decodeStream(
  frames: AsyncIterable<SseFrame>,
  context: ReplyContext = {},
): AsyncGenerator<ChatChunk> {
  const begun = new Set<number>();
  const finished = new Set<number>();
  for await (const { event, data } of frames) {
    if (data === "") continue;
    if (data === terminator) break;
    const body = parseFrame(data);
    if (isError(body, event)) throw decodeStreamError(body);
    // Events that are no chunks (a server's own notices) carry nothing we forward.
    if (!("choices" in body) && !isObject(body["usage"])) continue;
    const chunk = toChunk(body, context);
    for (const { index, finish_reason: reason } of chunk.choices) {
      begun.add(index);
      if (reason) finished.add(index);
    }
    yield chunk;
  }
  if (begun.size === 0 || finished.size < begun.size) {
    const message = "The provider's stream ended before its answer was complete.";
    throw new GatewayError("stream_truncated", message);
  }
}

function toChunk(body: JsonObject, context: ReplyContext): ChatChunk {
  const { choices } = decodeWire(Chunk, { choices: [], ...body }, "chat completion chunk");
  const usage = readUsage(body["usage"]);
  const chunk = {
    ...body,
    id: typeof body["id"] === "string" ? body["id"] : "",
    object: "chat.completion.chunk",
    created: typeof body["created"] === "number" ? body["created"] : (context.createdS ?? 0),
    model: typeof body["model"] === "string" ? body["model"] : "",
    choices: choices.map((choice: JsonObject) => ({
      ...choice,
      index: typeof choice["index"] === "number" ? choice["index"] : 0,
      delta: toDelta(choice["delta"]),
      finish_reason: typeof choice["finish_reason"] === "string" ? choice["finish_reason"] : null,
    })),
    ...(usage ? { usage } : {}),
  };
  return chunk as unknown as ChatChunk; // checked as far as we read it
}

/** Some servers leave out the index of a tool call, or send its arguments as an object. */
function toDelta(sent: Json | undefined): JsonObject {
  const delta = withReasoning(sent);
  const calls = delta["tool_calls"];
  if (!Array.isArray(calls)) return delta;
  const fixed = calls.filter(isObject).map((call, i) => {
    const index = typeof call["index"] === "number" ? call["index"] : i;
    return { ...withTextArguments(call), index };
  });
  return { ...delta, tool_calls: fixed };
}

/** The usage chunk goes only to a caller who asked for it, as OpenAI does. */
export async function* encodeStream(
  chunks: AsyncIterable<ChatChunk>,
  request: ChatRequest,
): AsyncGenerator<string> {
  const asked = request.stream_options?.include_usage === true;
  for await (const chunk of chunks) {
    if (!asked && chunk.choices.length === 0 && chunk.usage) continue;
    const out = asked && chunk.usage === undefined ? { ...chunk, usage: null } : chunk;
    yield encodeSse({ data: JSON.stringify(out) });
  }
  yield encodeSse({ data: terminator });
}
