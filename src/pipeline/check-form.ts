/**
 * Whether an answer has the form that its request asked for, so that learning hears of it. Looked at
 * only where a router learns from the event log, and only for calls with tools or a response format:
 * all others pay one look at some fields. A stream is read as its caller reads it, in every dialect.
 */
import type { Call } from "../domain/call.ts";
import type { ChatChoice, ChatChunk } from "../domain/chat.ts";
import type { Receipt } from "../domain/decision.ts";
import type { WholeReply } from "../providers/client.ts";
import { isChat } from "../providers/provider.ts";
import { checkAnswer } from "../routing/policies/verify-form.ts";
import { parseSse } from "../std/sse.ts";
import type { Feed } from "./feed.ts";
import { contextOf } from "./reply.ts";
import type { Run } from "./run.ts";

type Form = Receipt["form"];

/** A longer answer is not looked at. */
const answerLimit = 256 * 1024;

/** Fields of the dialects that ask for JSON: chat, Anthropic's two, the Responses API, Gemini's. */
export function asksForForm({ operation, body }: Call): boolean {
  if (!isChat(operation)) return false;
  return (
    body["tools"] !== undefined ||
    body["response_format"] !== undefined ||
    body["output_config"] !== undefined ||
    body["output_format"] !== undefined ||
    body["text"] !== undefined ||
    body["generationConfig"] !== undefined
  );
}

/** Undefined where the request asked for nothing that can be checked. Cost: tens of µs. */
export function formOfWhole({ dialect, body }: WholeReply, run: Run): Form {
  const { call, deployment } = run;
  return toForm(run, () => dialect.decodeReply(body, contextOf(call, deployment)).choices[0]);
}

function toForm({ call, callerDialect, services }: Run, read: () => ChatChoice | undefined): Form {
  try {
    const checked = checkAnswer(callerDialect.decodeRequest(call.body), read());
    if (!checked) return undefined;
    return { of: checked.what === "JSON" ? "json" : "tool_call", valid: checked.valid };
  } catch (thrown) {
    services.onInternalFailure(thrown); // the answer is whole, whatever we think of it
    return undefined;
  }
}

/** A feed whose bytes are kept as well, until its answer can be looked at. */
export interface FormFeed extends Feed {
  /** Once the stream has ended: what it holds is there, so that it takes no turn of the event loop. */
  form(run: Run): Promise<Form>;
}

export function keepForForm(feed: Feed): FormFeed {
  const kept: Uint8Array[] = [];
  let size = 0;
  const keep = (bytes: Uint8Array | undefined) => {
    if (!bytes || size > answerLimit) return bytes;
    size += bytes.length;
    kept.push(bytes.slice());
    return bytes;
  };
  return {
    facts: feed.facts,
    next() {
      const bytes = feed.next();
      return bytes instanceof Promise ? bytes.then(keep) : keep(bytes);
    },
    close: () => feed.close(),
    async form(run) {
      if (size > answerLimit) return undefined;
      try {
        const choice = await gather(Buffer.concat(kept), run);
        return toForm(run, () => choice);
      } catch (thrown) {
        run.services.onInternalFailure(thrown); // the caller has it, whatever we think of it
        return undefined;
      }
    },
  };
}

/** The first choice of a stream as its caller reads it, put together. */
async function gather(bytes: Uint8Array, { call, callerDialect, deployment }: Run) {
  let content = "";
  const calls: { name: string; arguments: string }[] = [];
  const frames = parseSse(toChunks(bytes));
  for await (const { choices } of callerDialect.decodeStream(frames, contextOf(call, deployment))) {
    const delta = choices.find(({ index }) => index === 0)?.delta;
    if (typeof delta?.content === "string") content += delta.content;
    for (const part of delta?.tool_calls ?? []) addCall(calls, part);
  }
  const tool_calls = calls.map((called, at) => ({
    id: String(at),
    type: "function" as const,
    function: called,
  }));
  return {
    index: 0,
    finish_reason: null,
    message: { role: "assistant", content, ...(tool_calls.length > 0 ? { tool_calls } : {}) },
  } as ChatChoice;
}

async function* toChunks(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

type CallPart = NonNullable<ChatChunk["choices"][number]["delta"]["tool_calls"]>[number];

function addCall(calls: { name: string; arguments: string }[], part: CallPart): void {
  const { index: at } = part;
  if (at < 0 || at > calls.length) return; // no stream skips a call
  calls[at] ??= { name: "", arguments: "" };
  const call = calls[at];
  call.name += part.function?.name ?? "";
  call.arguments += part.function?.arguments ?? "";
}
