// Dot products. f32: sixteen lanes (four vectors), added in a fixed tree at the end.

/** ((s0+s1)+(s2+s3)) of four accumulators' lanes: the order that scalar.ts repeats. */
// @ts-ignore: decorator
@inline
export function sumLanes(a: v128, b: v128, c: v128, d: v128): f32 {
  const s = f32x4.add(f32x4.add(a, b), f32x4.add(c, d));
  return (
    f32x4.extract_lane(s, 0) +
    f32x4.extract_lane(s, 1) +
    (f32x4.extract_lane(s, 2) + f32x4.extract_lane(s, 3))
  );
}

// @ts-ignore: decorator
@inline
function madd(sum: v128, a: usize, b: usize, offset: usize): v128 {
  return f32x4.add(sum, f32x4.mul(v128.load(a + offset), v128.load(b + offset)));
}

export function dotF32(a: usize, b: usize, n: i32): f32 {
  let s0 = f32x4.splat(0);
  let s1 = f32x4.splat(0);
  let s2 = f32x4.splat(0);
  let s3 = f32x4.splat(0);
  let i: usize = 0;
  const blocks = <usize>(n & ~15) << 2;
  for (; i < blocks; i += 64) {
    s0 = madd(s0, a, b, i);
    s1 = madd(s1, a, b, i + 16);
    s2 = madd(s2, a, b, i + 32);
    s3 = madd(s3, a, b, i + 48);
  }
  let sum = sumLanes(s0, s1, s2, s3);
  for (const end = <usize>n << 2; i < end; i += 4) sum += load<f32>(a + i) * load<f32>(b + i);
  return sum;
}

export function cosineF32(a: usize, b: usize, n: i32): f32 {
  const norms = sqrt<f32>(dotF32(a, a, n)) * sqrt<f32>(dotF32(b, b, n));
  return norms > 0 ? dotF32(a, b, n) / norms : 0;
}

// @ts-ignore: decorator
@inline
function squared(sum: v128, a: usize, b: usize, offset: usize): v128 {
  const difference = f32x4.sub(v128.load(a + offset), v128.load(b + offset));
  return f32x4.add(sum, f32x4.mul(difference, difference));
}

/** Σ (aᵢ − bᵢ)². */
export function squaredDistanceF32(a: usize, b: usize, n: i32): f32 {
  let s0 = f32x4.splat(0);
  let s1 = f32x4.splat(0);
  let s2 = f32x4.splat(0);
  let s3 = f32x4.splat(0);
  let i: usize = 0;
  const blocks = <usize>(n & ~15) << 2;
  for (; i < blocks; i += 64) {
    s0 = squared(s0, a, b, i);
    s1 = squared(s1, a, b, i + 16);
    s2 = squared(s2, a, b, i + 32);
    s3 = squared(s3, a, b, i + 48);
  }
  let sum = sumLanes(s0, s1, s2, s3);
  for (const end = <usize>n << 2; i < end; i += 4) {
    const difference = load<f32>(a + i) - load<f32>(b + i);
    sum += difference * difference;
  }
  return sum;
}

/** acc + Σ over groups of four of row (int8) × query (0..127): exact in i32. */
// @ts-ignore: decorator
@inline
export function dotAddI8(row: v128, query: v128, acc: v128): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) {
    return i32x4.relaxed_dot_i8x16_i7x16_add_s(row, query, acc);
  }
  // |row·query| ≤ 128·127, so the sum of two products still fits i16.
  const pairs = i16x8.add(
    i16x8.extmul_low_i8x16_s(row, query),
    i16x8.extmul_high_i8x16_s(row, query),
  );
  return i32x4.add(acc, i32x4.extadd_pairwise_i16x8_s(pairs));
}

// @ts-ignore: decorator
@inline
export function sumI32(v: v128): i32 {
  return (
    i32x4.extract_lane(v, 0) +
    i32x4.extract_lane(v, 1) +
    (i32x4.extract_lane(v, 2) + i32x4.extract_lane(v, 3))
  );
}

/** Σ row·query over d (a multiple of 16) int8 values, query in 0..127. */
export function dotI8(row: usize, query: usize, d: i32): i32 {
  let acc = i32x4.splat(0);
  for (let i: usize = 0, end = <usize>d; i < end; i += 16) {
    acc = dotAddI8(v128.load(row + i), v128.load(query + i), acc);
  }
  return sumI32(acc);
}

/** dotI8 of four rows one behind the other: their sums cost one fold instead of four. */
// @ts-ignore: decorator
@inline
export function dot4I8(row: usize, query: usize, d: usize): v128 {
  let a = i32x4.splat(0);
  let b = i32x4.splat(0);
  let c = i32x4.splat(0);
  let e = i32x4.splat(0);
  const third = row + (d << 1);
  for (let i: usize = 0; i < d; i += 16) {
    const q = v128.load(query + i);
    a = dotAddI8(v128.load(row + i), q, a);
    b = dotAddI8(v128.load(row + d + i), q, b);
    c = dotAddI8(v128.load(third + i), q, c);
    e = dotAddI8(v128.load(third + d + i), q, e);
  }
  // Columns of the four accumulators become rows, and the rows are added.
  const ab = i32x4.add(i32x4.shuffle(a, b, 0, 4, 1, 5), i32x4.shuffle(a, b, 2, 6, 3, 7));
  const ce = i32x4.add(i32x4.shuffle(c, e, 0, 4, 1, 5), i32x4.shuffle(c, e, 2, 6, 3, 7));
  return i32x4.add(i64x2.shuffle(ab, ce, 0, 2), i64x2.shuffle(ab, ce, 1, 3));
}
