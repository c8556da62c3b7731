/** An event as storage keeps it: JSON, and its features' arrays beside it. */
import type { CallEvent } from "../domain/event.ts";
import type { RawFeatures } from "../domain/features.ts";

/** An event without its arrays. */
export type EventJson = Omit<CallEvent, "features" | "unread"> & { readonly embedderId?: string };

/** Little endian, as they are stored. */
export interface EventArrays {
  readonly embedding: Uint8Array;
  readonly lexicalBuckets: Uint8Array;
  readonly lexicalCounts: Uint8Array;
  readonly shape: Uint8Array;
}

// Spelled out, not spread: JSON.stringify is a third faster on an object of known shape.
export function toEventText(event: CallEvent): string {
  return JSON.stringify({
    receipt: event.receipt,
    tenant: event.tenant,
    queryHash: event.queryHash,
    queryLength: event.queryLength,
    sessionHash: event.sessionHash,
    userHash: event.userHash,
    inputTokens: event.inputTokens,
    prompt: event.prompt,
    trace: event.trace,
    embedderId: event.features?.embedderId,
  } satisfies Undefinable<EventJson>);
}

/** Every field present, so that a new field of an event cannot be forgotten here. */
type Undefinable<T> = { [K in keyof Required<T>]: T[K] | undefined };

/** JSON has no NaN: it writes null. No field of an event is ever null, so nulls are left out. */
export function parseEventJson<T = EventJson>(text: string): T {
  if (!text.includes("null")) return JSON.parse(text);
  return JSON.parse(text, (_key, value) => value ?? undefined);
}

/** An event from its two halves. */
export function toEvent({ embedderId, ...event }: EventJson, arrays?: EventArrays): CallEvent {
  if (embedderId === undefined || !arrays) return event;
  return { ...event, features: toFeatures(embedderId, arrays) };
}

/** Raw features from stored bytes, copied so that arrays are aligned. */
function toFeatures(embedderId: string, arrays: EventArrays): RawFeatures {
  return {
    embedderId,
    embedding: new Float32Array(copy(arrays.embedding)),
    lexicalBuckets: new Uint16Array(copy(arrays.lexicalBuckets)),
    lexicalCounts: new Uint8Array(copy(arrays.lexicalCounts)),
    shape: new Float32Array(copy(arrays.shape)),
  };
}

function copy(bytes: Uint8Array): ArrayBuffer {
  return bytes.slice().buffer as ArrayBuffer;
}
