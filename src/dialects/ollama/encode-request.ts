/**
 * Our request as a body of Ollama's /api/chat.
 * Sources: https://docs.ollama.com/api/chat; https://docs.ollama.com/modelfile#parameter for the
 * options; LiteLLM's mapping of parameters.
 */
import type { ChatRequest, ChatTool } from "../../domain/chat.ts";
import { isObject, type Json, type JsonObject } from "../../domain/json.ts";
import type { EncodeOptions } from "../dialect.ts";
import { refuseGoogleOnly } from "../gemini/foreign.ts";
import { requireObject, without } from "../read.ts";
import { maxTokensOf, refuseParams, stopsOf, type Unsupported } from "../refuse.ts";
import { wantedThinking } from "../thinking.ts";
import { chooseTools } from "../tool-choice.ts";
import { encodeMessages } from "./encode-messages.ts";

const unsupported: Unsupported = {
  n: [1],
  logit_bias: [],
  audio: [],
  prediction: [],
  functions: [],
  function_call: ["none"],
  verbosity: ["medium"],
  moderation: [],
  web_search_options: [],
};

/** Ours, by the names of Ollama's options. */
const renamed: readonly (readonly [ours: string, option: string])[] = [
  ["temperature", "temperature"],
  ["top_p", "top_p"],
  ["seed", "seed"],
  ["frequency_penalty", "frequency_penalty"],
  ["presence_penalty", "presence_penalty"],
];

/** Ollama's own options, which LiteLLM's users write beside the model. */
const options: readonly string[] = [
  ...["num_ctx", "num_predict", "num_keep", "num_batch", "num_gpu", "main_gpu", "num_thread"],
  ...["use_mmap", "use_mlock", "low_vram", "numa", "f16_kv", "vocab_only", "penalize_newline"],
  ...["repeat_last_n", "repeat_penalty", "mirostat", "mirostat_tau", "mirostat_eta", "tfs_z"],
  ...["top_k", "min_p", "typical_p", "draft_num_predict"],
];

/** Written elsewhere below, or of no effect on the answer. */
const read: ReadonlySet<string> = new Set([
  ...Object.keys(unsupported),
  ...renamed.map(([ours]) => ours),
  ...options,
  ...["model", "messages", "max_tokens", "max_completion_tokens", "stop", "stream"],
  ...["stream_options", "tools", "tool_choice", "parallel_tool_calls", "response_format", "user"],
  ...["metadata", "safety_identifier", "reasoning_effort", "thinking", "modalities"],
  ...["service_tier", "output_config", "anthropic", "gemini", "store", "options"],
  ...["prompt_cache_key", "prompt_cache_retention", "prompt_cache_options"],
]);

/** @throws GatewayError invalid_request or unsupported_capability, naming what cannot be said. */
export function encodeRequest(
  request: ChatRequest,
  model: string,
  encodeOptions: EncodeOptions = {},
): JsonObject {
  refuseParams(request, unsupported, { model, at: "Ollama", options: encodeOptions });
  refuseGoogleOnly(request, encodeOptions);
  const chosen = optionsOf(request, encodeOptions);
  const tools = toolsOf(request);
  const format = formatOf(request.response_format);
  const think = thinkOf(request, model, encodeOptions);
  return {
    ...without(request, read), // `keep_alive`, `think`, `format`, `logprobs`, and whatever is newer
    model,
    messages: encodeMessages(request.messages),
    stream: request.stream === true, // Ollama streams unless told not to
    ...(tools.length > 0 ? { tools } : {}),
    ...(format === undefined ? {} : { format }),
    ...(think === undefined ? {} : { think }),
    ...(Object.keys(chosen).length > 0 ? { options: chosen } : {}),
  };
}

function optionsOf(request: ChatRequest, encodeOptions: EncodeOptions): JsonObject {
  const own = isObject(request["options"]) ? request["options"] : {};
  const top = isObject(request["anthropic"]) ? request["anthropic"]["top_k"] : undefined;
  const maxTokens = maxTokensOf(request, encodeOptions);
  const stops = stopsOf(request);
  const found: Record<string, Json | undefined> = { ...own };
  if (typeof top === "number") found["top_k"] = top;
  for (const name of options) copy(request[name], name);
  for (const [ours, name] of renamed) copy(request[ours], name);
  copy(maxTokens, "num_predict");
  if (stops.length > 0) found["stop"] = stops;
  return found;

  function copy(value: Json | undefined, name: string): void {
    if (value !== undefined && value !== null) found[name] = value;
  }
}

/** Ollama cannot be told to call a tool; it can be told of one only, or of none. */
function toolsOf(request: ChatRequest): readonly JsonObject[] {
  const { tools, mode } = chooseTools(request);
  return mode === "none" ? [] : tools.map(encodeTool);
}

function encodeTool({ function: described }: ChatTool): JsonObject {
  const { name, description, parameters } = described ?? { name: "" };
  return {
    type: "function",
    function: {
      name,
      ...(description === undefined ? {} : { description }),
      parameters: { type: "object", properties: {}, ...parameters },
    },
  };
}

function formatOf(format: ChatRequest["response_format"]): Json | undefined {
  if (!isObject(format)) return undefined;
  if (format["type"] === "json_object") return "json";
  if (format["type"] !== "json_schema") return undefined;
  const described = requireObject(format["json_schema"], "response_format.json_schema");
  return isObject(described["schema"]) ? described["schema"] : "json";
}

/** gpt-oss takes a level, the rest yes or no. Models that do not think refuse the word. */
function thinkOf(
  request: ChatRequest,
  model: string,
  { facts, dropParams }: EncodeOptions,
): Json | undefined {
  if (request["think"] !== undefined) return undefined; // Ollama's own word stands
  const wanted = wantedThinking(request);
  if (!wanted) return undefined;
  const isKnown = facts?.capabilities?.reasoning ?? thinkers.test(model);
  // Anthropic's clients send it unasked, and a fallback may lead to any model.
  if (!isKnown && (!wanted.asked || dropParams)) return undefined;
  if (wanted.effort === "none") return isKnown ? false : undefined;
  if (!/gpt-oss/.test(model)) return true;
  return { minimal: "low", xhigh: "high", max: "high" }[wanted.effort] ?? wanted.effort;
}

/** Source: https://ollama.com/search?c=thinking */
const thinkers =
  /gpt-oss|qwen3|deepseek-(r1|v3\.1)|magistral|qwq|glm-4\.[5-9]|nemotron|cogito|kimi-k2-thinking/;
