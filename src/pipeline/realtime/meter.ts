/**
 * What a realtime session uses, read off the provider's events as they pass. Each answer tells its
 * own usage when it is done; one that the end of the session cuts off is estimated by its pieces.
 * Source: https://platform.openai.com/docs/api-reference/realtime-server-events/response/done
 */
import { isObject, type Json, type JsonObject } from "../../domain/json.ts";
import type { Usage } from "../../domain/usage.ts";

export interface RealtimeMeter {
  /** A text message of the provider. */
  see(bytes: Uint8Array): void;
  /** So far; with an answer that was cut off, when it is `ended`. */
  usage(ended: boolean): Usage;
}

interface Sum {
  inputTokens: number;
  outputTokens: number;
  cachedInputTokens: number;
  audioInput: number;
  audioOutput: number;
  imageInput: number;
}

/** PCM of 24 kHz in base64: a token of sound is 50 ms of it. */
const base64BytesPerAudioToken = 3_200;

/** @param ofTranscripts the session only transcribes: then transcripts are what it sells */
export function createRealtimeMeter(ofTranscripts: boolean): RealtimeMeter {
  const sum: Sum = {
    inputTokens: 0,
    outputTokens: 0,
    cachedInputTokens: 0,
    audioInput: 0,
    audioOutput: 0,
    imageInput: 0,
  };
  let seconds = 0;
  let open = false;
  let pieces = { text: 0, audioBytes: 0 };
  let lastInputTokens = 0;

  function close(usage: JsonObject | undefined): void {
    open = false;
    pieces = { text: 0, audioBytes: 0 };
    if (!usage) return;
    add(sum, usage);
    lastInputTokens = count(usage["input_tokens"]);
  }

  return {
    see(bytes) {
      const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
      const type = typeOf(text);
      if (type?.endsWith(".delta")) {
        if (/^response\.(output_)?audio\.delta$/.test(type)) pieces.audioBytes += text.length;
        else if (type.startsWith("response.")) pieces.text++;
      } else if (type === "response.created") open = true;
      else if (type === "response.done" || text.includes('"response.done"')) {
        const event = parse(text);
        if (event?.["type"] === "response.done") close(usageOf(event["response"]));
      } else if (ofTranscripts && type?.endsWith("input_audio_transcription.completed")) {
        const usage = usageOf(parse(text));
        if (usage?.["type"] === "duration") seconds += count(usage["seconds"]);
        else if (usage) add(sum, usage);
      }
    },
    usage(ended) {
      const cut = ended && open;
      const audio = cut ? Math.round(pieces.audioBytes / base64BytesPerAudioToken) : 0;
      const inputTokens = sum.inputTokens + (cut ? lastInputTokens : 0);
      const audioOutput = sum.audioOutput + audio;
      const { audioInput, imageInput, cachedInputTokens } = sum;
      return {
        inputTokens,
        outputTokens: sum.outputTokens + (cut ? pieces.text + audio : 0),
        ...(cachedInputTokens ? { cachedInputTokens } : {}),
        ...(audioInput || audioOutput || imageInput
          ? { modal: { audioInput, audioOutput, ...(imageInput ? { imageInput } : {}) } }
          : {}),
        ...(seconds ? { units: { seconds } } : {}),
        ...(cut ? { estimated: true } : {}),
      };
    },
  };
}

/** Providers say it first; where one does not, only the end of an answer is looked for. */
function typeOf(text: Buffer): string | undefined {
  return /^\s*\{\s*(?:"event_id"\s*:\s*"[^"]*"\s*,\s*)?"type"\s*:\s*"([\w.]+)"/.exec(
    text.toString("latin1", 0, 200),
  )?.[1];
}

function parse(text: Buffer): JsonObject | undefined {
  try {
    const event: unknown = JSON.parse(text.toString("utf8"));
    return isObject(event) ? event : undefined;
  } catch {
    return undefined; // it passes, and tells us nothing
  }
}

function usageOf(holder: Json | undefined): JsonObject | undefined {
  const usage = isObject(holder) ? holder["usage"] : undefined;
  return isObject(usage) ? usage : undefined;
}

/** Sound and pictures out of the cache are counted with the cached tokens, at their price. */
function add(sum: Sum, usage: JsonObject): void {
  const input = objectIn(usage, "input_token_details");
  const cached = objectIn(input, "cached_tokens_details");
  const output = objectIn(usage, "output_token_details");
  const plain = (kind: string) => Math.max(0, count(input[kind]) - count(cached[kind]));
  sum.inputTokens += count(usage["input_tokens"]);
  sum.outputTokens += count(usage["output_tokens"]);
  sum.cachedInputTokens += count(input["cached_tokens"]);
  sum.audioInput += plain("audio_tokens");
  sum.imageInput += plain("image_tokens");
  sum.audioOutput += count(output["audio_tokens"]);
}

function objectIn(from: JsonObject, name: string): JsonObject {
  const value = from[name];
  return isObject(value) ? value : {};
}

function count(value: Json | undefined): number {
  return typeof value === "number" && Number.isFinite(value) && value > 0 ? value : 0;
}
