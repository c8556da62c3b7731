/**
 * Anthropic's stream to our chunks.
 * Source: https://platform.claude.com/docs/en/build-with-claude/streaming
 */
import type { ChatChunk, ChunkDelta, WireUsage } from "../../domain/chat.ts";
import { GatewayError } from "../../domain/errors.ts";
import { isObject, type JsonObject } from "../../domain/json.ts";
import type { SseFrame } from "../../std/sse.ts";
import { assertHeld, decodeWire, parseFrame } from "../decode-wire.ts";
import type { ReplyContext } from "../dialect.ts";
import { decodeStreamError } from "./errors.ts";
import { mergeUsage, toWireUsage } from "./usage.ts";
import {
  type AnthropicUsage,
  ContentBlockDelta,
  ContentBlockStart,
  ContentBlockStop,
  isLossy,
  jsonToolName,
  MessageDelta,
  MessageStart,
  toFinishReason,
} from "./wire.ts";

/** An open content block. */
interface Block {
  readonly type: string;
  /** Of a tool call: its place among the calls. */
  readonly call?: number;
  /** The tool that stands in for a JSON schema: its input is the answer's text. */
  readonly isAnswer: boolean;
  /** Thinking so far, kept whole because its signature comes last. */
  thinking: string;
  sent: boolean;
}

export async function* decodeStream(
  frames: AsyncIterable<SseFrame>,
  context: ReplyContext = {},
): AsyncGenerator<ChatChunk> {
  const stream = new StreamDecoder(context.createdS ?? 0);
  for await (const frame of frames) {
    yield* stream.see(frame);
    if (stream.done) return;
  }
  // Without message_stop, the reply is whole only if its reason to stop was told.
  yield* stream.finish();
}

class StreamDecoder {
  done = false;
  private id = "";
  private model = "";
  private readonly blocks = new Map<number, Block>();
  private calls = 0;
  private answered = false;
  private usage: AnthropicUsage | undefined;
  private stopReason: string | undefined;
  private stopSequence: string | null = null;
  private readonly created: number;

  constructor(created: number) {
    this.created = created;
  }

  /** The chunks of one frame. Events and blocks newer than this file carry nothing we forward. */
  see({ event, data }: SseFrame): ChatChunk[] {
    if (data === "" || event === "ping") return [];
    const body = parseFrame(data);
    const type = event || body["type"];
    if (type === "content_block_delta") return this.delta(body);
    if (type === "content_block_start") return this.startBlock(body);
    if (type === "content_block_stop") return this.stopBlock(body);
    if (type === "message_start") return this.start(body);
    if (type === "message_delta") return this.messageDelta(body);
    if (type === "message_stop") return this.finish();
    if (type === "error") throw decodeStreamError(body);
    return [];
  }

  finish(): ChatChunk[] {
    this.done = true;
    const { stopReason } = this;
    if (stopReason === undefined) {
      const message = "The provider's stream ended before its answer was complete.";
      throw new GatewayError("stream_truncated", message);
    }
    const finish = toFinishReason(stopReason);
    const finishReason =
      finish === "tool_calls" && this.answered && this.calls === 0 ? "stop" : finish;
    const lost = isLossy(stopReason)
      ? { provider_specific_fields: { stop_reason: stopReason, stop_sequence: this.stopSequence } }
      : {};
    const last = this.chunk({}, { finish_reason: finishReason, ...lost });
    if (!this.usage) return [last];
    const usage: WireUsage = toWireUsage(this.usage);
    return [last, { ...this.chunk({}), choices: [], usage }];
  }

  private chunk(delta: ChunkDelta, more: JsonObject = {}): ChatChunk {
    const { id, created, model } = this;
    const choice = { index: 0, delta, finish_reason: null, ...more };
    return { id, object: "chat.completion.chunk", created, model, choices: [choice] };
  }

  private start(body: JsonObject): ChatChunk[] {
    const { message } = decodeWire(MessageStart, body, "message_start");
    this.id = message.id;
    this.model = message.model;
    this.usage = message.usage;
    return [this.chunk({ role: "assistant", content: "" })];
  }

  private startBlock(body: JsonObject): ChatChunk[] {
    const start = decodeWire(ContentBlockStart, body, "content_block_start");
    const wire: JsonObject = start.content_block;
    const { type } = start.content_block;
    const isAnswer = wire["name"] === jsonToolName;
    const isCall = type === "tool_use" && !isAnswer;
    const block: Block = {
      type,
      isAnswer,
      thinking: "",
      sent: false,
      ...(isCall ? { call: this.calls++ } : {}),
    };
    if (isAnswer) this.answered = true;
    this.blocks.set(start.index, block);
    if (type === "redacted_thinking") return [this.chunk({ thinking_blocks: [wire] })];
    if (type === "text") return this.text(wire["text"]);
    if (type === "thinking") return this.think(block, wire["thinking"]);
    if (block.call === undefined) return [];
    // Arguments may come here whole, from servers that only speak like Anthropic.
    const input = isObject(wire["input"]) && Object.keys(wire["input"]).length > 0;
    block.sent = input;
    const call = {
      index: block.call,
      id: String(wire["id"]),
      type: "function",
      function: {
        name: String(wire["name"]),
        arguments: input ? JSON.stringify(wire["input"]) : "",
      },
    };
    return [this.chunk({ tool_calls: [call] })];
  }

  private delta(body: JsonObject): ChatChunk[] {
    const { index, delta } = decodeWire(ContentBlockDelta, body, "content_block_delta");
    const block = this.blocks.get(index);
    if (delta.type === "text_delta") return this.text(delta.text);
    if (!block) return [];
    if (delta.type === "thinking_delta") return this.think(block, delta.thinking);
    if (delta.type === "signature_delta") {
      const signed = {
        type: "thinking",
        thinking: block.thinking,
        signature: delta.signature ?? "",
      };
      return [this.chunk({ thinking_blocks: [signed] })];
    }
    if (delta.type !== "input_json_delta" || !delta.partial_json) return [];
    block.sent = true;
    if (block.isAnswer) return this.text(delta.partial_json);
    return block.call === undefined ? [] : this.arguments(block.call, delta.partial_json);
  }

  private stopBlock(body: JsonObject): ChatChunk[] {
    const { index } = decodeWire(ContentBlockStop, body, "content_block_stop");
    const block = this.blocks.get(index);
    this.blocks.delete(index);
    // A call without arguments sends none; OpenAI's clients parse what they get.
    if (block?.call === undefined || block.sent) return [];
    return this.arguments(block.call, "{}");
  }

  private messageDelta(body: JsonObject): ChatChunk[] {
    const { delta, usage } = decodeWire(MessageDelta, body, "message_delta");
    if (usage) this.usage = mergeUsage(this.usage ?? {}, usage);
    if (delta.stop_reason) this.stopReason = delta.stop_reason;
    if (delta.stop_sequence) this.stopSequence = delta.stop_sequence;
    return [];
  }

  private text(text: unknown): ChatChunk[] {
    return typeof text === "string" && text ? [this.chunk({ content: text })] : [];
  }

  private think(block: Block, thinking: unknown): ChatChunk[] {
    if (typeof thinking !== "string" || !thinking) return [];
    block.thinking += thinking;
    assertHeld(block.thinking.length);
    return [this.chunk({ reasoning_content: thinking })];
  }

  private arguments(index: number, text: string): ChatChunk[] {
    return [this.chunk({ tool_calls: [{ index, function: { arguments: text } }] })];
  }
}
