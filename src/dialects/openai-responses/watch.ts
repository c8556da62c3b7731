/**
 * Facts of a Responses stream that passes as it is. An event is told by its name; only the last one,
 * and failures, are read whole.
 */
import { isObject, type JsonObject } from "../../domain/json.ts";
import type { Usage } from "../../domain/usage.ts";
import type { SseFrame } from "../../std/sse.ts";
import { assertClosed, parseFrame } from "../decode-wire.ts";
import type { FrameFacts, StreamWatch } from "../dialect.ts";
import { decodeResponseError } from "./errors.ts";
import { finishReasonOf, usageOf } from "./reply.ts";
import { lastEvents, textOf } from "./wire.ts";

const nothing: FrameFacts = { event: false, token: false, usageOnly: false, done: false };
const plain: FrameFacts = { ...nothing, event: true };
const token: FrameFacts = { ...plain, token: true };
const done: FrameFacts = { ...plain, done: true };

export function createStreamWatch(): StreamWatch {
  let finishReason: string | undefined;
  let usage: Usage | undefined;

  function see({ event, data }: SseFrame): FrameFacts {
    if (data === "" || data === "[DONE]") return nothing;
    assertClosed(data);
    const type = event || textOf(parseFrame(data)["type"]);
    if (type === "error") return fail(data);
    if (!type.startsWith("response.")) return nothing;
    if (!lastEvents.has(type)) return /\.delta$/.test(type) ? token : plain;
    const { response } = parseFrame(data);
    if (!isObject(response)) return nothing;
    usage = usageOf(response);
    if (type === "response.failed") return { ...nothing, error: decodeFailure(response) };
    finishReason = finishReasonOf(response) ?? "stop";
    return done;
  }

  return {
    see,
    end: () => ({
      complete: finishReason !== undefined,
      ...(finishReason === undefined ? {} : { finishReason }),
      ...(usage ? { usage } : {}),
    }),
  };
}

function fail(data: string): FrameFacts {
  const body = parseFrame(data);
  return { ...nothing, error: decodeResponseError(isObject(body["error"]) ? body["error"] : body) };
}

export function decodeFailure({ error }: JsonObject) {
  return decodeResponseError(isObject(error) ? error : { message: "The response failed." });
}
