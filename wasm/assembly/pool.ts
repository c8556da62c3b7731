// Weighted sums of table rows: the static embedder's pooling, and sparse counts times a dense matrix.

/** sum + factor · four int8 that were widened to i32. */
// @ts-ignore: decorator
@inline
function madd(sum: v128, factor: v128, integers: v128): v128 {
  return f32x4.add(sum, f32x4.mul(factor, f32x4.convert_i32x4_s(integers)));
}

/**
 * out += Σ factorᵢ·rowᵢ with factorᵢ = share · scales[idᵢ], times weights[i] where there are weights.
 * Sixteen columns at a time over all rows, so that the sums stay in registers.
 */
// @ts-ignore: decorator
@inline
function addRowsI8(
  matrix: usize,
  scales: usize,
  ids: usize,
  weights: usize,
  share: f32,
  count: i32,
  d: i32,
  out: usize,
): void {
  const end = <usize>count << 2;
  for (let column: usize = 0; column < <usize>d; column += 16) {
    const to = out + (column << 2);
    let s0 = v128.load(to);
    let s1 = v128.load(to, 16);
    let s2 = v128.load(to, 32);
    let s3 = v128.load(to, 48);
    for (let i: usize = 0; i < end; i += 4) {
      const id = <usize>load<i32>(ids + i);
      const weight = weights ? load<f32>(weights + i) : share;
      const factor = f32x4.splat(weight * load<f32>(scales + (id << 2)));
      const bytes = v128.load(matrix + id * <usize>d + column);
      const low = i16x8.extend_low_i8x16_s(bytes);
      const high = i16x8.extend_high_i8x16_s(bytes);
      s0 = madd(s0, factor, i32x4.extend_low_i16x8_s(low));
      s1 = madd(s1, factor, i32x4.extend_high_i16x8_s(low));
      s2 = madd(s2, factor, i32x4.extend_low_i16x8_s(high));
      s3 = madd(s3, factor, i32x4.extend_high_i16x8_s(high));
    }
    v128.store(to, s0);
    v128.store(to, s1, 16);
    v128.store(to, s2, 32);
    v128.store(to, s3, 48);
  }
}

/** out = share · Σ scales[id]·table[id]; all zero for no ids. */
export function sumPoolI8(
  table: usize,
  scales: usize,
  ids: usize,
  count: i32,
  share: f32,
  d: i32,
  out: usize,
): void {
  memory.fill(out, 0, <usize>d << 2);
  addRowsI8(table, scales, ids, 0, share, count, d, out);
}

/** out += Σ weights[i]·scales[bucket]·matrix[bucket]. */
export function projectSparseI8(
  matrix: usize,
  scales: usize,
  buckets: usize,
  weights: usize,
  count: i32,
  d: i32,
  out: usize,
): void {
  addRowsI8(matrix, scales, buckets, weights, 0, count, d, out);
}

/** out += Σ weights[i]·matrix[bucket], f32 rows. */
export function projectSparseF32(
  matrix: usize,
  buckets: usize,
  weights: usize,
  count: i32,
  d: i32,
  out: usize,
): void {
  const stride = <usize>d << 2;
  const blocks = <usize>(d & ~3) << 2;
  for (let i: usize = 0, end = <usize>count << 2; i < end; i += 4) {
    const row = matrix + <usize>load<i32>(buckets + i) * stride;
    const weight = load<f32>(weights + i);
    const w = f32x4.splat(weight);
    let c: usize = 0;
    for (; c < blocks; c += 16) {
      v128.store(out + c, f32x4.add(v128.load(out + c), f32x4.mul(w, v128.load(row + c))));
    }
    for (; c < stride; c += 4) {
      store<f32>(out + c, load<f32>(out + c) + weight * load<f32>(row + c));
    }
  }
}
