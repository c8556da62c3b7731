/** What a call gives back: a whole body, or bytes that come piece by piece. */
import type { Dialect } from "../dialects/dialect.ts";
import { fromWireUsage, type WireUsage } from "../domain/chat.ts";
import { isObject } from "../domain/json.ts";
import type { WholeReply } from "../providers/client.ts";
import type { CallRecord } from "./record.ts";

export interface Reply {
  readonly record: CallRecord;
  readonly body: WholeBody | ReplyStream;
}

/** Bytes as the provider sent them, or text that was encoded anew. */
export type WholeBody = ArrayBuffer | Uint8Array | string;

export function isWhole(body: Reply["body"]): body is WholeBody {
  return typeof body === "string" || ArrayBuffer.isView(body) || body instanceof ArrayBuffer;
}

/** Never throws: what goes wrong after the commit point is told in the stream itself. */
export interface ReplyStream {
  /** The next bytes in the caller's dialect; undefined at the end. */
  next(): Promise<Uint8Array | undefined>;
  /** The caller is gone, or does not read: the upstream is let go. */
  cancel(reason: "gone" | "stalled"): void;
}

/** The caller's body of a whole reply, and its facts put into the record. */
export function encodeWhole(reply: WholeReply, record: CallRecord, caller: Dialect): WholeBody {
  const { dialect, body, bytes, passes } = reply;
  if (record.call.operation === "embedding") {
    const { usage } = body;
    if (isObject(usage)) record.usage = fromWireUsage(usage as WireUsage);
    return bytes;
  }
  record.usage = dialect.usageOf(body);
  record.finishReason = dialect.finishReasonOf(body);
  if (passes) return bytes;
  const createdS = Math.floor(record.call.startedAtMs / 1000);
  return JSON.stringify(caller.encodeReply(dialect.decodeReply(body, { createdS })));
}
