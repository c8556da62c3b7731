/**
 * Text to WordPiece ids, as BERT's tokenizers do it. The vocabulary lives in the kernels' memory, not
 * on the heap, and printable ASCII never becomes a string of ours: a prompt of 650 characters takes
 * a few microseconds (test/bench/kernels.bench.ts).
 * Source: Devlin et al., "BERT", 2019, tokenization.py (BasicTokenizer, WordpieceTokenizer).
 */
import { allocLines, type Kernels, linesOf } from "../kernels/kernels.ts";
import { createTextWriter, prepareText } from "./prepare-text.ts";

export interface TokenizerOptions {
  /** A piece per line, UTF-8: vocab.txt. */
  readonly vocabulary: Uint8Array;
  /** How many pieces that is. */
  readonly pieces: number;
  /** Lower case, and accents off: BERT's "uncased" models. */
  readonly lower: boolean;
  /** UTF-16 units read of a text; the rest is cut. */
  readonly maxChars: number;
  readonly maxTokens: number;
}

export interface Tokenizer {
  /** Where the ids of the last text are, in the kernels' memory. */
  readonly ids: number;
  /** Tokenises a text; gives the number of ids, which stay until the next call. No [CLS], no [SEP]. */
  tokenize(text: string): number;
}

/** What createTokenizer allocates, at most. */
export function tokenizerBytes(options: TokenizerOptions): number {
  const { vocabulary, pieces, maxChars, maxTokens } = options;
  const text = vocabulary.length + maxChars * bytesPerChar + readBehind;
  return text + pieces * 4 + linesOf(slotsFor(pieces) * entryBytes) + maxTokens * 4 + 8 * 16;
}

/** @throws RangeError when the vocabulary has no [UNK], or not as many pieces as said. */
export function createTokenizer(kernels: Kernels, options: TokenizerOptions): Tokenizer {
  const { lower, maxChars, maxTokens } = options;
  const index = buildIndex(kernels, options);
  const ids = kernels.alloc(maxTokens * 4);
  const textBytes = maxChars * bytesPerChar + readBehind;
  const text = kernels.alloc(textBytes);
  const view = kernels.u8(text, textBytes);
  const encoder = new TextEncoder();

  const write = createTextWriter(lower);
  const pieces = (written: number, prepared: boolean) =>
    kernels.wordPieces(index, text, written, lower, prepared, ids, maxTokens);

  function tokenizePrepared(source: string): number {
    const written = write(source, view);
    if (written >= 0) return pieces(written, true);
    return pieces(encoder.encodeInto(prepareText(source, lower), view).written, true);
  }
  return {
    ids,
    tokenize(source) {
      const cut = source.length > maxChars ? source.slice(0, maxChars) : source;
      const { written } = encoder.encodeInto(cut, view);
      // As many bytes as units: ASCII, though control characters may still send it the other way.
      const count = written === cut.length ? pieces(written, false) : -1;
      return count >= 0 ? count : tokenizePrepared(cut);
    },
  };
}

/** Of the index (wasm/assembly/pieces.ts), per place for a piece; ids have 24 bits there. */
const entryBytes = 32;
const mostPieces = 1 << 23;

/** Room for the spaces that prepareText adds and for characters of up to three bytes. */
const bytesPerChar = 5;
/** The kernel compares eight bytes at a time. */
const readBehind = 8;

function buildIndex(kernels: Kernels, { vocabulary, pieces }: TokenizerOptions): number {
  const unknown = findPiece(vocabulary, "[UNK]");
  if (unknown === undefined) throw new RangeError("tokenizer: the vocabulary has no piece [UNK]");
  // More lines than said would be written past the room for them.
  if (countPieces(vocabulary) !== pieces) {
    throw new RangeError(`tokenizer: the vocabulary has not ${pieces} pieces`);
  }
  const slots = slotsFor(pieces);
  if (pieces > mostPieces) throw new RangeError(`tokenizer: more than ${mostPieces} pieces`);
  const text = kernels.alloc(vocabulary.length);
  kernels.u8(text, vocabulary.length).set(vocabulary);
  const index = kernels.alloc(8 * 4);
  const starts = kernels.alloc((pieces + 1) * 4);
  const entries = allocLines(kernels, slots * entryBytes);
  kernels.i32(index, 7).set([text, vocabulary.length, starts, entries, slots - 1, 0, unknown]);
  kernels.indexPieces(index);
  return index;
}

/** Id of a piece: the number of lines before its own. For special tokens, at load. */
export function findPiece(vocabulary: Uint8Array, piece: string): number | undefined {
  const bytes = Buffer.from(vocabulary.buffer, vocabulary.byteOffset, vocabulary.length);
  let id = 0;
  for (let start = 0; start < bytes.length; id++) {
    const newline = bytes.indexOf(10, start);
    const end = newline < 0 ? bytes.length : newline;
    if (end - start === piece.length && bytes.toString("latin1", start, end) === piece) return id;
    start = end + 1;
  }
  return undefined;
}

/** Lines of a vocabulary: its pieces. */
export function countPieces(vocabulary: Uint8Array): number {
  let lines = 0;
  for (let at = 0; at < vocabulary.length; lines++) {
    const newline = vocabulary.indexOf(10, at);
    at = newline < 0 ? vocabulary.length : newline + 1;
  }
  return lines;
}

function slotsFor(pieces: number): number {
  return 2 ** Math.ceil(Math.log2(pieces * 2 + 2));
}
