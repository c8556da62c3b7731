/**
 * Hashed lexical features: which words and word parts a query has, as bucket numbers and counts.
 * This file is their specification; a change to it is a new feature schema.
 *
 * 1. Window: the first 1,536 and the last 512 UTF-16 units of the text (all of it, up to 2,048),
 *    lower-cased. A space joins the two parts.
 * 2. Words: runs of letters, digits and `_`; each CJK character is a word of its own. ASCII digits
 *    count as "0", so that numbers of one length are one word.
 * 3. `words` (buckets 0..32767): every word, and every pair of neighbours.
 *    `grams` (32768..49151): every 4 characters inside " word ", within the first 768 units of the
 *    words joined by single spaces.
 *    `tools` (49152..65535): every word of the tools' names, descriptions, parameter names, types
 *    and enums, in which `_` and a change to upper case divide words; a pair for names.
 *    At most 4,096 units of tool text are read.
 * 4. Hash: FNV-1a over UTF-16 units with a seed per field, mixed, its upper bits the bucket.
 * 5. Counts stop at 255.
 */
import type { RoutingTool } from "../domain/features.ts";

export const lexicalLimits = {
  headUnits: 1536,
  tailUnits: 512,
  gramUnits: 768,
  toolUnits: 4096,
  toolDepth: 6,
} as const;

export const lexicalBuckets = 65536;
/** More than a window and its tools can have: a word and a pair per two units, a gram per unit. */
export const mostBuckets = 16_384;
/** Where each field's buckets begin and how many bits number them. */
export const lexicalFields = {
  words: { start: 0, bits: 15, seed: 0x811c9dc5 },
  grams: { start: 32768, bits: 14, seed: 0x2f0b4c47 },
  tools: { start: 49152, bits: 14, seed: 0x6d2b79f5 },
} as const;

type Field = (typeof lexicalFields)[keyof typeof lexicalFields];

export interface LexicalFeatures {
  /** Ascending. */
  readonly buckets: Uint16Array;
  readonly counts: Uint8Array;
}

export type LexicalExtractor = (text: string, tools: string) => LexicalFeatures;

/** An extractor with its own scratch memory (74 KB). Cost: about 5 ns per unit of text. */
export function createLexicalExtractor(): LexicalExtractor {
  const counts = new Uint8Array(lexicalBuckets);
  const touched = new Uint32Array(lexicalBuckets / 32);
  // An ideograph takes two places of the stream.
  const stream = new Uint16Array(2 * (lexicalLimits.headUnits + lexicalLimits.tailUnits) + 16);
  stream[0] = space;
  let distinct = 0;

  function add(hash: number, field: Field): void {
    let mixed = hash ^ (hash >>> 15);
    mixed = Math.imul(mixed, 0x2c1b3c6d);
    mixed ^= mixed >>> 13;
    mixed = Math.imul(mixed, 0x297a2d39);
    const bucket = field.start + (mixed >>> (32 - field.bits));
    const count = counts[bucket] as number;
    if (count === 0) {
      distinct++;
      touched[bucket >>> 5] = (touched[bucket >>> 5] as number) | (1 << (bucket & 31));
    }
    if (count < 255) counts[bucket] = count + 1;
  }

  /** Writes a text as " word word " and says how long that is. */
  function fill(text: string): number {
    let length = 1;
    let gap = true;
    for (let at = 0; at < text.length; at++) {
      const unit = text.charCodeAt(at);
      const kind = unit < 128 ? (folded[unit] as number) : foldWide(unit);
      if (kind === space) {
        if (!gap) stream[length++] = space;
        gap = true;
      } else if (kind === ideograph) {
        if (!gap) stream[length++] = space;
        stream[length++] = unit;
        stream[length++] = space;
        gap = true;
      } else {
        stream[length++] = kind;
        gap = false;
      }
    }
    if (!gap) stream[length++] = space;
    return length;
  }

  function addWords(length: number): void {
    const { words } = lexicalFields;
    let previous = 0;
    let hash: number = words.seed;
    for (let at = 1; at < length; at++) {
      const unit = stream[at] as number;
      if (unit !== space) {
        hash = Math.imul(hash ^ unit, prime);
        continue;
      }
      add(hash, words);
      if (previous !== 0) add(pair(previous, hash), words);
      previous = hash;
      hash = words.seed;
    }
  }

  /** Four units in a row whose inner two are no space lie within one " word ". */
  function addGrams(length: number): void {
    const { grams } = lexicalFields;
    let a = space;
    let b = stream[1] as number;
    let c = stream[2] as number;
    for (let at = 3; at < length; at++) {
      const d = stream[at] as number;
      if (b !== space && c !== space) {
        add(Math.imul(a | (b << 16), grams.seed) ^ Math.imul(c | (d << 16), prime), grams);
      }
      a = b;
      b = c;
      c = d;
    }
  }

  /** Words of the tools' text, as `toToolText` wrote it. */
  function addTools(text: string): void {
    const field = lexicalFields.tools;
    let hash: number = field.seed;
    let length = 0;
    let previous = 0;
    let inName = true;
    let wasLower = false;
    const close = () => {
      if (length === 0) return;
      add(hash, field);
      if (inName && previous !== 0) add(pair(previous, hash), field);
      previous = hash;
      hash = field.seed;
      length = 0;
    };
    for (let at = 0; at < text.length; at++) {
      const unit = text.charCodeAt(at);
      const upper = unit >= 65 && unit <= 90;
      if (unit === nameEnd || unit === toolEnd) {
        close();
        inName = unit === toolEnd;
        previous = 0;
      } else if (unit === 95 || fold(unit) === space) close();
      else {
        if (upper && wasLower) close();
        hash = Math.imul(hash ^ fold(unit), prime);
        length++;
      }
      wasLower = unit >= 97 && unit <= 122;
    }
    close();
  }

  function take(): LexicalFeatures {
    const buckets = new Uint16Array(distinct);
    const taken = new Uint8Array(distinct);
    let next = 0;
    for (let word = 0; word < touched.length; word++) {
      let bits = touched[word] as number;
      if (bits === 0) continue;
      touched[word] = 0;
      while (bits !== 0) {
        const low = 31 - Math.clz32(bits & -bits);
        bits &= bits - 1;
        const bucket = (word << 5) | low;
        buckets[next] = bucket;
        taken[next++] = counts[bucket] as number;
        counts[bucket] = 0;
      }
    }
    distinct = 0;
    return { buckets, counts: taken };
  }

  return (text, tools) => {
    const window = toWindow(text);
    const length = fill(asciiOnly.test(window) ? window : lowerWide(window));
    addWords(length);
    addGrams(Math.min(length, lexicalLimits.gramUnits));
    if (tools.length > 0) addTools(tools);
    return take();
  };
}

/** The part of a text that features are read from. */
export function toWindow(text: string): string {
  const { headUnits, tailUnits } = lexicalLimits;
  if (text.length <= headUnits + tailUnits) return text;
  return `${text.slice(0, headUnits)} ${text.slice(text.length - tailUnits)}`;
}

/**
 * The tools as one bounded text: per tool its name, `\u0001`, the words of its description and of
 * its parameters' schema, `\u0002`.
 */
export function toToolText(tools: readonly RoutingTool[]): string {
  let text = "";
  const room = () => lexicalLimits.toolUnits - text.length;
  const put = (piece: string) => {
    if (room() > 0) text += `${piece.slice(0, room())} `;
  };
  const walk = (value: unknown, depth: number): void => {
    if (room() <= 0 || depth > lexicalLimits.toolDepth) return;
    if (typeof value === "string") put(value);
    else if (Array.isArray(value)) for (const item of value) walk(item, depth + 1);
    else if (typeof value === "object" && value !== null) {
      for (const [key, item] of Object.entries(value)) {
        if (!structural.has(key)) put(key);
        walk(item, depth + 1);
      }
    }
  };
  for (const tool of tools) {
    if (room() <= 0) break;
    text += `${tool.name.slice(0, 128)}\u0001`;
    if (tool.description) put(tool.description);
    walk(tool.parameters, 0);
    text += "\u0002";
  }
  return text;
}

/** Keys that every JSON schema has, so they say nothing. */
const structural: ReadonlySet<string> = new Set([
  "type",
  "properties",
  "description",
  "required",
  "items",
  "enum",
  "additionalProperties",
]);

const prime = 16777619;
const nameEnd = 1;
const toolEnd = 2;

const space = 32;
/** A character that is a word by itself. Below 128 no unit folds to it. */
const ideograph = 1;

const asciiOnly = /^[\0-\x7f]*$/;

/** ASCII is folded by table; the rest by Unicode, which may lengthen a text: cut it again. */
function lowerWide(text: string): string {
  return text.toLowerCase().slice(0, lexicalLimits.headUnits + lexicalLimits.tailUnits + 1);
}

/** What becomes of an ASCII unit: a small letter, "0" for a digit, or a space. */
export const folded = Uint8Array.from({ length: 128 }, (_, unit) => {
  const character = String.fromCharCode(unit);
  if (/[0-9]/.test(character)) return 48;
  return /[A-Za-z_]/.test(character) ? character.toLowerCase().charCodeAt(0) : space;
});

function fold(unit: number): number {
  return unit < 128 ? (folded[unit] as number) : foldWide(unit);
}

/** A letter stays; punctuation is a space; CJK is `ideograph`. */
function foldWide(unit: number): number {
  if (unit < 0xaa || (unit >= 0x2000 && unit <= 0x2bff)) return space;
  if (unit >= 0x3000 && unit <= 0x303f) return space;
  if (unit >= 0xff00 && unit <= 0xff0f) return space;
  if ((unit >= 0x2e80 && unit <= 0x9fff) || (unit >= 0xf900 && unit <= 0xfaff)) return ideograph;
  return unit;
}

function pair(first: number, second: number): number {
  return (Math.imul(first ^ 0x9e3779b9, 0x85ebca6b) + second) | 0;
}
