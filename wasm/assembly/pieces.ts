// WordPiece over UTF-8 bytes: greedy, longest piece first, by a hash table of the vocabulary.
// Source: Schuster & Nakajima, "Japanese and Korean Voice Search", 2012; BERT's tokenizer.
// A piece is whole characters, so matching bytes never cuts one.

// The index, i32 each: text and length of the vocabulary (a piece per line, "##" before those that
// continue a word), and what indexPieces fills: line starts, entries; entries − 1; the longest piece
// in bytes; the id for a word that has none.
const TEXT = 0;
const LENGTH = 4;
const OFFSETS = 8;
const ENTRIES = 12;
const MASK = 16;
const LONGEST = 20;
const UNKNOWN = 24;

// An entry of 32 bytes: the hash; the id + 1 (24 bits), the length up to 127 (7), whether the piece
// continues a word (1); its first 24 bytes. So nearly every word is one line of the cache.
const ENTRY_BITS = 5;
const ENTRY_TEXT = 8;
const INLINE = 24;
const LONG = 127;

/** Words beyond this many characters are unknown, as BERT has it. */
const MAX_WORD = 100;
const scratch = memory.data(4 * 512);

const HEAD: u32 = 0x811c9dc5; // FNV-1a's offset; another one for pieces inside a word
const TAIL: u32 = 0x2f0b4c47;

// @ts-ignore: decorator
@inline
function mix(hash: u32, byte: u32): u32 {
  return (hash ^ byte) * 0x01000193;
}

// @ts-ignore: decorator
@inline
function spread(hash: u32): u32 {
  return hash ^ (hash >>> 15);
}

/** Fills the index from the vocabulary's text; returns the number of pieces. */
export function indexPieces(index: usize): i32 {
  const text = <usize>load<i32>(index, TEXT);
  const end = text + <usize>load<i32>(index, LENGTH);
  const offsets = <usize>load<i32>(index, OFFSETS);
  let id = 0;
  let longest = 0;
  let start = text;
  while (start < end) {
    let stop = start;
    while (stop < end && load<u8>(stop) != 10) stop++;
    store<i32>(offsets + (<usize>id << 2), <i32>start);
    store<i32>(offsets + (<usize>id << 2), <i32>stop + 1, 4);
    const inside = stop - start > 2 && load<u16>(start) == 0x2323;
    const from = inside ? start + 2 : start;
    let hash = inside ? TAIL : HEAD;
    for (let at = from; at < stop; at++) hash = mix(hash, load<u8>(at));
    longest = max(longest, <i32>(stop - from));
    const size = <i32>(stop - from);
    if (find(index, hash, from, size, inside) < 0) insert(index, hash, id, from, size, inside);
    id++;
    start = stop + 1;
  }
  store<i32>(index, min(longest, 512), LONGEST);
  return id;
}

// @ts-ignore: decorator
@inline
function tagOf(length: i32, inside: bool): u32 {
  return ((<u32>inside << 7) | <u32>min(length, LONG)) << 24;
}

function insert(index: usize, hash: u32, id: i32, from: usize, length: i32, inside: bool): void {
  const entries = <usize>load<i32>(index, ENTRIES);
  const mask = load<i32>(index, MASK);
  let slot = <i32>spread(hash) & mask;
  while (load<u32>(entries + (<usize>slot << ENTRY_BITS), 4) != 0) slot = (slot + 1) & mask;
  const entry = entries + (<usize>slot << ENTRY_BITS);
  store<u32>(entry, hash);
  store<u32>(entry, tagOf(length, inside) | <u32>(id + 1), 4);
  memory.copy(entry + ENTRY_TEXT, from, <usize>min(length, INLINE));
}

/** The id of a piece, or −1. Bytes are compared, so equal hashes do no harm. Reads up to seven bytes
 * behind the text. */
function find(index: usize, hash: u32, at: usize, length: i32, inside: bool): i32 {
  const entries = <usize>load<i32>(index, ENTRIES);
  const mask = load<i32>(index, MASK);
  const tag = tagOf(length, inside);
  let slot = <i32>spread(hash) & mask;
  while (true) {
    const entry = entries + (<usize>slot << ENTRY_BITS);
    const word = load<u32>(entry, 4);
    if (word == 0) return -1;
    slot = (slot + 1) & mask;
    if (load<u32>(entry) != hash || (word & 0xff000000) != tag) continue;
    const id = <i32>(word & 0xffffff) - 1;
    if (!equal(entry + ENTRY_TEXT, at, min(length, INLINE))) continue;
    if (length <= INLINE || equalLong(index, id, at, length, inside)) return id;
  }
  return -1;
}

// @ts-ignore: decorator
@inline
function equal(a: usize, b: usize, length: i32): bool {
  let left = length;
  for (; left >= 8; left -= 8, a += 8, b += 8) if (load<u64>(a) != load<u64>(b)) return false;
  const mask = (<u64>1 << (left << 3)) - 1;
  return ((load<u64>(a) ^ load<u64>(b)) & mask) == 0;
}

/** A piece that does not fit into its entry, against the vocabulary itself. */
function equalLong(index: usize, id: i32, at: usize, length: i32, inside: bool): bool {
  const line = <usize>load<i32>(index, OFFSETS) + (<usize>id << 2);
  const start = <usize>load<i32>(line) + (inside ? 2 : 0);
  if (load<i32>(line, 4) - 1 - <i32>start != length) return false;
  for (let i: usize = INLINE; i < <usize>length; i++) {
    if (load<u8>(start + i) != load<u8>(at + i)) return false;
  }
  return true;
}

// @ts-ignore: decorator
@inline
function isSpace(c: u32): bool {
  return c == 32 || (c >= 9 && c <= 13 && c != 11 && c != 12);
}

// @ts-ignore: decorator
@inline
function isPunctuation(c: u32): bool {
  return (
    (c >= 33 && c <= 47) || (c >= 58 && c <= 64) || (c >= 91 && c <= 96) || (c >= 123 && c <= 126)
  );
}

/**
 * Writes at most `limit` piece ids of a text; returns how many. ASCII letters are lower-cased in
 * place where `lower`. Unless `prepared`, a byte outside printable ASCII and white space ends it
 * with −1: the caller then normalises the text, which is work for JavaScript, and calls again.
 */
export function wordPieces(
  index: usize,
  text: usize,
  length: i32,
  lower: bool,
  prepared: bool,
  out: usize,
  limit: i32,
): i32 {
  const end = text + <usize>length;
  let count = 0;
  let at = text;
  while (at < end && count < limit) {
    const c = <u32>load<u8>(at);
    if (isSpace(c)) {
      at++;
      continue;
    }
    let stop = at + 1;
    let hash = mix(HEAD, c);
    if (!isPunctuation(c)) {
      stop = at;
      hash = HEAD;
      let characters = 0;
      for (; stop < end; stop++) {
        let d = <u32>load<u8>(stop);
        if (isSpace(d) || isPunctuation(d)) break;
        if (d - 32 > 94 && !prepared) return -1;
        if (lower && d - 65 < 26) {
          d += 32;
          store<u8>(stop, d);
        }
        if ((d & 0xc0) != 0x80) characters++;
        hash = mix(hash, d);
      }
      if (characters > MAX_WORD) {
        store<i32>(out + (<usize>count << 2), load<i32>(index, UNKNOWN));
        count++;
        at = stop;
        continue;
      }
    }
    // Most words are a piece; the others are taken apart.
    const whole = find(index, hash, at, <i32>(stop - at), false);
    if (whole >= 0) {
      store<i32>(out + (<usize>count << 2), whole);
      count++;
      at = stop;
      continue;
    }
    count = splitWord(index, at, stop, out, count, limit);
    at = stop;
  }
  // A cut text may hide a byte that would have sent it to JavaScript: harmless, it was not read.
  return count;
}

function splitWord(
  index: usize,
  word: usize,
  end: usize,
  out: usize,
  before: i32,
  limit: i32,
): i32 {
  const longest = <usize>load<i32>(index, LONGEST);
  let count = before;
  let start = word;
  while (start < end) {
    const inside = start > word;
    let hash = inside ? TAIL : HEAD;
    const most = min(end - start, longest);
    for (let i: usize = 0; i < most; i++) {
      hash = mix(hash, load<u8>(start + i));
      store<u32>(scratch + (i << 2), hash);
    }
    let size = most;
    let id = -1;
    for (; size > 0; size--) {
      id = find(index, load<u32>(scratch + ((size - 1) << 2)), start, <i32>size, inside);
      if (id >= 0) break;
    }
    if (id < 0) {
      store<i32>(out + (<usize>before << 2), load<i32>(index, UNKNOWN));
      return before + 1;
    }
    // Beyond the limit the word is still matched, because an unknown end would change its start.
    if (count < limit) store<i32>(out + (<usize>count << 2), id);
    count++;
    start += size;
  }
  return min(count, limit);
}
