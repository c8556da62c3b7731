/** An answer that a policy holds, given to the caller: whole, or as the stream that was asked for. */
import type { Call } from "../../domain/call.ts";
import type { ChatReply } from "../../domain/chat.ts";
import type { JsonObject } from "../../domain/json.ts";
import type { WholeReply } from "../../providers/client.ts";
import { toStreamOfWhole } from "../../providers/whole-as-stream.ts";
import { assert } from "../../std/assert.ts";
import { createPassingFeed, createTranslatingFeed } from "../feed.ts";
import { finish } from "../observe.ts";
import { type CallRecord, costOf } from "../record.ts";
import { contextOf, type Reply, toAnswer, type WholeBody } from "../reply.ts";
import type { Services } from "../services.ts";
import { createReplyStream } from "../stream.ts";
import { usageOptions } from "../take.ts";
import type { Held } from "./ask.ts";

/** The bytes as they came, in the caller's dialect. */
export function giveHeld(held: Held, call: Call, record: CallRecord, services: Services): Reply {
  const dialect = services.getDialect(call.dialect);
  const bytes = typeof held.body === "string" ? new TextEncoder().encode(held.body) : held.body;
  return give(
    { kind: "whole", dialect, passes: true, bytes, body: held.reply },
    held,
    call,
    record,
    services,
  );
}

/** A text of the policy's making, as an answer of the model that it comes from. */
export function giveText(
  text: string,
  held: Held,
  call: Call,
  record: CallRecord,
  services: Services,
): Reply {
  const caller = services.getDialect(call.dialect);
  const chat = services.getDialect("openai-chat");
  const from = chat.decodeReply(held.reply);
  const reply: ChatReply = {
    ...from,
    choices: [
      {
        index: 0,
        message: { role: "assistant", content: text },
        finish_reason: from.choices[0]?.finish_reason ?? "stop",
      },
    ],
  };
  const own = call.dialect === "openai-chat";
  const body = (own ? reply : caller.encodeReply(reply, toAnswer(call))) as JsonObject;
  const bytes = new TextEncoder().encode(JSON.stringify(body));
  return give(
    { kind: "whole", dialect: caller, passes: true, bytes, body },
    held,
    call,
    record,
    services,
  );
}

function give(
  whole: WholeReply,
  held: Held,
  call: Call,
  record: CallRecord,
  services: Services,
): Reply {
  take(held.record, record);
  if (!call.stream) {
    finish(record, { outcome: "success" }, services);
    return { record, body: whole.bytes as WholeBody };
  }
  const { deployment } = record;
  assert(deployment, "an answer comes from somewhere");
  const caller = services.getDialect(call.dialect);
  const stream = toStreamOfWhole(whole, call);
  assert(stream.kind === "stream", "chat has events");
  const options = {
    ...usageOptions(call, deployment, services),
    heard(token: boolean) {
      if (token) record.firstTokenMs ??= services.clock.now() - call.startedAtMs;
    },
  };
  const asked = { caller, request: caller.decodeRequest(call.body), answer: toAnswer(call) };
  const feed = stream.passes
    ? createPassingFeed(stream, options)
    : createTranslatingFeed(stream, asked, contextOf(call, deployment), options);
  const body = createReplyStream(
    [],
    feed,
    caller,
    () => undefined,
    (end) => {
      finish(record, end.error?.code === "caller_gone" ? { outcome: "cancelled" } : end, services);
    },
  );
  return { record, body };
}

/** The part that became the answer: the call's own deployment, attempts and usage. */
function take(part: CallRecord, record: CallRecord): void {
  record.deployment = part.deployment;
  record.usage = part.usage;
  record.finishReason = part.finishReason;
  record.upstreamHeaders = part.upstreamHeaders;
  record.overheadUs = part.overheadUs;
  record.attempts.push(...part.attempts);
  // Counted when it ended; from now on it is the call's own.
  record.isCounted = true;
  record.askedMicroUsd -= costOf(part) ?? 0;
}
