/** Dense linear algebra in plain JavaScript, for training: row-major, f64 where it must be exact. */
import { nextNormal, type Random } from "./random.ts";

/** XᵀX of n×d rows, each times its weight; d×d, symmetric. Cost: n·d²/2. */
export function gram(x: Float32Array, n: number, d: number, weight?: Float32Array): Float64Array {
  const out = new Float64Array(d * d);
  for (let row = 0; row < n; row++) {
    const from = row * d;
    const w = weight ? (weight[row] as number) : 1;
    for (let i = 0; i < d; i++) {
      const a = w * (x[from + i] as number);
      if (a === 0) continue;
      const to = i * d;
      for (let j = i; j < d; j++) {
        out[to + j] = (out[to + j] as number) + a * (x[from + j] as number);
      }
    }
  }
  for (let i = 0; i < d; i++) {
    for (let j = 0; j < i; j++) out[i * d + j] = out[j * d + i] as number;
  }
  return out;
}

/** XᵀY of n×d and n×m rows; d×m. `weight` scales a row. */
export function crossProduct(
  x: Float32Array,
  y: Float32Array | Float64Array,
  shape: { readonly n: number; readonly d: number; readonly m: number },
  weight?: Float32Array,
): Float64Array {
  const { n, d, m } = shape;
  const out = new Float64Array(d * m);
  for (let row = 0; row < n; row++) {
    const w = weight ? (weight[row] as number) : 1;
    for (let i = 0; i < d; i++) {
      const a = w * (x[row * d + i] as number);
      if (a === 0) continue;
      for (let j = 0; j < m; j++) {
        out[i * m + j] = (out[i * m + j] as number) + a * (y[row * m + j] as number);
      }
    }
  }
  return out;
}

/**
 * L of A = L·Lᵀ for a symmetric positive definite d×d matrix; the upper half is left as it was.
 * @throws RangeError when A is not positive definite.
 */
export function cholesky(a: Float64Array, d: number): Float64Array {
  const l = Float64Array.from(a);
  for (let j = 0; j < d; j++) {
    let sum = l[j * d + j] as number;
    for (let k = 0; k < j; k++) sum -= (l[j * d + k] as number) ** 2;
    if (!(sum > 0)) throw new RangeError("the matrix is not positive definite");
    const diagonal = Math.sqrt(sum);
    l[j * d + j] = diagonal;
    for (let i = j + 1; i < d; i++) {
      let value = l[i * d + j] as number;
      for (let k = 0; k < j; k++) value -= (l[i * d + k] as number) * (l[j * d + k] as number);
      l[i * d + j] = value / diagonal;
    }
  }
  return l;
}

/** X of L·Lᵀ·X = B, B d×m. */
export function solveCholesky(
  l: Float64Array,
  b: Float64Array,
  d: number,
  m: number,
): Float64Array {
  const x = Float64Array.from(b);
  for (let i = 0; i < d; i++) {
    for (let k = 0; k < i; k++) subtractRow(x, m, i, k, l[i * d + k] as number);
    scaleRow(x, m, i, 1 / (l[i * d + i] as number));
  }
  for (let i = d - 1; i >= 0; i--) {
    for (let k = i + 1; k < d; k++) subtractRow(x, m, i, k, l[k * d + i] as number);
    scaleRow(x, m, i, 1 / (l[i * d + i] as number));
  }
  return x;
}

function subtractRow(x: Float64Array, m: number, to: number, from: number, factor: number): void {
  if (factor === 0) return;
  for (let j = 0; j < m; j++) {
    x[to * m + j] = (x[to * m + j] as number) - factor * (x[from * m + j] as number);
  }
}

function scaleRow(x: Float64Array, m: number, row: number, factor: number): void {
  for (let j = 0; j < m; j++) x[row * m + j] = (x[row * m + j] as number) * factor;
}

/**
 * Makes the columns of Y (n×k) orthonormal, in place, by Cholesky QR, twice for accuracy.
 * Columns that depend on others become small, not infinite.
 * Source: Yamamoto et al., "Roundoff error analysis of the CholeskyQR2 algorithm", ETNA 44, 2015.
 */
export function orthonormalize(y: Float32Array, n: number, k: number): void {
  for (let round = 0; round < 2; round++) {
    const g = gram(y, n, k);
    let trace = 0;
    for (let i = 0; i < k; i++) trace += g[i * k + i] as number;
    const jitter = Math.max(1e-30, (trace / k) * 1e-9);
    for (let i = 0; i < k; i++) g[i * k + i] = (g[i * k + i] as number) + jitter;
    const l = cholesky(g, k);
    // Row by row: y ← y·L⁻ᵀ, forward substitution.
    for (let row = 0; row < n; row++) {
      const from = row * k;
      for (let j = 0; j < k; j++) {
        let value = y[from + j] as number;
        for (let i = 0; i < j; i++) value -= (y[from + i] as number) * (l[j * k + i] as number);
        y[from + j] = value / (l[j * k + j] as number);
      }
    }
  }
}

/**
 * Eigenvalues (descending) and eigenvectors (columns of a d×d matrix) of a symmetric matrix, by
 * cyclic Jacobi rotations. Source: Golub & Van Loan, "Matrix Computations", §8.5.
 */
export function eigenSymmetric(
  a: Float64Array,
  d: number,
): { readonly values: Float64Array; readonly vectors: Float64Array } {
  const m = Float64Array.from(a);
  const v = new Float64Array(d * d);
  for (let i = 0; i < d; i++) v[i * d + i] = 1;
  for (let sweep = 0; sweep < 30 && offDiagonal(m, d) > 1e-22; sweep++) {
    for (let p = 0; p < d - 1; p++) {
      for (let q = p + 1; q < d; q++) rotate(m, v, d, p, q);
    }
  }
  const order = Array.from({ length: d }, (_, i) => i);
  order.sort((i, j) => (m[j * d + j] as number) - (m[i * d + i] as number) || i - j);
  const values = Float64Array.from(order, (i) => m[i * d + i] as number);
  const vectors = new Float64Array(d * d);
  order.forEach((from, to) => {
    for (let i = 0; i < d; i++) vectors[i * d + to] = v[i * d + from] as number;
  });
  return { values, vectors };
}

/** Σ of squares off the diagonal, relative to those on it. */
function offDiagonal(m: Float64Array, d: number): number {
  let off = 0;
  let on = 1e-300;
  for (let i = 0; i < d; i++) {
    for (let j = 0; j < d; j++) {
      const square = (m[i * d + j] as number) ** 2;
      if (i === j) on += square;
      else off += square;
    }
  }
  return off / on;
}

function rotate(m: Float64Array, v: Float64Array, d: number, p: number, q: number): void {
  const apq = m[p * d + q] as number;
  if (Math.abs(apq) < 1e-300) return;
  const theta = ((m[q * d + q] as number) - (m[p * d + p] as number)) / (2 * apq);
  const t = Math.sign(theta || 1) / (Math.abs(theta) + Math.sqrt(theta * theta + 1));
  const c = 1 / Math.sqrt(t * t + 1);
  const s = t * c;
  for (let i = 0; i < d; i++) {
    const a = m[i * d + p] as number;
    const b = m[i * d + q] as number;
    m[i * d + p] = c * a - s * b;
    m[i * d + q] = s * a + c * b;
  }
  for (let i = 0; i < d; i++) {
    const a = m[p * d + i] as number;
    const b = m[q * d + i] as number;
    m[p * d + i] = c * a - s * b;
    m[q * d + i] = s * a + c * b;
  }
  for (let i = 0; i < d; i++) {
    const a = v[i * d + p] as number;
    const b = v[i * d + q] as number;
    v[i * d + p] = c * a - s * b;
    v[i * d + q] = s * a + c * b;
  }
}

/** n×k standard normal numbers. */
export function normalMatrix(n: number, k: number, random: Random): Float32Array {
  return Float32Array.from({ length: n * k }, () => nextNormal(random));
}
