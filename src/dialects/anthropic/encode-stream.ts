/**
 * Our chunks as Anthropic's stream: one block after another, each opened, filled and closed.
 * Source: https://platform.claude.com/docs/en/build-with-claude/streaming
 */
import type { ChatChunk, ToolCallDelta, WireUsage } from "../../domain/chat.ts";
import { isObject, type JsonObject } from "../../domain/json.ts";
import { encodeSse } from "../../std/sse.ts";
import { assertHeld } from "../decode-wire.ts";
import { signatureOf, signId } from "../gemini/signatures.ts";
import { type HostedBlock, HostedBlocks } from "./encode-hosted.ts";
import { toToolId } from "./encode-messages.ts";
import { partsText } from "./reply.ts";
import { fromUsage } from "./usage.ts";
import { toStopReason } from "./wire.ts";

export async function* encodeStream(chunks: AsyncIterable<ChatChunk>): AsyncGenerator<string> {
  const stream = new StreamEncoder();
  for await (const chunk of chunks) {
    const text = stream.see(chunk);
    if (text) yield text;
  }
  yield stream.finish();
}

interface Call {
  /** As the provider sent it, and as the caller gets it. */
  readonly sentId: string | undefined;
  readonly id: string;
  readonly name: string;
  /** What came so far; all of it is needed to know whether it is whole. */
  arguments: string;
  /** How much of it has gone out. */
  sent: number;
}

class StreamEncoder {
  private out = "";
  private started = false;
  /** The open block: its kind, and its number in the message. */
  private open: "text" | "thinking" | "call" | undefined;
  private index = -1;
  private thinking = "";
  /** Calls of tools of the gateway's own. */
  private hosted: HostedBlocks | undefined;
  private readonly calls: Call[] = [];
  /** By the provider's index: the call in this.calls. */
  private readonly byIndex = new Map<number, number>();
  /** The call whose block is open; those after it wait their turn. */
  private current = -1;
  private finishReason = "stop";
  private original: JsonObject = {};
  private usage: WireUsage | undefined;
  /** What came in the middle of a call, whose block cannot be opened again. */
  private readonly late: (() => void)[] = [];

  see(chunk: ChatChunk): string {
    if (chunk.usage) this.usage = chunk.usage;
    if (chunk.hosted) {
      this.start(chunk);
      this.hosted ??= new HostedBlocks(chunk.id);
      const told = this.hosted.hear(chunk.hosted);
      if (told) this.between(() => this.block(told));
    }
    const choice = chunk.choices.find(({ index }) => index === 0);
    if (choice) {
      this.start(chunk);
      const { delta = {} } = choice;
      const reasoning = delta.reasoning_content ?? delta["reasoning"];
      if (typeof reasoning === "string" && reasoning) this.between(() => this.think(reasoning));
      for (const block of delta.thinking_blocks ?? []) this.between(() => this.sign(block));
      const text = partsText(delta.content) || delta.refusal;
      if (text) this.between(() => this.text(text));
      for (const call of delta.tool_calls ?? []) this.call(call);
      if (choice.finish_reason) this.finishReason = choice.finish_reason;
      const fields = choice["provider_specific_fields"];
      if (isObject(fields)) this.original = fields;
    }
    return this.take();
  }

  finish(): string {
    this.start({ id: "", model: "" });
    while (this.current + 1 < this.calls.length) this.nextCall();
    for (const write of this.late) write();
    this.close();
    this.emit("message_delta", {
      delta: {
        stop_reason:
          this.original["stop_reason"] ?? toStopReason(this.finishReason, this.calls.length > 0),
        stop_sequence: this.original["stop_sequence"] ?? null,
      },
      usage: fromUsage(this.usage),
    });
    this.emit("message_stop", {});
    return this.take();
  }

  private take(): string {
    const text = this.out;
    this.out = "";
    return text;
  }

  private emit(type: string, fields: JsonObject): void {
    this.out += encodeSse({ event: type, data: JSON.stringify({ type, ...fields }) });
  }

  private between(write: () => void): void {
    if (this.open !== "call" || this.isWhole(this.current)) {
      write();
      return;
    }
    this.late.push(write);
    assertHeld(this.late.length);
  }

  private start({ id, model }: Pick<ChatChunk, "id" | "model">): void {
    if (this.started) return;
    this.started = true;
    this.emit("message_start", {
      message: {
        id,
        type: "message",
        role: "assistant",
        model,
        content: [],
        stop_reason: null,
        stop_sequence: null,
        // Other dialects count at the end only; message_delta brings the numbers.
        usage: { input_tokens: 0, output_tokens: 0 },
      },
    });
  }

  private openBlock(kind: "text" | "thinking" | "call", block: JsonObject): void {
    this.close();
    this.index++;
    this.open = kind;
    this.emit("content_block_start", { index: this.index, content_block: block });
  }

  private delta(delta: JsonObject): void {
    this.emit("content_block_delta", { index: this.index, delta });
  }

  private close(): void {
    if (!this.open) return;
    this.emit("content_block_stop", { index: this.index });
    this.open = undefined;
    this.thinking = "";
  }

  private block({ block, input }: HostedBlock): void {
    this.openBlock("thinking", block); // no other block goes on with it
    if (input) this.delta({ type: "input_json_delta", partial_json: input });
    this.close();
  }

  private text(text: string): void {
    if (this.open !== "text") this.openBlock("text", { type: "text", text: "" });
    this.delta({ type: "text_delta", text });
  }

  private think(thinking: string): void {
    if (this.open !== "thinking") {
      this.openBlock("thinking", { type: "thinking", thinking: "", signature: "" });
    }
    this.thinking += thinking;
    assertHeld(this.thinking.length);
    this.delta({ type: "thinking_delta", thinking });
  }

  /** A whole thinking block: its text has mostly gone out already, so that its signature is left. */
  private sign(block: JsonObject): void {
    if (block["type"] !== "thinking") {
      this.openBlock("thinking", block);
      this.close();
      return;
    }
    const text = typeof block["thinking"] === "string" ? block["thinking"] : "";
    const isOpen = this.open === "thinking" && this.thinking === text;
    if (!isOpen) {
      this.openBlock("thinking", { type: "thinking", thinking: "", signature: "" });
      if (text) this.delta({ type: "thinking_delta", thinking: text });
    }
    if (block["signature"]) {
      this.delta({ type: "signature_delta", signature: block["signature"] });
      this.close();
    }
  }

  /**
   * Calls may come interleaved; blocks may not. A call goes out as it comes while it is the current
   * one; the next begins when the one before is whole, else at the end.
   */
  private call(delta: ToolCallDelta): void {
    const at = this.findCall(delta);
    const call = this.calls[at];
    if (!call) return;
    call.arguments += delta.function?.arguments ?? "";
    assertHeld(call.arguments.length);
    if (this.current < 0) this.nextCall();
    while (at > this.current && this.isWhole(this.current)) this.nextCall();
    if (at === this.current && this.open === "call") this.flush(call);
  }

  /** A new id under a known index is a new call: some providers number all of them 0. */
  private findCall(delta: ToolCallDelta): number {
    const { index, id, function: called } = delta;
    const known = this.byIndex.get(index ?? 0);
    const isNew = known === undefined || (id && called?.name && this.calls[known]?.sentId !== id);
    if (!isNew) return known;
    this.calls.push({
      sentId: id,
      id: signId(toToolId(id ?? `call_${this.calls.length}`), signatureOf(delta)),
      name: called?.name ?? "",
      arguments: "",
      sent: 0,
    });
    this.byIndex.set(index ?? 0, this.calls.length - 1);
    return this.calls.length - 1;
  }

  /** No arguments yet may mean none or some to come: such a call ends with the stream. */
  private isWhole(at: number): boolean {
    const text = this.calls[at]?.arguments ?? "";
    if (!text.endsWith("}")) return false; // spares a parse for every piece
    try {
      JSON.parse(text);
      return true;
    } catch {
      return false;
    }
  }

  private nextCall(): void {
    this.current++;
    const call = this.calls[this.current];
    if (!call) return;
    const { id, name } = call;
    this.openBlock("call", { type: "tool_use", id, name, input: {} });
    this.flush(call);
  }

  private flush(call: Call): void {
    if (call.sent === call.arguments.length) return;
    this.delta({ type: "input_json_delta", partial_json: call.arguments.slice(call.sent) });
    call.sent = call.arguments.length;
  }
}
