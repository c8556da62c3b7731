/**
 * What operations other than chat have used, off their replies: each has a shape of its own.
 * Source: https://platform.openai.com/docs/api-reference ; for rerank Cohere's and Jina's.
 */
import { fromWireUsage, type WireUsage } from "../domain/chat.ts";
import { isObject, type Json, type JsonObject } from "../domain/json.ts";
import type { Operation } from "../domain/model.ts";
import type { Usage } from "../domain/usage.ts";

const nothing: Usage = { inputTokens: 0, outputTokens: 0 };

/** @param request the caller's body, or the fields of a form */
export function usageOfReply(operation: Operation, request: JsonObject, reply: JsonObject): Usage {
  const usage = isObject(reply["usage"]) ? reply["usage"] : undefined;
  if (operation === "rerank") return ofRerank(reply, usage);
  if (operation.startsWith("image_")) return ofImages(request, reply, usage);
  if (operation === "audio_transcription" || operation === "audio_translation") {
    return ofTranscript(reply, usage);
  }
  if (operation === "audio_speech")
    return usage ? ofModalTokens(usage, "audio") : ofSpeech(request);
  if (operation === "compaction") return usage ? ofResponse(usage) : nothing;
  if (!usage) return nothing;
  return usage["estimated"] === true ? { ...ofTokens(usage), estimated: true } : ofTokens(usage);
}

function ofResponse(usage: JsonObject): Usage {
  const details = (side: string) => {
    const found = usage[`${side}_tokens_details`];
    return isObject(found) ? found : {};
  };
  const cached = count(details("input")["cached_tokens"]);
  const reasoning = count(details("output")["reasoning_tokens"]);
  return {
    ...ofTokens(usage),
    ...(cached ? { cachedInputTokens: cached } : {}),
    ...(reasoning ? { reasoningTokens: reasoning } : {}),
  };
}

/** Known before the reply comes. */
export function ofSpeech(request: JsonObject): Usage {
  const input = request["input"];
  const characters = typeof input === "string" ? [...input].length : 0;
  return { ...nothing, units: { characters } };
}

function ofTokens(usage: JsonObject): Usage {
  if (usage["prompt_tokens"] !== undefined) return fromWireUsage(usage as WireUsage);
  const total = count(usage["total_tokens"]);
  return {
    inputTokens: count(usage["input_tokens"]) || total,
    outputTokens: count(usage["output_tokens"]),
  };
}

function ofRerank(reply: JsonObject, usage: JsonObject | undefined): Usage {
  const meta = isObject(reply["meta"]) ? reply["meta"] : {};
  const billed = isObject(meta["billed_units"]) ? meta["billed_units"] : {};
  const tokens = isObject(meta["tokens"]) ? meta["tokens"] : {};
  const inputTokens =
    count(usage?.["total_tokens"]) ||
    count(billed["total_tokens"]) ||
    count(tokens["input_tokens"]);
  return { inputTokens, outputTokens: 0, units: { queries: count(billed["search_units"]) || 1 } };
}

function ofImages(request: JsonObject, reply: JsonObject, usage: JsonObject | undefined): Usage {
  const images = Array.isArray(reply["data"]) ? reply["data"].length : 1;
  const pixels = pixelsOf(reply["size"]) ?? pixelsOf(request["size"]);
  const units = { images, ...(pixels === undefined ? {} : { pixels: pixels * images }) };
  return { ...(usage ? ofModalTokens(usage, "image") : nothing), units };
}

/** All that such a model puts out is of its kind, unless it says otherwise. */
function ofModalTokens(usage: JsonObject, kind: "image" | "audio"): Usage {
  const base = ofTokens(usage);
  const details = (side: string) => {
    const found = usage[`${side}_tokens_details`] ?? usage[`${side}_token_details`];
    return isObject(found) ? found : {};
  };
  const input = count(details("input")[`${kind}_tokens`]);
  const told = details("output")[`${kind}_tokens`];
  const output = told === undefined ? base.outputTokens : count(told);
  const cached = count(details("input")["cached_tokens"]);
  return {
    ...base,
    ...(cached ? { cachedInputTokens: cached } : {}),
    modal:
      kind === "image"
        ? { imageInput: input, imageOutput: output }
        : { audioInput: input, audioOutput: output },
  };
}

function pixelsOf(size: Json | undefined): number | undefined {
  const match = typeof size === "string" ? /^(\d{1,5})x(\d{1,5})$/.exec(size) : null;
  return match ? Number(match[1]) * Number(match[2]) : undefined;
}

function ofTranscript(reply: JsonObject, usage: JsonObject | undefined): Usage {
  const seconds = count(usage?.["seconds"]) || count(reply["duration"]);
  const units = seconds > 0 ? { units: { seconds } } : {};
  if (usage && usage["type"] !== "duration") {
    const tokens = ofTokens(usage);
    const details = usage["input_token_details"] ?? usage["input_tokens_details"];
    const audioInput = isObject(details) ? count(details["audio_tokens"]) : 0;
    return { ...tokens, ...(audioInput ? { modal: { audioInput } } : {}), ...units };
  }
  // A model that is sold by the second and does not say how many: no price can be told.
  return seconds > 0 ? { ...nothing, ...units } : { ...nothing, units: {} };
}

/** Subtitles tell how long the sound was: the end of their last cue. */
export function ofSubtitles(text: string): Usage {
  const ends = [...text.matchAll(/-->\s*(?:(\d+):)?(\d{2}):(\d{2})[.,](\d{3})/g)];
  const last = ends.at(-1);
  if (!last) return { ...nothing, units: {} };
  const [, hours = "0", minutes, seconds, millis] = last;
  const total =
    Number(hours) * 3600 + Number(minutes) * 60 + Number(seconds) + Number(millis) / 1000;
  return { ...nothing, units: { seconds: total } };
}

function count(value: Json | undefined): number {
  const number = typeof value === "string" ? Number(value) : value; // Whisper's duration is text
  return typeof number === "number" && Number.isFinite(number) && number > 0 ? number : 0;
}
