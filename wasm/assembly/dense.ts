// Matrix times vector, and what small dense networks need beside it.
import { dot4I8, dotF32, dotI8 } from "./dot";

export function matvecF32(
  matrix: usize,
  x: usize,
  bias: usize,
  out: usize,
  rows: i32,
  columns: i32,
): void {
  const stride = <usize>columns << 2;
  for (let r: usize = 0, end = <usize>rows << 2, row = matrix; r < end; r += 4, row += stride) {
    const sum = dotF32(row, x, columns);
    store<f32>(out + r, bias ? sum + load<f32>(bias + r) : sum);
  }
}

/** The largest of rows · x, −1 at least. */
export function largestDotF32(matrix: usize, x: usize, rows: i32, columns: i32): f32 {
  const stride = <usize>columns << 2;
  let largest: f32 = -1;
  for (let row = matrix, end = matrix + <usize>rows * stride; row < end; row += stride) {
    const dot = dotF32(row, x, columns);
    if (dot > largest) largest = dot;
  }
  return largest;
}

export function matvecI8(
  matrix: usize,
  scales: usize,
  rowSums: usize,
  query: usize,
  queryScale: f32,
  bias: usize,
  out: usize,
  rows: i32,
  columns: i32,
): void {
  const stride = <usize>columns;
  const four = f32x4.splat(queryScale);
  const end = <usize>rows << 2;
  let r: usize = 0;
  let row = matrix;
  for (const blocks = <usize>(rows & ~3) << 2; r < blocks; r += 16, row += stride << 2) {
    const shift = i32x4.shl(v128.load(rowSums + r), 6);
    const dots = f32x4.convert_i32x4_s(i32x4.sub(dot4I8(row, query, stride), shift));
    const values = f32x4.mul(f32x4.mul(dots, v128.load(scales + r)), four);
    v128.store(out + r, bias ? f32x4.add(values, v128.load(bias + r)) : values);
  }
  for (; r < end; r += 4, row += stride) {
    const dot = dotI8(row, query, columns) - (load<i32>(rowSums + r) << 6);
    const value = <f32>dot * load<f32>(scales + r) * queryScale;
    store<f32>(out + r, bias ? value + load<f32>(bias + r) : value);
  }
}

export function reluF32(x: usize, n: i32): void {
  const zero = f32x4.splat(0);
  let i: usize = 0;
  for (const blocks = <usize>(n & ~3) << 2; i < blocks; i += 16) {
    v128.store(x + i, f32x4.pmax(zero, v128.load(x + i)));
  }
  for (const end = <usize>n << 2; i < end; i += 4) {
    const value = load<f32>(x + i);
    store<f32>(x + i, value > 0 ? value : 0);
  }
}

/** y += a·x. */
export function axpyF32(a: f32, x: usize, y: usize, n: i32): void {
  const factor = f32x4.splat(a);
  let i: usize = 0;
  for (const blocks = <usize>(n & ~3) << 2; i < blocks; i += 16) {
    v128.store(y + i, f32x4.add(v128.load(y + i), f32x4.mul(factor, v128.load(x + i))));
  }
  for (const end = <usize>n << 2; i < end; i += 4) {
    store<f32>(y + i, load<f32>(y + i) + a * load<f32>(x + i));
  }
}

/** In place, to unit length; a zero (or not finite) vector becomes zero. Returns the old length. */
export function normalizeF32(x: usize, n: i32): f32 {
  const length = sqrt<f32>(dotF32(x, x, n));
  const good = length > 0 && length < Infinity;
  const factor: f32 = good ? 1 / length : 0;
  const end = <usize>n << 2;
  if (!good) memory.fill(x, 0, end);
  const four = f32x4.splat(factor);
  let i: usize = 0;
  for (const blocks = <usize>(n & ~3) << 2; i < blocks; i += 16) {
    v128.store(x + i, f32x4.mul(v128.load(x + i), four));
  }
  for (; i < end; i += 4) store<f32>(x + i, load<f32>(x + i) * factor);
  return length;
}
