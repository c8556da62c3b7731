/** OpenAI's chat and embeddings as a simulated provider speaks them. */
import { isObject, type JsonObject } from "../../domain/json.ts";
import { countTokens, type SimulatedAnswer, type SimulatedRequest } from "./answer.ts";
import { uniform } from "./simulated-models.ts";
import { chunkText, contentText, countImages, readBearer, type Wire } from "./wire.ts";

export const openaiWire: Wire = {
  chatPath: "/v1/chat/completions",
  readKey: readBearer,

  readRequest(body) {
    const messages = Array.isArray(body["messages"]) ? body["messages"].filter(isObject) : [];
    const last = messages.at(-1);
    const lastUser = messages.findLast((message) => message["role"] === "user");
    const format = isObject(body["response_format"]) ? body["response_format"] : {};
    const named = isObject(format["json_schema"]) ? format["json_schema"]["schema"] : undefined;
    const wantsJson = format["type"] === "json_object" || format["type"] === "json_schema";
    const limit = body["max_completion_tokens"] ?? body["max_tokens"];
    return {
      prompt: contentText(lastUser?.["content"]),
      inputText: JSON.stringify(messages.map((message) => contentText(message["content"]))),
      images: messages.reduce((sum, message) => sum + countImages(message["content"]), 0),
      tools: readTools(body["tools"]),
      toolChoice: readToolChoice(body["tool_choice"]),
      ...(last?.["role"] === "tool" ? { toolResult: contentText(last["content"]) } : {}),
      ...(wantsJson ? { jsonSchema: isObject(named) ? named : {} } : {}),
      maxTokens: typeof limit === "number" ? limit : 4096,
      stop: [body["stop"]].flat().filter((word): word is string => typeof word === "string"),
      choices: typeof body["n"] === "number" ? Math.min(8, Math.max(1, body["n"])) : 1,
    };
  },

  reply: (answer, context) => ({
    id: `chatcmpl-${context.id}`,
    object: "chat.completion",
    created: context.createdS,
    model: context.model,
    choices: Array.from({ length: context.request.choices }, (_, index) => ({
      index,
      message: {
        role: "assistant",
        content: answer.toolCall ? null : answer.text,
        refusal: null,
        ...(answer.toolCall ? { tool_calls: [toolCall(answer, context.id)] } : {}),
      },
      logprobs: null,
      finish_reason: answer.finish,
    })),
    usage: usage(answer, context.request),
    system_fingerprint: "simulated",
  }),

  *events(answer, context) {
    const chunk = (choices: readonly JsonObject[], extra: JsonObject = {}) =>
      `data: ${JSON.stringify({
        id: `chatcmpl-${context.id}`,
        object: "chat.completion.chunk",
        created: context.createdS,
        model: context.model,
        choices,
        ...extra,
      })}\n\n`;
    const each = (delta: JsonObject, finish: string | null = null) =>
      Array.from({ length: context.request.choices }, (_, index) => ({
        index,
        delta,
        finish_reason: finish,
      }));
    yield chunk(each({ role: "assistant", content: "" }));
    if (answer.toolCall) {
      const { id, type, function: named } = toolCall(answer, context.id);
      const open = { index: 0, id, type, function: { name: named.name, arguments: "" } };
      yield chunk(each({ tool_calls: [open] }));
      for (const piece of chunkText(named.arguments)) {
        yield chunk(each({ tool_calls: [{ index: 0, function: { arguments: piece } }] }));
      }
    }
    for (const piece of chunkText(answer.text)) yield chunk(each({ content: piece }));
    yield chunk(each({}, answer.finish));
    const options = context.body["stream_options"];
    if (isObject(options) && options["include_usage"] === true) {
      yield chunk([], { usage: usage(answer, context.request) });
    }
    yield "data: [DONE]\n\n";
  },

  error: (status, message) => ({
    error: {
      message,
      type:
        status === 429 ? "rate_limit_error" : status < 500 ? "invalid_request_error" : "api_error",
      param: null,
      code: status === 404 ? "model_not_found" : status === 401 ? "invalid_api_key" : null,
    },
  }),

  streamError: (message) =>
    `data: ${JSON.stringify({ error: { message, type: "server_error", param: null, code: null } })}\n\n`,
};

/** `POST /v1/embeddings`: words hashed to a unit vector, so like texts are near. */
export function embeddingsReply(body: JsonObject, model: string): JsonObject {
  const inputs = [body["input"]].flat().map((input) => String(input ?? ""));
  const asked = body["dimensions"];
  const dimensions = typeof asked === "number" ? Math.min(2048, Math.max(1, asked)) : 64;
  const tokens = inputs.reduce((sum, input) => sum + countTokens(input), 0);
  return {
    object: "list",
    model,
    data: inputs.map((input, index) => {
      const vector = embed(input, dimensions);
      const bytes = new Uint8Array(vector.buffer);
      const embedding = body["encoding_format"] === "base64" ? bytes.toBase64() : [...vector];
      return { object: "embedding", index, embedding };
    }),
    usage: { prompt_tokens: tokens, total_tokens: tokens },
  };
}

function embed(text: string, dimensions: number): Float32Array {
  const vector = new Float32Array(dimensions);
  for (const word of text.toLowerCase().split(/\W+/)) {
    const at = Math.floor(uniform(word) * dimensions);
    vector[at] = (vector[at] ?? 0) + (uniform(`sign\n${word}`) < 0.5 ? -1 : 1);
  }
  const length = Math.hypot(...vector) || 1;
  return vector.map((value) => value / length);
}

function toolCall(answer: SimulatedAnswer, id: string) {
  const { name = "", arguments: args = "{}" } = answer.toolCall ?? {};
  return { id: `call_${id}`, type: "function", function: { name, arguments: args } };
}

function usage(answer: SimulatedAnswer, request: SimulatedRequest) {
  const output = answer.outputTokens * request.choices;
  return {
    prompt_tokens: answer.inputTokens,
    completion_tokens: output,
    total_tokens: answer.inputTokens + output,
  };
}

function readTools(tools: unknown) {
  if (!Array.isArray(tools)) return [];
  return tools
    .map((tool) => (isObject(tool) ? tool["function"] : undefined))
    .filter(isObject)
    .map((tool) => ({
      name: String(tool["name"] ?? ""),
      description: String(tool["description"] ?? ""),
      parameters: isObject(tool["parameters"]) ? tool["parameters"] : {},
    }));
}

function readToolChoice(choice: unknown): SimulatedRequest["toolChoice"] {
  if (choice === "none" || choice === "required") return choice;
  if (isObject(choice) && isObject(choice["function"])) {
    return { name: String(choice["function"]["name"]) };
  }
  return "auto";
}
