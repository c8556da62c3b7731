/**
 * Cohere's stream to our chunks.
 * Source: https://docs.cohere.com/docs/streaming, https://docs.cohere.com/docs/tool-use-streaming
 */
import type { ChatChunk, ChunkDelta } from "../../domain/chat.ts";
import { GatewayError } from "../../domain/errors.ts";
import { isObject, type Json, type JsonObject } from "../../domain/json.ts";
import type { SseFrame } from "../../std/sse.ts";
import { decodeWire, parseFrame } from "../decode-wire.ts";
import type { ReplyContext } from "../dialect.ts";
import { assertFinished, decodeError } from "./errors.ts";
import { type Call, StreamEvent, toFinishReason, toLogprobs, toWireUsage } from "./wire.ts";

export async function* decodeStream(
  frames: AsyncIterable<SseFrame>,
  context: ReplyContext = {},
): AsyncGenerator<ChatChunk> {
  const stream = new StreamDecoder(context);
  for await (const { data } of frames) {
    if (data === "" || data === "[DONE]") continue;
    yield* stream.see(parseFrame(data));
    if (stream.done) return;
  }
  const message = "The provider's stream ended before its answer was complete.";
  throw new GatewayError("stream_truncated", message);
}

class StreamDecoder {
  done = false;
  private id: string;
  private readonly context: ReplyContext;
  /** Cohere's number of a call, and ours; whether arguments came. */
  private readonly calls = new Map<number, { readonly index: number; sent: boolean }>();

  constructor(context: ReplyContext) {
    this.context = context;
    this.id = `chatcmpl-${context.callId ?? ""}`;
  }

  /** The chunks of one event. Those newer than this file carry nothing we forward. */
  see(body: JsonObject): ChatChunk[] {
    // A failure within a stream has the form of an answer's.
    if (body["type"] === undefined && typeof body["message"] === "string") {
      throw decodeError(500, JSON.stringify(body), new Headers());
    }
    const event = decodeWire(StreamEvent, body, "event");
    const message = event.delta?.message;
    switch (event.type) {
      case "message-start":
        this.id = event.id ?? this.id;
        return [this.chunk({ role: "assistant", content: "" })];
      case "content-start":
      case "content-delta":
        return this.content(message?.content, body);
      case "tool-plan-delta":
        return message?.tool_plan ? [this.chunk({ reasoning_content: message.tool_plan })] : [];
      case "tool-call-start":
        return this.startCall(event);
      case "tool-call-delta":
        return this.arguments(event.index ?? 0, callIn(event)?.function?.arguments);
      case "tool-call-end":
        return this.endCall(event.index ?? 0);
      case "citation-start":
        return this.citation(message?.citations as Json | undefined);
      case "message-end":
        return this.finish(event, body);
      default:
        return [];
    }
  }

  private chunk(delta: ChunkDelta, more: JsonObject = {}): ChatChunk {
    const { createdS: created = 0, model = "" } = this.context;
    const choice = { index: 0, delta, finish_reason: null, ...more };
    return { id: this.id, object: "chat.completion.chunk", created, model, choices: [choice] };
  }

  private content(block: unknown, body: JsonObject): ChatChunk[] {
    if (!isObject(block)) return [];
    const { text, thinking } = block;
    if (typeof thinking === "string" && thinking) {
      return [this.chunk({ reasoning_content: thinking })];
    }
    if (typeof text !== "string" || !text) return [];
    const told = body["logprobs"];
    return [this.chunk({ content: text }, told ? toLogprobs([told].flat() as Json[]) : {})];
  }

  private startCall(event: StreamEvent): ChatChunk[] {
    const call = callIn(event);
    if (!call) return [];
    const index = this.calls.size;
    const args = call.function?.arguments ?? "";
    this.calls.set(event.index ?? index, { index, sent: args !== "" });
    const begun = {
      index,
      id: call.id ?? `call_${index}`,
      type: "function",
      function: { name: call.function?.name ?? "", arguments: args },
    };
    return [this.chunk({ tool_calls: [begun] })];
  }

  private arguments(at: number, text: string | null | undefined): ChatChunk[] {
    const call = this.calls.get(at);
    if (!(call && text)) return [];
    call.sent = true;
    return [this.chunk({ tool_calls: [{ index: call.index, function: { arguments: text } }] })];
  }

  /** A call without arguments sends none; OpenAI's clients parse what they get. */
  private endCall(at: number): ChatChunk[] {
    return this.calls.get(at)?.sent === false ? this.arguments(at, "{}") : [];
  }

  private citation(citations: Json | undefined): ChatChunk[] {
    if (citations === undefined || citations === null) return [];
    const list = Array.isArray(citations) ? citations : [citations];
    return [this.chunk({ provider_specific_fields: { citations: list } })];
  }

  private finish({ delta }: StreamEvent, body: JsonObject): ChatChunk[] {
    const reason = delta?.finish_reason ?? "COMPLETE";
    assertFinished(reason, delta?.error);
    this.done = true;
    const end = this.chunk({}, { finish_reason: toFinishReason(reason) });
    const held = body["delta"];
    const usage = isObject(held) ? toWireUsage(held["usage"]) : undefined;
    return usage ? [end, { ...this.chunk({}), choices: [], usage }] : [end];
  }
}

/** One call stands by itself in a delta; some servers write a list of one. */
function callIn({ delta }: StreamEvent): Call | undefined {
  const calls = delta?.message?.tool_calls;
  return (Array.isArray(calls) ? calls[0] : calls) ?? undefined;
}
