// WordPiece over UTF-8 bytes: greedy, longest piece first, by a hash table of the vocabulary.
// Source: Schuster & Nakajima, "Japanese and Korean Voice Search", 2012; BERT's tokenizer.
// A piece is whole characters, so matching bytes never cuts one.

// The index, i32 each: text and length of the vocabulary (a piece per line, "##" before those that
// continue a word), and what indexPieces fills: line starts, slots (id + 1), their hashes; slots − 1;
// the longest piece in bytes; the id for a word that has none.
const TEXT = 0;
const LENGTH = 4;
const OFFSETS = 8;
const SLOTS = 12;
const HASHES = 16;
const MASK = 20;
const LONGEST = 24;
const UNKNOWN = 28;

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
    if (find(index, hash, from, <i32>(stop - from), inside) < 0) insert(index, hash, id);
    id++;
    start = stop + 1;
  }
  store<i32>(index, min(longest, 512), LONGEST);
  return id;
}

function insert(index: usize, hash: u32, id: i32): void {
  const slots = <usize>load<i32>(index, SLOTS);
  const hashes = <usize>load<i32>(index, HASHES);
  const mask = load<i32>(index, MASK);
  let slot = <i32>spread(hash) & mask;
  while (load<i32>(slots + (<usize>slot << 2)) != 0) slot = (slot + 1) & mask;
  store<i32>(slots + (<usize>slot << 2), id + 1);
  store<u32>(hashes + (<usize>slot << 2), hash);
}

/** The id of a piece, or −1. Bytes are compared, so equal hashes do no harm. */
function find(index: usize, hash: u32, at: usize, length: i32, inside: bool): i32 {
  const slots = <usize>load<i32>(index, SLOTS);
  const hashes = <usize>load<i32>(index, HASHES);
  const mask = load<i32>(index, MASK);
  const skip = inside ? 2 : 0;
  let slot = <i32>spread(hash) & mask;
  while (true) {
    const at4 = <usize>slot << 2;
    slot = (slot + 1) & mask;
    const id = load<i32>(slots + at4) - 1;
    if (id < 0) return -1;
    if (load<u32>(hashes + at4) != hash) continue;
    const line = <usize>load<i32>(index, OFFSETS) + (<usize>id << 2);
    const start = <usize>load<i32>(line);
    if (load<i32>(line, 4) - 1 - <i32>start != length + skip) continue;
    if (inside && load<u16>(start) != 0x2323) continue;
    if (equal(start + skip, at, length)) return id;
  }
  return -1;
}

function equal(a: usize, b: usize, length: i32): bool {
  for (let i: usize = 0; i < <usize>length; i++) {
    if (load<u8>(a + i) != load<u8>(b + i)) return false;
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
