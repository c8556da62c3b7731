/** Streams of completions: pieces of text for pieces of a message, and back. */
import type { ChatChunk, ChatRequest } from "../../domain/chat.ts";
import { GatewayError } from "../../domain/errors.ts";
import type { JsonObject } from "../../domain/json.ts";
import { encodeSse, type SseFrame } from "../../std/sse.ts";
import { decodeWire, parseFrame } from "../decode-wire.ts";
import type { ReplyContext } from "../dialect.ts";
import { decodeStreamError, isError } from "../openai-chat/errors.ts";
import { readUsage } from "../openai-chat/reply.ts";
import { TextCompletion, toCompletionId, toReason } from "./reply.ts";

const terminator = "[DONE]";

export async function* encodeStream(
  chunks: AsyncIterable<ChatChunk>,
  request: ChatRequest,
): AsyncGenerator<string> {
  const asked = request.stream_options?.include_usage === true;
  for await (const chunk of chunks) {
    const choices = chunk.choices.flatMap(({ index, delta, finish_reason: reason }) => {
      const text = delta.content ?? "";
      // A role, or a thought: a completion has no such thing.
      if (text === "" && !reason) return [];
      return [{ text, index, logprobs: null, finish_reason: toReason(reason) }];
    });
    const usage = asked ? (chunk.usage ?? null) : undefined;
    if (choices.length === 0 && !usage) continue;
    const out = {
      id: toCompletionId(chunk.id),
      object: "text_completion",
      created: chunk.created,
      model: chunk.model,
      choices,
      ...(usage === undefined ? {} : { usage }),
    };
    yield encodeSse({ data: JSON.stringify(out) });
  }
  yield encodeSse({ data: terminator });
}

export async function* decodeStream(
  frames: AsyncIterable<SseFrame>,
  context: ReplyContext = {},
): AsyncGenerator<ChatChunk> {
  let finished = false;
  let first = true;
  for await (const { event, data } of frames) {
    if (data === "") continue;
    if (data === terminator) break;
    const body = parseFrame(data);
    if (isError(body, event)) throw decodeStreamError(body);
    const chunk = toChunk(body, first, context);
    first = false;
    if (chunk.choices.some(({ finish_reason: reason }) => reason)) finished = true;
    yield chunk;
  }
  if (finished) return;
  const message = "The provider's stream ended before its answer was complete.";
  throw new GatewayError("stream_truncated", message);
}

function toChunk(body: JsonObject, first: boolean, context: ReplyContext): ChatChunk {
  const { choices } = decodeWire(TextCompletion, { choices: [], ...body }, "completion chunk");
  const usage = readUsage(body["usage"]);
  return {
    id: typeof body["id"] === "string" ? body["id"] : "",
    object: "chat.completion.chunk",
    created: typeof body["created"] === "number" ? body["created"] : (context.createdS ?? 0),
    model: typeof body["model"] === "string" ? body["model"] : "",
    choices: choices.map(({ text, index, finish_reason }, i) => ({
      index: index ?? i,
      delta: { ...(first ? { role: "assistant" } : {}), content: text ?? "" },
      finish_reason: finish_reason ?? null,
    })),
    ...(usage ? { usage } : {}),
  };
}
