// Raw features to the vector that strategies learn on: src/routing/featurizer.ts says what that is.
import { normalizeF32 } from "./dense";

// The layout that JavaScript writes, an i32 or f32 each.
const INPUT = 0; // e f32 of embedding, the shape's f32, u16 buckets, u8 counts
const WORDS = 4; // per 64 buckets 16 bytes: u64, which of them have a row; i32, rows before them
const ROWS = 8; // a row per known bucket, then per dimension of the embedding: 16 bytes, d int8, rest
const KNOWN = 12; // buckets that have a row
const EMBEDDING = 16; // e
const SIZE = 20; // d, a multiple of 16
const SHAPE = 24; // shape features
const LOGS = 28; // 256 f32: what a count weighs
const MEANS = 32; // f32 per shape feature, and 1 / deviation:
const SCALES = 36;
const POINTS = 40; // scratch: i32 per row that is used
const FACTORS = 44; // scratch: f32 per row that is used
const OUT = 48; // x: d + shape features f32
const EMBEDDING_WEIGHT = 52; // f32
const SHAPE_WEIGHT = 56; // f32
const SHAPE_LIMIT = 60; // f32
const GRAMS = 64; // where the second and the third field of buckets begin
const TOOLS = 68;
const TOTAL = 72; // scratch: f64
const TOUCHED = 80; // scratch: i32
const STRIDE = 84; // bytes of a row

// Of a row: its scale, and a bucket's idf or a dimension's mean.
const ROW_SCALE = 0;
const ROW_OFFSET = 4;
const ROW_HEAD: usize = 16;

/**
 * Writes x; returns the share of the query's length (words and embedding) that the projection kept.
 * Doubles between single ones where featurizer.ts has them, so that x is the same to the bit.
 */
export function featurize(layout: usize, buckets: i32): f64 {
  const size = load<i32>(layout, SIZE);
  const out = <usize>load<i32>(layout, OUT);
  const points = <usize>load<i32>(layout, POINTS);
  const factors = <usize>load<i32>(layout, FACTORS);
  const end = weighEmbedding(layout, weighBuckets(layout, buckets));
  let column: usize = 0;
  for (; column + 32 <= <usize>size; column += 32) {
    project32(points, factors, end, column, out + (column << 2));
  }
  if (column < <usize>size) project16(points, factors, end, column, out + (column << 2));
  const kept = normalizeF32(out, size);
  finish(layout, out, size, kept);
  const length = sqrt<f64>(load<f64>(layout, TOTAL));
  return length > 0 ? <f64>kept / length : 0;
}

/** Rows and factors of the known buckets, each field of them of unit length; gives their bytes. */
function weighBuckets(layout: usize, buckets: i32): usize {
  const words = <usize>load<i32>(layout, WORDS);
  const rows = <usize>load<i32>(layout, ROWS);
  const logs = <usize>load<i32>(layout, LOGS);
  const points = <usize>load<i32>(layout, POINTS);
  const factors = <usize>load<i32>(layout, FACTORS);
  const stride = <usize>load<i32>(layout, STRIDE);
  const floats = <usize>(load<i32>(layout, EMBEDDING) + load<i32>(layout, SHAPE)) << 2;
  let at = <usize>load<i32>(layout, INPUT) + floats;
  const end = at + (<usize>buckets << 1);
  let countAt = end;
  let used: usize = 0;
  let touched = 0;
  let total: f64 = 0;
  for (let field = 0; field < 3; field++) {
    const limit = field == 2 ? 65536 : load<i32>(layout + (<usize>field << 2), GRAMS);
    const from = used;
    let squares: f64 = 0;
    for (; at < end; at += 2, countAt++) {
      const bucket = <i32>load<u16>(at);
      if (bucket >= limit) break;
      const word = words + (<usize>(bucket >>> 6) << 4);
      const bits = load<u64>(word);
      const bit = <u64>1 << (bucket & 63);
      if ((bits & bit) == 0) continue;
      const number = load<i32>(word, 8) + <i32>popcnt(bits & (bit - 1));
      const row = rows + <usize>number * stride;
      const log = load<f32>(logs + (<usize>load<u8>(countAt) << 2));
      const weight = <f64>log * <f64>load<f32>(row, ROW_OFFSET);
      store<i32>(points + used, <i32>row);
      store<f32>(factors + used, <f32>weight);
      used += 4;
      // Asked for now, the rest of the row is on its way while the next buckets are looked up.
      touched |= load<i32>(row, 64);
      squares += weight * weight;
    }
    const factor: f64 = squares > 0 ? 1 / sqrt<f64>(squares) : 0;
    for (let i = from; i < used; i += 4) {
      const weight = <f32>(<f64>load<f32>(factors + i) * factor);
      store<f32>(factors + i, weight * load<f32>(<usize>load<i32>(points + i), ROW_SCALE));
    }
    if (squares > 0) total += 1;
  }
  store<f64>(layout, total, TOTAL);
  store<i32>(layout, touched, TOUCHED);
  return used;
}

/** The embedding's rows behind those of the buckets; gives the bytes of all. */
function weighEmbedding(layout: usize, from: usize): usize {
  const points = <usize>load<i32>(layout, POINTS);
  const factors = <usize>load<i32>(layout, FACTORS);
  const stride = <usize>load<i32>(layout, STRIDE);
  const share = <f64>load<f32>(layout, EMBEDDING_WEIGHT);
  const known = <usize>load<i32>(layout, KNOWN);
  let row = <usize>load<i32>(layout, ROWS) + known * stride;
  let used = from;
  let total = load<f64>(layout, TOTAL);
  const input = <usize>load<i32>(layout, INPUT);
  for (let at = input, end = at + (<usize>load<i32>(layout, EMBEDDING) << 2); at < end; at += 4) {
    const weight = share * (<f64>load<f32>(at) - <f64>load<f32>(row, ROW_OFFSET));
    store<i32>(points + used, <i32>row);
    store<f32>(factors + used, <f32>weight * load<f32>(row, ROW_SCALE));
    total += weight * weight;
    used += 4;
    row += stride;
  }
  store<f64>(layout, total, TOTAL);
  return used;
}

// @ts-ignore: decorator
@inline
function madd(sum: v128, factor: v128, integers: v128): v128 {
  return f32x4.add(sum, f32x4.mul(factor, f32x4.convert_i32x4_s(integers)));
}

/** out = Σ factor · row over 32 columns: the sums stay in registers, the rows are read once. */
function project32(points: usize, factors: usize, end: usize, column: usize, out: usize): void {
  let s0 = f32x4.splat(0);
  let s1 = f32x4.splat(0);
  let s2 = f32x4.splat(0);
  let s3 = f32x4.splat(0);
  let s4 = f32x4.splat(0);
  let s5 = f32x4.splat(0);
  let s6 = f32x4.splat(0);
  let s7 = f32x4.splat(0);
  for (let i: usize = 0; i < end; i += 4) {
    const row = <usize>load<i32>(points + i) + ROW_HEAD + column;
    const factor = v128.load32_splat(factors + i);
    let low = v128.load8x8_s(row);
    s0 = madd(s0, factor, i32x4.extend_low_i16x8_s(low));
    s1 = madd(s1, factor, i32x4.extend_high_i16x8_s(low));
    low = v128.load8x8_s(row, 8);
    s2 = madd(s2, factor, i32x4.extend_low_i16x8_s(low));
    s3 = madd(s3, factor, i32x4.extend_high_i16x8_s(low));
    low = v128.load8x8_s(row, 16);
    s4 = madd(s4, factor, i32x4.extend_low_i16x8_s(low));
    s5 = madd(s5, factor, i32x4.extend_high_i16x8_s(low));
    low = v128.load8x8_s(row, 24);
    s6 = madd(s6, factor, i32x4.extend_low_i16x8_s(low));
    s7 = madd(s7, factor, i32x4.extend_high_i16x8_s(low));
  }
  v128.store(out, s0);
  v128.store(out, s1, 16);
  v128.store(out, s2, 32);
  v128.store(out, s3, 48);
  v128.store(out, s4, 64);
  v128.store(out, s5, 80);
  v128.store(out, s6, 96);
  v128.store(out, s7, 112);
}

/** The last sixteen columns of a size that is no multiple of 32. */
function project16(points: usize, factors: usize, end: usize, column: usize, out: usize): void {
  let s0 = f32x4.splat(0);
  let s1 = f32x4.splat(0);
  let s2 = f32x4.splat(0);
  let s3 = f32x4.splat(0);
  for (let i: usize = 0; i < end; i += 4) {
    const row = <usize>load<i32>(points + i) + ROW_HEAD + column;
    const factor = v128.load32_splat(factors + i);
    const low = v128.load8x8_s(row);
    s0 = madd(s0, factor, i32x4.extend_low_i16x8_s(low));
    s1 = madd(s1, factor, i32x4.extend_high_i16x8_s(low));
    const high = v128.load8x8_s(row, 8);
    s2 = madd(s2, factor, i32x4.extend_low_i16x8_s(high));
    s3 = madd(s3, factor, i32x4.extend_high_i16x8_s(high));
  }
  v128.store(out, s0);
  v128.store(out, s1, 16);
  v128.store(out, s2, 32);
  v128.store(out, s3, 48);
}

/** The shape's part behind the projection's, and both to unit length. */
function finish(layout: usize, out: usize, size: i32, kept: f32): void {
  const count = <usize>load<i32>(layout, SHAPE) << 2;
  const shape = <usize>load<i32>(layout, INPUT) + (<usize>load<i32>(layout, EMBEDDING) << 2);
  const means = <usize>load<i32>(layout, MEANS);
  const scales = <usize>load<i32>(layout, SCALES);
  const weight = <f64>load<f32>(layout, SHAPE_WEIGHT);
  const limit = <f64>load<f32>(layout, SHAPE_LIMIT);
  const root = sqrt<f64>(<f64>(count >>> 2));
  const to = out + (<usize>size << 2);
  let squares: f64 = kept > 0 ? 1 : 0;
  for (let i: usize = 0; i < count; i += 4) {
    const off = <f64>load<f32>(shape + i) - <f64>load<f32>(means + i);
    const standard = off * <f64>load<f32>(scales + i);
    const value = (max<f64>(-limit, min<f64>(limit, standard)) * weight) / root;
    store<f32>(to + i, <f32>value);
    squares += value * value;
  }
  const factor: f64 = squares > 0 ? 1 / sqrt<f64>(squares) : 0;
  for (let i = out, end = to + count; i < end; i += 4) {
    store<f32>(i, <f32>(<f64>load<f32>(i) * factor));
  }
}
