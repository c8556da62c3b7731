/**
 * Our request for a provider's Responses API, without state there: the whole conversation is sent.
 * Source: https://platform.openai.com/docs/api-reference/responses/create
 */
import type { ChatMessage, ChatRequest, ContentPart } from "../../domain/chat.ts";
import { GatewayError } from "../../domain/errors.ts";
import { isObject, type Json, type JsonObject } from "../../domain/json.ts";
import type { EncodeOptions } from "../dialect.ts";
import { encodeRequest as encodeForChat } from "../openai-chat/encode-request.ts";
import { without } from "../read.ts";
import { encodeTools } from "./tools.ts";
import { listOf, present } from "./wire.ts";

const written: ReadonlySet<string> = new Set([
  ...["model", "messages", "tools", "tool_choice", "max_tokens", "max_completion_tokens", "stop"],
  ...["response_format", "reasoning_effort", "stream_options", "n", "logprobs", "top_logprobs"],
  ...["frequency_penalty", "presence_penalty", "seed", "logit_bias", "functions", "function_call"],
  ...["modalities", "audio", "prediction", "web_search_options", "verbosity"],
]);

/** OpenAI refuses a lower limit. */
const leastTokens = 16;

/** @throws GatewayError unsupported_capability for what the Responses API has no word for. */
export function encodeRequest(
  request: ChatRequest,
  model: string,
  options: EncodeOptions = {},
): JsonObject {
  refuseUnsupported(request, options);
  // What only Anthropic's callers say is read, refused or left out as for OpenAI's chat.
  const chat = encodeForChat(request, model, options) as unknown as ChatRequest;
  const limit = chat.max_completion_tokens ?? chat.max_tokens;
  const { reasoning_effort: effort, verbosity } = chat;
  const text = present({ format: encodeFormat(chat.response_format), verbosity });
  const include = chat["logprobs"] === true ? ["message.output_text.logprobs"] : [];
  return {
    ...without(chat, written),
    model,
    input: chat.messages.flatMap(encodeMessage),
    store: chat["store"] ?? false,
    ...(limit === undefined ? {} : { max_output_tokens: Math.max(leastTokens, limit) }),
    ...(effort === undefined ? {} : { reasoning: { effort, summary: "auto" } }),
    ...(Object.keys(text).length > 0 ? { text } : {}),
    ...(include.length > 0 ? { include, ...present({ top_logprobs: chat["top_logprobs"] }) } : {}),
    ...encodeTools(chat),
  };
}

const refused = ["stop", "logit_bias", "frequency_penalty", "presence_penalty", "audio", "seed"];

function refuseUnsupported(request: ChatRequest, { dropParams }: EncodeOptions): void {
  if (dropParams) return;
  const wanted = refused.find((key) => {
    const value = request[key];
    return value !== undefined && value !== null && value !== 0 && listIsFull(value);
  });
  const param = wanted ?? (request.n !== undefined && request.n > 1 ? "n" : undefined);
  if (param === undefined) return;
  throw new GatewayError(
    "unsupported_capability",
    `'${param}' has no equal in the Responses API, which this model is served by. Leave it out, or set \`litellm_settings.drop_params: true\`.`,
    { param },
  );
}

const listIsFull = (value: Json) => !Array.isArray(value) || value.length > 0;

function encodeFormat(format: ChatRequest["response_format"]): Json | undefined {
  if (!format || format["type"] === "text") return undefined;
  const schema = format["json_schema"];
  return isObject(schema) ? { type: "json_schema", ...schema } : format;
}

function encodeMessage(message: ChatMessage): JsonObject[] {
  const { role, content } = message;
  if (role === "tool" || role === "function") {
    const output = typeof content === "string" ? content : listOf(content).map(partText).join("\n");
    return [{ type: "function_call_output", call_id: message.tool_call_id ?? "", output }];
  }
  if (role !== "assistant") {
    const said = typeof content === "string" ? content : listOf(content).map(encodePart);
    return [{ type: "message", role, content: said }];
  }
  const text = typeof content === "string" ? content : listOf(content).map(partText).join("");
  const calls = message.tool_calls ?? [];
  return [
    ...(text ? [{ type: "message", role, content: text }] : []),
    ...calls.map(({ id, function: called }) => ({
      type: "function_call",
      call_id: id,
      name: called.name,
      arguments: called.arguments,
    })),
  ];
}

const partText = (part: Json) =>
  isObject(part) && typeof part["text"] === "string" ? part["text"] : "";

function encodePart(sent: Json): JsonObject {
  const part = sent as ContentPart;
  if (part.type === "text") return { type: "input_text", text: part.text ?? "" };
  if (part.type === "image_url") {
    const image: unknown = part.image_url;
    const { url, detail } = isObject(image) ? image : { url: image as Json, detail: undefined };
    return { type: "input_image", image_url: url ?? null, detail: detail ?? "auto" };
  }
  const file = part["file"];
  return part.type === "file" && isObject(file) ? { type: "input_file", ...file } : part;
}
