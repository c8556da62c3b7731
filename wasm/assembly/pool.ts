// Weighted sums of table rows: the static embedder's pooling, and sparse counts times a dense matrix.

/** sum + factor · four int8 that were widened to i32. */
// @ts-ignore: decorator
@inline
function madd(sum: v128, factor: v128, integers: v128): v128 {
  return f32x4.add(sum, f32x4.mul(factor, f32x4.convert_i32x4_s(integers)));
}

/**
 * out = share · Σ scales[id]·table[id]; all zero for no ids. Sixteen columns at a time over all rows,
 * so that the sums stay in registers.
 */
export function sumPoolI8(
  table: usize,
  scales: usize,
  ids: usize,
  count: i32,
  share: f32,
  d: i32,
  out: usize,
): void {
  const end = <usize>count << 2;
  for (let column: usize = 0; column < <usize>d; column += 16) {
    const to = out + (column << 2);
    let s0 = f32x4.splat(0);
    let s1 = f32x4.splat(0);
    let s2 = f32x4.splat(0);
    let s3 = f32x4.splat(0);
    for (let i: usize = 0; i < end; i += 4) {
      const id = <usize>load<i32>(ids + i);
      const factor = f32x4.splat(share * load<f32>(scales + (id << 2)));
      const bytes = v128.load(table + id * <usize>d + column);
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

/** out += Σ weights[i]·matrix[bucket], f32 rows; some columns at a time, their sums in registers. */
export function projectSparseF32(
  matrix: usize,
  buckets: usize,
  weights: usize,
  count: i32,
  d: i32,
  out: usize,
): void {
  const stride = <usize>d << 2;
  const end = <usize>count << 2;
  let column: usize = 0;
  for (; column + 64 <= stride; column += 64) {
    const to = out + column;
    let s0 = v128.load(to);
    let s1 = v128.load(to, 16);
    let s2 = v128.load(to, 32);
    let s3 = v128.load(to, 48);
    for (let i: usize = 0; i < end; i += 4) {
      const row = matrix + <usize>load<i32>(buckets + i) * stride + column;
      const w = v128.load32_splat(weights + i);
      s0 = f32x4.add(s0, f32x4.mul(w, v128.load(row)));
      s1 = f32x4.add(s1, f32x4.mul(w, v128.load(row, 16)));
      s2 = f32x4.add(s2, f32x4.mul(w, v128.load(row, 32)));
      s3 = f32x4.add(s3, f32x4.mul(w, v128.load(row, 48)));
    }
    v128.store(to, s0);
    v128.store(to, s1, 16);
    v128.store(to, s2, 32);
    v128.store(to, s3, 48);
  }
  for (; column + 16 <= stride; column += 16) {
    let sum = v128.load(out + column);
    for (let i: usize = 0; i < end; i += 4) {
      const row = matrix + <usize>load<i32>(buckets + i) * stride + column;
      sum = f32x4.add(sum, f32x4.mul(v128.load32_splat(weights + i), v128.load(row)));
    }
    v128.store(out + column, sum);
  }
  for (; column < stride; column += 4) {
    let sum = load<f32>(out + column);
    for (let i: usize = 0; i < end; i += 4) {
      const row = matrix + <usize>load<i32>(buckets + i) * stride + column;
      sum += load<f32>(weights + i) * load<f32>(row);
    }
    store<f32>(out + column, sum);
  }
}
