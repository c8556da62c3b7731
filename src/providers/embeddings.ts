/**
 * Embeddings in the form that the caller asked for, whatever the provider speaks: numbers or base64
 * of little-endian floats; and more inputs than one request of the provider holds, in several.
 * Source: https://platform.openai.com/docs/api-reference/embeddings
 */
import type { Call } from "../domain/call.ts";
import { GatewayError } from "../domain/errors.ts";
import { isObject, type Json, type JsonObject } from "../domain/json.ts";
import type { OutboundReply } from "../security/outbound.ts";
import { Cancel } from "../std/cancel.ts";
import type { Provider } from "./provider.ts";
import { isOk, readWhole, toProviderError, type WholeReply } from "./read-reply.ts";

/** Of one call's parts, so many are asked for at a time. */
const atOnce = 4;

/** @throws GatewayError */
export async function sendInBatches(
  call: Call,
  encoded: string,
  provider: Provider,
  { ask, cancel, limitBytes }: Asking,
): Promise<WholeReply> {
  const { input } = call.body;
  if (!provider.embedsTokens) assertText(input, provider);
  const { each } = provider.fit?.embedding ?? {};
  const { embeddingBatch: batch } = provider;
  const size = typeof batch === "function" ? batch(String(modelIn(encoded))) : batch;
  const bodies = split(input, encoded, size);
  const read = async (body: string, stop: Cancel) => {
    const answer = await ask(each ? JSON.stringify(each(JSON.parse(body))) : body, stop);
    if (!isOk(answer)) throw await toProviderError(answer, provider.dialect);
    const replied = { dialect: provider.dialect, passes: true, limitBytes };
    const fit = provider.fit?.embedding?.reply;
    const told = fit && answer.headers();
    return readWhole(answer, replied, call, (reply) =>
      inForm(complete(fit ? fit(reply, told) : reply, body, call), call.body),
    );
  };
  const [first, ...rest] = bodies;
  if (first === undefined || rest.length === 0) return read(first ?? encoded, cancel);
  const replies: WholeReply[] = [];
  for (let i = 0; i < bodies.length; i += atOnce) {
    cancel.throwIfCancelled();
    const parts = bodies.slice(i, i + atOnce).map((body) => ({ body, stop: new Cancel() }));
    cancel.listen((reason) => {
      for (const { stop } of parts) stop.cancel(reason);
    });
    replies.push(...(await Promise.all(parts.map(({ body, stop }) => read(body, stop)))));
  }
  cancel.listen(undefined);
  return join(replies);
}

/** Sends a body; each part of a call has a Cancel of its own, as a Cancel has but one listener. */
interface Asking {
  readonly ask: (body: string, cancel: Cancel) => Promise<OutboundReply>;
  readonly cancel: Cancel;
  readonly limitBytes: number | undefined;
}

/** The provider's own name of the model. */
const modelIn = (encoded: string) => (JSON.parse(encoded) as JsonObject)["model"];

function split(input: Json | undefined, encoded: string, size: number | undefined): string[] {
  // A list of numbers is one input.
  if (!Array.isArray(input) || typeof input[0] === "number") return [encoded];
  if (size === undefined || input.length <= size) return [encoded];
  const body: JsonObject = JSON.parse(encoded);
  return Array.from({ length: Math.ceil(input.length / size) }, (_, n) =>
    JSON.stringify({ ...body, input: input.slice(n * size, (n + 1) * size) }),
  );
}

/** The parts' vectors in the order of the inputs, and the sum of what they used. */
function join(replies: readonly WholeReply[]): WholeReply {
  const [first] = replies as readonly [WholeReply];
  const data: Json[] = [];
  const usage: Record<string, number | boolean> = {};
  for (const { body } of replies) {
    const from = data.length;
    const rows = body["data"] as readonly Json[]; // readWhole has seen that it is a list
    for (const [i, row] of rows.entries()) {
      data.push(isObject(row) ? { ...row, index: from + indexOf(row, i) } : row);
    }
    for (const [key, value] of Object.entries(isObject(body["usage"]) ? body["usage"] : {})) {
      if (typeof value === "number") usage[key] = Number(usage[key] ?? 0) + value;
      else if (value === true) usage[key] = true;
    }
  }
  const body = { ...first.body, data, usage };
  return { ...first, body, bytes: new TextEncoder().encode(JSON.stringify(body)) };
}

/** What every client reads, where the provider does not say it: of tokens an estimate, marked so. */
function complete(reply: JsonObject, sent: string, { requestedModel }: Call): JsonObject {
  const { data, model, usage } = reply;
  if (!Array.isArray(data) || (typeof model === "string" && isObject(usage))) return reply;
  const tokens = isObject(usage) ? undefined : estimateTokens(sent);
  return {
    ...reply,
    ...(typeof model === "string" ? {} : { model: requestedModel }),
    ...(tokens === undefined
      ? {}
      : { usage: { prompt_tokens: tokens, total_tokens: tokens, estimated: true } }),
  };
}

/** Four characters to a token. */
function estimateTokens(sent: string): number {
  const { input } = JSON.parse(sent) as JsonObject;
  const texts: readonly Json[] = Array.isArray(input) ? input : [input ?? ""];
  return Math.ceil(texts.reduce<number>((sum, each) => sum + String(each).length, 0) / 4);
}

const indexOf = (row: JsonObject, i: number) =>
  typeof row["index"] === "number" ? row["index"] : i;

/** The reply itself where its vectors are in the form asked for already: then its bytes pass. */
function inForm(reply: JsonObject, { encoding_format: format }: JsonObject): JsonObject {
  const { data } = reply;
  if (!Array.isArray(data)) return reply;
  const base64 = format === "base64";
  const fits = (row: Json) =>
    !isObject(row) || (base64 ? !Array.isArray(row["embedding"]) : !isText(row["embedding"]));
  if (data.every(fits)) return reply;
  return { ...reply, data: data.map((row: Json) => convert(row, base64)) };
}

const isText = (value: Json | undefined) => typeof value === "string";

function convert(row: Json, base64: boolean): Json {
  if (!isObject(row)) return row;
  const { embedding } = row;
  if (base64 && Array.isArray(embedding)) {
    const bytes = Buffer.from(Float32Array.from(embedding as readonly number[]).buffer);
    return { ...row, embedding: bytes.toString("base64") };
  }
  if (!base64 && typeof embedding === "string") {
    const bytes = Buffer.from(embedding, "base64");
    const floats = new Float32Array(bytes.length >> 2);
    for (let i = 0; i < floats.length; i++) floats[i] = bytes.readFloatLE(i * 4);
    return { ...row, embedding: [...floats] };
  }
  return row;
}

/** Tokens are numbers of one vocabulary: to any other model they are noise. */
function assertText(input: Json | undefined, provider: Provider): void {
  if (!Array.isArray(input)) return;
  const first: unknown = Array.isArray(input[0]) ? input[0][0] : input[0];
  if (typeof first !== "number") return;
  throw new GatewayError(
    "unsupported_capability",
    `"input" holds tokens, and ${provider.name} embeds text alone. Send strings (LangChain: check_embedding_ctx_length=False).`,
    { param: "input" },
  );
}
