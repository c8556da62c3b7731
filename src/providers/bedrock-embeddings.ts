/**
 * Embeddings on Bedrock by InvokeModel, where every maker has a form of its own. Sources:
 * https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-titan-embed-text.html,
 * .../model-parameters-embed-v3.html, .../model-parameters-nova-embeddings (Nova).
 */
import { GatewayError } from "../domain/errors.ts";
import { isObject, type Json, type JsonObject } from "../domain/json.ts";
import { fromEmbed, toEmbed } from "./cohere.ts";
import type { Fit } from "./provider.ts";

const isCohere = (model: string) => /cohere\.embed/.test(model);

/** Amazon's models take one text at a time. */
export const embeddingBatch = (model: string) => (isCohere(model) ? 96 : 1);

export const bedrockEmbedding: Fit = { each: toInvoke, reply: fromInvoke };

function toInvoke(body: JsonObject): JsonObject {
  const { model: named, user: _, encoding_format: __, ...rest } = body;
  const model = String(named);
  if (isCohere(model)) return toEmbed(rest);
  const { input, dimensions, ...own } = rest;
  const text = Array.isArray(input) ? input[0] : input;
  if (/titan-embed-image/.test(model)) {
    const length = { outputEmbeddingLength: dimensions };
    return {
      ...own,
      inputText: text,
      ...(dimensions === undefined ? {} : { embeddingConfig: length }),
    };
  }
  if (/titan-embed/.test(model)) {
    return { ...own, inputText: text, ...(dimensions === undefined ? {} : { dimensions }) };
  }
  if (/nova.*embed/.test(model)) return toNova(own, text, dimensions);
  throw new GatewayError(
    "unsupported_capability",
    `The embeddings of "${model.slice(0, 80)}" are not served here. Use a model of Titan, Nova or Cohere.`,
    { param: "model" },
  );
}

function toNova(own: JsonObject, text: Json | undefined, dimensions: Json | undefined): JsonObject {
  const { input_type: purpose, ...rest } = own;
  return {
    taskType: "SINGLE_EMBEDDING",
    singleEmbeddingParams: {
      embeddingPurpose: purpose === "search_query" ? "GENERIC_RETRIEVAL" : "GENERIC_INDEX",
      ...(dimensions === undefined ? {} : { embeddingDimension: dimensions }),
      text: { truncationMode: "END", value: text },
    },
    ...rest,
  };
}

function fromInvoke(reply: JsonObject, headers?: Headers): JsonObject {
  const { embedding, embeddingsByType: byType, inputTextTokenCount: counted, embeddings } = reply;
  const one = embedding ?? (isObject(byType) ? byType["float"] : undefined) ?? firstOf(embeddings);
  if (!Array.isArray(one)) return fromEmbed(reply, headers);
  const told = counted ?? Number(headers?.get("x-amzn-bedrock-input-token-count"));
  const tokens = typeof told === "number" && told > 0 ? told : 0;
  return {
    object: "list",
    data: [{ object: "embedding", index: 0, embedding: one }],
    model: "",
    usage: { prompt_tokens: tokens, total_tokens: tokens },
  };
}

/** Nova's list of one. */
function firstOf(embeddings: Json | undefined): Json | undefined {
  const first: unknown = Array.isArray(embeddings) ? embeddings[0] : undefined;
  return isObject(first) ? first["embedding"] : undefined;
}
