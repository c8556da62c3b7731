/**
 * Our chunks as the events of a Responses stream. Every event has the next `sequence_number`; items
 * open in the order in which they are first heard of, and each is told whole when it closes.
 * Source: https://platform.openai.com/docs/api-reference/responses-streaming
 */
import type { ChatChunk, ChatRequest, ToolCallDelta, WireUsage } from "../../domain/chat.ts";
import { toGatewayError } from "../../domain/errors.ts";
import type { JsonObject } from "../../domain/json.ts";
import { encodeSse } from "../../std/sse.ts";
import { assertHeld } from "../decode-wire.ts";
import type { Answer } from "../dialect.ts";
import { createHostedItems, type HostedItems } from "./encode-hosted.ts";
import {
  customItem,
  functionItem,
  type ItemStatus,
  messageItem,
  reasoningItem,
  refusalPart,
  textPart,
  toLogprobs,
} from "./items.ts";
import {
  type ResponseParts,
  responseIdFor,
  statusFor,
  toResponse,
  toResponseError,
} from "./response.ts";
import { customInputOf, customNames } from "./tools.ts";
import { type idPrefixes, toItemId } from "./wire.ts";

/**
 * After its first event a failure is told here, as `response.failed` with what was said until then,
 * and thrown on.
 */
export async function* encodeStream(
  chunks: AsyncIterable<ChatChunk>,
  _request: ChatRequest,
  answer?: Answer,
): AsyncGenerator<string> {
  let encoder: StreamEncoder | undefined;
  try {
    for await (const chunk of chunks) {
      encoder ??= new StreamEncoder(chunk, answer);
      encoder.see(chunk);
      const text = encoder.take();
      if (text) yield text;
    }
  } catch (thrown) {
    if (!encoder) throw thrown;
    encoder.fail(thrown);
    yield encoder.take();
    throw thrown;
  }
  if (!encoder) return;
  encoder.finish();
  yield encoder.take();
}

interface OpenText {
  readonly id: string;
  readonly at: number;
  /** Content parts that are closed. */
  readonly parts: JsonObject[];
  kind: "text" | "refusal" | undefined;
  text: string;
  logprobs: JsonObject[];
  annotations: JsonObject[];
}

interface OpenReasoning {
  readonly id: string;
  readonly at: number;
  text: string;
  /** A part of the summary was begun. */
  part: boolean;
  readonly thinking: JsonObject[];
}

interface OpenCall {
  readonly id: string;
  readonly at: number;
  readonly callId: string;
  readonly name: string;
  readonly custom: boolean;
  args: string;
}

class StreamEncoder {
  private readonly events: string[] = [];
  private sequence = 0;
  private readonly id: string;
  private readonly createdS: number;
  private model: string;
  private readonly answer: Answer | undefined;
  private readonly custom: ReadonlySet<string>;
  private readonly output: JsonObject[] = [];
  private message: OpenText | undefined;
  private reasoning: OpenReasoning | undefined;
  private readonly calls = new Map<number, OpenCall>();
  private hosted: HostedItems | undefined;
  private usage: WireUsage | undefined;
  private finishReason: string | undefined;
  private serviceTier: JsonObject[string] | undefined;

  constructor(first: ChatChunk, answer: Answer | undefined) {
    this.id = responseIdFor(answer, first.id);
    this.createdS = first.created;
    this.model = first.model;
    this.answer = answer;
    this.custom = customNames(answer?.body ?? {});
    this.emit("response.created", { response: this.response({ status: "in_progress" }) });
    this.emit("response.in_progress", { response: this.response({ status: "in_progress" }) });
  }

  /** The text of the events since the last time. */
  take(): string {
    return this.events.splice(0).join("");
  }

  see(chunk: ChatChunk): void {
    if (chunk.usage) this.usage = chunk.usage;
    if (chunk.model) this.model = chunk.model;
    if (chunk.hosted) this.hostedItems().hear(chunk.hosted);
    if (chunk["service_tier"]) this.serviceTier = chunk["service_tier"];
    for (const { index, delta, finish_reason: reason, logprobs } of chunk.choices) {
      if (index !== 0) continue; // the API has no `n`
      if (delta.reasoning_content) this.reason(delta.reasoning_content);
      for (const block of delta.thinking_blocks ?? []) this.openReasoning().thinking.push(block);
      if (delta.content) this.say("text", delta.content, toLogprobs(logprobs));
      if (delta.refusal) this.say("refusal", delta.refusal, []);
      for (const call of delta.tool_calls ?? []) this.call(call);
      if (reason) this.finishReason = reason;
    }
  }

  finish(): void {
    const state = statusFor(this.finishReason);
    this.closeAll(state.status === "incomplete" ? "incomplete" : "completed");
    this.emit(`response.${state.status}`, { response: this.response(state) });
  }

  fail(thrown: unknown): void {
    this.closeSilently();
    const error = toResponseError(toGatewayError(thrown));
    this.emit("response.failed", { response: this.response({ status: "failed", error }) });
  }

  private emit(type: string, fields: JsonObject): void {
    const event = { type, sequence_number: this.sequence++, ...fields };
    this.events.push(encodeSse({ event: type, data: JSON.stringify(event) }));
  }

  private response(state: Pick<ResponseParts, "status" | "incomplete" | "error">): JsonObject {
    const { id, createdS, model, output, usage, serviceTier } = this;
    return toResponse({ id, createdS, model, output, usage, serviceTier, ...state }, this.answer);
  }

  /** A place in the output for an item that begins; told whole when it ends. */
  private begin(type: keyof typeof idPrefixes, item: (id: string) => JsonObject) {
    const at = this.output.length;
    const id = toItemId(type, this.id, at, "output");
    const begun = item(id);
    this.output.push(begun);
    this.emit("response.output_item.added", { output_index: at, item: begun });
    return { id, at };
  }

  private end(at: number, item: JsonObject): void {
    this.output[at] = item;
    this.emit("response.output_item.done", { output_index: at, item });
  }

  // Reasoning.

  private openReasoning(): OpenReasoning {
    this.closeMessage("completed");
    this.reasoning ??= {
      ...this.begin("reasoning", (id) => reasoningItem(id, "", [])),
      text: "",
      part: false,
      thinking: [],
    };
    return this.reasoning;
  }

  private reason(delta: string): void {
    const open = this.openReasoning();
    const where = { item_id: open.id, output_index: open.at, summary_index: 0 };
    if (!open.part) {
      open.part = true;
      const part = { type: "summary_text", text: "" };
      this.emit("response.reasoning_summary_part.added", { ...where, part });
    }
    open.text += delta;
    assertHeld(open.text.length);
    this.emit("response.reasoning_summary_text.delta", { ...where, delta });
  }

  private closeReasoning(): void {
    const open = this.reasoning;
    if (!open) return;
    this.reasoning = undefined;
    const { id, at, text, thinking } = open;
    if (open.part) {
      const where = { item_id: id, output_index: at, summary_index: 0 };
      this.emit("response.reasoning_summary_text.done", { ...where, text });
      const part = { type: "summary_text", text };
      this.emit("response.reasoning_summary_part.done", { ...where, part });
    }
    this.end(at, reasoningItem(id, text, thinking));
  }

  // Text and refusals.

  private say(kind: "text" | "refusal", delta: string, logprobs: readonly JsonObject[]): void {
    this.closeReasoning();
    const open = this.openMessage();
    if (open.kind !== kind) {
      this.closePart(open);
      open.kind = kind;
      const part = kind === "text" ? textPart("") : refusalPart("");
      this.emit("response.content_part.added", { ...this.where(open), part });
    }
    open.text += delta;
    open.logprobs.push(...logprobs);
    assertHeld(open.text.length);
    if (kind === "refusal") this.emit("response.refusal.delta", { ...this.where(open), delta });
    else this.emit("response.output_text.delta", { ...this.where(open), delta, logprobs });
  }

  private openMessage(): OpenText {
    this.message ??= {
      ...this.begin("message", (id) => messageItem(id, [], "in_progress")),
      parts: [],
      kind: undefined,
      text: "",
      logprobs: [],
      annotations: [],
    };
    return this.message;
  }

  private where({ id, at, parts }: OpenText): JsonObject {
    return { item_id: id, output_index: at, content_index: parts.length };
  }

  private closePart(open: OpenText): void {
    if (!open.kind) return;
    const { text, logprobs, annotations } = open;
    const isText = open.kind === "text";
    const part = isText ? { ...textPart(text, logprobs), annotations } : refusalPart(text);
    if (isText) this.emit("response.output_text.done", { ...this.where(open), text, logprobs });
    else this.emit("response.refusal.done", { ...this.where(open), refusal: text });
    this.emit("response.content_part.done", { ...this.where(open), part });
    open.parts.push(part);
    open.kind = undefined;
    open.text = "";
    open.logprobs = [];
    open.annotations = [];
  }

  private closeMessage(status: ItemStatus): void {
    const open = this.message;
    if (!open) return;
    this.message = undefined;
    this.closePart(open);
    this.end(open.at, messageItem(open.id, open.parts, status));
  }

  // Calls: several may be open at once, since their arguments may come by turns.

  private call({ index, id, function: called }: ToolCallDelta): void {
    const open = this.calls.get(index) ?? this.openCall(index, id, called?.name ?? "");
    const delta = called?.arguments;
    if (!delta) return;
    open.args += delta;
    assertHeld(open.args.length);
    // A custom tool's input is inside of its arguments, and told when they are whole.
    if (open.custom) return;
    const where = { item_id: open.id, output_index: open.at };
    this.emit("response.function_call_arguments.delta", { ...where, delta });
  }

  private openCall(index: number, id: string | undefined, name: string): OpenCall {
    this.closeReasoning();
    this.closeMessage("completed");
    const callId = id ?? `call_${index}`;
    const custom = this.custom.has(name);
    const place = this.begin(custom ? "custom_tool_call" : "function_call", (own) =>
      (custom ? customItem : functionItem)({ id: own, callId, name }, "", "in_progress"),
    );
    const open = { ...place, callId, name, custom, args: "" };
    this.calls.set(index, open);
    return open;
  }

  private closeCall(open: OpenCall, status: ItemStatus): void {
    const where = { item_id: open.id, output_index: open.at };
    if (open.custom) {
      const input = customInputOf(open.args);
      this.emit("response.custom_tool_call_input.delta", { ...where, delta: input });
      this.emit("response.custom_tool_call_input.done", { ...where, input });
      this.end(open.at, customItem(open, input, status));
      return;
    }
    const { name, args } = open;
    this.emit("response.function_call_arguments.done", { ...where, name, arguments: args });
    this.end(open.at, functionItem(open, args, status));
  }

  // What tools of the gateway's own do.

  private hostedItems(): HostedItems {
    this.hosted ??= createHostedItems(
      {
        begin: (type, item) => {
          this.closeReasoning();
          this.closeMessage("completed");
          return this.begin(type, item);
        },
        end: (at, item) => this.end(at, item),
        emit: (type, fields) => this.emit(type, fields),
        cite: (citation) => this.cite(citation),
      },
      this.answer?.body,
    );
    return this.hosted;
  }

  private cite(citation: { readonly fileId: string; readonly filename: string }): void {
    const open = this.message;
    if (open?.kind !== "text") return;
    const { fileId: file_id, filename } = citation;
    const annotation = { type: "file_citation", index: open.text.length, file_id, filename };
    const index = open.annotations.push(annotation) - 1;
    const where = { ...this.where(open), annotation_index: index };
    this.emit("response.output_text.annotation.added", { ...where, annotation });
  }

  /** An answer cut short is cut in what was open last. */
  private closeAll(status: ItemStatus): void {
    this.closeReasoning();
    this.closeMessage(status);
    for (const open of this.calls.values()) this.closeCall(open, status);
    this.calls.clear();
    this.hosted?.closeAll();
  }

  /** What was begun, as far as it came, for the last event alone. */
  private closeSilently(): void {
    const { length } = this.events;
    const { sequence } = this;
    this.closeAll("incomplete");
    this.events.length = length;
    this.sequence = sequence;
  }
}
