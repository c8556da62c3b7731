/** What a call gives back: a whole body, or bytes that come piece by piece. */
import type { Answer, Dialect, ReplyContext } from "../dialects/dialect.ts";
import type { Call } from "../domain/call.ts";
import type { Deployment } from "../domain/model.ts";
import type { WholeReply } from "../providers/client.ts";
import { isChat } from "../providers/provider.ts";
import { usageOfReply } from "../providers/usage-of-reply.ts";
import type { CallRecord } from "./record.ts";

export interface Reply {
  readonly record: CallRecord;
  readonly body: WholeBody | ReplyStream;
  /** Where it is not the JSON, or the events, that the call makes expected. */
  readonly contentType?: string;
}

/** Bytes as the provider sent them, or text that was encoded anew. */
export type WholeBody = ArrayBuffer | Uint8Array | string;

export function isWhole(body: Reply["body"]): body is WholeBody {
  return typeof body === "string" || ArrayBuffer.isView(body) || body instanceof ArrayBuffer;
}

/**
 * What goes wrong after the commit point is told in the stream itself. Bytes that are no events have
 * no place for that: there `next` throws, so that the connection breaks and nobody takes the part for
 * the whole.
 */
export interface ReplyStream {
  /** The next bytes in the caller's dialect, at once where they are there; undefined at the end. */
  next(): Uint8Array | undefined | Promise<Uint8Array | undefined>;
  /** The caller is gone, or does not read: the upstream is let go. */
  cancel(reason: "gone" | "stalled"): void;
}

/** The caller's body of a whole reply, and its facts put into the record. */
export function encodeWhole(reply: WholeReply, record: CallRecord, caller: Dialect): WholeBody {
  const { dialect, body, bytes, passes } = reply;
  const { call } = record;
  if (!isChat(call.operation)) {
    record.usage = usageOfReply(call.operation, call.body, body);
    return bytes;
  }
  record.usage = dialect.usageOf(body);
  record.finishReason = dialect.finishReasonOf(body);
  if (passes) return bytes;
  return JSON.stringify(
    caller.encodeReply(
      dialect.decodeReply(body, contextOf(call, record.deployment)),
      toAnswer(call),
    ),
  );
}

/** What replies of some dialects do not tell of themselves. */
export function contextOf(
  { id, startedAtMs }: Call,
  deployment: Deployment | undefined,
): ReplyContext {
  const createdS = Math.floor(startedAtMs / 1000);
  return { createdS, callId: id, model: deployment?.upstreamModel ?? "" };
}

/** What a dialect that repeats the question may know of it. */
export function toAnswer({ id, startedAtMs, body, echo }: Call): Answer {
  const createdS = Math.floor(startedAtMs / 1000);
  return { callId: id, createdS, body, ...(echo ? { echo } : {}) };
}
