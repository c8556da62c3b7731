/** Every backend of the kernels against the oracle, and the oracle against plain double precision. */
import { describe, expect, test } from "bun:test";
import { createRandom, nextInt, nextNormal } from "../std/random.ts";
import { createKernels } from "./create.ts";
import type { Kernels } from "./kernels.ts";
import { createScalarKernels } from "./scalar.ts";
import { compileKernels, createWasmKernels } from "./wasm.ts";

const bytes = 1 << 20;
const backends: [string, () => Kernels | undefined][] = (
  ["wasm-relaxed-simd", "wasm-simd"] as const
).map((backend) => {
  const compiled = compileKernels(backend);
  return [backend, () => compiled && createWasmKernels(compiled, bytes)];
});

/** One call of one kernel on made-up numbers; gives what it wrote or returned. */
type Case = (kernels: Kernels, seed: number, n: number, d: number) => ArrayLike<number>;

function fill(kernels: Kernels, seed: number, length: number): number {
  const random = createRandom(seed);
  const at = kernels.alloc(length * 4);
  const view = kernels.f32(at, length);
  for (let i = 0; i < length; i++) view[i] = nextNormal(random);
  return at;
}

function fillI8(kernels: Kernels, seed: number, length: number): number {
  const random = createRandom(seed);
  const at = kernels.alloc(length);
  const view = kernels.i8(at, length);
  for (let i = 0; i < length; i++) view[i] = nextInt(random, 255) - 127;
  return at;
}

function fillI32(kernels: Kernels, seed: number, length: number, limit: number): number {
  const random = createRandom(seed);
  const at = kernels.alloc(length * 4);
  const view = kernels.i32(at, length);
  for (let i = 0; i < length; i++) view[i] = nextInt(random, limit);
  return at;
}

/** int8 rows, their scales and sums, and a quantised query. */
function quantised(kernels: Kernels, seed: number, n: number, d: number) {
  const rows = fillI8(kernels, seed, n * d);
  const scales = fill(kernels, seed + 1, n);
  const rowSums = kernels.alloc(n * 4);
  kernels.rowSumsI8(rows, n, d, rowSums);
  const query = kernels.alloc(d);
  const queryScale = kernels.quantizeQueryF32(fill(kernels, seed + 2, d), query, d);
  return { rows, scales, rowSums, query, queryScale };
}

const up16 = (d: number) => (d + 15) & ~15;

const cases: Record<string, Case> = {
  dotF32: (k, seed, _n, d) => [k.dotF32(fill(k, seed, d), fill(k, seed + 1, d), d)],
  cosineF32: (k, seed, _n, d) => [k.cosineF32(fill(k, seed, d), fill(k, seed + 1, d), d)],
  "cosineF32 of zero": (k, seed, _n, d) => [k.cosineF32(k.alloc(d * 4), fill(k, seed, d), d)],
  squaredDistanceF32: (k, seed, _n, d) => [
    k.squaredDistanceF32(fill(k, seed, d), fill(k, seed + 1, d), d),
  ],
  matvecF32(k, seed, n, d) {
    const out = k.alloc(n * 4);
    k.matvecF32(fill(k, seed, n * d), fill(k, seed + 1, d), fill(k, seed + 2, n), out, n, d);
    return k.f32(out, n);
  },
  "matvecF32 without bias"(k, seed, n, d) {
    const out = k.alloc(n * 4);
    k.matvecF32(fill(k, seed, n * d), fill(k, seed + 1, d), 0, out, n, d);
    return k.f32(out, n);
  },
  matvecWide(k, seed, n, d) {
    const x = k.alloc(d * 8);
    k.f64(x, d).set(k.f32(fill(k, seed + 1, d), d).map((value) => value / 3));
    const out = k.alloc(n * 8);
    k.matvecWide(fill(k, seed, n * d), x, out, n, d);
    return k.f64(out, n);
  },
  largestDotF32: (k, seed, n, d) => [
    k.largestDotF32(fill(k, seed, n * d), fill(k, seed + 1, d), n, d),
  ],
  "largestDotF32 of opposites": (k, seed, _n, d) => {
    const x = fill(k, seed, d);
    const opposite = k.alloc(d * 4);
    k.axpyF32(-9, x, opposite, d);
    return [k.largestDotF32(opposite, x, 1, d)];
  },
  matvecI8(k, seed, n, d) {
    const q = quantised(k, seed, n, up16(d));
    const bias = fill(k, seed + 3, n);
    const out = k.alloc(n * 4);
    k.matvecI8(q.rows, q.scales, q.rowSums, q.query, q.queryScale, bias, out, n, up16(d));
    return k.f32(out, n);
  },
  "normalizeF32 of infinity": (k, seed, _n, d) => {
    const x = fill(k, seed, d);
    k.f32(x, d)[0] = Number.POSITIVE_INFINITY;
    return [k.normalizeF32(x, d), ...k.f32(x, d)];
  },
  reluF32(k, seed, _n, d) {
    const x = fill(k, seed, d);
    k.reluF32(x, d);
    return k.f32(x, d);
  },
  axpyF32(k, seed, _n, d) {
    const y = fill(k, seed, d);
    k.axpyF32(0.3, fill(k, seed + 1, d), y, d);
    return k.f32(y, d);
  },
  normalizeF32(k, seed, _n, d) {
    const x = fill(k, seed, d);
    return [k.normalizeF32(x, d), ...k.f32(x, d)];
  },
  "normalizeF32 of zero"(k, _seed, _n, d) {
    const x = k.alloc(d * 4);
    return [k.normalizeF32(x, d), ...k.f32(x, d)];
  },
  rbfF32(k, seed, n, d) {
    const out = k.alloc(n * 4);
    k.rbfF32(fill(k, seed, n * d), fill(k, seed + 1, d), 1 / d, n, d, out);
    return k.f32(out, n);
  },
  topKF32(k, seed, n, d) {
    const count = Math.min(n, 1 + (seed % 12));
    const out = k.alloc(count * 8);
    k.topKF32(fill(k, seed, n * d), fill(k, seed + 1, d), n, d, count, out, out + count * 4);
    return [...k.i32(out, count), ...k.f32(out + count * 4, count)];
  },
  nearestKF32(k, seed, n, d) {
    const count = Math.min(n, 1 + (seed % 12));
    const out = k.alloc(count * 8);
    k.nearestKF32(fill(k, seed, n * d), fill(k, seed + 1, d), n, d, count, out, out + count * 4);
    return [...k.i32(out, count), ...k.f32(out + count * 4, count)];
  },
  topKI8(k, seed, n, d) {
    const q = quantised(k, seed, n, up16(d));
    const count = Math.min(n, 1 + (seed % 40));
    const out = k.alloc(count * 8);
    const scores = out + count * 4;
    k.topKI8(q.rows, q.scales, q.rowSums, q.query, q.queryScale, n, up16(d), count, out, scores);
    return [...k.i32(out, count), ...k.f32(scores, count)];
  },
  "topKI8 with ties"(k, seed, n, d) {
    const q = quantised(k, seed, n, up16(d));
    k.i8(q.rows, n * up16(d)).fill(3);
    k.f32(q.scales, n).fill(0.5);
    k.rowSumsI8(q.rows, n, up16(d), q.rowSums);
    const count = Math.min(n, 9);
    const out = k.alloc(count * 8);
    const scores = out + count * 4;
    k.topKI8(q.rows, q.scales, q.rowSums, q.query, q.queryScale, n, up16(d), count, out, scores);
    return [...k.i32(out, count), ...k.f32(scores, count)];
  },
  "topKI8 at the extremes"(k, seed, n, d) {
    const q = quantised(k, seed, n, up16(d));
    k.i8(q.rows, n * up16(d)).fill(-127);
    k.u8(q.query, up16(d)).fill(127);
    k.rowSumsI8(q.rows, n, up16(d), q.rowSums);
    const out = k.alloc(8);
    k.topKI8(q.rows, q.scales, q.rowSums, q.query, 1, n, up16(d), 1, out, out + 4);
    return [...k.i32(out, 1), ...k.f32(out + 4, 1)];
  },
  quantizeF32(k, seed, _n, d) {
    const out = k.alloc(d);
    return [k.quantizeF32(fill(k, seed, d), out, d), ...k.i8(out, d)];
  },
  "quantizeF32 of zero"(k, _seed, _n, d) {
    const out = k.alloc(d);
    return [k.quantizeF32(k.alloc(d * 4), out, d), ...k.i8(out, d)];
  },
  quantizeQueryF32(k, seed, _n, d) {
    const out = k.alloc(d);
    return [k.quantizeQueryF32(fill(k, seed, d), out, d), ...k.i8(out, d)];
  },
  sumPoolI8(k, seed, n, d) {
    const table = fillI8(k, seed, n * up16(d));
    const ids = fillI32(k, seed + 2, 20, n);
    const out = k.alloc(up16(d) * 4);
    k.sumPoolI8(table, fill(k, seed + 1, n), ids, 1 + (seed % 20), 0.3, up16(d), out);
    return k.f32(out, up16(d));
  },
  "sumPoolI8 of nothing"(k, seed, n, d) {
    const out = fill(k, seed, up16(d));
    k.sumPoolI8(fillI8(k, seed, n * up16(d)), fill(k, seed + 1, n), 0, 0, 1, up16(d), out);
    return k.f32(out, up16(d));
  },
  projectSparseF32(k, seed, n, d) {
    const buckets = fillI32(k, seed + 2, 20, n);
    const out = fill(k, seed + 3, d);
    k.projectSparseF32(fill(k, seed, n * d), buckets, fill(k, seed + 4, 20), 20, d, out);
    return k.f32(out, d);
  },
};

const shapes = [
  [1, 1],
  [3, 7],
  [4, 16],
  [9, 33],
  [50, 64],
  [131, 256],
] as const;

describe.each(backends)("%s", (_name, create) => {
  const available = create() !== undefined;
  test.skipIf(!available).each(Object.entries(cases))(
    "%s is the oracle's, bit for bit",
    (_, run) => {
      for (const [n, d] of shapes) {
        for (let seed = 1; seed <= 3; seed++) {
          const kernels = create() as Kernels;
          const got = Array.from(run(kernels, seed * 1000, n, d));
          expect(got).toEqual(Array.from(run(createScalarKernels(bytes), seed * 1000, n, d)));
        }
      }
    },
  );
});

describe("the oracle itself, against double precision", () => {
  const kernels = createScalarKernels(bytes);
  const n = 40;
  const d = 100;
  const rows = fill(kernels, 1, n * d);
  const query = fill(kernels, 2, d);
  const row = (r: number) => Array.from(kernels.f32(rows + r * d * 4, d));
  const x = Array.from(kernels.f32(query, d));
  const dot = (a: number[], b: number[]) => a.reduce((sum, v, i) => sum + v * (b[i] as number), 0);
  const distance = (a: number[], b: number[]) =>
    a.reduce((sum, v, i) => sum + (v - (b[i] as number)) ** 2, 0);
  const indices = Array.from({ length: n }, (_, i) => i);

  test("dot, distance and cosine", () => {
    expect(kernels.dotF32(rows, query, d)).toBeCloseTo(dot(row(0), x), 4);
    expect(kernels.squaredDistanceF32(rows, query, d)).toBeCloseTo(distance(row(0), x), 3);
    const cosine = dot(row(0), x) / Math.sqrt(dot(row(0), row(0)) * dot(x, x));
    expect(kernels.cosineF32(rows, query, d)).toBeCloseTo(cosine, 5);
  });

  test("the k best and the k nearest", () => {
    const out = kernels.alloc(80);
    kernels.topKF32(rows, query, n, d, 10, out, out + 40);
    const best = indices.toSorted((a, b) => dot(row(b), x) - dot(row(a), x)).slice(0, 10);
    expect(Array.from(kernels.i32(out, 10))).toEqual(best);
    kernels.nearestKF32(rows, query, n, d, 10, out, out + 40);
    const near = indices.toSorted((a, b) => distance(row(a), x) - distance(row(b), x)).slice(0, 10);
    expect(Array.from(kernels.i32(out, 10))).toEqual(near);
  });

  test("int8 scores are within a hundredth of the exact ones", () => {
    const i8 = kernels.alloc(n * d + 16 * n);
    const scales = kernels.alloc(n * 4);
    const sums = kernels.alloc(n * 4);
    const padded = 96;
    for (let r = 0; r < n; r++) {
      kernels.f32(scales, n)[r] = kernels.quantizeF32(rows + r * d * 4, i8 + r * padded, padded);
    }
    kernels.rowSumsI8(i8, n, padded, sums);
    const q = kernels.alloc(padded);
    const queryScale = kernels.quantizeQueryF32(query, q, padded);
    const out = kernels.alloc(n * 4);
    kernels.matvecI8(i8, scales, sums, q, queryScale, 0, out, n, padded);
    const cut = x.slice(0, padded);
    for (const r of indices) {
      const exact = dot(row(r).slice(0, padded), cut);
      const size = Math.sqrt(dot(row(r), row(r)) * dot(x, x));
      expect(Math.abs((kernels.f32(out, n)[r] as number) - exact) / size).toBeLessThan(0.01);
    }
  });

  test("exp, over its whole range", () => {
    const out = kernels.alloc(4);
    const a = kernels.alloc(4);
    const b = kernels.alloc(4);
    for (let z = 0; z < 86; z += 0.37) {
      kernels.f32(a, 1)[0] = Math.sqrt(z);
      kernels.rbfF32(a, b, 1, 1, 1, out);
      const exact = Math.exp(-kernels.squaredDistanceF32(a, b, 1));
      expect(Math.abs((kernels.f32(out, 1)[0] as number) / exact - 1)).toBeLessThan(3e-7);
    }
    kernels.rbfF32(a, b, 1e6, 1, 1, out);
    expect(kernels.f32(out, 1)[0]).toBe(0);
  });
});

test("createKernels takes the fastest backend that this runtime has", () => {
  expect(createKernels(1000).backend).toBe("wasm-relaxed-simd");
});

test.each([
  ["wasm", createKernels(100_000)],
  ["scalar", createScalarKernels(100_000)],
] as const)("%s: memory is bounded, aligned, and its views stay valid", (_name, kernels) => {
  const first = kernels.alloc(3);
  const view = kernels.u8(first, 3);
  const second = kernels.alloc(90_000);
  expect([first % 16, second % 16, second - first]).toEqual([0, 0, 16]);
  expect(() => kernels.alloc(200_000)).toThrow(RangeError);
  expect(() => kernels.alloc(Number.NaN)).toThrow(RangeError);
  expect(view.length).toBe(3);
});
