/**
 * The kernels in plain JavaScript: the oracle of the WASM module, and its stand-in where a runtime
 * has no WebAssembly SIMD. Slow, and the same bits: Math.fround after every f32 operation (Float32Array
 * stores round too), sixteen partial sums as the sixteen SIMD lanes, added in the same order.
 */
import { type Arithmetic, createArena, type Kernels, toPages } from "./kernels.ts";
import { createScalarFeatures, type ScalarFeatures } from "./scalar-features.ts";
import { createPieces, type ScalarPieces } from "./scalar-pieces.ts";

const { fround } = Math;

export function createScalarKernels(bytes: number): Kernels {
  const memory = new ArrayBuffer(toPages(bytes) * 65536);
  const arithmetic = createArithmetic(memory);
  return {
    backend: "scalar",
    ...createArena(memory, 1024),
    ...arithmetic,
    ...createScalarFeatures(memory, arithmetic),
    ...createPieces(memory),
  };
}

function createArithmetic(
  memory: ArrayBuffer,
): Omit<Arithmetic, keyof ScalarPieces | keyof ScalarFeatures> {
  const f = new Float32Array(memory);
  const b = new Int8Array(memory);
  const w = new Int32Array(memory);
  const at = (view: Float32Array | Int8Array | Int32Array, index: number) => view[index] as number;
  const lanes = new Float32Array(16);
  const g = new Float64Array(memory);

  /** Σ term(i) in the order of sixteen lanes; the rest one by one. */
  function sum(n: number, term: (i: number) => number): number {
    lanes.fill(0);
    const blocks = n & ~15;
    for (let i = 0; i < blocks; i++) {
      lanes[i & 15] = fround(at(lanes, i & 15) + fround(term(i)));
    }
    const folded = [0, 1, 2, 3].map((lane) => {
      const low = fround(at(lanes, lane) + at(lanes, lane + 4));
      return fround(low + fround(at(lanes, lane + 8) + at(lanes, lane + 12)));
    }) as [number, number, number, number];
    let total = fround(fround(folded[0] + folded[1]) + fround(folded[2] + folded[3]));
    for (let i = blocks; i < n; i++) total = fround(total + fround(term(i)));
    return total;
  }

  const dot = (a: number, c: number, n: number) =>
    sum(n, (i) => at(f, (a >> 2) + i) * at(f, (c >> 2) + i));
  const squaredDistance = (a: number, c: number, n: number) =>
    sum(n, (i) => {
      const difference = fround(at(f, (a >> 2) + i) - at(f, (c >> 2) + i));
      return difference * difference;
    });
  function dotI8(row: number, query: number, d: number): number {
    let total = 0;
    for (let i = 0; i < d; i++) total += at(b, row + i) * at(b, query + i);
    return total;
  }
  /** scales[r] · queryScale · (Σ row·query − 64·Σ row). */
  function scoreI8(r: number, shape: I8Rows): number {
    const shifted = dotI8(shape.rows + r * shape.d, shape.query, shape.d);
    const product = fround(shifted - 64 * at(w, (shape.rowSums >> 2) + r));
    return fround(fround(product * at(f, (shape.scales >> 2) + r)) * fround(shape.queryScale));
  }
  function select(scores: Float32Array, k: number, outRows: number, outScores: number): void {
    const order = Array.from(scores, (_, row) => row);
    order.sort((x, y) => at(scores, y) - at(scores, x) || x - y);
    for (let i = 0; i < k; i++) {
      const row = order[i] as number;
      w[(outRows >> 2) + i] = row;
      f[(outScores >> 2) + i] = at(scores, row);
    }
  }
  function withBias(value: number, bias: number, r: number): number {
    return bias ? fround(value + at(f, (bias >> 2) + r)) : value;
  }
  function largest(x: number, n: number): number {
    let max = 0;
    for (let i = 0; i < n; i++) max = Math.max(max, Math.abs(at(f, (x >> 2) + i)));
    return max;
  }
  function quantize(x: number, out: number, n: number, steps: number, shift: number): number {
    const max = largest(x, n);
    const factor = max > 0 ? fround(steps / max) : 0;
    for (let i = 0; i < n; i++) {
      b[out + i] = roundToEven(fround(at(f, (x >> 2) + i) * factor)) + shift;
    }
    return fround(max / steps);
  }
  function addRowI8(row: number, factor: number, out: number, d: number): void {
    const to = out >> 2;
    for (let i = 0; i < d; i++) {
      f[to + i] = at(f, to + i) + fround(factor * at(b, row + i));
    }
  }

  return {
    dotF32: dot,
    squaredDistanceF32: squaredDistance,
    cosineF32(a, c, n) {
      const norms = fround(fround(Math.sqrt(dot(a, a, n))) * fround(Math.sqrt(dot(c, c, n))));
      return norms > 0 ? fround(dot(a, c, n) / norms) : 0;
    },
    matvecF32(matrix, x, bias, out, rows, columns) {
      for (let r = 0; r < rows; r++) {
        f[(out >> 2) + r] = withBias(dot(matrix + r * columns * 4, x, columns), bias, r);
      }
    },
    matvecWide(matrix, x, out, rows, columns) {
      for (let r = 0; r < rows; r++) {
        const row = (matrix >> 2) + r * columns;
        g[(out >> 3) + r] = wideDot(columns, (i) => at(f, row + i) * (g[(x >> 3) + i] as number));
      }
    },
    largestDotF32(matrix, x, rows, columns) {
      let largest = -1;
      for (let r = 0; r < rows; r++) {
        largest = Math.max(largest, dot(matrix + r * columns * 4, x, columns));
      }
      return largest;
    },
    matvecI8(matrix, scales, rowSums, query, queryScale, bias, out, rows, columns) {
      const shape = { rows: matrix, scales, rowSums, query, queryScale, d: columns };
      for (let r = 0; r < rows; r++) f[(out >> 2) + r] = withBias(scoreI8(r, shape), bias, r);
    },
    reluF32(x, n) {
      for (let i = x >> 2; i < (x >> 2) + n; i++) if (!(at(f, i) > 0)) f[i] = 0;
    },
    axpyF32(a, x, y, n) {
      const factor = fround(a);
      for (let i = 0; i < n; i++) {
        f[(y >> 2) + i] = at(f, (y >> 2) + i) + fround(factor * at(f, (x >> 2) + i));
      }
    },
    normalizeF32(x, n) {
      const length = fround(Math.sqrt(dot(x, x, n)));
      const good = length > 0 && length < Number.POSITIVE_INFINITY;
      const factor = good ? fround(1 / length) : 0;
      for (let i = x >> 2; i < (x >> 2) + n; i++) f[i] = good ? at(f, i) * factor : 0;
      return length;
    },
    rbfF32(rows, query, gamma, n, d, out) {
      const factor = -fround(gamma);
      for (let r = 0; r < n; r++) {
        f[(out >> 2) + r] = exp(fround(factor * squaredDistance(rows + r * d * 4, query, d)));
      }
    },
    topKF32(rows, query, n, d, k, outRows, outScores) {
      const scores = Float32Array.from({ length: n }, (_, r) => dot(rows + r * d * 4, query, d));
      select(scores, k, outRows, outScores);
    },
    nearestKF32(rows, query, n, d, k, outRows, outDistances) {
      const scores = Float32Array.from(
        { length: n },
        (_, r) => -squaredDistance(rows + r * d * 4, query, d),
      );
      select(scores, k, outRows, outDistances);
      for (let i = outDistances >> 2; i < (outDistances >> 2) + k; i++) f[i] = -at(f, i);
    },
    topKI8(rows, scales, rowSums, query, queryScale, n, d, k, outRows, outScores) {
      const shape = { rows, scales, rowSums, query, queryScale, d };
      const scores = Float32Array.from({ length: n }, (_, r) => scoreI8(r, shape));
      select(scores, k, outRows, outScores);
    },
    quantizeF32: (x, out, n) => quantize(x, out, n, 127, 0),
    quantizeQueryF32: (x, out, n) => quantize(x, out, n, 63, 64),
    rowSumsI8(rows, n, d, out) {
      for (let r = 0; r < n; r++) {
        let total = 0;
        for (let i = 0; i < d; i++) total += at(b, rows + r * d + i);
        w[(out >> 2) + r] = total;
      }
    },
    sumPoolI8(table, scales, ids, count, share, d, out) {
      f.fill(0, out >> 2, (out >> 2) + d);
      const factor = fround(share);
      for (let i = 0; i < count; i++) {
        const id = at(w, (ids >> 2) + i);
        addRowI8(table + id * d, fround(at(f, (scales >> 2) + id) * factor), out, d);
      }
    },
    projectSparseF32(matrix, buckets, weights, count, d, out) {
      for (let i = 0; i < count; i++) {
        const row = (matrix >> 2) + at(w, (buckets >> 2) + i) * d;
        const weight = at(f, (weights >> 2) + i);
        for (let c = 0; c < d; c++) {
          f[(out >> 2) + c] = at(f, (out >> 2) + c) + fround(weight * at(f, row + c));
        }
      }
    },
  };
}

/** Σ term(i) in double precision, in the order of eight lanes; the rest one by one. */
function wideDot(n: number, term: (i: number) => number): number {
  const s = [0, 0, 0, 0, 0, 0, 0, 0];
  const blocks = n & ~7;
  for (let i = 0; i < blocks; i++) s[i & 7] = (s[i & 7] as number) + term(i);
  const fold = (at: number) =>
    (s[at] as number) + (s[at + 2] as number) + ((s[at + 4] as number) + (s[at + 6] as number));
  let total = fold(0) + fold(1);
  for (let i = blocks; i < n; i++) total += term(i);
  return total;
}

interface I8Rows {
  readonly rows: number;
  readonly scales: number;
  readonly rowSums: number;
  readonly query: number;
  readonly queryScale: number;
  readonly d: number;
}

/** To the nearest integer, halves to the even one: WebAssembly's f32.nearest. */
function roundToEven(x: number): number {
  const floor = Math.floor(x);
  const part = x - floor;
  if (part !== 0.5) return Math.round(x);
  return floor % 2 === 0 ? floor : floor + 1;
}

const expBits = new DataView(new ArrayBuffer(4));

/** wasm/assembly/rbf.ts says what this is; single precision throughout. */
function exp(argument: number): number {
  if (argument < -87) return 0;
  const x = Math.min(argument, 88);
  const k = Math.floor(fround(fround(fround(Math.LOG2E) * x) + 0.5));
  const r = fround(fround(x - fround(k * fround(0.693359375))) - fround(k * fround(-2.1219444e-4)));
  const coefficients = [
    1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1,
  ];
  let p = fround(1.98756915e-4);
  for (const c of coefficients) p = fround(fround(p * r) + fround(c));
  p = fround(fround(fround(p * fround(r * r)) + r) + 1);
  expBits.setInt32(0, (k + 127) << 23);
  return fround(p * expBits.getFloat32(0));
}
