// Lexical and shape features of ASCII text in one pass. src/embedding/lexical.ts and shape.ts are their
// definition and their oracle: what is counted, and why, is said there and not repeated here.
// Buckets are listed as they come and then sorted by radix: all of it within a few kilobytes, where
// a table of all buckets would miss the cache at every one of them.

// The layout that JavaScript writes, an i32 each.
const TEXT = 0; // ASCII, with room for two bytes behind it
const TOOLS = 4; // ASCII
const FOLDS = 8; // per ASCII unit a byte: what it folds to (lexical.ts)
const KINDS = 32; // per ASCII unit eight bytes, 1 in those of the counts it belongs to (shape.ts)
const LOGS = 12; // f32: log1p of 0, 1, 2 … up to the longest window
const LIST = 16; // u16 per bucket as they come
const SORTED = 20; // as many
const HEADS = 24; // 512 u32: how many buckets have this low byte, this high byte
const OUT = 28; // 16 f32 of shape, u16 buckets, u8 counts

const PRIME: u32 = 16777619;
const SPACE: u32 = 32;
const GRAM_UNITS = 768;
const SHAPE_BYTES = 64;

const WORDS: u32 = 0x811c9dc5;
const GRAMS: u32 = 0x2f0b4c47;
const TOOL_WORDS: u32 = 0x6d2b79f5;

/** Appends the bucket of a hash; gives where the next one goes. */
// @ts-ignore: decorator
@inline
function add(to: usize, heads: usize, hash: u32, start: u32, bits: u32): usize {
  let mixed = hash ^ (hash >>> 15);
  mixed *= 0x2c1b3c6d;
  mixed ^= mixed >>> 13;
  mixed *= 0x297a2d39;
  const bucket = start + (mixed >>> (32 - bits));
  store<u16>(to, bucket);
  const low = heads + ((<usize>bucket & 255) << 2);
  store<u32>(low, load<u32>(low) + 1);
  const high = heads + 1024 + ((<usize>bucket >>> 8) << 2);
  store<u32>(high, load<u32>(high) + 1);
  return to + 2;
}

// @ts-ignore: decorator
@inline
function pair(first: u32, second: u32): u32 {
  return (first ^ 0x9e3779b9) * 0x85ebca6b + second;
}

/**
 * Writes the features of a text and its tools to OUT; returns how many distinct buckets there are.
 * The logarithms are of the whole text's length, the tools' number and their text's length.
 */
export function readText(
  layout: usize,
  length: i32,
  toolLength: i32,
  logUnits: f32,
  logTools: f32,
  logToolUnits: f32,
): i32 {
  const heads = <usize>load<i32>(layout, HEADS);
  memory.fill(heads, 0, 2048);
  const list = <usize>load<i32>(layout, LIST);
  readShape(layout, length);
  let end = readWindow(layout, length, list, heads);
  if (toolLength > 0) end = readTools(layout, toolLength, end, heads);
  const out = <usize>load<i32>(layout, OUT);
  store<f32>(out, logUnits);
  store<f32>(out, begins(layout, length) ? 1 : 0, 48);
  store<f32>(out, logTools, 56);
  store<f32>(out, logToolUnits, 60);
  sort(list, end, <usize>load<i32>(layout, SORTED), heads);
  return count(list, end, <usize>load<i32>(layout, SORTED), out + SHAPE_BYTES);
}

/** Words, pairs and grams to the list; gives the list's end. */
function readWindow(layout: usize, length: i32, list: usize, heads: usize): usize {
  const text = <usize>load<i32>(layout, TEXT);
  const folds = <usize>load<i32>(layout, FOLDS);
  let to = list;
  // The stream " word word ": its last three units, and how many there were.
  let a = SPACE;
  let b = SPACE;
  let c = SPACE;
  let units = 1;
  let hash = WORDS;
  let previous: u32 = 0;
  for (let at = text, end = text + <usize>length; at <= end; at++) {
    const folded = at < end ? <u32>load<u8>(folds + <usize>load<u8>(at)) : SPACE; // ends the last word
    if (folded != SPACE) hash = (hash ^ folded) * PRIME;
    else {
      if (c == SPACE) continue;
      to = add(to, heads, hash, 0, 15);
      if (previous != 0) to = add(to, heads, pair(previous, hash), 0, 15);
      previous = hash;
      hash = WORDS;
    }
    if (units < GRAM_UNITS && b != SPACE && c != SPACE) {
      const gram = ((a | (b << 16)) * GRAMS) ^ ((c | (folded << 16)) * PRIME);
      to = add(to, heads, gram, 32768, 14);
    }
    units++;
    a = b;
    b = c;
    c = folded;
  }
  return to;
}

/** What shape counts, to OUT. */
function readShape(layout: usize, length: i32): void {
  const text = <usize>load<i32>(layout, TEXT);
  const kinds = <usize>load<i32>(layout, KINDS);
  store<u16>(text + <usize>length, 0);
  // The 32 low bits and the 32 high ones, each four counts of 8 bits; read off before one is full.
  let low: u64 = 0;
  let high: u64 = 0;
  let words = 0;
  let numbers = 0;
  let options = 0;
  let before: u64 = 0;
  let lineStart = true;
  const end = text + <usize>length;
  for (let from = text; from < end; ) {
    let counts: u64 = 0;
    const until = min(from + 255, end);
    for (let at = from; at < until; at++) {
      const unit = <usize>load<u8>(at);
      const kind = load<u64>(kinds + (unit << 3));
      counts += kind;
      const begun = kind & ~before;
      words += <i32>(begun >>> 56);
      numbers += <i32>(begun & 1);
      before = kind;
      if (lineStart) {
        options += <i32>isOption(at);
        lineStart = unit == 32;
      }
      if (unit == 10) lineStart = true;
    }
    low += counts & 0x00ff00ff00ff00ff;
    high += (counts >>> 8) & 0x00ff00ff00ff00ff;
    from = until;
  }
  const out = <usize>load<i32>(layout, OUT);
  const logs = <usize>load<i32>(layout, LOGS);
  const size = <f64>max(1, length);
  // Even lanes: digits, upper, marks, code marks; odd ones: operators, questions, lines, letters.
  store<f32>(out, log(logs, words), 4);
  store<f32>(out, <f32>(<f64>lane(high, 3) / <f64>max(1, words)), 8);
  store<f32>(out, <f32>(<f64>lane(low, 0) / size), 12);
  store<f32>(out, <f32>(<f64>lane(low, 1) / size), 16);
  store<f32>(out, <f32>(<f64>lane(low, 2) / size), 20);
  store<f32>(out, 0, 24); // not ASCII
  store<f32>(out, log(logs, lane(high, 2)), 28);
  store<f32>(out, log(logs, numbers), 32);
  store<f32>(out, log(logs, lane(high, 0)), 36);
  store<f32>(out, log(logs, lane(low, 3)), 40);
  store<f32>(out, log(logs, lane(high, 1)), 44);
  store<f32>(out, log(logs, options), 52);
}

// @ts-ignore: decorator
@inline
function lane(counts: u64, at: i32): i32 {
  return <i32>(counts >>> (at << 4)) & 0xffff;
}

// @ts-ignore: decorator
@inline
function log(logs: usize, count: i32): f32 {
  return load<f32>(logs + (<usize>count << 2));
}

// @ts-ignore: decorator
@inline
function isOption(at: usize): bool {
  const open: usize = load<u8>(at) == 40 ? 1 : 0;
  const name = <u32>load<u8>(at + open) | 32;
  const mark = <u32>load<u8>(at + open + 1);
  return name - 97 < 10 && (mark == 46 || mark == 41 || mark == 58);
}

/** Words of the tools' text; gives the list's end. */
function readTools(layout: usize, length: i32, from: usize, heads: usize): usize {
  const text = <usize>load<i32>(layout, TOOLS);
  const folds = <usize>load<i32>(layout, FOLDS);
  let to = from;
  let hash = TOOL_WORDS;
  let size = 0;
  let previous: u32 = 0;
  let inName = true;
  let wasLower = false;
  for (let at = text, end = text + <usize>length; at <= end; at++) {
    const unit = at < end ? <u32>load<u8>(at) : 2; // the end closes the last word
    const folded = <u32>load<u8>(folds + <usize>unit);
    const isUpper = unit - 65 < 26;
    const isMark = unit == 1 || unit == 2;
    const isGap = isMark || unit == 95 || folded == SPACE;
    if (isGap || (isUpper && wasLower)) {
      if (size > 0) {
        to = add(to, heads, hash, 49152, 14);
        if (inName && previous != 0) to = add(to, heads, pair(previous, hash), 49152, 14);
        previous = hash;
        hash = TOOL_WORDS;
        size = 0;
      }
    }
    if (isMark) {
      inName = unit == 2;
      previous = 0;
    } else if (!isGap) {
      hash = (hash ^ folded) * PRIME;
      size++;
    }
    wasLower = unit - 97 < 26;
  }
  return to;
}

/** Whether the first word within 80 units is one that questions begin with. */
function begins(layout: usize, length: i32): bool {
  const kinds = <usize>load<i32>(layout, KINDS);
  let at = <usize>load<i32>(layout, TEXT);
  const end = at + <usize>min(length, 80);
  while (at < end && !isWord(kinds, <u32>load<u8>(at))) at++;
  let word: u64 = 0;
  let size = 0;
  for (; at < end && size < 6; at++, size++) {
    const unit = <u32>load<u8>(at);
    if (!isWord(kinds, unit)) break;
    word |= <u64>(unit | 32) << (size << 3);
  }
  if (size == 2) return word == 0x7369 || word == 0x6f64; // is, do
  if (size == 3) {
    // who, why, how, are, can
    if (word == 0x6f6877 || word == 0x796877 || word == 0x776f68) return true;
    return word == 0x657261 || word == 0x6e6163;
  }
  if (size == 4) {
    // what, whom, when, does
    if (word == 0x74616877 || word == 0x6d6f6877) return true;
    return word == 0x6e656877 || word == 0x73656f64;
  }
  // whose, where, which
  return word == 0x65736f6877 || word == 0x6572656877 || word == 0x6863696877;
}

/** A letter, a digit or an underscore: \w. */
// @ts-ignore: decorator
@inline
function isWord(kinds: usize, unit: u32): bool {
  return load<u8>(kinds + (<usize>unit << 3), 7) == 1 || unit == 95;
}

/** By low byte into `sorted`, by high byte back into `list`. */
function sort(list: usize, end: usize, sorted: usize, heads: usize): void {
  let low: u32 = 0;
  let high: u32 = 0;
  for (let at = heads, until = heads + 1024; at < until; at += 4) {
    const l = load<u32>(at);
    store<u32>(at, low);
    low += l;
    const h = load<u32>(at, 1024);
    store<u32>(at, high, 1024);
    high += h;
  }
  for (let at = list; at < end; at += 2) {
    const bucket = <usize>load<u16>(at);
    const head = heads + ((bucket & 255) << 2);
    const place = load<u32>(head);
    store<u32>(head, place + 1);
    store<u16>(sorted + (<usize>place << 1), <u16>bucket);
  }
  for (let at = sorted, until = sorted + (end - list); at < until; at += 2) {
    const bucket = <usize>load<u16>(at);
    const head = heads + 1024 + ((bucket >>> 8) << 2);
    const place = load<u32>(head);
    store<u32>(head, place + 1);
    store<u16>(list + (<usize>place << 1), <u16>bucket);
  }
}

/** The distinct buckets of a sorted list, and behind them how often each stands there, up to 255. */
function count(list: usize, end: usize, scratch: usize, out: usize): i32 {
  let taken: usize = 0;
  for (let at = list; at < end; ) {
    const bucket = load<u16>(at);
    let next = at + 2;
    while (next < end && load<u16>(next) == bucket) next += 2;
    store<u16>(out + (taken << 1), bucket);
    store<u8>(scratch + taken, min(255, (next - at) >>> 1));
    taken++;
    at = next;
  }
  memory.copy(out + (taken << 1), scratch, taken);
  return <i32>taken;
}
