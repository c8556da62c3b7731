/**
 * ConverseStream's events to our chunks.
 * Source: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ConverseStream.html
 */
import type { ChatChunk, ChunkDelta } from "../../domain/chat.ts";
import { GatewayError } from "../../domain/errors.ts";
import { isObject, type JsonObject } from "../../domain/json.ts";
import type { SseFrame } from "../../std/sse.ts";
import { jsonToolName } from "../anthropic/wire.ts";
import { assertHeld, decodeWire, parseFrame } from "../decode-wire.ts";
import type { ReplyContext } from "../dialect.ts";
import { decodeException } from "./errors.ts";
import { toWireUsage } from "./usage.ts";
import {
  BlockDelta,
  BlockStart,
  BlockStop,
  MessageStop,
  Metadata,
  stopDetails,
  toFinishReason,
} from "./wire.ts";

/** A content block that has begun. Blocks of text begin with their first delta. */
interface Block {
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
  const stream = new StreamDecoder(context);
  for await (const frame of frames) {
    yield* stream.see(frame);
    if (stream.done) return;
  }
  stream.assertWhole();
}

class StreamDecoder {
  /** The last event has come: usage. */
  done = false;
  private stopped = false;
  private readonly context: ReplyContext;
  private readonly blocks = new Map<number, Block>();
  private calls = 0;
  private answered = false;

  constructor(context: ReplyContext) {
    this.context = context;
  }

  /** The chunks of one event. Those newer than this file carry nothing we forward. */
  see({ event, data }: SseFrame): ChatChunk[] {
    const body = parseFrame(data);
    if (event === "contentBlockDelta") return this.delta(body);
    if (event === "contentBlockStart") return this.startBlock(body);
    if (event === "contentBlockStop") return this.stopBlock(body);
    if (event === "messageStart") return [this.chunk({ role: "assistant", content: "" })];
    if (event === "messageStop") return this.stop(body);
    if (event === "metadata") return this.metadata(body);
    if (event.startsWith("exception/")) throw decodeException(event.slice(10), body);
    return [];
  }

  assertWhole(): void {
    if (this.stopped) return;
    const message = "The provider's stream ended before its answer was complete.";
    throw new GatewayError("stream_truncated", message);
  }

  private chunk(delta: ChunkDelta, more: JsonObject = {}): ChatChunk {
    const { callId = "", createdS: created = 0, model = "" } = this.context;
    const choice = { index: 0, delta, finish_reason: null, ...more };
    const object = "chat.completion.chunk";
    return { id: `chatcmpl-${callId}`, object, created, model, choices: [choice] };
  }

  private startBlock(body: JsonObject): ChatChunk[] {
    const { contentBlockIndex, start } = decodeWire(BlockStart, body, "contentBlockStart");
    const use = start?.toolUse;
    if (!use) return [];
    const isAnswer = use.name === jsonToolName;
    if (isAnswer) this.answered = true;
    const call = isAnswer ? {} : { call: this.calls++ };
    this.blocks.set(contentBlockIndex, { isAnswer, thinking: "", sent: false, ...call });
    if (isAnswer) return [];
    const begun = {
      index: this.calls - 1,
      id: use.toolUseId,
      type: "function",
      function: { name: use.name, arguments: "" },
    };
    return [this.chunk({ tool_calls: [begun] })];
  }

  private delta(body: JsonObject): ChatChunk[] {
    const { contentBlockIndex, delta } = decodeWire(BlockDelta, body, "contentBlockDelta");
    if (typeof delta.text === "string")
      return delta.text ? [this.chunk({ content: delta.text })] : [];
    const block = this.blockAt(contentBlockIndex);
    if (delta.toolUse) return this.input(block, delta.toolUse.input ?? "");
    if (delta.reasoningContent) return this.reason(block, delta.reasoningContent);
    if (delta.citation) {
      const specific = { provider_specific_fields: { citation: delta.citation as JsonObject } };
      return [this.chunk(specific)];
    }
    return [];
  }

  private blockAt(index: number): Block {
    return this.blocks.getOrInsertComputed(index, () => ({
      isAnswer: false,
      thinking: "",
      sent: false,
    }));
  }

  private input(block: Block, text: string): ChatChunk[] {
    if (!text) return [];
    block.sent = true;
    if (block.isAnswer) return [this.chunk({ content: text })];
    return block.call === undefined ? [] : this.arguments(block.call, text);
  }

  private reason(
    block: Block,
    { text, signature, redactedContent: hidden }: ReasoningDelta,
  ): ChatChunk[] {
    if (hidden) {
      return [this.chunk({ thinking_blocks: [{ type: "redacted_thinking", data: hidden }] })];
    }
    if (signature) {
      const signed = { type: "thinking", thinking: block.thinking, signature };
      return [this.chunk({ thinking_blocks: [signed] })];
    }
    if (!text) return [];
    block.thinking += text;
    assertHeld(block.thinking.length);
    return [this.chunk({ reasoning_content: text })];
  }

  private stopBlock(body: JsonObject): ChatChunk[] {
    const { contentBlockIndex } = decodeWire(BlockStop, body, "contentBlockStop");
    const block = this.blocks.get(contentBlockIndex);
    this.blocks.delete(contentBlockIndex);
    // A call without arguments sends none; OpenAI's clients parse what they get.
    if (block?.call === undefined || block.sent) return [];
    return this.arguments(block.call, "{}");
  }

  private arguments(index: number, text: string): ChatChunk[] {
    return [this.chunk({ tool_calls: [{ index, function: { arguments: text } }] })];
  }

  private stop(body: JsonObject): ChatChunk[] {
    const { stopReason } = decodeWire(MessageStop, body, "messageStop");
    this.stopped = true;
    const finish = toFinishReason(stopReason);
    const isAnswer = finish === "tool_calls" && this.answered && this.calls === 0;
    const details = stopDetails(stopReason, body["additionalModelResponseFields"]);
    return [this.chunk({}, { finish_reason: isAnswer ? "stop" : finish, ...details })];
  }

  private metadata(body: JsonObject): ChatChunk[] {
    this.assertWhole();
    this.done = true;
    const { usage } = decodeWire(Metadata, body, "metadata");
    if (!usage) return [];
    const { trace } = body;
    const told = isObject(trace) ? { trace } : {};
    return [{ ...this.chunk({}), choices: [], usage: toWireUsage(usage), ...told }];
  }
}

interface ReasoningDelta {
  readonly text?: string | null | undefined;
  readonly signature?: string | null | undefined;
  readonly redactedContent?: string | null | undefined;
}
