/**
 * The arithmetic of routing over one linear memory: what the WASM module offers and what
 * `scalar.ts`, its oracle, offers alike. Pointers are byte offsets into `memory`.
 * A router and the embedder each own an instance, so dropping one frees its memory whole.
 */
export interface Kernels {
  readonly backend: "wasm-relaxed-simd" | "wasm-simd" | "scalar";
  readonly memory: ArrayBuffer;
  /** Reserves bytes (16-aligned) for good; views stay valid, because memory is reserved up front.
   * @throws RangeError when the instance was created too small. */
  alloc(bytes: number): number;
  f32(pointer: number, length: number): Float32Array;
  i8(pointer: number, length: number): Int8Array;
  u8(pointer: number, length: number): Uint8Array;
  i32(pointer: number, length: number): Int32Array;
  f64(pointer: number, length: number): Float64Array;

  /** Σ aᵢ·bᵢ over n floats. */
  dotF32(a: number, b: number, n: number): number;
  /** a·b / (|a||b|); 0 where either is zero. */
  cosineF32(a: number, b: number, n: number): number;
  /** out[r] = row r of (rows×columns, row-major) · x, plus bias[r] where bias ≠ 0. f32 storage, f32
   * sums in a fixed lane order, so that every run gives the same bits. */
  matvecF32(
    matrix: number,
    x: number,
    bias: number,
    out: number,
    rows: number,
    columns: number,
  ): void;
  /** In place: max(0, x). */
  reluF32(x: number, n: number): void;
  /**
   * The k rows with the largest dot products, best first; ties keep the lower row.
   * Writes k row numbers (i32) and k scores (f32). rows: n×d f32.
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
  /**
   * The same over int8 rows with one f32 scale each: score = scale[r]·queryScale·Σ row·query.
   * query: d int8 in −127..127 (see quantizeF32); d a multiple of 16.
   */
  topKI8(
    rows: number,
    scales: number,
    query: number,
    queryScale: number,
    n: number,
    d: number,
    k: number,
    outRows: number,
    outScores: number,
  ): void;
  /** f32 → int8 with a symmetric scale (max |x| / 127); returns the scale. */
  quantizeF32(x: number, out: number, n: number): number;
}
