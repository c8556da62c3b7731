// Weighted sums of table rows: the static embedder's pooling, and sparse counts times a dense matrix.

/** out += factor · row, sixteen int8 at a time (d a multiple of 16). */
// @ts-ignore: decorator
@inline
function addRowI8(row: usize, factor: f32, out: usize, d: usize): void {
  const f = f32x4.splat(factor);
  for (let i: usize = 0; i < d; i += 16) {
    const bytes = v128.load(row + i);
    const low = i16x8.extend_low_i8x16_s(bytes);
    const high = i16x8.extend_high_i8x16_s(bytes);
    const to = out + (i << 2);
    add4(to, f, i32x4.extend_low_i16x8_s(low));
    add4(to + 16, f, i32x4.extend_high_i16x8_s(low));
    add4(to + 32, f, i32x4.extend_low_i16x8_s(high));
    add4(to + 48, f, i32x4.extend_high_i16x8_s(high));
  }
}

// @ts-ignore: decorator
@inline
function add4(to: usize, factor: v128, integers: v128): void {
  const scaled = f32x4.mul(factor, f32x4.convert_i32x4_s(integers));
  v128.store(to, f32x4.add(v128.load(to), scaled));
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
  for (let i: usize = 0, end = <usize>count << 2; i < end; i += 4) {
    const id = <usize>load<i32>(ids + i);
    addRowI8(table + id * <usize>d, load<f32>(scales + (id << 2)) * share, out, <usize>d);
  }
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
  for (let i: usize = 0, end = <usize>count << 2; i < end; i += 4) {
    const bucket = <usize>load<i32>(buckets + i);
    const factor = load<f32>(weights + i) * load<f32>(scales + (bucket << 2));
    addRowI8(matrix + bucket * <usize>d, factor, out, <usize>d);
  }
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
