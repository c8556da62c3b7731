/** One answer of the model within a turn: a call of its own, with routing, limits and a receipt. */
import type { Dialect } from "../../dialects/dialect.ts";
import type { Call } from "../../domain/call.ts";
import type { ChatChunk, ChatReply, ChatRequest } from "../../domain/chat.ts";
import type { JsonObject } from "../../domain/json.ts";
import { createSseParser, type SseFrame } from "../../std/sse.ts";
import { runCall } from "../handle.ts";
import type { CallRecord } from "../record.ts";
import { isWhole, type ReplyStream, type WholeBody } from "../reply.ts";
import type { Services } from "../services.ts";
import type { HostedRequest } from "./read-request.ts";

export interface RoundAsk {
  /** The caller's: its headers, options and key are the round's. */
  readonly call: Call;
  /** The first round has the call's own id. */
  readonly id: string;
  readonly chat: ChatRequest;
  /** Where the rounds are asked in another dialect than chat's. */
  readonly inDialect?: HostedRequest["inDialect"];
  readonly toBody?: HostedRequest["toBody"];
  readonly pin: Call["pin"];
  readonly signal: AbortSignal;
}

export interface Round {
  readonly record: CallRecord;
  readonly chunks: AsyncGenerator<ChatChunk>;
}

/** Answers when the model's first event is there. @throws CallFailed */
export async function askRound(ask: RoundAsk, services: Services): Promise<Round> {
  const { call, id, chat, signal, pin, toBody, inDialect = "openai-chat" } = ask;
  const { clock } = services;
  const body: JsonObject = toBody
    ? toBody(chat)
    : { ...chat, stream: true, stream_options: { include_usage: true } };
  const { pin: _pin, echo: _echo, chat: _chat, upload: _upload, ...own } = call;
  const reply = await runCall(
    {
      ...own,
      id,
      operation: "chat",
      dialect: inDialect,
      stream: true,
      text: JSON.stringify(body),
      body,
      signal,
      startedAtMs: clock.now(),
      startedUs: clock.monotonicUs(),
      ...(pin ? { pin } : {}),
    },
    services,
  );
  const { record } = reply;
  const dialect = services.getDialect(inDialect);
  if (isWhole(reply.body)) return { record, chunks: chunksOf(reply.body, dialect) };
  return { record, chunks: dialect.decodeStream(framesOf(reply.body, signal)) };
}

/** Who stops waiting lets go of the provider, whatever that does. @throws the signal's reason */
async function* framesOf(stream: ReplyStream, signal: AbortSignal): AsyncGenerator<SseFrame> {
  const parser = createSseParser();
  const gone = Promise.withResolvers<never>();
  gone.promise.catch(() => undefined); // it is heard of where somebody waits
  const stop = () => gone.reject(signal.reason);
  signal.addEventListener("abort", stop, { once: true });
  let ended = false;
  const read = async () => {
    signal.throwIfAborted();
    const next = stream.next();
    const bytes = next instanceof Promise ? await Promise.race([next, gone.promise]) : next;
    ended = bytes === undefined;
    return bytes;
  };
  try {
    for (let bytes = await read(); bytes; bytes = await read()) {
      for (const frame of parser.push(bytes)) {
        // Whoever reads stops at the terminator, and the call is over only at its end.
        if (frame.data === "[DONE]") while (await read());
        yield frame;
      }
    }
    yield* parser.end();
  } finally {
    signal.removeEventListener("abort", stop);
    if (!ended) stream.cancel("gone");
  }
}

/** An answer that came whole though a stream was asked for. */
async function* chunksOf(body: WholeBody, dialect: Dialect): AsyncGenerator<ChatChunk> {
  const text = typeof body === "string" ? body : new TextDecoder().decode(body);
  const { id, created, model, choices, usage }: ChatReply = dialect.decodeReply(JSON.parse(text));
  const base = { id, object: "chat.completion.chunk", created, model } as const;
  const [choice] = choices;
  if (choice) {
    const { message, finish_reason: reason } = choice;
    const calls = message.tool_calls?.map((call, index) => ({ ...call, index }));
    const delta = { ...message, ...(calls ? { tool_calls: calls } : {}) };
    yield { ...base, choices: [{ index: 0, delta: delta as never, finish_reason: reason }] };
  }
  if (usage) yield { ...base, choices: [], usage };
}
