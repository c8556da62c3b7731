// Lexical and shape features of ASCII text, one pass each. src/embedding/lexical.ts and shape.ts are
// their definition and their oracle: what is counted, and why, is said there and not repeated here.

const PRIME: u32 = 16777619;
const SPACE: u32 = 32;

const WORDS: u32 = 0x811c9dc5;
const GRAMS: u32 = 0x2f0b4c47;
const TOOLS: u32 = 0x6d2b79f5;

// @ts-ignore: decorator
@inline
function add(hash: u32, start: u32, bits: u32, counts: usize, touched: usize): void {
  let mixed = hash ^ (hash >>> 15);
  mixed *= 0x2c1b3c6d;
  mixed ^= mixed >>> 13;
  mixed *= 0x297a2d39;
  const bucket = start + (mixed >>> (32 - bits));
  const at = counts + bucket;
  const count = <u32>load<u8>(at);
  if (count == 0) {
    const word = touched + ((bucket >>> 5) << 2);
    store<u32>(word, load<u32>(word) | (1 << (bucket & 31)));
  }
  store<u8>(at, count + <u32>(count < 255));
}

// @ts-ignore: decorator
@inline
function pair(first: u32, second: u32): u32 {
  return (first ^ 0x9e3779b9) * 0x85ebca6b + second;
}

/** Writes ASCII text as " word word " in UTF-16 units, folded by the table; returns how many. */
export function foldAscii(text: usize, length: i32, fold: usize, stream: usize): i32 {
  store<u16>(stream, SPACE);
  let to = stream + 2;
  let gap = true;
  for (let at = text, end = text + <usize>length; at < end; at++) {
    const unit = <u32>load<u8>(fold + <usize>load<u8>(at));
    const isSpace = unit == SPACE;
    if (isSpace && gap) continue;
    store<u16>(to, unit);
    to += 2;
    gap = isSpace;
  }
  if (!gap) {
    store<u16>(to, SPACE);
    to += 2;
  }
  return <i32>((to - stream) >> 1);
}

/** Words and pairs of a folded stream, and the grams of its first `gramLength` units. */
export function countWords(
  stream: usize,
  length: i32,
  gramLength: i32,
  counts: usize,
  touched: usize,
): void {
  let previous: u32 = 0;
  let hash = WORDS;
  for (let at = stream + 2, end = stream + (<usize>length << 1); at < end; at += 2) {
    const unit = <u32>load<u16>(at);
    if (unit != SPACE) {
      hash = (hash ^ unit) * PRIME;
      continue;
    }
    add(hash, 0, 15, counts, touched);
    if (previous != 0) add(pair(previous, hash), 0, 15, counts, touched);
    previous = hash;
    hash = WORDS;
  }
  let a = SPACE;
  let b = <u32>load<u16>(stream, 2);
  let c = <u32>load<u16>(stream, 4);
  for (let at = stream + 6, end = stream + (<usize>gramLength << 1); at < end; at += 2) {
    const d = <u32>load<u16>(at);
    if (b != SPACE && c != SPACE) {
      add(((a | (b << 16)) * GRAMS) ^ ((c | (d << 16)) * PRIME), 32768, 14, counts, touched);
    }
    a = b;
    b = c;
    c = d;
  }
}

/** Words of the tools' text, ASCII. */
export function countTools(
  text: usize,
  length: i32,
  fold: usize,
  counts: usize,
  touched: usize,
): void {
  let hash = TOOLS;
  let size = 0;
  let previous: u32 = 0;
  let inName = true;
  let wasLower = false;
  for (let at = text, end = text + <usize>length; at <= end; at++) {
    const unit = at < end ? <u32>load<u8>(at) : 2; // the end closes the last word
    const folded = <u32>load<u8>(fold + unit);
    const isUpper = unit - 65 < 26;
    const isMark = unit == 1 || unit == 2;
    const isGap = isMark || unit == 95 || folded == SPACE;
    if (isGap || (isUpper && wasLower)) {
      if (size > 0) {
        add(hash, 49152, 14, counts, touched);
        if (inName && previous != 0) add(pair(previous, hash), 49152, 14, counts, touched);
        previous = hash;
        hash = TOOLS;
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
}

/** Takes the counted buckets out, ascending, and zeroes them; returns how many. */
export function takeCounts(
  counts: usize,
  touched: usize,
  outBuckets: usize,
  outCounts: usize,
): i32 {
  let taken: usize = 0;
  for (let block: usize = 0; block < 8192; block += 16) {
    if (!v128.any_true(v128.load(touched + block))) continue;
    for (let word = block; word < block + 16; word += 4) {
      let bits = load<u32>(touched + word);
      store<u32>(touched + word, 0);
      while (bits != 0) {
        const bucket = (<u32>word << 3) | <u32>ctz(bits);
        bits &= bits - 1;
        store<u16>(outBuckets + (taken << 1), bucket);
        store<u8>(outCounts + taken, load<u8>(counts + bucket));
        store<u8>(counts + bucket, 0);
        taken++;
      }
    }
  }
  return <i32>taken;
}

/**
 * Counts of ASCII text (two zero bytes must follow it), i32 each: digits, upper, marks, lines,
 * numbers, words, letters, operators, code marks, questions, options. Kinds as in shape.ts.
 */
export function shapeAscii(text: usize, length: i32, kinds: usize, out: usize): void {
  let digits = 0;
  let upper = 0;
  let marks = 0;
  let lines = 0;
  let numbers = 0;
  let words = 0;
  let letters = 0;
  let operators = 0;
  let codeMarks = 0;
  let questions = 0;
  let options = 0;
  let inWord = false;
  let inNumber = false;
  let lineStart = true;
  for (let at = text, end = text + <usize>length; at < end; at++) {
    const unit = <u32>load<u8>(at);
    const kind = <u32>load<u8>(kinds + unit);
    const isDigit = kind == 4;
    const isLetter = kind - 2 < 3;
    letters += <i32>isLetter;
    words += <i32>(isLetter && !inWord);
    marks += <i32>(!isLetter && kind != 1);
    numbers += <i32>(isDigit && !inNumber);
    digits += <i32>isDigit;
    upper += <i32>(kind == 3);
    operators += <i32>(kind == 5);
    codeMarks += <i32>(kind == 6);
    questions += <i32>(unit == 63);
    lines += <i32>(unit == 10);
    if (lineStart) {
      options += <i32>isOption(at);
      lineStart = unit == 32;
    }
    if (unit == 10) lineStart = true;
    inWord = isLetter;
    inNumber = isDigit;
  }
  store<i32>(out, digits);
  store<i32>(out, upper, 4);
  store<i32>(out, marks, 8);
  store<i32>(out, lines, 12);
  store<i32>(out, numbers, 16);
  store<i32>(out, words, 20);
  store<i32>(out, letters, 24);
  store<i32>(out, operators, 28);
  store<i32>(out, codeMarks, 32);
  store<i32>(out, questions, 36);
  store<i32>(out, options, 40);
}

// @ts-ignore: decorator
@inline
function isOption(at: usize): bool {
  const open: usize = load<u8>(at) == 40 ? 1 : 0;
  const name = <u32>load<u8>(at + open) | 32;
  const mark = <u32>load<u8>(at + open + 1);
  return name - 97 < 10 && (mark == 46 || mark == 41 || mark == 58);
}
