/**
 * The arithmetic of routing over one linear memory: what the WASM module offers and what
 * `scalar.ts`, its oracle, offers alike. Pointers are byte offsets into `memory`, from `alloc`.
 * A router and the embedder each own an instance, so dropping one frees its memory whole.
 *
 * Every backend gives the same bits: integer sums are exact, and f32 sums run in one fixed lane
 * order without fused multiply-add. Nothing is checked inside the kernels, so a wrong pointer or
 * length corrupts this instance's memory (and no other); callers validate when they load.
 * Cost: test/bench/kernels.bench.ts.
 */
export interface Kernels {
  readonly backend: "wasm-relaxed-simd" | "wasm-simd" | "scalar";
  readonly memory: ArrayBuffer;
  /** Reserves bytes (16-aligned) for good; views stay valid, because memory is reserved up front.
   * @throws RangeError when the instance was created too small. */
  alloc(bytes: number): number;
  /** Takes everything back: memory is zero again, and pointers that were given out mean nothing. */
  reset(): void;
  /** Views. They cost an object each: make them once, at load, not per query. */
  f32(pointer: number, length: number): Float32Array;
  i8(pointer: number, length: number): Int8Array;
  u8(pointer: number, length: number): Uint8Array;
  i32(pointer: number, length: number): Int32Array;
  f64(pointer: number, length: number): Float64Array;

  /** Σ aᵢ·bᵢ over n floats. */
  dotF32(a: number, b: number, n: number): number;
  /** a·b / (|a||b|); 0 where either is zero. */
  cosineF32(a: number, b: number, n: number): number;
  /** Σ (aᵢ − bᵢ)². */
  squaredDistanceF32(a: number, b: number, n: number): number;
  /** out[r] = row r of (rows×columns, row-major) · x, plus bias[r] where bias ≠ 0. */
  matvecF32(
    matrix: number,
    x: number,
    bias: number,
    out: number,
    rows: number,
    columns: number,
  ): void;
  /**
   * out[r] (f64) = row r of (rows×columns, row-major, f32) · x (f64), products and sums in double
   * precision: for scores that another program computed in it. About half as fast as matvecF32.
   */
  matvecWide(matrix: number, x: number, out: number, rows: number, columns: number): void;
  /** The largest of rows (rows×columns, row-major) · x; −1 at least. */
  largestDotF32(matrix: number, x: number, rows: number, columns: number): number;
  /** matvecF32 over int8 rows; rows, scales, rowSums and query as in topKI8. */
  matvecI8(
    matrix: number,
    scales: number,
    rowSums: number,
    query: number,
    queryScale: number,
    bias: number,
    out: number,
    rows: number,
    columns: number,
  ): void;
  /** In place: max(0, x). */
  reluF32(x: number, n: number): void;
  /** y += a·x. */
  axpyF32(a: number, x: number, y: number, n: number): void;
  /** In place, to unit length; a zero or not finite vector becomes zero. Returns the old length. */
  normalizeF32(x: number, n: number): number;
  /** out[r] = exp(−gamma·|row r − query|²): the kernel values of a support vector machine. */
  rbfF32(rows: number, query: number, gamma: number, n: number, d: number, out: number): void;

  /**
   * The k rows with the largest dot products, best first; ties keep the lower row.
   * Writes k row numbers (i32) and k scores (f32). rows: n×d f32; 1 ≤ k ≤ n.
   */
  topKF32(
    rows: number,
    query: number,
    n: number,
    d: number,
    k: number,
    outRows: number,
    outScores: number,
  ): void;
  /** The k rows nearest by squared distance, nearest first; ties keep the lower row. */
  nearestKF32(
    rows: number,
    query: number,
    n: number,
    d: number,
    k: number,
    outRows: number,
    outDistances: number,
  ): void;
  /**
   * topKF32 over int8 rows with one f32 scale each: score = scales[r]·queryScale·Σ row·query.
   * rows: −127..127, from quantizeF32; rowSums: i32 per row, from rowSumsI8; query: from
   * quantizeQueryF32; d a multiple of 16, at most 8192.
   */
  topKI8(
    rows: number,
    scales: number,
    rowSums: number,
    query: number,
    queryScale: number,
    n: number,
    d: number,
    k: number,
    outRows: number,
    outScores: number,
  ): void;

  /** f32 → int8 in −127..127, to nearest, with a symmetric scale (max |x| / 127); returns the scale. */
  quantizeF32(x: number, out: number, n: number): number;
  /**
   * f32 → 7 bits shifted by 64 (so 1..127), the form of a query in topKI8 and matvecI8; returns the
   * scale (max |x| / 63). Seven, because the relaxed SIMD dot product is the same on every processor
   * only while one operand stays within 0..127.
   */
  quantizeQueryF32(x: number, out: number, n: number): number;
  /** out[r] = Σ of row r: what takes the query's shift back. Once, at load. */
  rowSumsI8(rows: number, n: number, d: number, out: number): void;

  /** out = share·Σ scales[id]·table[id] over i32 ids; zero for none. Rows of d int8, d a multiple of 16. */
  sumPoolI8(
    table: number,
    scales: number,
    ids: number,
    count: number,
    share: number,
    d: number,
    out: number,
  ): void;
  /** out += Σ weights[i]·matrix[buckets[i]]; f32 rows. */
  projectSparseF32(
    matrix: number,
    buckets: number,
    weights: number,
    count: number,
    d: number,
    out: number,
  ): void;

  /**
   * Raw features to x, in one call; `layout`, made by routing/featurizer.ts, says where things are
   * (wasm/assembly/featurize.ts lists it). Returns the share of the query's length that was kept.
   */
  featurize(layout: number, buckets: number): number;
  /**
   * Weighted sums of quality over the rows most like a query; `layout`, made by
   * routing/strategies/knn.ts, says where things are (wasm/assembly/nearest.ts lists it). Returns
   * how many of the nearest rows were written for the receipt.
   */
  averageNearest(layout: number): number;

  /**
   * Makes a vocabulary searchable: its text holds a piece per line, "##" before those that continue
   * a word. `index` is seven i32, made by embedding/tokenizer.ts: text, length, line starts
   * (pieces + 1), entries (32 bytes each, a power of two of them, over twice the pieces, zeroed),
   * entries − 1, longest piece in bytes (filled here), id of an unknown word. Returns the number of pieces.
   */
  indexPieces(index: number): number;
  /**
   * WordPiece: writes at most `limit` ids (i32) of UTF-8 text, returns how many. With `lower`, ASCII
   * letters are lowered in place. Unless `prepared`, any byte beyond printable ASCII and white space
   * gives −1: the text must first be normalised (embedding/tokenizer.ts).
   */
  wordPieces(
    index: number,
    text: number,
    length: number,
    lower: boolean,
    prepared: boolean,
    out: number,
    limit: number,
  ): number;

  /** Missing in the scalar backend: its oracle is embedding/lexical.ts, which then serves. */
  readonly text?: TextKernels;
}

/** Lexical and shape features of ASCII text; embedding/text-features.ts lays out the memory. */
export interface TextKernels {
  /**
   * Writes the features of a text and its tools' text (their lengths are given) and returns how many
   * distinct buckets there are; wasm/assembly/text.ts lists the layout. The logarithms are of the
   * whole text's length, the number of tools, and the whole length of their text.
   */
  readText(
    layout: number,
    length: number,
    toolLength: number,
    logUnits: number,
    logTools: number,
    logToolUnits: number,
  ): number;
}

/** The functions of Kernels: what a backend implements. */
export type Arithmetic = Omit<
  Kernels,
  "backend" | "memory" | "text" | "alloc" | "reset" | "f32" | "i8" | "u8" | "i32" | "f64"
>;

const pageBytes = 65536;
const lineBytes = 64;

/** What `allocLines` takes at most for so many bytes. */
export const linesOf = (bytes: number): number => bytes + lineBytes;

/** `alloc` at the start of a line of the cache: for tables whose rows are met one by one. */
export function allocLines(kernels: Pick<Kernels, "alloc">, bytes: number): number {
  const at = kernels.alloc(linesOf(bytes));
  return (at + lineBytes - 1) & ~(lineBytes - 1);
}

/** Whole WebAssembly pages for so many bytes beyond what a module keeps for itself. */
export function toPages(bytes: number): number {
  return Math.ceil((bytes + 4096) / pageBytes);
}

/** Views and a bump allocator over a memory whose first `start` bytes are taken. */
export function createArena(
  memory: ArrayBuffer,
  start: number,
): Pick<Kernels, "memory" | "alloc" | "reset" | "f32" | "i8" | "u8" | "i32" | "f64"> {
  const first = (start + 15) & ~15;
  let next = first;
  return {
    memory,
    alloc(bytes) {
      const at = next;
      if (!(bytes >= 0) || at + bytes > memory.byteLength) {
        throw new RangeError(
          `kernels: ${bytes} bytes asked for, ${memory.byteLength - at} of ${memory.byteLength} left`,
        );
      }
      next = (at + bytes + 15) & ~15;
      return at;
    },
    reset() {
      new Uint8Array(memory, first, next - first).fill(0);
      next = first;
    },
    f32: (pointer, length) => new Float32Array(memory, pointer, length),
    i8: (pointer, length) => new Int8Array(memory, pointer, length),
    u8: (pointer, length) => new Uint8Array(memory, pointer, length),
    i32: (pointer, length) => new Int32Array(memory, pointer, length),
    f64: (pointer, length) => new Float64Array(memory, pointer, length),
  };
}
