/**
 * The embedder that ships: a row per WordPiece, their sum over the square root of their number, plus
 * a bias, to unit length. Ridge regression distilled the rows from a sentence transformer
 * (scripts/embedding-table, models/README.md). All of it in WASM memory; microseconds a prompt
 * (test/bench/kernels.bench.ts).
 */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import tablePath from "../../models/embedding/minilm.safetensors" with { type: "file" };
import { createKernels } from "../kernels/create.ts";
import { allocLines, type Kernels, linesOf } from "../kernels/kernels.ts";
import type { Embedder } from "./embedder.ts";
import { readTable } from "./table.ts";
import { createTokenizer, tokenizerBytes } from "./tokenizer.ts";

/** A prompt's first 4,096 characters say what it is about; the mean of more blurs. */
const maxChars = 4096;

export interface StaticEmbedder extends Embedder {
  readonly sync: true;
  embed(text: string): Float32Array;
  /** The same without a new array: written to `out`, `dimensions` long. */
  embedInto(text: string, out: Float32Array): void;
}

/**
 * The built-in embedder, ready at once.
 * Cost: about 10 ms and 6 MB of memory, so create one and share it; each call of `embed` overwrites
 * what the last one left inside, and returns a vector of its own.
 */
export function createStaticEmbedder(
  bytes: Uint8Array = readFileSync(tablePath),
  create: (bytes: number) => Kernels = createKernels,
): StaticEmbedder {
  const sha256 = createHash("sha256").update(bytes).digest("hex");
  const { name, dimensions, pieces, rows, scales, bias, vocabulary } = readTable(bytes);
  const options = { vocabulary, pieces, lower: true, maxChars, maxTokens: maxChars };
  const kernels = create(
    tokenizerBytes(options) + linesOf(rows.length) + (pieces + 2 * dimensions) * 4 + 6 * 16,
  );
  const tokenizer = createTokenizer(kernels, options);
  const table = allocLines(kernels, rows.length);
  kernels.i8(table, rows.length).set(rows);
  const scale = kernels.alloc(pieces * 4);
  kernels.f32(scale, pieces).set(scales);
  const offset = kernels.alloc(dimensions * 4);
  kernels.f32(offset, dimensions).set(bias);
  const pooled = kernels.alloc(dimensions * 4);
  const vector = kernels.f32(pooled, dimensions);

  function run(text: string): void {
    const count = tokenizer.tokenize(text);
    const share = 1 / Math.sqrt(count); // a mean would let the bias drown a long text
    kernels.sumPoolI8(table, scale, tokenizer.ids, count, share, dimensions, pooled);
    if (count === 0) return; // nothing said is no direction at all
    kernels.axpyF32(1, offset, pooled, dimensions);
    kernels.normalizeF32(pooled, dimensions);
  }
  return {
    id: `static-${name}@${sha256.slice(0, 16)}`,
    sha256,
    dimensions,
    sync: true,
    maxChars,
    embed(text) {
      run(text);
      return vector.slice();
    },
    embedInto(text, out) {
      run(text);
      out.set(vector);
    },
    close() {
      // Memory goes with the last reference.
    },
  };
}
