/** The rest of a row, made in the background thread of the query that came along. */
import type { CallEvent, UnreadQuery } from "../domain/event.ts";
import type { RawFeatures } from "../domain/features.ts";
import { hashUser, sha256Hex } from "../security/hashing.ts";
import { promptCharLimit } from "./event-batch.ts";

/** Features of a query; undefined where there are none to be had. Must not throw. */
export type ExtractFeatures = (query: UnreadQuery) => RawFeatures | undefined;

/** The event as it is stored: its query hashed and turned into features, the text itself gone. */
export function completeEvent(event: CallEvent, extract: ExtractFeatures | undefined): CallEvent {
  const { unread } = event;
  if (!unread) return event;
  const features = event.features ?? (unread.extract ? extract?.(unread) : undefined);
  const { session } = unread;
  // Spelled out, not spread: this runs for every call.
  return {
    receipt: event.receipt,
    tenant: event.tenant,
    queryHash: sha256Hex(unread.text),
    queryLength: unread.text.length,
    sessionHash: session === undefined ? event.sessionHash : sha256Hex(session),
    userHash: unread.user === undefined ? event.userHash : hashUser(event.tenant, unread.user),
    features,
    inputTokens: event.inputTokens,
    prompt: unread.keep ? unread.text.slice(0, promptCharLimit) : event.prompt,
    trace: event.trace,
  } satisfies Complete as CallEvent;
}

/** Every field named, so that a new one cannot be forgotten; those that are not there undefined. */
type Complete = { [K in keyof Required<Omit<CallEvent, "unread">>]: CallEvent[K] | undefined };
