/**
 * A reply on its way to the caller, stored as it passes: before the caller can know that it is
 * whole, so that what a caller was told can be asked for.
 */
import { lastEvents } from "../../dialects/openai-responses/wire.ts";
import { isObject, type JsonObject } from "../../domain/json.ts";
import { isWhole, type Reply, type ReplyStream, type WholeBody } from "../../pipeline/reply.ts";
import { parseJson } from "../../std/json.ts";
import { createSseParser, type SseFrame } from "../../std/sse.ts";
import type { ResponseStore, StoredResponse } from "../../storage/response-store.ts";
import type { Turn } from "./turn.ts";

export async function keepReply(reply: Reply, turn: Turn, store: ResponseStore): Promise<Reply> {
  if (!turn.keep) return reply;
  const { body, record } = reply;
  const put = async (response: JsonObject) => {
    const stored = toStored(response, turn, record);
    if (stored) await store.put(stored);
  };
  if (!isWhole(body)) return { ...reply, body: keepStream(body, turn, put) };
  await put(parseWhole(body));
  return reply;
}

export function parseWhole(body: WholeBody): JsonObject {
  const value: unknown = typeof body === "string" ? JSON.parse(body) : parseJson(body);
  return isObject(value) ? value : {};
}

/** None where the response has no id. Of one that its provider keeps, only where it was made. */
export function toStored(
  response: JsonObject,
  turn: Turn,
  { deployment }: Reply["record"],
): StoredResponse | undefined {
  const { id } = response;
  if (typeof id !== "string" || id === "") return undefined;
  const { call, input, previous } = turn;
  return {
    id,
    caller: call.caller.id,
    createdMs: call.startedAtMs,
    requestedModel: call.requestedModel,
    deployment: deployment?.id ?? "",
    candidate: deployment?.candidate ?? "",
    ...(id === turn.id
      ? { kept: { response, input }, ...(previous === undefined ? {} : { previous }) }
      : {}),
  };
}

function keepStream(
  stream: ReplyStream,
  turn: Turn,
  put: (response: JsonObject) => Promise<void>,
): ReplyStream {
  const parser = createSseParser();
  let seen = false;
  let whole = false;

  /** Of a response of ours the last event is stored; of another's the first, which has its id. */
  async function look(bytes: Uint8Array): Promise<void> {
    if (whole) return;
    // Frames may be views on the chunk, which is the caller's to write on.
    for (const frame of parser.push(bytes)) {
      const response = responseIn(frame, seen);
      if (!response) continue;
      seen = true;
      const isOurs = response["id"] === turn.id;
      if (isOurs && !lastEvents.has(frame.event)) continue;
      whole = true;
      await put(response);
      return;
    }
  }

  return {
    async next() {
      const bytes = await stream.next();
      if (bytes) await look(bytes);
      return bytes;
    },
    cancel: (reason) => stream.cancel(reason),
  };
}

/** The response that an event tells: of the first such event, and of the last. */
export function responseIn(frame: SseFrame, seen: boolean): JsonObject | undefined {
  if (seen && !lastEvents.has(frame.event)) return undefined;
  if (!frame.event.startsWith("response.")) return undefined;
  const body: unknown = JSON.parse(frame.data);
  return isObject(body) && isObject(body["response"]) ? body["response"] : undefined;
}
