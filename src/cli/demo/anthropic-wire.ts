/** Anthropic's Messages as a simulated provider speaks them. */
import { isObject, type JsonObject } from "../../domain/json.ts";
import type { SimulatedAnswer, SimulatedRequest } from "./answer.ts";
import {
  type AnswerContext,
  chunkText,
  contentText,
  countImages,
  readBearer,
  type Wire,
} from "./wire.ts";

export const anthropicWire: Wire = {
  chatPath: "/v1/messages",
  // `x-api-key` is the documented header; Anthropic's newer SDKs send a bearer token instead.
  readKey: (headers) => headers.get("x-api-key") ?? readBearer(headers),

  readRequest(body) {
    const messages = Array.isArray(body["messages"]) ? body["messages"].filter(isObject) : [];
    const last = messages.at(-1);
    const results = Array.isArray(last?.["content"])
      ? last["content"].filter((part) => isObject(part) && part["type"] === "tool_result")
      : [];
    const asking = messages.findLast((message) => message["role"] === "user" && hasText(message));
    const texts = messages.map((message) => contentText(message["content"]));
    return {
      prompt: contentText(asking?.["content"]),
      inputText: JSON.stringify([contentText(body["system"]), ...texts]),
      images: messages.reduce((sum, message) => sum + countImages(message["content"]), 0),
      tools: readTools(body["tools"]),
      toolChoice: readToolChoice(body["tool_choice"]),
      ...(results.length > 0 ? { toolResult: contentText(results) } : {}),
      ...readFormat(body),
      maxTokens: typeof body["max_tokens"] === "number" ? body["max_tokens"] : 4096,
      stop: Array.isArray(body["stop_sequences"]) ? body["stop_sequences"].map(String) : [],
      choices: 1,
    };
  },

  reply: (answer, context) => ({
    ...envelope(context),
    content: [block(answer, context)],
    stop_reason: stopReason(answer),
    stop_sequence: null,
    usage: { input_tokens: answer.inputTokens, output_tokens: answer.outputTokens },
  }),

  *events(answer, context) {
    const usage = { input_tokens: answer.inputTokens, output_tokens: 1 };
    const message = {
      ...envelope(context),
      content: [],
      stop_reason: null,
      stop_sequence: null,
      usage,
    };
    const full = block(answer, context);
    const opened = answer.toolCall ? { ...full, input: {} } : { type: "text", text: "" };
    yield event("message_start", { message });
    yield event("content_block_start", { index: 0, content_block: opened });
    yield event("ping", {});
    const pieces = chunkText(answer.toolCall?.arguments ?? answer.text);
    for (const piece of pieces) {
      const delta = answer.toolCall
        ? { type: "input_json_delta", partial_json: piece }
        : { type: "text_delta", text: piece };
      yield event("content_block_delta", { index: 0, delta });
    }
    yield event("content_block_stop", { index: 0 });
    yield event("message_delta", {
      delta: { stop_reason: stopReason(answer), stop_sequence: null },
      usage: { output_tokens: answer.outputTokens },
    });
    yield event("message_stop", {});
  },

  error: (status, message) => ({ type: "error", error: { type: errorType(status), message } }),
  streamError: (message) => event("error", { error: { type: "overloaded_error", message } }),
};

function event(type: string, fields: JsonObject): string {
  return `event: ${type}\ndata: ${JSON.stringify({ type, ...fields })}\n\n`;
}

function envelope({ id, model }: AnswerContext) {
  return { id: `msg_${id}`, type: "message", role: "assistant", model };
}

function block(answer: SimulatedAnswer, { id }: AnswerContext): JsonObject {
  if (!answer.toolCall) return { type: "text", text: answer.text };
  const { name, arguments: args } = answer.toolCall;
  return { type: "tool_use", id: `toolu_${id}`, name, input: JSON.parse(args) };
}

function stopReason({ finish }: SimulatedAnswer): string {
  if (finish === "tool_calls") return "tool_use";
  return finish === "length" ? "max_tokens" : "end_turn";
}

function errorType(status: number): string {
  if (status === 401) return "authentication_error";
  if (status === 404) return "not_found_error";
  if (status === 429) return "rate_limit_error";
  if (status === 529) return "overloaded_error";
  return status < 500 ? "invalid_request_error" : "api_error";
}

function hasText(message: JsonObject): boolean {
  const content = message["content"];
  if (typeof content === "string") return true;
  return (
    Array.isArray(content) && content.some((part) => isObject(part) && part["type"] === "text")
  );
}

/** Structured output, by its present name and the beta's. */
function readFormat(body: JsonObject): { readonly jsonSchema?: JsonObject } {
  const config = body["output_config"];
  const format = isObject(config) ? config["format"] : body["output_format"];
  if (!isObject(format) || format["type"] !== "json_schema") return {};
  return { jsonSchema: isObject(format["schema"]) ? format["schema"] : {} };
}

function readTools(tools: unknown) {
  if (!Array.isArray(tools)) return [];
  return tools.filter(isObject).map((tool) => ({
    name: String(tool["name"] ?? ""),
    description: String(tool["description"] ?? ""),
    parameters: isObject(tool["input_schema"]) ? tool["input_schema"] : {},
  }));
}

function readToolChoice(choice: unknown): SimulatedRequest["toolChoice"] {
  if (!isObject(choice)) return "auto";
  if (choice["type"] === "tool") return { name: String(choice["name"]) };
  if (choice["type"] === "none") return "none";
  return choice["type"] === "any" ? "required" : "auto";
}
