/**
 * Cohere by its own second API: chat, embeddings, rerank.
 * Sources: https://docs.cohere.com/reference/chat, .../reference/embed, .../reference/rerank
 */
import { providerDialects } from "../dialects/registry.ts";
import { isObject, type Json, type JsonObject } from "../domain/json.ts";
import { defineProvider, type Fit } from "./provider.ts";
import { cohereRerank, toCohereReply } from "./rerankers.ts";

const cohereEmbedding: Fit = { each: toEmbed, reply: fromEmbed };

export const cohere = defineProvider({
  name: "cohere",
  aliases: ["cohere_chat"],
  dialect: providerDialects.cohere,
  baseUrl: "https://api.cohere.com",
  baseUrlEnv: ["COHERE_API_BASE", "CO_API_URL"],
  // Written with a version, with an API's path, or as the endpoint in OpenAI's dialect.
  toBase: (base) => base.replace(/(\/compatibility)?(\/v[12])?(\/(chat|embed|rerank))?$/, ""),
  auth: { kind: "bearer", env: ["COHERE_API_KEY", "CO_API_KEY"] },
  paths: { chat: "/v2/chat", embedding: "/v2/embed", rerank: "/v2/rerank" },
  fit: { embedding: cohereEmbedding, rerank: { ...cohereRerank, reply: toCohereReply } },
  embeddingBatch: 96,
  source: "https://docs.cohere.com/reference/chat",
});

/** Cohere insists on a purpose; LiteLLM's default is a document to be found. */
export function toEmbed(body: JsonObject): JsonObject {
  const {
    input,
    encoding_format: format,
    dimensions,
    user: _,
    input_type: purpose,
    ...rest
  } = body;
  return {
    ...rest,
    texts: Array.isArray(input) ? input : [input],
    input_type: purpose ?? "search_document",
    embedding_types: rest["embedding_types"] ?? [format === "base64" ? "base64" : "float"],
    ...(dimensions === undefined ? {} : { output_dimension: dimensions }),
  };
}

/** Also of Cohere's models elsewhere: the fields are the same. */
export function fromEmbed(reply: JsonObject, headers?: Headers): JsonObject {
  const { embeddings, meta, model } = reply;
  const vectors = vectorsIn(embeddings);
  if (!vectors) return reply;
  const billed = isObject(meta) && isObject(meta["billed_units"]) ? meta["billed_units"] : {};
  // Bedrock counts in a header.
  const told = billed["input_tokens"] ?? Number(headers?.get("x-amzn-bedrock-input-token-count"));
  const tokens = typeof told === "number" && told > 0 ? told : 0;
  return {
    object: "list",
    data: vectors.map((embedding, index) => ({ object: "embedding", index, embedding })),
    model: typeof model === "string" ? model : "",
    usage: { prompt_tokens: tokens, total_tokens: tokens },
  };
}

/** By type, or (from older models) a bare list. */
function vectorsIn(embeddings: Json | undefined): readonly Json[] | undefined {
  if (Array.isArray(embeddings)) return embeddings;
  if (!isObject(embeddings)) return undefined;
  return Object.values(embeddings).find((each): each is readonly Json[] => Array.isArray(each));
}
