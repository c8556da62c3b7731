/**
 * Our request as Converse's body. What a model knows beyond Converse's words goes, as LiteLLM sends
 * it, into `additionalModelRequestFields`.
 * Sources: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html;
 * LiteLLM's mapping of parameters.
 */
import type { ChatRequest } from "../../domain/chat.ts";
import { isObject, type Json, type JsonObject } from "../../domain/json.ts";
import { fitToModel } from "../anthropic/fit.ts";
import { toStrictSchema } from "../anthropic/json-output.ts";
import { traitsOf as claudeTraitsOf } from "../anthropic/models.ts";
import { encodeReasoning } from "../anthropic/reasoning.ts";
import { jsonToolName } from "../anthropic/wire.ts";
import type { EncodeOptions } from "../dialect.ts";
import { refuseGoogleOnly } from "../gemini/foreign.ts";
import { requireObject, without } from "../read.ts";
import {
  maxTokensOf,
  refuseParams,
  stopsOf,
  type Unsupported,
  unsupportedParam,
} from "../refuse.ts";
import { wantedThinking } from "../thinking.ts";
import { encodeConversation } from "./encode-messages.ts";
import { encodeTools } from "./encode-tools.ts";
import { type BedrockTraits, traitsOf } from "./models.ts";

const unsupported: Unsupported = {
  n: [1],
  logprobs: [false],
  top_logprobs: [0],
  logit_bias: [],
  frequency_penalty: [0],
  presence_penalty: [0],
  seed: [],
  audio: [],
  prediction: [],
  functions: [],
  function_call: ["none"],
  verbosity: ["medium"],
  moderation: [],
  web_search_options: [],
};

/** Converse's own words, which an operator or a caller may use as they are. */
const own: readonly string[] = [
  "guardrailConfig",
  "performanceConfig",
  "promptVariables",
  "requestMetadata",
  "serviceTier",
  "outputConfig",
  "additionalModelResponseFieldPaths",
];

/** Written elsewhere below, or of no effect on the answer. */
const read: ReadonlySet<string> = new Set([
  ...Object.keys(unsupported),
  ...own,
  ...["model", "messages", "max_tokens", "max_completion_tokens", "temperature", "top_p", "top_k"],
  ...["stop", "stream", "stream_options", "tools", "tool_choice", "parallel_tool_calls"],
  ...["response_format", "user", "metadata", "safety_identifier", "reasoning_effort", "thinking"],
  ...["modalities", "service_tier", "output_config", "anthropic", "gemini", "store"],
  ...["prompt_cache_key", "prompt_cache_retention", "prompt_cache_options"],
  ...["inferenceConfig", "additionalModelRequestFields"],
]);

/** @throws GatewayError invalid_request or unsupported_capability, naming what cannot be said. */
export function encodeRequest(
  request: ChatRequest,
  model: string,
  options: EncodeOptions = {},
): JsonObject {
  const traits = traitsOf(model);
  refuseParams(request, unsupported, { model, at: "Bedrock", options });
  refuseGoogleOnly(request, options);
  const { system, messages } = encodeConversation(request.messages, traits);
  const json = answerBy(request, traits);
  const tools = encodeTools(request, { traits, model, options, answer: json.tool });
  const asked = inference(request, model, traits, options);
  const additional = {
    ...objectOf(request["additionalModelRequestFields"]),
    ...without(request, read),
    ...asked.additional,
    ...tools.additional,
  };
  const inferenceConfig = { ...objectOf(request["inferenceConfig"]), ...asked.config };
  const systemBlocks = [...system, ...json.system];
  return {
    model, // the URL's, and taken out of the body last
    ...copied(request),
    messages,
    ...(systemBlocks.length ? { system: systemBlocks } : {}),
    ...(Object.keys(inferenceConfig).length ? { inferenceConfig } : {}),
    ...(tools.toolConfig ? { toolConfig: tools.toolConfig } : {}),
    ...(json.outputConfig ? { outputConfig: json.outputConfig } : {}),
    ...(Object.keys(additional).length ? { additionalModelRequestFields: additional } : {}),
    ...stopPath(request, traits),
    ...serviceTier(request["service_tier"]),
    ...(request.stream === undefined ? {} : { stream: request.stream }),
  };
}

const objectOf = (value: Json | undefined): JsonObject => (isObject(value) ? value : {});

function copied(request: ChatRequest): JsonObject {
  return Object.fromEntries(
    own.filter((key) => request[key] !== undefined).map((key) => [key, request[key]]),
  );
}

/** Which of several stop sequences it was: Anthropic's callers are told. */
function stopPath(request: ChatRequest, { family }: BedrockTraits): JsonObject {
  const wanted = family === "claude" && request["anthropic"] !== undefined;
  if (request["additionalModelResponseFieldPaths"] !== undefined) return {};
  if (!wanted || stopsOf(request).length === 0) return {};
  return { additionalModelResponseFieldPaths: ["/stop_sequence"] };
}

/** OpenAI's word for how fast, in AWS's object. */
function serviceTier(tier: Json | undefined): JsonObject {
  return ["flex", "priority", "reserved"].includes(String(tier))
    ? { serviceTier: { type: tier } }
    : {};
}

interface Inference {
  readonly config: JsonObject;
  readonly additional: JsonObject;
}

function inference(
  request: ChatRequest,
  model: string,
  traits: BedrockTraits,
  options: EncodeOptions,
): Inference {
  const stops = stopsOf(request);
  const stopSequences = stops.length ? { stopSequences: stops } : {};
  const { temperature, top_p: topP } = request;
  const maxTokens = maxTokensOf(request, options);
  const topK = request["top_k"] ?? objectOf(request["anthropic"])["top_k"];
  const plain = { maxTokens, temperature, topP };
  if (traits.family === "claude") {
    const asked = ofClaude(request, model, { ...plain, topK }, options);
    const kept = stops.filter((stop) => stop.trim() !== ""); // Claude refuses blank ones
    return {
      ...asked,
      config: { ...asked.config, ...(kept.length ? { stopSequences: kept } : {}) },
    };
  }
  const reasoning = ofOthers(request, model, traits, options);
  // At its highest, Nova takes no other limits.
  const config = reasoning.alone ? {} : present(plain);
  const sampled = traits.family === "nova" && typeof topK === "number" ? { topK } : undefined;
  return {
    config: { ...config, ...stopSequences },
    additional: {
      ...reasoning.additional,
      ...(sampled ? { inferenceConfig: sampled } : {}),
    },
  };
}

/** Claude's are thought out as for Anthropic's own API, then said in two places. */
function ofClaude(
  request: ChatRequest,
  model: string,
  { maxTokens, temperature, topP, topK }: Readonly<Record<string, Json | undefined>>,
  options: EncodeOptions,
): Inference {
  const traits = claudeTraitsOf(model);
  const { metadata: _, output_config: config, ...rest } = objectOf(request["anthropic"]);
  const limit = typeof maxTokens === "number" ? maxTokens : traits.maxOutputTokens;
  const context = { own: objectOf(request["anthropic"]), model, maxTokens: limit, traits, options };
  const reasoning = encodeReasoning(request, context);
  const toldConfig = {
    ...without({ ...objectOf(config), ...objectOf(request["output_config"]) }, formatKey),
    ...(reasoning.effort ? { effort: reasoning.effort } : {}),
  };
  const fitted = fitToModel(
    {
      ...without(rest, notForBedrock),
      model,
      max_tokens: limit,
      ...(reasoning.thinking ? { thinking: reasoning.thinking } : {}),
      ...present({
        temperature:
          typeof temperature === "number" && !reasoning.temperatureFixed
            ? Math.min(1, temperature)
            : undefined,
        top_p: topP,
        top_k: topK,
      }),
      ...(Object.keys(toldConfig).length ? { output_config: toldConfig } : {}),
    },
    options.dropParams === true,
  );
  refuseSampling(fitted, traits.sampling, model, options);
  const { model: __, max_tokens: ___, temperature: heat, top_p: nucleus, ...additional } = fitted;
  const takes = traits.sampling ? { temperature: heat, topP: nucleus } : {};
  const { top_k: k, ...others } = additional;
  return {
    config: present({ maxTokens, ...takes }),
    additional: {
      ...others,
      ...(traits.sampling && k !== undefined ? { top_k: k } : {}),
      ...betasFor(request, model, toldConfig, options),
    },
  };
}

/** Said by Converse's own `outputConfig`. */
const formatKey: ReadonlySet<string> = new Set(["format"]);

/**
 * Of Anthropic's beta features those that Bedrock knows; it refuses the rest. Source:
 * https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-anthropic-claude-messages-request-response.html
 */
const knownBetas =
  /^(computer-use|token-efficient-tools|interleaved-thinking|output-128k|dev-full-thinking|context-1m|context-management|effort|tool-search-tool|tool-examples)-\d{4}-\d{2}-\d{2}$/;

function betasFor(
  request: ChatRequest,
  model: string,
  config: JsonObject,
  { betas = [] }: EncodeOptions,
): JsonObject {
  const own: Json | undefined = request["anthropic_beta"];
  const named = Array.isArray(own) ? own.map(String) : []; // the operator's own words stand
  const asked = betas.filter((beta) => knownBetas.test(beta));
  // On the one older model that takes an effort it is a beta feature still.
  if (config["effort"] !== undefined && /opus-4-5/.test(model)) asked.push("effort-2025-11-24");
  const all = [...new Set([...named, ...asked])];
  return all.length > 0 ? { anthropic_beta: all } : {};
}

/** What Anthropic's clients send for Anthropic's own API, and what only that runs. */
const notForBedrock: ReadonlySet<string> = new Set([
  ...["service_tier", "context_management", "inference_geo", "speed", "top_k", "thinking"],
  ...["container", "mcp_servers", "cache_control", "fallbacks"],
]);

function refuseSampling(
  body: JsonObject,
  takesSampling: boolean,
  model: string,
  options: EncodeOptions,
): void {
  if (takesSampling || options.dropParams) return;
  const refused = ["temperature", "top_p", "top_k"].find(
    (key) => body[key] !== undefined && body[key] !== 1,
  );
  if (refused === undefined) return;
  const why = ", whose newer models take no sampling parameters";
  throw unsupportedParam(refused, { model, at: "Bedrock" }, why);
}

interface OtherReasoning {
  readonly additional: JsonObject;
  readonly alone?: boolean;
}

function ofOthers(
  request: ChatRequest,
  model: string,
  { reasoning, family }: BedrockTraits,
  options: EncodeOptions,
): OtherReasoning {
  // A profile's ARN may stand for anything: what was asked for goes as it was said.
  if (family === "unknown" && isObject(request["thinking"])) {
    return { additional: { thinking: request["thinking"] } };
  }
  const wanted = wantedThinking(request);
  if (!wanted || wanted.effort === "none") return { additional: {} };
  const effort = { minimal: "low", xhigh: "high", max: "high" }[wanted.effort] ?? wanted.effort;
  if (reasoning === "effort") return { additional: { reasoning_effort: effort } };
  if (reasoning === "nova") {
    const reasoningConfig = { type: "enabled", maxReasoningEffort: effort };
    return { additional: { reasoningConfig }, alone: effort === "high" };
  }
  if (!wanted.asked || options.dropParams) return { additional: {} };
  throw unsupportedParam("reasoning_effort", { model, at: "Bedrock" });
}

function present(fields: Readonly<Record<string, Json | undefined>>): JsonObject {
  return Object.fromEntries(
    Object.entries(fields).filter(([, value]) => value !== undefined && value !== null),
  );
}

interface AnswerBy {
  readonly system: readonly JsonObject[];
  readonly outputConfig?: JsonObject;
  readonly tool?: JsonObject;
}

const oneObject = "Answer with one valid JSON object and nothing else: no prose, no code fence.";

/** `response_format`: by the API where the model has it, else through a tool, else in words. */
function answerBy(request: ChatRequest, traits: BedrockTraits): AnswerBy {
  const wanted = request.response_format;
  if (!isObject(wanted) || wanted["type"] === "text") return { system: [] };
  if (wanted["type"] === "json_object") return { system: [{ text: oneObject }] };
  if (wanted["type"] !== "json_schema") return { system: [] };
  const described = requireObject(wanted["json_schema"], "response_format.json_schema");
  const schema = isObject(described["schema"]) ? described["schema"] : { type: "object" };
  const description =
    typeof described["description"] === "string" ? described["description"] : undefined;
  if (traits.schema === "native") {
    const jsonSchema = {
      schema: JSON.stringify(traits.family === "claude" ? toStrictSchema(schema) : schema),
      name: typeof described["name"] === "string" ? described["name"] : "output",
      ...(description === undefined ? {} : { description }),
    };
    return {
      system: [],
      outputConfig: { textFormat: { type: "json_schema", structure: { jsonSchema } } },
    };
  }
  if (traits.schema === "words") {
    return {
      system: [{ text: `${oneObject} It follows this JSON schema: ${JSON.stringify(schema)}` }],
    };
  }
  const toolSpec = {
    name: jsonToolName,
    description: description ?? "Give the final answer through this tool.",
    inputSchema: { json: { ...schema, type: "object" } },
  };
  return { system: [], tool: { toolSpec } };
}
