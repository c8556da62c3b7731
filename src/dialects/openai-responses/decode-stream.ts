/**
 * A Responses stream to our chunks.
 * Source: https://platform.openai.com/docs/api-reference/responses-streaming
 */
import type { ChatChunk, ChunkDelta } from "../../domain/chat.ts";
import { GatewayError } from "../../domain/errors.ts";
import { isObject, type JsonObject } from "../../domain/json.ts";
import type { SseFrame } from "../../std/sse.ts";
import { decodeWire, parseFrame } from "../decode-wire.ts";
import type { ReplyContext } from "../dialect.ts";
import { decodeResponseError } from "./errors.ts";
import { finishReasonOf } from "./reply.ts";
import { decodeUsage } from "./response.ts";
import { toCustomArguments } from "./tools.ts";
import { decodeFailure } from "./watch.ts";
import { ArgumentsDelta, ItemAdded, lastEvents, TextDelta, textOf } from "./wire.ts";

export async function* decodeStream(
  frames: AsyncIterable<SseFrame>,
  context: ReplyContext = {},
): AsyncGenerator<ChatChunk> {
  const stream = new StreamDecoder(context.createdS ?? 0);
  for await (const { event, data } of frames) {
    if (data === "" || data === "[DONE]") continue;
    const body = parseFrame(data);
    const type = event || textOf(body["type"]);
    yield* stream.see(type, body);
    if (lastEvents.has(type)) return;
  }
  const message = "The provider's stream ended before its answer was complete.";
  throw new GatewayError("stream_truncated", message);
}

class StreamDecoder {
  private id = "";
  private model = "";
  private created: number;
  /** Places of tool calls among the calls, by their place in the output. */
  private readonly calls = new Map<number, number>();

  constructor(created: number) {
    this.created = created;
  }

  /** The chunks of one event; an item's end repeats what its deltas told. */
  see(type: string, body: JsonObject): ChatChunk[] {
    switch (type) {
      case "response.created":
        return this.start(body);
      case "response.output_text.delta":
        return [this.chunk({ content: decodeWire(TextDelta, body, type).delta })];
      case "response.refusal.delta":
        return [this.chunk({ refusal: decodeWire(TextDelta, body, type).delta })];
      case "response.reasoning_summary_text.delta":
      case "response.reasoning_text.delta":
        return [this.chunk({ reasoning_content: decodeWire(TextDelta, body, type).delta })];
      case "response.reasoning_summary_part.added":
        return body["summary_index"] ? [this.chunk({ reasoning_content: "\n\n" })] : [];
      case "response.output_item.added":
        return this.addItem(body);
      case "response.function_call_arguments.delta":
        return this.addArguments(body, type);
      case "response.custom_tool_call_input.done":
        return this.addCustomInput(body);
      case "response.completed":
      case "response.incomplete":
        return this.finish(body);
      case "response.failed":
        throw decodeFailure(isObject(body["response"]) ? body["response"] : {});
      case "error":
        throw decodeResponseError(isObject(body["error"]) ? body["error"] : body);
      default:
        return []; // ends of items, tools that OpenAI runs, events newer than this file
    }
  }

  private chunk(delta: ChunkDelta, more: JsonObject = {}): ChatChunk {
    const { id, created, model } = this;
    const choice = { index: 0, delta, finish_reason: null, ...more };
    return { id, object: "chat.completion.chunk", created, model, choices: [choice] };
  }

  private start({ response }: JsonObject): ChatChunk[] {
    const { id, model, created_at: created } = isObject(response) ? response : {};
    this.id = textOf(id);
    this.model = textOf(model);
    if (typeof created === "number") this.created = created;
    return [this.chunk({ role: "assistant", content: "" })];
  }

  private addItem(body: JsonObject): ChatChunk[] {
    const added = decodeWire(ItemAdded, body, "response.output_item.added");
    const item: JsonObject = added.item;
    const { type } = added.item;
    if (type !== "function_call" && type !== "custom_tool_call") return [];
    const index = this.calls.size;
    this.calls.set(added.output_index, index);
    const called = { name: textOf(item["name"]), arguments: textOf(item["arguments"]) };
    const call = { index, id: textOf(item["call_id"]), type: "function", function: called };
    return [this.chunk({ tool_calls: [call] })];
  }

  private addArguments(body: JsonObject, type: string): ChatChunk[] {
    const { output_index: at, delta } = decodeWire(ArgumentsDelta, body, type);
    return this.arguments(at, delta);
  }

  private addCustomInput(body: JsonObject): ChatChunk[] {
    return this.arguments(Number(body["output_index"]), toCustomArguments(textOf(body["input"])));
  }

  private arguments(at: number, text: string): ChatChunk[] {
    const index = this.calls.get(at);
    if (index === undefined || !text) return [];
    return [this.chunk({ tool_calls: [{ index, function: { arguments: text } }] })];
  }

  private finish({ response }: JsonObject): ChatChunk[] {
    const whole = isObject(response) ? response : {};
    const reason = finishReasonOf(whole) ?? "stop";
    const finish = this.chunk({}, { finish_reason: reason });
    const usage = decodeUsage(whole["usage"]);
    return usage ? [finish, { ...this.chunk({}), choices: [], usage }] : [finish];
  }
}
