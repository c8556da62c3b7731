/**
 * JSON as bytes: parsed once with errors that say where, and changed at the top level without being
 * written anew, so that what a caller sent reaches a provider as it was.
 */
import { assert } from "./assert.ts";
import { locateJsonError } from "./json-locate.ts";

/** Deeper nesting than this is refused: writing it out again could exhaust the stack. */
export const maxJsonDepth = 512;

/** Bytes that are not JSON. The message is fit for a caller; `http` maps `reason` to an error code. */
export class JsonParseFailed extends Error {
  readonly reason: "utf8" | "json" | "depth";
  /** Byte offset for `utf8`, UTF-16 offset otherwise; `line` and `column` count from 1. */
  readonly offset: number;
  readonly line: number;
  readonly column: number;

  constructor(reason: JsonParseFailed["reason"], place: JsonPlace, what: string) {
    super(`${what} (line ${place.line}, column ${place.column})`);
    this.name = "JsonParseFailed";
    this.reason = reason;
    this.offset = place.offset;
    this.line = place.line;
    this.column = place.column;
  }
}

export interface JsonPlace {
  readonly offset: number;
  readonly line: number;
  readonly column: number;
}

/**
 * The value of UTF-8 JSON text (a byte order mark is passed over).
 * @throws JsonParseFailed with the place of the first fault. Finding the place costs a second pass.
 */
export function parseJson(bytes: Uint8Array): unknown {
  let text: string;
  try {
    text = strictUtf8.decode(bytes);
  } catch {
    const offset = firstInvalidUtf8(bytes);
    const before = new TextDecoder().decode(bytes.subarray(0, offset));
    const place = placeOf(before, before.length);
    throw new JsonParseFailed("utf8", { ...place, offset }, "the text is not valid UTF-8");
  }
  return parseJsonText(text);
}

/** Keeps nothing between calls that are not streamed. */
const strictUtf8 = new TextDecoder("utf-8", { fatal: true });

/** As parseJson, of text. */
export function parseJsonText(text: string): unknown {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    const fault = locateJsonError(text);
    throw new JsonParseFailed("json", placeOf(text, fault.offset), fault.message);
  }
  // Each level takes two brackets at least, so most texts are too short to be too deep.
  if (text.length > 2 * maxJsonDepth && isDeeperThan(value, maxJsonDepth)) {
    const message = `the JSON is nested more than ${maxJsonDepth} levels deep`;
    throw new JsonParseFailed("depth", placeOf(text, 0), message);
  }
  return value;
}

/** What is to become of one top-level field. Values are JSON text, as JSON.stringify gives it. */
export type JsonEdit =
  /** Every occurrence gets this value; where there is none, the field is added. */
  | { readonly set: string }
  /** Every occurrence goes. */
  | { readonly remove: true }
  /** These fields are set within the field's object, which is made where it is no object. */
  | { readonly merge: Readonly<Record<string, string>> };

export type JsonEdits = Readonly<Record<string, JsonEdit>>;

/**
 * A JSON object's bytes with some top-level fields changed; every other byte stays as it was, and a
 * field of the same name further down is not touched. Duplicated keys are all edited, since readers
 * differ in which one they believe.
 *
 * @param bytes valid JSON of an object: what parseJson accepted. Answers the bytes themselves where
 *              nothing changes.
 * Cost: one pass; strings are crossed natively. About 30 µs for 100 KB of chat,
 * most of it the new copy; measured in test/bench/wire.bench.ts.
 */
export function spliceJson(bytes: Uint8Array, edits: JsonEdits): Uint8Array {
  const object = findMembers(bytes);
  const present = new Set(object.members.map((member) => member.key));
  const parts: Uint8Array[] = [];
  let cursor = 0;
  const copyTo = (end: number) => {
    if (end > cursor) parts.push(bytes.subarray(cursor, end));
    cursor = Math.max(cursor, end);
  };
  const editOf = (key: string) => (Object.hasOwn(edits, key) ? edits[key] : undefined);
  const isRemoved = (member: Member) => {
    const edit = editOf(member.key);
    return edit !== undefined && "remove" in edit;
  };
  const keptCount = object.members.findLastIndex((member) => !isRemoved(member)) + 1;

  for (let i = 0; i < keptCount; i++) {
    const member = object.members[i] as Member;
    const edit = editOf(member.key);
    if (edit === undefined) continue;
    if ("remove" in edit) {
      copyTo(member.keyStart);
      cursor = (object.members[i + 1] as Member).keyStart; // a kept one follows
      continue;
    }
    copyTo(member.valueStart);
    parts.push(newValue(bytes.subarray(member.valueStart, member.valueEnd), edit));
    cursor = member.valueEnd;
  }
  // What is left of the members are removals at the end: their comma goes with them.
  const first = object.members[0];
  const last = object.members.at(-1);
  const lastKept = object.members[keptCount - 1];
  copyTo(lastKept?.valueEnd ?? first?.keyStart ?? object.end);
  if (keptCount < object.members.length) cursor = last?.valueEnd ?? cursor;

  let separator = keptCount > 0 ? "," : "";
  for (const [key, edit] of Object.entries(edits)) {
    if (present.has(key) || "remove" in edit) continue;
    const value = "set" in edit ? edit.set : objectText(edit.merge);
    parts.push(encode(`${separator}${JSON.stringify(key)}:${value}`));
    separator = ",";
  }
  if (parts.length === 1 && cursor === parts[0]?.length) return bytes;
  copyTo(bytes.length);
  return concat(parts);
}

interface Member {
  readonly key: string;
  readonly keyStart: number;
  readonly valueStart: number;
  readonly valueEnd: number;
}

interface ObjectSpan {
  readonly members: readonly Member[];
  /** Position of the closing brace. */
  readonly end: number;
}

const quote = 34;
const backslash = 92;
const comma = 44;
const colon = 58;
const openBrace = 123;
const closeBrace = 125;
const openBracket = 91;
const closeBracket = 93;
const encoder = new TextEncoder();
const encode = (text: string) => encoder.encode(text);

function newValue(old: Uint8Array, edit: Exclude<JsonEdit, { readonly remove: true }>): Uint8Array {
  if ("set" in edit) return encode(edit.set);
  if (old[0] !== openBrace) return encode(objectText(edit.merge));
  return spliceJson(
    old,
    Object.fromEntries(Object.entries(edit.merge).map(([key, set]) => [key, { set }])),
  );
}

function objectText(fields: Readonly<Record<string, string>>): string {
  const members = Object.entries(fields).map(([key, value]) => `${JSON.stringify(key)}:${value}`);
  return `{${members.join(",")}}`;
}

function findMembers(bytes: Uint8Array): ObjectSpan {
  const hasMark = bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf;
  let at = skipSpace(bytes, hasMark ? 3 : 0);
  assert(bytes[at] === openBrace, "spliceJson is given the bytes of a JSON object");
  const members: Member[] = [];
  at = skipSpace(bytes, at + 1);
  while (bytes[at] === quote) {
    const keyStart = at;
    at = skipString(bytes, at);
    const key = decodeKey(bytes.subarray(keyStart, at));
    at = skipSpace(bytes, at);
    assert(bytes[at] === colon, "a colon follows a key");
    const valueStart = skipSpace(bytes, at + 1);
    const valueEnd = skipValue(bytes, valueStart);
    members.push({ key, keyStart, valueStart, valueEnd });
    at = skipSpace(bytes, valueEnd);
    if (bytes[at] === comma) at = skipSpace(bytes, at + 1);
  }
  assert(bytes[at] === closeBrace, "a brace ends the object");
  return { members, end: at };
}

function decodeKey(quoted: Uint8Array): string {
  const text = new TextDecoder().decode(quoted);
  return quoted.includes(backslash) ? String(JSON.parse(text)) : text.slice(1, -1);
}

function skipSpace(bytes: Uint8Array, from: number): number {
  let at = from;
  for (let byte = bytes[at]; byte === 32 || byte === 10 || byte === 13 || byte === 9; ) {
    byte = bytes[++at];
  }
  return at;
}

/** From an opening quote to after the closing one. Short strings by hand, long ones natively. */
function skipString(bytes: Uint8Array, from: number): number {
  let at = from + 1;
  const near = Math.min(bytes.length, at + 24);
  while (at < near) {
    const byte = bytes[at];
    if (byte === quote) return at + 1;
    at += byte === backslash ? 2 : 1;
  }
  for (;;) {
    const end = bytes.indexOf(quote, at);
    assert(end >= 0, "a quote ends the string");
    let slashes = 0;
    while (end - 1 - slashes >= at && bytes[end - 1 - slashes] === backslash) slashes++;
    if (slashes % 2 === 0) return end + 1;
    at = end + 1;
  }
}

function skipValue(bytes: Uint8Array, from: number): number {
  const first = bytes[from];
  if (first === quote) return skipString(bytes, from);
  if (first !== openBrace && first !== openBracket) return skipScalar(bytes, from);
  let depth = 0;
  let at = from;
  while (at < bytes.length) {
    const byte = bytes[at];
    if (byte === quote) {
      at = skipString(bytes, at);
      continue;
    }
    at++;
    if (byte === openBrace || byte === openBracket) depth++;
    else if ((byte === closeBrace || byte === closeBracket) && --depth === 0) return at;
  }
  assert(false, "brackets are balanced");
}

/** A number, true, false or null. */
function skipScalar(bytes: Uint8Array, from: number): number {
  let at = from;
  for (; at < bytes.length; at++) {
    const byte = bytes[at] as number;
    if (byte === comma || byte === closeBrace || byte === closeBracket || byte <= 32) break;
  }
  return at;
}

function concat(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

function placeOf(text: string, offset: number): JsonPlace {
  const before = text.slice(0, offset);
  const line = before.split("\n").length;
  return { offset, line, column: offset - before.lastIndexOf("\n") };
}

/** Level by level, so that no depth of input exhausts the stack. */
function isDeeperThan(value: unknown, limit: number): boolean {
  let level = [value];
  for (let depth = 0; depth <= limit; depth++) {
    const next: unknown[] = [];
    for (const item of level) {
      if (typeof item !== "object" || item === null) continue;
      for (const key in item) {
        const child: unknown = (item as Record<string, unknown>)[key];
        if (typeof child === "object" && child !== null) next.push(child);
      }
    }
    if (next.length === 0) return false;
    level = next;
  }
  return true;
}

/** The longest prefix that decodes, a character cut at its end allowed; by halving. */
function firstInvalidUtf8(bytes: Uint8Array): number {
  let low = 0;
  let high = bytes.length;
  const isValid = (end: number) => {
    try {
      new TextDecoder("utf-8", { fatal: true }).decode(bytes.subarray(0, end), { stream: true });
      return true;
    } catch {
      return false;
    }
  };
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (isValid(middle)) low = middle;
    else high = middle - 1;
  }
  return low;
}
