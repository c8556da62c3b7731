// The Gaussian kernel of a support vector machine: exp(−γ·|row − query|²) for every row.
import { squaredDistanceF32 } from "./dot";

/**
 * exp(x) for x ≤ 0, within 2 units in the last place, in single additions and multiplications, so
 * that every processor gives the same bits.
 * Source: Cephes expf (S. Moshier): x = k·ln2 + r with ln2 in two parts, a polynomial in r, times 2ᵏ.
 */
export function expF32(x: f32): f32 {
  if (x < -87) return 0;
  if (x > 88) x = 88;
  const k = floor<f32>(<f32>1.44269504088896341 * x + <f32>0.5);
  const r = x - k * <f32>0.693359375 - k * <f32>-2.12194440e-4;
  let p: f32 = 1.9875691500e-4;
  p = p * r + <f32>1.3981999507e-3;
  p = p * r + <f32>8.3334519073e-3;
  p = p * r + <f32>4.1665795894e-2;
  p = p * r + <f32>1.6666665459e-1;
  p = p * r + <f32>5.0000001201e-1;
  p = p * (r * r) + r + 1;
  return p * reinterpret<f32>((<i32>k + 127) << 23);
}

export function rbfF32(
  rows: usize,
  query: usize,
  gamma: f32,
  n: i32,
  d: i32,
  out: usize,
): void {
  const stride = <usize>d << 2;
  for (let r: usize = 0, end = <usize>n << 2, row = rows; r < end; r += 4, row += stride) {
    store<f32>(out + r, expF32(-gamma * squaredDistanceF32(row, query, d)));
  }
}
