/** Texts to vectors for a store: by the built-in embedder, or by a model of the gateway. */
import type { Caller } from "../../domain/call.ts";
import { GatewayError } from "../../domain/errors.ts";
import { isObject, type Json } from "../../domain/json.ts";
import { runOwnCall } from "../../pipeline/own-call.ts";
import { isWhole } from "../../pipeline/reply.ts";
import type { Services } from "../../pipeline/services.ts";
import type { Remote } from "../../std/rpc.ts";
import { vectorLimits } from "../../storage/vectors.ts";
import type { DocumentService } from "./document-thread.ts";

export interface EmbedSources {
  readonly documents: Remote<DocumentService>;
  readonly services: () => Services;
}

export interface EmbedRequest {
  readonly texts: readonly string[];
  /** A group of the gateway; undefined: the built-in embedder. */
  readonly model: string | undefined;
  readonly caller: Caller;
  readonly signal: AbortSignal;
}

/** Texts of one request to a provider, or to the thread. */
const batchTexts = 64;

/** One vector per text. @throws GatewayError, CallFailed of the model's call */
export async function embedTexts(
  request: EmbedRequest,
  sources: EmbedSources,
): Promise<readonly Float32Array[]> {
  const vectors: Float32Array[] = [];
  for (let at = 0; at < request.texts.length; at += batchTexts) {
    request.signal.throwIfAborted();
    const texts = request.texts.slice(at, at + batchTexts);
    const { model } = request;
    const batch =
      model === undefined
        ? await builtIn(texts, sources)
        : await ofModel({ ...request, texts, model }, sources);
    vectors.push(...batch);
  }
  return vectors;
}

async function builtIn(texts: readonly string[], { documents }: EmbedSources) {
  const { values, dimensions } = await documents.call("embed", texts);
  return texts.map((_, i) => values.subarray(i * dimensions, (i + 1) * dimensions));
}

/** A call like any other: authenticated, billed, retried, with a receipt. */
async function ofModel(
  { texts, model, caller, signal }: EmbedRequest & { readonly model: string },
  { services }: EmbedSources,
): Promise<readonly Float32Array[]> {
  const asked = { model, input: texts as Json, encoding_format: "float" };
  const call = { operation: "embedding", dialect: "openai-chat", caller, signal } as const;
  const { body } = await runOwnCall({ ...call, body: asked }, services());
  if (!isWhole(body)) throw new GatewayError("internal", "Embeddings came as a stream.");
  const reply: unknown = JSON.parse(
    typeof body === "string" ? body : new TextDecoder().decode(body),
  );
  const rows = isObject(reply) && Array.isArray(reply["data"]) ? reply["data"] : [];
  const vectors = rows.map((row) => toVector(isObject(row) ? row["embedding"] : undefined, model));
  if (vectors.length === texts.length) return vectors;
  const message = `${model} answered ${vectors.length} vectors for ${texts.length} texts.`;
  throw new GatewayError("upstream_failed", message);
}

function toVector(embedding: unknown, model: string): Float32Array {
  const isFit =
    Array.isArray(embedding) &&
    embedding.length > 0 &&
    embedding.length <= vectorLimits.dimensions &&
    embedding.every((each) => typeof each === "number" && Number.isFinite(each));
  if (isFit) return Float32Array.from(embedding as readonly number[]);
  throw new GatewayError("upstream_failed", `${model} answered a vector that is none.`);
}
