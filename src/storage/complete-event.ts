/** The rest of a row, made in the background thread of the query that came along. */
import type { CallEvent, UnreadQuery } from "../domain/event.ts";
import type { RawFeatures } from "../domain/features.ts";
import { sha256Hex } from "../security/hashing.ts";
import { promptCharLimit } from "./event-batch.ts";

/** Features of a query; undefined where there are none to be had. Must not throw. */
export type ExtractFeatures = (query: UnreadQuery) => RawFeatures | undefined;

/** The event as it is stored: its query hashed and turned into features, the text itself gone. */
export function completeEvent(event: CallEvent, extract: ExtractFeatures | undefined): CallEvent {
  const { unread } = event;
  if (!unread) return event;
  const features = event.features ?? (unread.extract ? extract?.(unread) : undefined);
  const complete: Mutable<CallEvent> = {
    ...event,
    queryHash: sha256Hex(unread.text),
    queryLength: unread.text.length,
  };
  delete complete.unread;
  if (features) complete.features = features;
  if (unread.session !== undefined) complete.sessionHash = sha256Hex(unread.session);
  if (unread.keep) complete.prompt = unread.text.slice(0, promptCharLimit);
  return complete;
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };
