/**
 * Whether an answer has the form that its request asked for, so that learning hears of it. Looked at
 * only where a router learns from the event log, and only for calls with tools or a response format:
 * all others pay one look at a field. Streams are read in OpenAI's chat dialect.
 */
import type { Call } from "../domain/call.ts";
import type { ChatChoice } from "../domain/chat.ts";
import type { Receipt } from "../domain/decision.ts";
import { isObject, type Json, type JsonObject } from "../domain/json.ts";
import type { WholeReply } from "../providers/client.ts";
import { isChat } from "../providers/provider.ts";
import { checkAnswer } from "../routing/policies/verify-form.ts";
import type { Feed } from "./feed.ts";
import { contextOf } from "./reply.ts";
import type { Run } from "./run.ts";

type Form = Receipt["form"];

/** A longer answer is not looked at. */
const answerLimit = 256 * 1024;

export function asksForForm({ operation, body }: Call): boolean {
  return (
    isChat(operation) && (body["tools"] !== undefined || body["response_format"] !== undefined)
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
  form(run: Run): Form;
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
    form(run) {
      if (size > answerLimit) return undefined;
      return toForm(run, () => gather(Buffer.concat(kept).toString("utf8")));
    },
  };
}

/** The first choice of a stream of chat chunks, put together. */
function gather(text: string): ChatChoice | undefined {
  let content = "";
  const calls: { name: string; arguments: string }[] = [];
  for (const line of text.split("\n")) {
    if (!line.startsWith("data: {")) continue;
    const delta = deltaOf(line.slice(6));
    if (typeof delta?.["content"] === "string") content += delta["content"];
    const parts = delta?.["tool_calls"];
    if (Array.isArray(parts)) for (const part of parts) addCall(calls, part);
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

function deltaOf(text: string): JsonObject | undefined {
  const chunk: Json = JSON.parse(text);
  const choices = isObject(chunk) ? chunk["choices"] : undefined;
  const first = Array.isArray(choices) ? choices[0] : undefined;
  if (!isObject(first) || (first["index"] ?? 0) !== 0) return undefined;
  const delta = first["delta"];
  return isObject(delta) ? delta : undefined;
}

function addCall(calls: { name: string; arguments: string }[], part: Json): void {
  if (!isObject(part)) return;
  const at = typeof part["index"] === "number" ? part["index"] : calls.length;
  if (at < 0 || at > calls.length) return; // no stream skips a call
  calls[at] ??= { name: "", arguments: "" };
  const call = calls[at] as { name: string; arguments: string };
  const fn = part["function"];
  if (!isObject(fn)) return;
  if (typeof fn["name"] === "string") call.name += fn["name"];
  if (typeof fn["arguments"] === "string") call.arguments += fn["arguments"];
}
