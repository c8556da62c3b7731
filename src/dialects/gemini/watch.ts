/** Facts of a Gemini stream that passes as it is. It has no terminator: it ends with its bytes. */
import { isObject, type Json, type JsonObject } from "../../domain/json.ts";
import type { SseFrame } from "../../std/sse.ts";
import { parseFrame } from "../decode-wire.ts";
import type { FrameFacts, StreamWatch } from "../dialect.ts";
import { decodeStreamError, isError } from "./errors.ts";
import { hasCall } from "./reply.ts";
import { readUsage, toUsage } from "./usage.ts";
import { objectOr, toFinishReason, type UsageMetadata } from "./wire.ts";

const nothing: FrameFacts = { event: false, token: false, usageOnly: false, done: false };
const plain: FrameFacts = { ...nothing, event: true };
const token: FrameFacts = { ...plain, token: true };

export function createStreamWatch(): StreamWatch {
  let usage: UsageMetadata | undefined;
  /** Of the first candidate; the others end with it. */
  let reason: string | undefined;
  let called = false;
  let open = 0;
  const finished = new Set<number>();
  const begun = new Set<number>();
  let blocked = false;

  function see({ data }: SseFrame): FrameFacts {
    if (data === "" || data === "[DONE]") return nothing;
    const body = parseFrame(data);
    if (isError(body)) return { ...nothing, error: decodeStreamError(body) };
    usage = readUsage(body) ?? usage;
    if (objectOr(body["promptFeedback"])["blockReason"]) blocked = true;
    const { candidates } = body;
    const list = Array.isArray(candidates) ? candidates.filter(isObject) : [];
    list.forEach(note);
    open = begun.size - finished.size;
    if (list.some(isAnswer)) return token;
    return list.length > 0 || blocked || usage ? plain : nothing;
  }

  function note(candidate: JsonObject, i: number): void {
    const { index, finishReason } = candidate;
    const at = typeof index === "number" ? index : i;
    begun.add(at);
    if (hasCall(candidate)) called = true;
    if (typeof finishReason !== "string" || finishReason === "FINISH_REASON_UNSPECIFIED") return;
    finished.add(at);
    if (at === 0 || reason === undefined) reason = finishReason;
  }

  return {
    see,
    end: () => {
      const isBlocked = blocked && begun.size === 0;
      const finishReason = isBlocked
        ? "content_filter"
        : reason === undefined
          ? undefined
          : toFinishReason(reason, called);
      return {
        complete: finishReason !== undefined && open === 0,
        ...(finishReason === undefined ? {} : { finishReason }),
        ...(usage ? { usage: toUsage(usage) } : {}),
      };
    },
  };
}

function isAnswer(candidate: JsonObject): boolean {
  const { parts } = objectOr(candidate["content"]);
  return Array.isArray(parts) && parts.some((part: Json) => isObject(part) && part["text"] !== "");
}
