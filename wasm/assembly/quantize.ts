// f32 to int8. Rows take −127..127; a query takes 7 bits, shifted to 1..127, because the relaxed dot
// product is the same on every processor only when one operand is within 0..127.

function largest(x: usize, n: i32): f32 {
  let four = f32x4.splat(0);
  let i: usize = 0;
  // `pmax` keeps the first where the second is no number, as the comparison below does.
  for (const blocks = <usize>(n & ~3) << 2; i < blocks; i += 16) {
    four = f32x4.pmax(four, f32x4.abs(v128.load(x + i)));
  }
  let max: f32 = 0;
  max = larger(max, f32x4.extract_lane(four, 0));
  max = larger(max, f32x4.extract_lane(four, 1));
  max = larger(max, f32x4.extract_lane(four, 2));
  max = larger(max, f32x4.extract_lane(four, 3));
  for (const end = <usize>n << 2; i < end; i += 4) {
    const value = abs<f32>(load<f32>(x + i));
    if (value > max) max = value;
  }
  return max;
}

// @ts-ignore: decorator
@inline
function larger(max: f32, value: f32): f32 {
  return value > max ? value : max;
}

/** To nearest, ties to even. */
export function quantizeF32(x: usize, out: usize, n: i32): f32 {
  const max = largest(x, n);
  const factor: f32 = max > 0 ? 127 / max : 0;
  for (let i: usize = 0, end = <usize>n; i < end; i++) {
    store<i8>(out + i, <i8>nearest<f32>(load<f32>(x + (i << 2)) * factor));
  }
  return max / 127;
}

export function quantizeQueryF32(x: usize, out: usize, n: i32): f32 {
  const max = largest(x, n);
  const factor: f32 = max > 0 ? 63 / max : 0;
  const factors = f32x4.splat(factor);
  const shift = i32x4.splat(64);
  let i: usize = 0;
  for (const blocks = <usize>(n & ~3); i < blocks; i += 4) {
    const values = f32x4.nearest(f32x4.mul(v128.load(x + (i << 2)), factors));
    const bytes = i32x4.add(i32x4.trunc_sat_f32x4_s(values), shift);
    const pairs = i16x8.narrow_i32x4_s(bytes, bytes);
    store<i32>(out + i, i32x4.extract_lane(i8x16.narrow_i16x8_s(pairs, pairs), 0));
  }
  for (const end = <usize>n; i < end; i++) {
    store<i8>(out + i, <i8>nearest<f32>(load<f32>(x + (i << 2)) * factor) + 64);
  }
  return max / 63;
}

export function rowSumsI8(rows: usize, n: i32, d: i32, out: usize): void {
  let at = rows;
  for (let r: usize = 0, end = <usize>n << 2; r < end; r += 4) {
    let sum: i32 = 0;
    for (const rowEnd = at + <usize>d; at < rowEnd; at++) sum += <i32>load<i8>(at);
    store<i32>(out + r, sum);
  }
}
