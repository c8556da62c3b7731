/** A turn's chunks in the shapes that the dialects' encoders and callers expect. */
import type { Answer, Dialect } from "../../dialects/dialect.ts";
import type { ChatChunk, ChatReply, ChunkDelta, ToolCall } from "../../domain/chat.ts";
import type { HostedEvent } from "../../domain/hosted-event.ts";
import { isObject, type JsonObject } from "../../domain/json.ts";
import { assert } from "../../std/assert.ts";
import { createSseParser } from "../../std/sse.ts";
import { besideMessage } from "./restore-messages.ts";

/** What hosted tools did, in LiteLLM's words beside the message. */
class Beside {
  readonly #tools: JsonObject[] = [];
  readonly #calls = new Map<number, { id: string; name: string; args: string; result: string }>();

  hear(event: HostedEvent): void {
    if (event.kind === "list") {
      for (const { name, description, input_schema: parameters } of event.tools) {
        this.#tools.push({ type: "function", function: { name, description, parameters } });
      }
    } else if (event.kind === "begun") {
      const id = `call_${event.call}`;
      this.#calls.set(event.call, { id, name: event.name, args: "", result: "" });
    } else if (event.kind === "arguments") {
      const call = this.#calls.get(event.call);
      if (call) call.args += event.delta;
    } else if (event.kind === "ended") {
      const call = this.#calls.get(event.call);
      if (call) call.result = event.output;
    }
  }

  get fields(): JsonObject | undefined {
    const calls = [...this.#calls.values()];
    if (calls.length === 0 && this.#tools.length === 0) return undefined;
    return {
      mcp_list_tools: this.#tools,
      mcp_tool_calls: calls.map(({ id, name, args }) => ({
        id,
        type: "function",
        function: { name, arguments: args },
      })),
      mcp_call_results: calls.map(({ id, name, result }) => ({ tool_call_id: id, name, result })),
    };
  }
}

/**
 * For callers of chat: the words of all rounds are one message, a paragraph each; what the tools did
 * stands beside its last piece.
 */
export async function* toChatChunks(chunks: AsyncIterable<ChatChunk>): AsyncGenerator<ChatChunk> {
  const beside = new Beside();
  let saidSome = false;
  let ranSince = false;
  for await (const { hosted, ...chunk } of chunks) {
    if (hosted) {
      beside.hear(hosted);
      ranSince ||= hosted.kind === "ended";
      continue;
    }
    const [choice] = chunk.choices;
    const content = choice?.delta.content;
    if (choice && content) {
      const words = saidSome && ranSince ? `\n\n${content}` : content;
      saidSome = true;
      ranSince = false;
      yield { ...chunk, choices: [{ ...choice, delta: { ...choice.delta, content: words } }] };
    } else if (choice?.finish_reason) {
      const { fields } = beside;
      const delta = { ...choice.delta, ...(fields ? { [besideMessage]: fields } : {}) };
      yield { ...chunk, choices: [{ ...choice, delta }] };
    } else yield chunk;
  }
}

/** Chunks of one choice, as the reply that they are pieces of. */
export function wholeChat(chunks: readonly ChatChunk[]): ChatReply {
  const [first] = chunks;
  assert(first, "a turn has at least its end");
  const message: Record<string, JsonObject[string]> = { role: "assistant", content: null };
  const calls: ToolCall[] = [];
  let finish: string | null = null;
  for (const { choices } of chunks) {
    const [choice] = choices;
    if (!choice) continue;
    if (choice.finish_reason) finish = choice.finish_reason;
    join(message, choice.delta, calls);
  }
  const usage = chunks.findLast((chunk) => chunk.usage)?.usage;
  const { id, created } = first;
  return {
    id,
    object: "chat.completion",
    created,
    model: chunks.findLast((chunk) => chunk.model)?.model ?? first.model,
    choices: [
      {
        index: 0,
        message: { ...message, ...(calls.length > 0 ? { tool_calls: calls } : {}) } as never,
        finish_reason: finish,
      },
    ],
    ...(usage ? { usage } : {}),
  };
}

/** Texts are put together, lists too; calls by their index; of the rest the last stands. */
function join(
  message: Record<string, JsonObject[string]>,
  { tool_calls: pieces, role: _, ...delta }: ChunkDelta,
  calls: ToolCall[],
): void {
  for (const { index, id, function: called } of pieces ?? []) {
    const known = calls[index];
    const before = known?.function ?? { name: "", arguments: "" };
    calls[index] = {
      id: known?.id ?? id ?? "",
      type: "function",
      function: {
        name: before.name + (called?.name ?? ""),
        arguments: before.arguments + (called?.arguments ?? ""),
      },
    };
  }
  for (const [name, value] of Object.entries(delta)) {
    if (value === undefined || value === null) continue;
    const held = message[name];
    if (typeof value === "string") message[name] = typeof held === "string" ? held + value : value;
    else if (Array.isArray(value)) message[name] = [...(Array.isArray(held) ? held : []), ...value];
    else message[name] = value;
  }
}

/** The response that a stream of these chunks would end with. */
export async function wholeResponse(
  chunks: readonly ChatChunk[],
  dialect: Dialect,
  answer: Answer,
): Promise<JsonObject> {
  const parser = createSseParser();
  const encoder = new TextEncoder();
  let response: JsonObject | undefined;
  const request = { model: "", messages: [] };
  for await (const text of dialect.encodeStream(eachOf(chunks), request, answer)) {
    for (const { data } of parser.push(encoder.encode(text))) {
      const event: unknown = JSON.parse(data);
      if (isObject(event) && isObject(event["response"])) response = event["response"];
    }
  }
  assert(response, "a stream of responses tells its response");
  return response;
}

/** As they would stream. */
export async function* eachOf(chunks: readonly ChatChunk[]): AsyncGenerator<ChatChunk> {
  yield* chunks;
}
