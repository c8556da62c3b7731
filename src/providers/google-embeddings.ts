/**
 * Google's embeddings, in OpenAI's form to callers: AI Studio's batches, Vertex AI's predictions, and
 * the method that its newer models take there.
 * Sources: https://ai.google.dev/api/embeddings,
 * https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/text-embeddings-api
 */
import { isObject, type Json, type JsonObject } from "../domain/json.ts";
import type { Fit } from "./provider.ts";

/** What OpenAI has no word for, as LiteLLM's callers and Google's own spell it. */
function optionsOf(body: JsonObject): JsonObject {
  return present({
    taskType: body["task_type"] ?? body["taskType"],
    title: body["title"],
    outputDimensionality: body["dimensions"] ?? body["outputDimensionality"],
  });
}

const inputsOf = ({ input }: JsonObject): readonly Json[] =>
  Array.isArray(input) ? input : [input ?? ""];

const toContent = (text: Json) => ({ parts: [{ text }] });

/** AI Studio: `models/{model}:batchEmbedContents`. */
export const studioEmbedding: Fit = {
  each: (body) => ({
    requests: inputsOf(body).map((text) => ({
      model: `models/${String(body["model"])}`,
      content: toContent(text),
      ...optionsOf(body),
    })),
  }),
  reply: (reply) => toList(listIn(reply["embeddings"]), reply),
};

/** Vertex AI: `:embedContent`, one text a request. */
export const contentEmbedding: Fit = {
  each: (body) => ({ content: toContent(inputsOf(body)[0] ?? ""), ...optionsOf(body) }),
  reply: (reply) => (isObject(reply["embedding"]) ? toList([reply["embedding"]], reply) : reply),
};

/** Vertex AI: `:predict`. */
export const predictedEmbedding: Fit = {
  each(body) {
    const { taskType, title, outputDimensionality } = optionsOf(body);
    const autoTruncate = body["auto_truncate"] ?? body["autoTruncate"];
    return {
      instances: inputsOf(body).map((content) => present({ content, task_type: taskType, title })),
      parameters: present({ outputDimensionality, autoTruncate }),
    };
  },
  reply(reply) {
    const vectors = listIn(reply["predictions"])?.map((each) =>
      isObject(each) && isObject(each["embeddings"]) ? each["embeddings"] : {},
    );
    const tokens = (vectors ?? []).map(({ statistics }) =>
      isObject(statistics) ? Number(statistics["token_count"] ?? 0) : 0,
    );
    const count = tokens.reduce((sum, each) => sum + each, 0);
    return toList(vectors, { usageMetadata: { promptTokenCount: count } });
  },
};

/** The reply itself where it holds no vectors: it is then refused in words. */
function toList(vectors: readonly JsonObject[] | undefined, reply: JsonObject): JsonObject {
  if (!vectors) return reply;
  const { usageMetadata } = reply;
  const tokens = isObject(usageMetadata) ? usageMetadata["promptTokenCount"] : undefined;
  const isTold = typeof tokens === "number" && tokens > 0;
  return {
    object: "list",
    data: vectors.map(({ values }, index) => ({
      object: "embedding",
      index,
      embedding: values ?? [],
    })),
    ...(isTold ? { usage: { prompt_tokens: tokens, total_tokens: tokens } } : {}),
  };
}

const listIn = (value: Json | undefined): readonly JsonObject[] | undefined =>
  Array.isArray(value) ? value.filter(isObject) : undefined;

function present(fields: Readonly<Record<string, Json | undefined>>): JsonObject {
  const told = Object.entries(fields).filter(([, value]) => value !== undefined && value !== null);
  return Object.fromEntries(told) as JsonObject;
}
