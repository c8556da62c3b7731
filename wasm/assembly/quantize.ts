// f32 to int8. Rows take −127..127; a query takes 7 bits, shifted to 1..127, because the relaxed dot
// product is the same on every processor only when one operand is within 0..127.

function largest(x: usize, n: i32): f32 {
  let max: f32 = 0;
  for (let i: usize = 0, end = <usize>n << 2; i < end; i += 4) {
    const value = abs<f32>(load<f32>(x + i));
    if (value > max) max = value;
  }
  return max;
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
  for (let i: usize = 0, end = <usize>n; i < end; i++) {
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
