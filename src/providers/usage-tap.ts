/**
 * Reads what a call has used off an answer that passes by, in whichever dialect it is: OpenAI's chat
 * and Responses, Anthropic's, Gemini's, Bedrock's. It looks and never holds anything up; what is too large to be
 * looked at is let go, and the call counts as one of unknown cost.
 */
import { fromWireUsage, type WireUsage } from "../domain/chat.ts";
import { isObject, type Json, type JsonObject } from "../domain/json.ts";
import type { Usage } from "../domain/usage.ts";
import { createSseParser, SseFrameTooLarge } from "../std/sse.ts";

export interface UsageTap {
  see(bytes: Uint8Array): void;
  end(): TappedFacts;
}

export interface TappedFacts {
  readonly usage?: Usage;
  /** The provider's name of the model that answered. */
  readonly model?: string;
}

/** A JSON answer beyond this is not read. */
export const tapLimitBytes = 4 * 1024 * 1024;

export function createUsageTap(contentType: string): UsageTap {
  if (contentType.includes("event-stream")) return tapEvents();
  return /\bjson\b/.test(contentType) ? tapJson() : { see: () => undefined, end: () => ({}) };
}

function tapEvents(): UsageTap {
  const parser = createSseParser();
  const facts = new Facts();
  let blind = false;
  const read = (frames: readonly { readonly data: string }[]) => {
    // Nearly every frame is told by one search in its text.
    for (const { data } of frames) if (data.includes('"usage')) facts.readText(data);
  };
  return {
    see(bytes) {
      if (blind) return;
      try {
        read(parser.push(bytes));
      } catch (cause) {
        if (!(cause instanceof SseFrameTooLarge)) throw cause;
        blind = true; // it passes all the same
      }
    },
    end() {
      if (!blind) read(parser.end());
      return facts.found();
    },
  };
}

function tapJson(): UsageTap {
  let pieces: Uint8Array[] = [];
  let size = 0;
  return {
    see(bytes) {
      size += bytes.length;
      if (size <= tapLimitBytes) pieces.push(bytes);
      else pieces = [];
    },
    end() {
      const facts = new Facts();
      if (size <= tapLimitBytes) facts.readText(Buffer.concat(pieces).toString("utf8"));
      return facts.found();
    },
  };
}

class Facts {
  #usage: Usage | undefined;
  #anthropic: JsonObject | undefined;
  #model: string | undefined;

  readText(text: string): void {
    let body: Json;
    try {
      body = JSON.parse(text) as Json;
    } catch {
      return; // somebody else's form: it passes, and tells us nothing
    }
    // Gemini's stream without events is one list.
    for (const each of Array.isArray(body) ? body : [body]) if (isObject(each)) this.#read(each);
  }

  #read(body: JsonObject): void {
    // A Responses event wraps the response, Anthropic's first event the message.
    const inner = [body["response"], body["message"]].find(isObject) ?? body;
    const model = inner["model"] ?? inner["modelVersion"];
    if (typeof model === "string" && model !== "") this.#model ??= model;
    const gemini = inner["usageMetadata"];
    if (isObject(gemini)) this.#usage = ofGemini(gemini);
    const usage = isObject(inner["usage"]) ? inner["usage"] : body["usage"];
    if (!isObject(usage)) return;
    if (usage["prompt_tokens"] !== undefined) this.#usage = fromWireUsage(usage as WireUsage);
    else if (usage["inputTokens"] !== undefined) this.#usage = ofConverse(usage);
    else if (body["object"] === "response" || isObject(body["response"])) {
      this.#usage = ofResponses(usage);
    } else if (isAnthropic(body)) {
      this.#anthropic = { ...this.#anthropic, ...told(usage) };
      this.#usage = ofAnthropic(this.#anthropic);
    } else this.#usage = ofResponses(usage);
  }

  found(): TappedFacts {
    return {
      ...(this.#usage ? { usage: this.#usage } : {}),
      ...(this.#model === undefined ? {} : { model: this.#model }),
    };
  }
}

const isAnthropic = ({ type }: JsonObject) =>
  type === "message" || type === "message_start" || type === "message_delta";

/** Counts are cumulative; those that a later event leaves out stand. */
const told = (usage: JsonObject): JsonObject =>
  Object.fromEntries(Object.entries(usage).filter(([, value]) => typeof value === "number"));

function ofAnthropic(usage: JsonObject): Usage {
  const cached = count(usage["cache_read_input_tokens"]);
  const written = count(usage["cache_creation_input_tokens"]);
  return {
    inputTokens: count(usage["input_tokens"]) + cached + written,
    outputTokens: count(usage["output_tokens"]),
    ...(cached ? { cachedInputTokens: cached } : {}),
    ...(written ? { cacheWriteTokens: written } : {}),
  };
}

function ofConverse(usage: JsonObject): Usage {
  const cached = count(usage["cacheReadInputTokens"]);
  const written = count(usage["cacheWriteInputTokens"]);
  return {
    inputTokens: count(usage["inputTokens"]) + cached + written,
    outputTokens: count(usage["outputTokens"]),
    ...(cached ? { cachedInputTokens: cached } : {}),
    ...(written ? { cacheWriteTokens: written } : {}),
  };
}

function ofResponses(usage: JsonObject): Usage {
  const input = usage["input_tokens_details"];
  const output = usage["output_tokens_details"];
  const cached = isObject(input) ? count(input["cached_tokens"]) : 0;
  const reasoning = isObject(output) ? count(output["reasoning_tokens"]) : 0;
  return {
    inputTokens: count(usage["input_tokens"]),
    outputTokens: count(usage["output_tokens"]),
    ...(cached ? { cachedInputTokens: cached } : {}),
    ...(reasoning ? { reasoningTokens: reasoning } : {}),
  };
}

function ofGemini(usage: JsonObject): Usage {
  const cached = count(usage["cachedContentTokenCount"]);
  const thoughts = count(usage["thoughtsTokenCount"]);
  return {
    inputTokens: count(usage["promptTokenCount"]) + count(usage["toolUsePromptTokenCount"]),
    outputTokens: count(usage["candidatesTokenCount"]) + thoughts,
    ...(cached ? { cachedInputTokens: cached } : {}),
    ...(thoughts ? { reasoningTokens: thoughts } : {}),
  };
}

function count(value: Json | undefined): number {
  return typeof value === "number" && Number.isFinite(value) && value > 0 ? value : 0;
}
