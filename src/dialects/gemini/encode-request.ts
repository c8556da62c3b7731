/**
 * Our request as Gemini's body. `model` and `stream` stay in it until the provider's URL has them.
 * Source: https://ai.google.dev/api/generate-content
 */
import type { ChatRequest } from "../../domain/chat.ts";
import { isObject, type Json, type JsonObject } from "../../domain/json.ts";
import type { EncodeOptions } from "../dialect.ts";
import { invalid, requireObject, without } from "../read.ts";
import { encodeContents } from "./encode-contents.ts";
import { encodeTools } from "./encode-tools.ts";
import { encodeThinking } from "./reasoning.ts";

/** OpenAI's parameters that Gemini has nothing for, each with the values that mean the same as none. */
const unsupported: Readonly<Record<string, readonly Json[]>> = {
  logit_bias: [],
  prediction: [],
  functions: [],
  function_call: ["none"],
  verbosity: ["medium"],
  moderation: [],
};

/** Written elsewhere below, or of no effect on the answer. */
const read: ReadonlySet<string> = new Set([
  ...Object.keys(unsupported),
  ...["model", "messages", "stream", "stream_options", "tools", "tool_choice"],
  ...["parallel_tool_calls", "response_format", "max_tokens", "max_completion_tokens", "n", "stop"],
  ...["temperature", "top_p", "top_k", "seed", "frequency_penalty", "presence_penalty", "logprobs"],
  ...["top_logprobs", "modalities", "audio", "reasoning_effort", "thinking", "web_search_options"],
  ...["user", "metadata", "store", "service_tier", "safety_identifier", "prompt_cache_key"],
  ...["prompt_cache_retention", "prompt_cache_options", "output_config", "anthropic", "gemini"],
]);

/** @throws GatewayError invalid_request or unsupported_capability, naming what cannot be said. */
export function encodeRequest(
  request: ChatRequest,
  model: string,
  options: EncodeOptions = {},
): JsonObject {
  refuseUnsupported(request, model, options);
  const own = isObject(request["gemini"]) ? request["gemini"] : {};
  const { system, contents } = encodeContents(request.messages);
  const { generationConfig, generation_config: snake, ...others } = without(request, read);
  const config = {
    ...(isObject(snake) ? snake : {}),
    ...(isObject(generationConfig) ? generationConfig : {}),
    ...encodeConfig(request, model, options),
  };
  return {
    ...others,
    ...own,
    model,
    contents,
    ...(system.length ? { systemInstruction: { parts: system } } : {}),
    ...(Object.keys(config).length ? { generationConfig: config } : {}),
    ...encodeTools(request, options),
    ...(request.stream === undefined ? {} : { stream: request.stream }),
  };
}

function refuseUnsupported(request: ChatRequest, model: string, options: EncodeOptions): void {
  if (options.dropParams) return;
  for (const [key, neutral] of Object.entries(unsupported)) {
    const value = request[key];
    if (value === undefined || value === null || neutral.includes(value)) continue;
    if (isObject(value) && Object.keys(value).length === 0) continue;
    throw invalid(
      key,
      `'${key}' is not supported by ${model} at Google. Leave it out, or set \`litellm_settings.drop_params: true\` to have it dropped.`,
    );
  }
}

/** OpenAI's words with the same meaning. */
const same: readonly (readonly [ours: string, gemini: string])[] = [
  ["temperature", "temperature"],
  ["top_p", "topP"],
  ["top_k", "topK"],
  ["n", "candidateCount"],
  ["seed", "seed"],
  ["frequency_penalty", "frequencyPenalty"],
  ["presence_penalty", "presencePenalty"],
];

function encodeConfig(request: ChatRequest, model: string, options: EncodeOptions): JsonObject {
  const out: Record<string, Json | undefined> = {};
  for (const [ours, gemini] of same) {
    const value = request[ours];
    if (value !== undefined && value !== null) out[gemini] = value;
  }
  const stop = stopSequences(request.stop);
  return {
    ...out,
    ...maxOutputTokens(request, options),
    ...(stop.length ? { stopSequences: stop } : {}),
    ...logprobs(request),
    ...responseFormat(request.response_format),
    ...modalities(request),
    ...encodeThinking(request, model, options),
  };
}

/** An Anthropic caller must give a limit, often the largest of its own model: cut to this one's. */
function maxOutputTokens(request: ChatRequest, { facts }: EncodeOptions): JsonObject {
  const wanted = request.max_completion_tokens ?? request.max_tokens;
  if (wanted === undefined) return {};
  const limit = request["anthropic"] === undefined ? wanted : (facts?.maxOutputTokens ?? wanted);
  return { maxOutputTokens: Math.max(1, Math.min(wanted, limit)) };
}

function stopSequences(stop: ChatRequest["stop"] | null): readonly string[] {
  if (stop === undefined || stop === null) return [];
  return typeof stop === "string" ? [stop] : stop;
}

function logprobs(request: ChatRequest): JsonObject {
  if (request["logprobs"] !== true) return {};
  const top = request["top_logprobs"];
  return {
    responseLogprobs: true,
    ...(typeof top === "number" && top > 0 ? { logprobs: top } : {}),
  };
}

function responseFormat(format: ChatRequest["response_format"]): JsonObject {
  if (!isObject(format) || format["type"] === "text") return {};
  if (format["type"] === "json_object") return { responseMimeType: "application/json" };
  if (format["type"] !== "json_schema") return {};
  const described = requireObject(format["json_schema"], "response_format.json_schema");
  const { schema } = described;
  return {
    responseMimeType: "application/json",
    ...(isObject(schema) ? { responseJsonSchema: schema } : {}),
  };
}

function modalities(request: ChatRequest): JsonObject {
  const sent = request["modalities"];
  const { audio } = request;
  const voice = isObject(audio) ? audio["voice"] : undefined;
  return {
    ...(Array.isArray(sent)
      ? { responseModalities: sent.map((each: Json) => String(each).toUpperCase()) }
      : {}),
    ...(typeof voice === "string"
      ? { speechConfig: { voiceConfig: { prebuiltVoiceConfig: { voiceName: voice } } } }
      : {}),
  };
}
