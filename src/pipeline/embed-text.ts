/**
 * The gateway asks one of its own embedding models, for a decision of its router: a call like any
 * other (retried, billed, in the event log), whose caller is the gateway.
 */
import type { Call } from "../domain/call.ts";
import { isObject, type JsonObject } from "../domain/json.ts";
import { decodeUtf8, parseJsonText } from "../std/json.ts";
import { CallFailed, run } from "./handle.ts";
import { isWhole } from "./reply.ts";
import type { Services } from "./services.ts";

/** Rejects with a plain Error: a decision without its embedding is made another way, and said so. */
export async function embedText(
  model: string,
  text: string,
  services: Services,
  timeoutMs: number,
): Promise<readonly number[]> {
  const leave = new AbortController();
  const cancel = services.clock.after(timeoutMs, () => leave.abort());
  try {
    const { body } = await run(toCall({ model, input: text }, services, leave.signal), services);
    if (!isWhole(body)) throw new Error(`${model} answered with a stream`);
    return readVector(typeof body === "string" ? body : decodeUtf8(toBytes(body)), model);
  } catch (thrown) {
    if (!(thrown instanceof CallFailed)) throw thrown;
    throw new Error(`the embedding model ${model} failed: ${thrown.message}`, { cause: thrown });
  } finally {
    cancel();
  }
}

const toBytes = (body: ArrayBuffer | Uint8Array) =>
  body instanceof Uint8Array ? body : new Uint8Array(body);

function readVector(text: string, model: string): readonly number[] {
  const reply = parseJsonText(text);
  const data = isObject(reply) ? reply["data"] : undefined;
  const [first] = Array.isArray(data) ? data : [];
  const vector = isObject(first) ? first["embedding"] : undefined;
  const sound = Array.isArray(vector) && vector.every((value) => typeof value === "number");
  if (!sound) throw new Error(`${model} answered without a vector`);
  return vector as readonly number[];
}

function toCall(body: JsonObject, { clock }: Services, signal: AbortSignal): Call {
  const id = Bun.randomUUIDv7();
  return {
    id,
    requestId: id,
    operation: "embedding",
    dialect: "openai-chat",
    caller: { id: "router", tenant: "default", admin: true },
    requestedModel: String(body["model"]),
    stream: false,
    text: JSON.stringify(body),
    body,
    headers: new Headers(),
    signal,
    startedAtMs: clock.now(),
    startedUs: clock.monotonicUs(),
    options: {},
  };
}
