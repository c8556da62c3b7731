/**
 * Events on their way to storage, packed into one buffer so that they cross a thread border as
 * bytes: no objects to clone, none for the collector to follow, nothing to parse before it is read.
 *
 * A record, padded to 4 bytes, little endian: u32 × 8 (record bytes; bytes of call id, JSON,
 * embedding, lexical buckets, lexical counts, shape; 1 where there are features), the call id, the
 * event as JSON without its features (the embedder's id apart), the four arrays.
 */
import type { CallEvent } from "../domain/event.ts";
import type { RawFeatures } from "../domain/features.ts";

/** An event without its arrays, as it stands in the record's JSON. */
export type EventJson = Omit<CallEvent, "features"> & { readonly embedderId?: string };

/** A record as it lies in a batch: views of the batch's bytes. */
export interface EventRecord {
  readonly callId: string;
  /** UTF-8, to be read with `parseEventJson`. */
  readonly json: Uint8Array;
  readonly arrays?: EventArrays;
}

export interface EventArrays {
  readonly embedding: Uint8Array;
  readonly lexicalBuckets: Uint8Array;
  readonly lexicalCounts: Uint8Array;
  readonly shape: Uint8Array;
}

/** A closed batch, as small as its records. */
export interface EventBatch {
  readonly bytes: Uint8Array;
  readonly callIds: readonly string[];
}

/** Rows after which a batch is closed: what a `kill -9` may cost. */
export const batchRowLimit = 512;
/** Bytes of a batch; an event that is larger alone gets a batch of its own. */
export const batchByteLimit = 256 * 1024;
/** Characters of a stored prompt; the rest is cut. */
export const promptCharLimit = 64 * 1024;

const headerBytes = 32;
const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** Gathers events until the batch is taken; its buffer is used again and again. */
export interface BatchBuilder {
  readonly rows: number;
  readonly callIds: readonly string[];
  /** False where there is no room: take the batch and add again. An empty builder always has room. */
  add(event: CallEvent): boolean;
  /** The open batch's bytes, to be looked into, not kept. */
  peek(): Uint8Array;
  take(): EventBatch;
}

export function createBatchBuilder(sizeBytes = batchByteLimit): BatchBuilder {
  const home = new Uint8Array(sizeBytes);
  let bytes = home;
  let words = new Uint32Array(bytes.buffer);
  let used = 0;
  let callIds: string[] = [];

  function grow(size: number): void {
    bytes = new Uint8Array((size + 3) & ~3);
    words = new Uint32Array(bytes.buffer);
  }

  function write(callId: string, text: string, features: RawFeatures | undefined): boolean {
    const word = used >> 2;
    let at = used + headerBytes;
    const id = encoder.encodeInto(callId, bytes.subarray(at));
    const json = encoder.encodeInto(text, bytes.subarray(at + id.written));
    if (json.read < text.length) return false;
    at += id.written + json.written;
    words[word + 1] = id.written;
    words[word + 2] = json.written;
    words[word + 7] = features ? 1 : 0;
    if (features) {
      if (at + sizeOf(features) > bytes.length) return false;
      at = put(word + 3, at, features.embedding);
      at = put(word + 4, at, features.lexicalBuckets);
      at = put(word + 5, at, features.lexicalCounts);
      at = put(word + 6, at, features.shape);
    } else words.fill(0, word + 3, word + 7);
    const end = (at + 3) & ~3;
    if (end > bytes.length) return false;
    words[word] = end - used;
    used = end;
    return true;
  }

  function put(word: number, at: number, array: Uint8Array | Uint16Array | Float32Array): number {
    bytes.set(new Uint8Array(array.buffer, array.byteOffset, array.byteLength), at);
    words[word] = array.byteLength;
    return at + array.byteLength;
  }

  return {
    get rows() {
      return callIds.length;
    },
    get callIds() {
      return callIds;
    },
    add(event) {
      if (callIds.length >= batchRowLimit) return false;
      const { callId } = event.receipt;
      const text = JSON.stringify(toJson(event));
      const chars = callId.length + text.length;
      const least = headerBytes + chars + (event.features ? sizeOf(event.features) : 0);
      const fits = used + least <= bytes.length && write(callId, text, event.features);
      if (!fits) {
        if (callIds.length > 0) return false;
        grow(least + 2 * chars + 4); // a UTF-16 unit is at most 3 bytes of UTF-8
        write(callId, text, event.features);
      }
      callIds.push(callId);
      return true;
    },
    peek: () => bytes.subarray(0, used),
    take() {
      const batch = { bytes: bytes.slice(0, used), callIds };
      used = 0;
      callIds = [];
      if (bytes !== home) {
        bytes = home;
        words = new Uint32Array(home.buffer);
      }
      return batch;
    },
  };
}

// Spelled out, not spread: JSON.stringify is a third faster on an object of known shape.
function toJson(event: CallEvent) {
  return {
    receipt: event.receipt,
    tenant: event.tenant,
    queryHash: event.queryHash,
    queryLength: event.queryLength,
    sessionHash: event.sessionHash,
    inputTokens: event.inputTokens,
    prompt: event.prompt?.slice(0, promptCharLimit),
    trace: event.trace,
    embedderId: event.features?.embedderId,
  } satisfies Undefinable<EventJson>;
}

/** Every field present, so that a new field of an event cannot be forgotten here. */
type Undefinable<T> = { [K in keyof Required<T>]: T[K] | undefined };

function sizeOf(features: RawFeatures): number {
  const { embedding, lexicalBuckets, lexicalCounts, shape } = features;
  return (
    embedding.byteLength + lexicalBuckets.byteLength + lexicalCounts.byteLength + shape.byteLength
  );
}

/** The records of a batch, in the order they were added. Cost: no parsing, a few views each. */
export function* decodeBatch(bytes: Uint8Array): Generator<EventRecord> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let start = 0; start < bytes.length; ) {
    let at = start + headerBytes;
    const next = (word: number) => {
      const from = at;
      at += view.getUint32(start + 4 * word, true);
      return bytes.subarray(from, at);
    };
    const callId = decoder.decode(next(1));
    const json = next(2);
    const withFeatures = view.getUint32(start + 28, true) === 1;
    yield withFeatures
      ? {
          callId,
          json,
          arrays: {
            embedding: next(3),
            lexicalBuckets: next(4),
            lexicalCounts: next(5),
            shape: next(6),
          },
        }
      : { callId, json };
    start += view.getUint32(start, true);
  }
}

/** JSON has no NaN: it writes null. No field of an event is ever null, so nulls are left out. */
export function parseEventJson(json: Uint8Array | string): EventJson {
  const text = typeof json === "string" ? json : decoder.decode(json);
  if (!text.includes("null")) return JSON.parse(text);
  return JSON.parse(text, (_key, value) => value ?? undefined);
}

/** An event from its two halves. */
export function toEvent({ embedderId, ...event }: EventJson, arrays?: EventArrays): CallEvent {
  if (embedderId === undefined || !arrays) return event;
  return { ...event, features: toFeatures(embedderId, arrays) };
}

/** A call's event in a batch, without its arrays. */
export function findInBatch(bytes: Uint8Array, callId: string): EventJson | undefined {
  for (const record of decodeBatch(bytes)) {
    if (record.callId === callId) return parseEventJson(record.json);
  }
  return undefined;
}

/** Raw features from stored bytes, copied so that arrays are aligned and the batch can go. */
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
