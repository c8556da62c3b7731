/**
 * Ollama, by its own API: what the server knows beyond OpenAI's words (thinking, the context's size,
 * how long a model stays loaded) is said there alone. Text completions go by its OpenAI-compatible
 * path. Sources: https://docs.ollama.com/api, https://docs.ollama.com/openai; LiteLLM's prefixes.
 */
import { providerDialects } from "../dialects/registry.ts";
import { isObject, type Json, type JsonObject } from "../domain/json.ts";
import { defineProvider } from "./provider.ts";

export const ollama = defineProvider({
  name: "ollama",
  aliases: ["ollama_chat"],
  dialect: providerDialects.ollama,
  baseUrl: "http://localhost:11434",
  baseUrlEnv: ["OLLAMA_API_BASE"],
  // Written bare by LiteLLM's users, with a path of one of its APIs by others.
  toBase: (base) => base.replace(/\/(v1|api|api\/chat|api\/generate)$/, ""),
  auth: { kind: "bearer", env: ["OLLAMA_API_KEY"] },
  paths: { chat: "/api/chat", completion: "/v1/completions", embedding: "/api/embed" },
  completes: () => true,
  fit: { embedding: { request: toEmbed, reply: fromEmbed } },
  source: "https://docs.ollama.com/api",
});

/** Of OpenAI's fields those that Ollama knows; its own (`keep_alive`, `options`, `truncate`) pass. */
function toEmbed(body: JsonObject): JsonObject {
  const { encoding_format: _, user: __, num_ctx: size, ...rest } = body;
  if (size === undefined) return rest;
  return {
    ...rest,
    options: { num_ctx: size, ...(isObject(rest["options"]) ? rest["options"] : {}) },
  };
}

function fromEmbed(reply: JsonObject): JsonObject {
  const { embeddings, model, prompt_eval_count: count } = reply;
  if (!Array.isArray(embeddings)) return reply;
  const tokens = typeof count === "number" ? count : 0;
  return {
    object: "list",
    data: embeddings.map((embedding: Json, index) => ({ object: "embedding", index, embedding })),
    model: model ?? "",
    usage: { prompt_tokens: tokens, total_tokens: tokens },
  };
}
