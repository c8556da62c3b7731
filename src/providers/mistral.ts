/**
 * Mistral's La Plateforme, and Codestral's own address: OpenAI's chat with differences, and text
 * filled in between a beginning and an end (FIM). Mistral answers 422 to a field that it does not
 * know, in a message too, so what it lacks must go. It sends the usage of a stream unasked.
 * Sources: https://docs.mistral.ai/api, https://docs.mistral.ai/capabilities/reasoning,
 * https://docs.mistral.ai/capabilities/code_generation; LiteLLM's mapping of parameters.
 */
import { dialects } from "../dialects/registry.ts";
import { GatewayError } from "../domain/errors.ts";
import { isObject, type Json, type JsonObject } from "../domain/json.ts";
import { drop, eachMessage, rename } from "./adapt.ts";
import { mistralModeration, mistralTranscript } from "./mistral-media.ts";
import { type Adaptation, type AdaptOptions, defineProvider, type Fit } from "./provider.ts";

/** Models that may think: they do so in pieces of content. */
const thinks = (model: string) =>
  /magistral|reasoning|mistral-(small|medium|large)-(latest|26\d\d|[4-9])|mistral-medium-3[.-]5/.test(
    model,
  );

const unknownFields = drop(
  ...["logit_bias", "logprobs", "top_logprobs", "user", "stream_options", "store", "service_tier"],
  ...["prompt_cache_key", "prompt_cache_retention", "safety_identifier", "verbosity"],
);

const messageFields = new Set(["role", "content", "tool_calls", "tool_call_id", "prefix"]);

/** A message in the fields that Mistral knows; `name` is a tool's alone. */
function fitMessage(message: JsonObject, model: string): JsonObject {
  const { role, content, tool_calls: calls, tool_call_id: id } = message;
  const allowed = (key: string) => messageFields.has(key) || (key === "name" && role === "tool");
  const isClean =
    Object.entries(message).every(([key, value]) => allowed(key) && value !== undefined) &&
    role !== "developer" &&
    !(Array.isArray(calls) && calls.some(isForeignCall)) &&
    !(typeof id === "string" && !isToolId(id)) &&
    !(Array.isArray(content) && content.some(isForeignPart));
  if (isClean) return message;
  const kept = Object.entries(message).filter(
    ([key, value]) => allowed(key) && value !== undefined && value !== null,
  );
  return {
    ...Object.fromEntries(kept),
    role: role === "developer" ? "system" : role,
    ...contentOf(message, model),
    ...(Array.isArray(calls) ? { tool_calls: calls.map(fitCall) } : {}),
    ...(typeof id === "string" ? { tool_call_id: toToolId(id) } : {}),
  };
}

/** What a thinking model thought goes back to it, in its own form. */
function contentOf(message: JsonObject, model: string): JsonObject {
  const { content, reasoning_content: thought } = message;
  const parts = Array.isArray(content) ? content.map(fitPart) : content;
  if (typeof thought !== "string" || !thought || !thinks(model)) {
    return parts === undefined || parts === null ? {} : { content: parts };
  }
  const thinking = { type: "thinking", thinking: [{ type: "text", text: thought }] };
  const said = typeof parts === "string" && parts ? [{ type: "text", text: parts }] : [];
  return { content: [thinking, ...(Array.isArray(parts) ? parts : said)] };
}

const isToolId = (id: string) => /^[a-zA-Z0-9]{9}$/.test(id);
const digits = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

/** Mistral's ids have nine letters and digits. Another's id is always the same one of Mistral's. */
export function toToolId(id: string): string {
  if (isToolId(id)) return id;
  let rest = BigInt(Bun.hash(id));
  let made = "";
  for (let i = 0; i < 9; i++) {
    made += digits[Number(rest % 62n)];
    rest /= 62n;
  }
  return made;
}

const callFields = new Set(["id", "type", "function", "index"]);

const isForeignCall = (call: Json) =>
  isObject(call) &&
  ((typeof call["id"] === "string" && !isToolId(call["id"])) ||
    Object.keys(call).some((key) => !callFields.has(key)));

function fitCall(call: Json): Json {
  if (!isObject(call)) return call;
  const kept = Object.entries(call).filter(([key]) => callFields.has(key));
  const id = typeof call["id"] === "string" ? { id: toToolId(call["id"]) } : {};
  return { ...Object.fromEntries(kept), ...id };
}

const isForeignPart = (part: Json) =>
  isObject(part) &&
  (part["type"] === "file" || isObject(part["input_audio"]) || "cache_control" in part);

/** Files are documents by address, which may be `data:`; sound is its bytes alone. */
function fitPart(part: Json): Json {
  if (!(isObject(part) && isForeignPart(part))) return part;
  const { cache_control: _, ...rest } = part;
  const { file, input_audio: audio } = rest;
  if (isObject(audio)) return { type: "input_audio", input_audio: audio["data"] };
  if (rest["type"] !== "file" || !isObject(file)) return rest;
  const url = file["file_data"];
  if (typeof url !== "string") return { type: "file", file_id: file["file_id"] };
  const name = file["filename"];
  return {
    type: "document_url",
    document_url: url,
    ...(typeof name === "string" ? { document_name: name } : {}),
  };
}

const fitMessages: Adaptation = (body) =>
  eachMessage((message) => fitMessage(message, String(body["model"])))(body, { dropParams: false });

/** A conversation that ends in an assistant's words is to be gone on with: Mistral must be told. */
function continueLast(body: JsonObject): JsonObject {
  const { messages } = body;
  const last: unknown = Array.isArray(messages) ? messages.at(-1) : undefined;
  if (!(Array.isArray(messages) && isObject(last)) || last["role"] !== "assistant") return body;
  if (last["prefix"] !== undefined || Array.isArray(last["tool_calls"])) return body;
  return { ...body, messages: [...messages.slice(0, -1), { ...last, prefix: true }] };
}

/** Mistral's older models have "any" for "required"; nobody there knows of several allowed tools. */
function toolChoice(body: JsonObject): JsonObject {
  const choice = body["tool_choice"];
  const isNamed = isObject(choice) && choice["type"] === "function";
  if (choice !== "required" && (!isObject(choice) || isNamed)) return body;
  return { ...body, tool_choice: "any" };
}

/** Magistral always thinks; newer models think at "high" or not at all; the others know no effort. */
function effort(body: JsonObject, { dropParams }: AdaptOptions): JsonObject {
  const { reasoning_effort: wanted, ...rest } = body;
  if (wanted === undefined) return body;
  const model = String(body["model"]);
  if (/magistral/.test(model)) return rest;
  if (!thinks(model)) return dropParams ? rest : body;
  const fitted = wanted === "none" ? "none" : "high";
  return wanted === fitted ? body : { ...body, reasoning_effort: fitted };
}

/** Content in pieces as text, and thinking as `reasoning_content`. */
function joinPieces(holder: JsonObject): JsonObject {
  const { content } = holder;
  if (!Array.isArray(content)) return holder;
  let text = "";
  let thought = "";
  const others: Json[] = [];
  for (const piece of content as readonly Json[]) {
    if (!isObject(piece)) continue;
    if (piece["type"] === "text") text += String(piece["text"] ?? "");
    else if (piece["type"] === "thinking") thought += thoughtIn(piece["thinking"]);
    else others.push(piece); // references to documents
  }
  return {
    ...holder,
    content: text,
    ...(thought ? { reasoning_content: thought } : {}),
    ...(others.length > 0 ? { provider_specific_fields: { content_blocks: others } } : {}),
  };
}

function thoughtIn(thinking: Json | undefined): string {
  if (typeof thinking === "string") return thinking;
  if (!Array.isArray(thinking)) return "";
  return thinking.map((each: Json) => (isObject(each) ? String(each["text"] ?? "") : "")).join("");
}

/** @param key `message` of a reply, `delta` of a stream's event */
function eachChoice(body: JsonObject, key: string, change: (held: JsonObject) => JsonObject) {
  const { choices } = body;
  if (!Array.isArray(choices)) return body;
  let changed = false;
  const fresh = choices.map((choice: Json) => {
    const held = isObject(choice) ? choice[key] : undefined;
    if (!(isObject(choice) && isObject(held))) return choice;
    const made = change(held);
    if (made === held) return choice;
    changed = true;
    return { ...choice, [key]: made };
  });
  return changed ? { ...body, choices: fresh } : body;
}

const thinking: Fit = {
  applies: thinks,
  reply: (body) => eachChoice(body, "message", joinPieces),
  frame: (body) => eachChoice(body, "delta", joinPieces),
};

const fimFields = new Set([
  ...["model", "prompt", "suffix", "max_tokens", "min_tokens", "temperature", "top_p", "stop"],
  ...["stream", "random_seed", "metadata"],
]);
/** OpenAI's, with the values that ask for nothing. */
const fimRefused: readonly (readonly [string, readonly Json[]])[] = [
  ["n", [1]],
  ["best_of", [1]],
  ["echo", [false]],
  ["logprobs", []],
];

/** A text completion as a gap to be filled: `prompt`, and the `suffix` that follows it. */
function toFim(body: JsonObject): JsonObject {
  if (body["prompt"] === undefined) return body; // carried over chat
  for (const [field, neutral] of fimRefused) {
    const value = body[field];
    if (value === undefined || value === null || neutral.includes(value)) continue;
    const message = `'${field}' is not supported where Mistral fills in code. Leave it out.`;
    throw new GatewayError("unsupported_capability", message, { param: field });
  }
  const { prompt } = body;
  const only = Array.isArray(prompt) && prompt.length === 1 ? prompt[0] : prompt;
  if (typeof only !== "string") {
    const message = "Mistral completes one text at a time: 'prompt' must be one string.";
    throw new GatewayError("unsupported_capability", message, { param: "prompt" });
  }
  const kept = Object.entries(body).filter(([key]) => fimFields.has(key));
  return { ...Object.fromEntries(kept), prompt: only };
}

/** What was filled in, which comes as a chat's message. */
const filled = (key: string) => (body: JsonObject) => {
  const { choices, ...rest } = body;
  if (!Array.isArray(choices)) return body;
  return {
    ...rest,
    object: "text_completion",
    choices: choices.map((choice: Json, i) => {
      if (!isObject(choice)) return choice;
      const held = isObject(choice[key]) ? joinPieces(choice[key]) : {};
      const text = typeof held["content"] === "string" ? held["content"] : "";
      const reason = choice["finish_reason"] ?? null;
      return { index: choice["index"] ?? i, text, logprobs: null, finish_reason: reason };
    }),
  };
};

const fim: Fit = { request: toFim, reply: filled("message"), frame: filled("delta") };

/** Mistral's words for the width; it knows nothing of a user. */
function toEmbedding(body: JsonObject): JsonObject {
  const options = { dropParams: false };
  return rename("dimensions", "output_dimension")(drop("user")(body, options), options);
}

export const mistral = defineProvider({
  name: "mistral",
  dialect: dialects["openai-chat"],
  baseUrl: "https://api.mistral.ai/v1",
  baseUrlEnv: ["MISTRAL_API_BASE", "MISTRAL_AZURE_API_BASE"],
  auth: { kind: "bearer", env: ["MISTRAL_API_KEY", "MISTRAL_AZURE_API_KEY"] },
  paths: {
    chat: "/chat/completions",
    completion: "/fim/completions",
    embedding: "/embeddings",
    moderation: "/moderations",
    audio_transcription: "/audio/transcriptions",
  },
  completes: (model) => /codestral/.test(model),
  adapt: [
    rename("max_completion_tokens", "max_tokens"),
    rename("seed", "random_seed"),
    rename("safe_mode", "safe_prompt"),
    unknownFields,
    fitMessages,
    continueLast,
    toolChoice,
    effort,
  ],
  fit: {
    chat: thinking,
    completion: fim,
    embedding: { request: toEmbedding },
    moderation: mistralModeration,
    audio_transcription: mistralTranscript,
  },
  source: "https://docs.mistral.ai/api",
});

export const codestral = defineProvider({
  ...mistral,
  name: "codestral",
  aliases: ["text-completion-codestral"],
  baseUrl: "https://codestral.mistral.ai/v1",
  baseUrlEnv: ["CODESTRAL_API_BASE"],
  auth: { kind: "bearer", env: ["CODESTRAL_API_KEY"] },
  paths: { chat: "/chat/completions", completion: "/fim/completions" },
  completes: () => true,
  source: "https://docs.mistral.ai/capabilities/code_generation",
});
