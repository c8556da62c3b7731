/** Services that embed and rerank and do not chat, and Cohere's form of rerank that callers read. */
import { dialects } from "../dialects/registry.ts";
import { isObject, type Json, type JsonObject } from "../domain/json.ts";
import { drop, rename } from "./adapt.ts";
import { defineProvider, type Fit, type Provider } from "./provider.ts";

/** Documents as plain texts: what Cohere's second version, Jina and Voyage have in common. */
function withTexts(body: JsonObject): JsonObject {
  const { documents } = body;
  if (!Array.isArray(documents) || documents.every((each) => typeof each === "string")) return body;
  const texts = documents.map((each: Json) =>
    isObject(each) && typeof each["text"] === "string" ? each["text"] : each,
  );
  return { ...body, documents: texts };
}

const options = { dropParams: false };

/** Cohere's second version gives no documents back, and says no when asked to. */
export const cohereRerank: Fit = {
  request: (body) => drop("return_documents", "rank_fields")(withTexts(body), options),
};

/** `results` with an `id` and `meta`, as Cohere's clients and LiteLLM's read them. */
export function toCohereReply(body: JsonObject): JsonObject {
  const results = body["results"] ?? body["data"];
  if (!Array.isArray(results)) return body;
  const { data: _, usage, ...rest } = body;
  const tokens = isObject(usage) ? usage["total_tokens"] : undefined;
  const billed = tokens === undefined ? {} : { billed_units: { total_tokens: tokens } };
  return {
    id: `rerank-${Bun.hash(JSON.stringify(results)).toString(36)}`,
    ...rest,
    results: results.map(withDocument),
    meta: isObject(body["meta"]) ? body["meta"] : billed,
    ...(usage === undefined ? {} : { usage }),
  };
}

/** Voyage and some servers give the text itself. */
function withDocument(result: Json): Json {
  if (!isObject(result) || typeof result["document"] !== "string") return result;
  return { ...result, document: { text: result["document"] } };
}

export const jinaRerank: Fit = { request: withTexts, reply: toCohereReply };

const topK = rename("top_n", "top_k");

export const rerankers: readonly Provider[] = [
  defineProvider({
    name: "jina_ai",
    dialect: dialects["openai-chat"],
    baseUrl: "https://api.jina.ai/v1",
    baseUrlEnv: ["JINA_AI_API_BASE"],
    auth: { kind: "bearer", env: ["JINA_AI_API_KEY", "JINA_AI_TOKEN"] },
    paths: { embedding: "/embeddings", rerank: "/rerank" },
    fit: { rerank: jinaRerank, embedding: { request: jinaEncoding } },
    source: "https://jina.ai/reranker",
  }),
  defineProvider({
    name: "voyage",
    dialect: dialects["openai-chat"],
    baseUrl: "https://api.voyageai.com/v1",
    baseUrlEnv: ["VOYAGE_API_BASE"],
    auth: { kind: "bearer", env: ["VOYAGE_API_KEY", "VOYAGE_AI_API_KEY", "VOYAGE_AI_TOKEN"] },
    paths: { embedding: "/embeddings", rerank: "/rerank" },
    fit: {
      rerank: { request: (body) => topK(withTexts(body), options), reply: toCohereReply },
      embedding: { request: voyageEmbedding },
    },
    embeddingBatch: 1000,
    source: "https://docs.voyageai.com/reference/reranker-api",
  }),
  defineProvider({
    name: "infinity",
    dialect: dialects["openai-chat"],
    baseUrlEnv: ["INFINITY_API_BASE"],
    auth: { kind: "bearer", env: ["INFINITY_API_KEY"] },
    paths: { embedding: "/embeddings", rerank: "/rerank" },
    fit: { rerank: jinaRerank },
    source: "https://github.com/michaelfeil/infinity",
  }),
];

/** Jina's own word for OpenAI's `encoding_format`. */
function jinaEncoding(body: JsonObject): JsonObject {
  return rename("encoding_format", "embedding_type")(body, options);
}

/** Voyage knows base64 alone by that name, and has its own word for the width. */
function voyageEmbedding(body: JsonObject): JsonObject {
  const sized = rename("dimensions", "output_dimension")(drop("user")(body, options), options);
  return body["encoding_format"] === "base64" ? sized : drop("encoding_format")(sized, options);
}
