/**
 * Google's embeddings for its clients, whatever provider makes them: AI Studio's `embedContent` and
 * `batchEmbedContents`, Vertex AI's `predict`. Carried as the embeddings that every provider has.
 * Sources: https://ai.google.dev/api/embeddings,
 * https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/text-embeddings-api
 */
import { GatewayError, toGatewayError } from "../../domain/errors.ts";
import { isObject, type Json, type JsonObject } from "../../domain/json.ts";
import { CallFailed, handle } from "../../pipeline/handle.ts";
import type { Arrival, ReceivedBody } from "../../pipeline/read-call.ts";
import { isWhole, type Reply } from "../../pipeline/reply.ts";
import type { Services } from "../../pipeline/services.ts";
import { JsonParseFailed, parseJson, parseJsonText } from "../../std/json.ts";
import type { CallRoute } from "../call-route.ts";

type Form = "embedContent" | "batchEmbedContents" | "predict";

/** What carries a call in one of the three forms. */
export function embedIn(form: Form): NonNullable<CallRoute["handle"]> {
  return async (arrival, services) => {
    const bytes = async () => {
      const read = toRequest(form, parse(await arrival.bytes()));
      return new TextEncoder().encode(JSON.stringify(withModel(read, arrival, services)));
    };
    const { pathStream: _, ...rest } = arrival;
    const reply = await handle({ ...rest, dialect: "openai-chat", bytes }, services).catch(
      asGoogles,
    );
    try {
      return { ...reply, body: JSON.stringify(toAnswer(form, reply)) };
    } catch (thrown) {
      throw new CallFailed(toGatewayError(thrown), reply.record);
    }
  };
}

/** OpenAI's clients look for a 400 where a model is unknown; Google's look for a 404. */
function asGoogles(thrown: unknown): never {
  if (!(thrown instanceof CallFailed) || thrown.error.code !== "model_not_found") throw thrown;
  const { message } = thrown.error;
  const error = new GatewayError("model_not_found", message, { param: "model" });
  throw new CallFailed(error, thrown.record);
}

interface Embedding {
  readonly texts: readonly string[];
  readonly dimensions: Json | undefined;
  readonly taskType: Json | undefined;
  readonly title: Json | undefined;
}

function parse(bytes: ReceivedBody): JsonObject {
  try {
    const body = typeof bytes === "string" ? parseJsonText(bytes) : parseJson(bytes);
    if (isObject(body)) return body;
  } catch (cause) {
    if (!(cause instanceof JsonParseFailed)) throw cause;
    const code = cause.reason === "utf8" ? "invalid_utf8" : "invalid_json";
    throw new GatewayError(code, `The body cannot be read: ${cause.message}.`, { cause });
  }
  throw new GatewayError("invalid_request", "The body must be a JSON object.");
}

function toRequest(form: Form, body: JsonObject): Embedding {
  if (form === "embedContent") return ofContent(body, "content");
  if (form === "batchEmbedContents") {
    const requests = listOf(body, "requests");
    return merge(requests.map((each, i) => ofContent(each, `requests[${i}].content`)));
  }
  const parameters = isObject(body["parameters"]) ? body["parameters"] : {};
  const instances = listOf(body, "instances");
  return merge(
    instances.map((each, i) => ({
      texts: [textOf(each["content"], `instances[${i}].content`)],
      dimensions: parameters["outputDimensionality"],
      taskType: each["task_type"] ?? each["taskType"],
      title: each["title"],
    })),
  );
}

function ofContent(body: JsonObject, path: string): Embedding {
  const config = isObject(body["embedContentConfig"]) ? body["embedContentConfig"] : body;
  const { content } = body;
  const parts = isObject(content) ? content["parts"] : undefined;
  if (!Array.isArray(parts) || parts.length === 0) {
    throw invalid(path, `"${path}" must have a list of parts.`);
  }
  const texts = parts.map((part: Json, i) =>
    textOf(isObject(part) ? part["text"] : undefined, `${path}.parts[${i}].text`),
  );
  return {
    texts: [texts.join("\n")],
    dimensions: config["outputDimensionality"] ?? config["output_dimensionality"],
    taskType: config["taskType"] ?? config["task_type"],
    title: config["title"],
  };
}

/** One call has one set of options. */
function merge(all: readonly Embedding[]): Embedding {
  const [first] = all as readonly [Embedding];
  const optionsOf = ({ texts: _, ...options }: Embedding) => JSON.stringify(options);
  const odd = all.findIndex((each) => optionsOf(each) !== optionsOf(first));
  if (odd > 0) {
    throw invalid(
      `requests[${odd}]`,
      "The texts of one request must share task type, title and dimensions. Send the others apart.",
    );
  }
  return { ...first, texts: all.flatMap(({ texts }) => texts) };
}

function listOf(body: JsonObject, name: string): readonly JsonObject[] {
  const list = body[name];
  if (Array.isArray(list) && list.length > 0 && list.every(isObject)) return list;
  throw invalid(name, `"${name}" must be a list of at least one object.`);
}

function textOf(value: Json | undefined, path: string): string {
  if (typeof value === "string") return value;
  throw invalid(path, `"${path}" must be a string; only text is embedded here.`);
}

function invalid(param: string, message: string): GatewayError {
  return new GatewayError("invalid_request", message, { param });
}

/** What only Google's models know goes to those alone. */
function withModel(
  { texts, dimensions, taskType, title }: Embedding,
  { pathModel }: Arrival,
  { table }: Services,
): JsonObject {
  const found = table.find(pathModel ?? "", "embedding")?.deployments ?? [];
  const isGoogles =
    found.length > 0 && found.every(({ provider }) => /^(gemini|vertex_ai)/.test(provider));
  const more = isGoogles ? { task_type: taskType, title } : {};
  const told = Object.entries({ dimensions, ...more }).filter(([, value]) => value !== undefined);
  return { model: pathModel ?? null, input: texts, ...Object.fromEntries(told) } as JsonObject;
}

function toAnswer(form: Form, { body }: Reply): JsonObject {
  if (!isWhole(body)) throw new Error("embeddings are no stream");
  const reply: unknown = typeof body === "string" ? JSON.parse(body) : parseJson(body);
  const { data, usage } = isObject(reply) ? reply : {};
  const embeddings = (Array.isArray(data) ? data : []).map((row: Json) => ({
    values: (isObject(row) ? row["embedding"] : null) ?? [],
  }));
  const count = isObject(usage) ? (usage["prompt_tokens"] ?? 0) : 0;
  const usageMetadata = { promptTokenCount: count };
  if (form === "embedContent") return { embedding: embeddings[0] ?? { values: [] }, usageMetadata };
  if (form === "batchEmbedContents") return { embeddings, usageMetadata };
  const statistics = embeddings.length === 1 ? { token_count: count, truncated: false } : undefined;
  return {
    predictions: embeddings.map((each) => ({
      embeddings: { ...each, ...(statistics ? { statistics } : {}) },
    })),
  };
}
