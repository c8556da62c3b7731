/**
 * JSON as text: parsed once with errors that say where, and changed at the top level without being
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
export function parseJson(bytes: Uint8Array | ArrayBuffer): unknown {
  return parseJsonText(decodeUtf8(bytes));
}

/** Text of UTF-8 bytes, a byte order mark taken off. @throws JsonParseFailed reason `utf8` */
export function decodeUtf8(bytes: Uint8Array | ArrayBuffer): string {
  try {
    return strictUtf8.decode(bytes);
  } catch {
    const whole = bytes instanceof Uint8Array ? bytes : new Uint8Array(bytes);
    const offset = firstInvalidUtf8(whole);
    const before = new TextDecoder().decode(whole.subarray(0, offset));
    const place = placeOf(before, before.length);
    throw new JsonParseFailed("utf8", { ...place, offset }, "the text is not valid UTF-8");
  }
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
  if (mayBeDeeperThan(text, maxJsonDepth) && isDeeperThan(value, maxJsonDepth)) {
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
 * A JSON object's text with some top-level fields changed; every other character stays as it was,
 * and a field of the same name further down is not touched. Duplicated keys are all edited, since
 * readers differ in which one they believe. Text rather than bytes, because pieces of a string cost
 * the runtime less than views of a buffer.
 *
 * @param text valid JSON of an object: what parseJsonText accepted. Answers the text itself where
 *             nothing changes.
 * Cost: one pass; strings are crossed natively. Measured in test/bench/wire.bench.ts.
 */
export function spliceJson(text: string, edits: JsonEdits): string {
  const members: Member[] = [];
  const end = scanMembers(text, (member) => members.push(member));
  const present = new Set(members.map((member) => member.key));
  let out = "";
  let cursor = 0;
  const copyTo = (to: number) => {
    if (to > cursor) out += text.slice(cursor, to);
    cursor = Math.max(cursor, to);
  };
  const editOf = (key: string) => (Object.hasOwn(edits, key) ? edits[key] : undefined);
  const isRemoved = (member: Member) => {
    const edit = editOf(member.key);
    return edit !== undefined && "remove" in edit;
  };
  const keptCount = members.findLastIndex((member) => !isRemoved(member)) + 1;

  for (let i = 0; i < keptCount; i++) {
    const member = members[i] as Member;
    const edit = editOf(member.key);
    if (edit === undefined) continue;
    if ("remove" in edit) {
      copyTo(member.keyStart);
      cursor = (members[i + 1] as Member).keyStart; // a kept one follows
      continue;
    }
    copyTo(member.valueStart);
    out += newValue(text.slice(member.valueStart, member.valueEnd), edit);
    cursor = member.valueEnd;
  }
  // What is left of the members are removals at the end: their comma goes with them.
  const lastKept = members[keptCount - 1];
  copyTo(lastKept?.valueEnd ?? members[0]?.keyStart ?? end);
  if (keptCount < members.length) cursor = members.at(-1)?.valueEnd ?? cursor;

  let separator = keptCount > 0 ? "," : "";
  for (const [key, edit] of Object.entries(edits)) {
    if (present.has(key) || "remove" in edit) continue;
    const value = "set" in edit ? edit.set : objectText(edit.merge);
    out += `${separator}${JSON.stringify(key)}:${value}`;
    separator = ",";
  }
  copyTo(text.length);
  return out === text ? text : out;
}

/**
 * spliceJson for the one edit of nearly every call, a top-level string field: no list of members,
 * no table of edits.
 */
export function replaceJsonField(text: string, key: string, value: string): string {
  let out = "";
  let cursor = 0;
  scanMembers(text, (member) => {
    if (member.key !== key) return;
    out += text.slice(cursor, member.valueStart) + value;
    cursor = member.valueEnd;
  });
  return cursor === 0 ? spliceJson(text, { [key]: { set: value } }) : out + text.slice(cursor);
}

interface Member {
  readonly key: string;
  readonly keyStart: number;
  readonly valueStart: number;
  readonly valueEnd: number;
}

const quote = 34;
const backslash = 92;
const comma = 44;
const colon = 58;
const openBrace = 123;
const closeBrace = 125;
const openBracket = 91;
const closeBracket = 93;

function newValue(old: string, edit: Exclude<JsonEdit, { readonly remove: true }>): string {
  if ("set" in edit) return edit.set;
  if (old.charCodeAt(0) !== openBrace) return objectText(edit.merge);
  return spliceJson(
    old,
    Object.fromEntries(Object.entries(edit.merge).map(([key, set]) => [key, { set }])),
  );
}

function objectText(fields: Readonly<Record<string, string>>): string {
  const members = Object.entries(fields).map(([key, value]) => `${JSON.stringify(key)}:${value}`);
  return `{${members.join(",")}}`;
}

/** Tells of each top-level member in order; answers the position of the closing brace. */
function scanMembers(text: string, onMember: (member: Member) => void): number {
  let at = skipSpace(text, 0);
  assert(text.charCodeAt(at) === openBrace, "spliceJson is given the text of a JSON object");
  at = skipSpace(text, at + 1);
  while (text.charCodeAt(at) === quote) {
    const keyStart = at;
    at = skipString(text, at);
    const key = decodeKey(text, keyStart, at);
    at = skipSpace(text, at);
    assert(text.charCodeAt(at) === colon, "a colon follows a key");
    const valueStart = skipSpace(text, at + 1);
    const valueEnd = skipValue(text, valueStart);
    onMember({ key, keyStart, valueStart, valueEnd });
    at = skipSpace(text, valueEnd);
    if (text.charCodeAt(at) === comma) at = skipSpace(text, at + 1);
  }
  assert(text.charCodeAt(at) === closeBrace, "a brace ends the object");
  return at;
}

function decodeKey(text: string, start: number, end: number): string {
  const name = text.slice(start + 1, end - 1);
  return name.includes("\\") ? String(JSON.parse(`"${name}"`)) : name;
}

function skipSpace(text: string, from: number): number {
  let at = from;
  for (;;) {
    const code = text.charCodeAt(at);
    if (code !== 32 && code !== 10 && code !== 13 && code !== 9) return at;
    at++;
  }
}

/** From an opening quote to after the closing one. */
function skipString(text: string, from: number): number {
  let at = from + 1;
  for (;;) {
    const end = text.indexOf('"', at);
    assert(end >= 0, "a quote ends the string");
    let slashes = 0;
    while (end - 1 - slashes >= at && text.charCodeAt(end - 1 - slashes) === backslash) slashes++;
    if (slashes % 2 === 0) return end + 1;
    at = end + 1;
  }
}

function skipValue(text: string, from: number): number {
  const first = text.charCodeAt(from);
  if (first === quote) return skipString(text, from);
  if (first !== openBrace && first !== openBracket) return skipScalar(text, from);
  let depth = 0;
  let at = from;
  while (at < text.length) {
    const code = text.charCodeAt(at);
    if (code === quote) {
      at = skipString(text, at);
      continue;
    }
    at++;
    if (code === openBrace || code === openBracket) depth++;
    else if ((code === closeBrace || code === closeBracket) && --depth === 0) return at;
  }
  assert(false, "brackets are balanced");
}

/** A number, true, false or null. */
function skipScalar(text: string, from: number): number {
  let at = from;
  for (; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === comma || code === closeBrace || code === closeBracket || code <= 32) break;
  }
  return at;
}

function placeOf(text: string, offset: number): JsonPlace {
  const before = text.slice(0, offset);
  const line = before.split("\n").length;
  return { offset, line, column: offset - before.lastIndexOf("\n") };
}

/** A text is at most as deep as it has opening brackets, those in strings included. */
function mayBeDeeperThan(text: string, limit: number): boolean {
  if (text.length <= 2 * limit) return false;
  let left = limit;
  for (const bracket of ["{", "["]) {
    for (let at = text.indexOf(bracket); at >= 0; at = text.indexOf(bracket, at + 1)) {
      if (--left < 0) return true;
    }
  }
  return false;
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
