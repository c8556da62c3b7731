// Rows in single precision times a query in double: for scores that another program computed in
// double precision and that must come out the same.

// @ts-ignore: decorator
@inline
function madd(sum: v128, row: v128, x: usize): v128 {
  return f64x2.add(sum, f64x2.mul(f64x2.promote_low_f32x4(row), v128.load(x)));
}

/** out[r] (f64) = row r (f32) · x (f64). Eight lanes, added in a fixed order. */
export function matvecWide(matrix: usize, x: usize, out: usize, rows: i32, columns: i32): void {
  const blocks = <usize>(columns & ~7) << 2;
  const end = <usize>columns << 2;
  for (let r: i32 = 0, row = matrix; r < rows; r++, row += end, out += 8) {
    let s0 = f64x2.splat(0);
    let s1 = f64x2.splat(0);
    let s2 = f64x2.splat(0);
    let s3 = f64x2.splat(0);
    let i: usize = 0;
    for (; i < blocks; i += 32) {
      const low = v128.load(row + i);
      const high = v128.load(row + i + 16);
      const at = x + (i << 1);
      s0 = madd(s0, low, at);
      s1 = madd(s1, i64x2.shuffle(low, low, 1, 1), at + 16);
      s2 = madd(s2, high, at + 32);
      s3 = madd(s3, i64x2.shuffle(high, high, 1, 1), at + 48);
    }
    const s = f64x2.add(f64x2.add(s0, s1), f64x2.add(s2, s3));
    let sum = f64x2.extract_lane(s, 0) + f64x2.extract_lane(s, 1);
    for (; i < end; i += 4) sum += <f64>load<f32>(row + i) * load<f64>(x + (i << 1));
    store<f64>(out, sum);
  }
}
