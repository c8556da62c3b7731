/** One answer of a run's model: a chat call like any other, read as it streams. */
import type { Caller } from "../../domain/call.ts";
import { GatewayError } from "../../domain/errors.ts";
import { isObject, type JsonObject } from "../../domain/json.ts";
import { runOwnCall } from "../../pipeline/own-call.ts";
import { costOf } from "../../pipeline/record.ts";
import { isWhole, type ReplyStream } from "../../pipeline/reply.ts";
import type { Services } from "../../pipeline/services.ts";
import { createSseParser } from "../../std/sse.ts";

export interface ToolCall {
  readonly id: string;
  readonly name: string;
  readonly args: string;
}

export interface ModelAnswer {
  readonly text: string;
  readonly refusal: string;
  readonly toolCalls: readonly ToolCall[];
  readonly finishReason: string;
  readonly promptTokens: number;
  readonly completionTokens: number;
  /** Whole micro-USD; undefined: nobody knows its price. */
  readonly costMicroUsd?: number;
}

export interface ModelQuestion {
  readonly body: JsonObject;
  readonly caller: Caller;
  readonly services: Services;
  readonly signal: AbortSignal;
  /** Called with every piece of the text, in order. */
  readonly onText: (piece: string) => void;
}

/** Of what one answer may be; a provider that goes on for ever is let go. */
const answerLimitChars = 4 * 1024 * 1024;

/** @throws CallFailed; GatewayError where the stream breaks off */
export async function askModel(question: ModelQuestion): Promise<ModelAnswer> {
  const { services, signal, caller } = question;
  const asked = { ...question.body, stream: true, stream_options: { include_usage: true } };
  const call = { operation: "chat", dialect: "openai-chat", caller, body: asked, signal } as const;
  const { body, record } = await runOwnCall(call, services);
  if (isWhole(body)) throw new GatewayError("internal", "A stream was answered by a whole reply.");
  const answer = new AnswerReader(question.onText);
  const parser = createSseParser();
  for (;;) {
    const piece = await unlessAborted(body, signal);
    for (const { data } of piece ? parser.push(piece) : parser.end()) answer.read(data);
    if (answer.isTooLong) {
      body.cancel("gone");
      throw new GatewayError("upstream_failed", "The model's answer is longer than any may be.");
    }
    if (piece) continue;
    const cost = costOf(record);
    return { ...answer.whole(), ...(cost === undefined ? {} : { costMicroUsd: cost }) };
  }
}

/** The next piece; who stops waiting lets go of the provider, whatever that does. @throws the signal's reason */
async function unlessAborted(body: ReplyStream, signal: AbortSignal) {
  signal.throwIfAborted();
  const piece = body.next();
  if (!(piece instanceof Promise)) return piece;
  const gone = Promise.withResolvers<never>();
  const stop = () => {
    body.cancel("gone");
    gone.reject(signal.reason);
  };
  signal.addEventListener("abort", stop, { once: true });
  try {
    return await Promise.race([piece, gone.promise]);
  } finally {
    signal.removeEventListener("abort", stop);
  }
}

/** Puts an answer together from its chunks. */
class AnswerReader {
  readonly #onText: (piece: string) => void;
  #text = "";
  #refusal = "";
  #finishReason = "";
  #promptTokens = 0;
  #completionTokens = 0;
  #size = 0;
  readonly #calls = new Map<number, { id: string; name: string; args: string }>();

  constructor(onText: (piece: string) => void) {
    this.#onText = onText;
  }

  get isTooLong(): boolean {
    return this.#size > answerLimitChars;
  }

  read(data: string): void {
    if (data === "" || data === "[DONE]") return;
    const chunk: unknown = JSON.parse(data); // the pipeline's own words
    if (!isObject(chunk)) return;
    this.#size += data.length;
    if (isObject(chunk["error"])) {
      const message = String(chunk["error"]["message"] ?? "The answer broke off.");
      throw new GatewayError("stream_truncated", message);
    }
    if (isObject(chunk["usage"])) {
      this.#promptTokens = Number(chunk["usage"]["prompt_tokens"] ?? 0);
      this.#completionTokens = Number(chunk["usage"]["completion_tokens"] ?? 0);
    }
    const [choice] = Array.isArray(chunk["choices"]) ? chunk["choices"] : [];
    if (!isObject(choice)) return;
    if (typeof choice["finish_reason"] === "string") this.#finishReason = choice["finish_reason"];
    if (isObject(choice["delta"])) this.#readDelta(choice["delta"]);
  }

  #readDelta(delta: JsonObject): void {
    const { content, refusal, tool_calls: calls } = delta;
    if (typeof refusal === "string") this.#refusal += refusal;
    if (typeof content === "string" && content !== "") {
      this.#text += content;
      this.#onText(content);
    }
    for (const [i, call] of (Array.isArray(calls) ? calls : []).entries()) {
      if (!isObject(call)) continue;
      const at = typeof call["index"] === "number" ? call["index"] : i;
      const held = this.#calls.getOrInsertComputed(at, () => ({ id: "", name: "", args: "" }));
      const called = isObject(call["function"]) ? call["function"] : {};
      if (typeof call["id"] === "string") held.id = call["id"];
      if (typeof called["name"] === "string") held.name += called["name"];
      if (typeof called["arguments"] === "string") held.args += called["arguments"];
    }
  }

  whole(): ModelAnswer {
    return {
      text: this.#text,
      refusal: this.#refusal,
      toolCalls: [...this.#calls.values()].filter(({ name }) => name !== ""),
      finishReason: this.#finishReason,
      promptTokens: this.#promptTokens,
      completionTokens: this.#completionTokens,
    };
  }
}
