/**
 * Events on their way to storage, packed into one buffer so that they cross a thread border as
 * bytes: no objects to clone, none for the collector to follow.
 *
 * A batch stands by itself: u32 × 4 (rows, where the dictionary begins, names in it, 1 where a
 * query waits to be read), the records (event-layout.ts), the dictionary: per name a u32 length
 * and its UTF-8. Name 0 is none.
 */
import type { Receipt } from "../domain/decision.ts";
import type { CallEvent } from "../domain/event.ts";
import { parseEventJson } from "./event-json.ts";
import { type Page, toPage, word } from "./event-layout.ts";
import { type NamesOf, readRecord } from "./read-record.ts";
import { roomFor, writeRecord } from "./write-record.ts";

/** A closed batch, as small as its records. */
export interface EventBatch {
  readonly bytes: Uint8Array;
  readonly rows: number;
  /** To be called once when nobody reads it any more: its memory may be used again then. */
  release(): void;
}

/** Rows after which a batch is closed: what a `kill -9` may cost. */
export const batchRowLimit = 512;
/** Bytes of a batch; an event that is larger alone gets a batch of its own. */
export const batchByteLimit = 256 * 1024;
/** Characters of a stored prompt; the rest is cut. */
export const promptCharLimit = 64 * 1024;

const headerBytes = 16;
/** Shared pages that wait to be used again: one is filled while others are written. */
const freePageLimit = 4;
/** Numbers of names are u16; a record needs far fewer than the difference. */
const nameLimit = 60_000;

/** Gathers events until the batch is taken; its buffer is used again and again. */
export interface BatchBuilder {
  readonly rows: number;
  /** False where there is no room: take the batch and add again. An empty builder always has room. */
  add(event: CallEvent): boolean;
  /** A receipt that is in the open batch. */
  find(callId: string): Receipt | undefined;
  take(): EventBatch;
}

/**
 * @param shared a batch that fills most of a page is handed over as it is, in memory that another
 *               thread sees too: a fresh copy at each border costs more than packing did
 */
export function createBatchBuilder(sizeBytes = batchByteLimit, shared = false): BatchBuilder {
  const free: Page[] = [];
  let home = newPage();
  let page = home;
  let used = headerBytes;
  let rows = 0;
  let waiting = 0;
  const numbers = new Map<string, number>();
  /** What the dictionary takes, at most. */
  let nameBytes = 0;

  function numberOf(text: string | undefined): number {
    if (text === undefined) return 0;
    const known = numbers.get(text);
    if (known !== undefined) return known;
    const number = numbers.size + 1;
    numbers.set(text, number);
    nameBytes += 4 + 3 * text.length;
    return number;
  }

  function newPage(): Page {
    const size = sizeBytes & ~7;
    return toPage(shared ? new SharedArrayBuffer(size) : new ArrayBuffer(size));
  }

  function close(): Uint8Array {
    const dictionary = encodeNames(numbers.keys());
    const bytes = Buffer.from(new ArrayBuffer((used + dictionary.length + 7) & ~7));
    page.u32.set([rows, used, numbers.size, waiting]);
    bytes.set(page.bytes.subarray(0, used));
    bytes.set(dictionary, used);
    return new Uint8Array(bytes.buffer);
  }

  /** The page itself, where most of it is used; undefined where a copy is better. */
  function handOver(): EventBatch | undefined {
    if (!shared || page !== home || used * 2 < page.bytes.length) return undefined;
    const dictionary = encodeNames(numbers.keys());
    const size = (used + dictionary.length + 7) & ~7;
    if (size > page.bytes.length) return undefined;
    page.u32.set([rows, used, numbers.size, waiting]);
    page.bytes.set(dictionary, used);
    const filled = home;
    home = free.pop() ?? newPage();
    const release = () => {
      if (free.length < freePageLimit) free.push(filled);
    };
    return { bytes: new Uint8Array(filled.bytes.buffer, 0, size), rows, release };
  }

  return {
    get rows() {
      return rows;
    },
    add(given) {
      if (rows >= batchRowLimit || numbers.size > nameLimit) return false;
      const event = withinLimits(given);
      const room = roomFor(event);
      if (used + room + nameBytes > page.bytes.length) {
        if (rows > 0) return false;
        page = toPage(new ArrayBuffer((headerBytes + room + 7) & ~7)); // its names are copied in later
      }
      used = writeRecord(page, used, event, numberOf);
      if (event.unread?.extract) waiting = 1;
      rows++;
      return true;
    },
    find: (callId) => (rows === 0 ? undefined : findInBatch(close(), callId)),
    take() {
      const batch = handOver() ?? { bytes: close(), rows, release: () => undefined };
      used = headerBytes;
      rows = 0;
      waiting = 0;
      numbers.clear();
      nameBytes = 0;
      page = home;
      return batch;
    },
  };
}

function withinLimits(event: CallEvent): CallEvent {
  const { prompt } = event;
  if (prompt === undefined || prompt.length <= promptCharLimit) return event;
  return { ...event, prompt: prompt.slice(0, promptCharLimit) };
}

function encodeNames(names: Iterable<string>): Buffer {
  const parts: Buffer[] = [];
  for (const name of names) {
    const text = Buffer.from(name, "utf8");
    const length = Buffer.alloc(4);
    length.writeUInt32LE(text.length);
    parts.push(length, text);
  }
  return Buffer.concat(parts);
}

/** An open batch's pages and names. */
interface OpenBatch {
  readonly page: Page;
  readonly end: number;
  readonly names: NamesOf;
}

function openBatch(bytes: Uint8Array): OpenBatch {
  const aligned = bytes.byteOffset % 8 === 0 && bytes.byteLength % 8 === 0;
  const whole = aligned && bytes.byteOffset === 0 ? bytes : bytes.slice();
  const page = toPage(whole.buffer);
  const [, end = headerBytes, count = 0] = page.u32;
  const names: (string | undefined)[] = [undefined];
  let at = end;
  for (let i = 0; i < count; i++) {
    const length = page.bytes.readUInt32LE(at);
    names.push(page.bytes.toString("utf8", at + 4, at + 4 + length));
    at += 4 + length;
  }
  return { page, end, names };
}

/** Whether a query waits in it, of which features are to be made. */
export function wantsFeatures(bytes: Uint8Array): boolean {
  return bytes[12] === 1;
}

/** The events of a batch, in the order they were added. Their arrays are views of its bytes. */
export function* decodeBatch(bytes: Uint8Array): Generator<CallEvent> {
  const { page, end, names } = openBatch(bytes);
  for (
    let start = headerBytes;
    start < end;
    start += page.u32[(start >> 2) + word.size] as number
  ) {
    yield readRecord(page, start, names);
  }
}

/** A call's receipt in a batch. */
export function findInBatch(bytes: Uint8Array, callId: string): Receipt | undefined {
  const needle = Buffer.from(callId, "utf8");
  // Most batches do not hold it at all, which is seen at once.
  if (!Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).includes(needle))
    return undefined;
  for (const { receipt } of decodeBatch(bytes)) {
    // As it would come from storage: what is undefined is not there.
    if (receipt.callId === callId) return parseEventJson<Receipt>(JSON.stringify(receipt));
  }
  return undefined;
}
