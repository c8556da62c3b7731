/** The kernels of a decision against their oracle, through what lays them out: to the bit. */
import { describe, expect, test } from "bun:test";
import type { RawFeatures } from "../domain/features.ts";
import { shapeNames } from "../embedding/shape.ts";
import { createKernels } from "../kernels/create.ts";
import type { Kernels } from "../kernels/kernels.ts";
import { createScalarKernels } from "../kernels/scalar.ts";
import { compileKernels, createWasmKernels } from "../kernels/wasm.ts";
import { createRandom, nextInt, nextNormal, type Random } from "../std/random.ts";
import { loadFeaturizer } from "./load-featurizer.ts";
import { f32, i8, i32, type Tensors } from "./safetensors.ts";
import { knn } from "./strategies/knn.ts";
import type { Scores } from "./strategies/strategy.ts";

const simd = compileKernels("wasm-simd");
const backends: [string, (bytes: number) => Kernels][] = [
  ["the best kernels", createKernels],
  ["wasm-simd", (bytes) => (simd ? createWasmKernels(simd, bytes) : createScalarKernels(bytes))],
];

const normals = (random: Random, length: number) =>
  Float32Array.from({ length }, () => nextNormal(random));
const bytes = (random: Random, length: number) =>
  Int8Array.from({ length }, () => nextInt(random, 255) - 127);
const distinct = (random: Random, count: number) =>
  [...new Set(Array.from({ length: count }, () => nextInt(random, 65_536)))].sort((a, b) => a - b);

function makeFeaturizer(random: Random, known: readonly number[], size: number, e: number) {
  const columns = known.length + e;
  return {
    "features.buckets": i32(Int32Array.from(known), known.length),
    "features.idf": f32(normals(random, known.length), known.length),
    "features.embedding_mean": f32(normals(random, e), e),
    "features.embedding_weight": f32(Float32Array.of(0.7), 1),
    "features.matrix": i8(bytes(random, columns * size), columns, size),
    "features.scales": f32(normals(random, columns), columns),
    "features.shape_mean": f32(normals(random, shapeNames.length), shapeNames.length),
    "features.shape_scale": f32(normals(random, shapeNames.length), shapeNames.length),
  } satisfies Tensors;
}

function makeRaw(random: Random, buckets: readonly number[], e: number): RawFeatures {
  return {
    embedderId: "e",
    embedding: normals(random, e),
    lexicalBuckets: Uint16Array.from(buckets),
    lexicalCounts: Uint8Array.from(buckets, () => nextInt(random, 256)),
    shape: normals(random, shapeNames.length),
  };
}

describe.each(backends)("%s", (_name, create) => {
  test.each([
    [300, 96, 128],
    [0, 16, 8],
    [5_000, 48, 0],
    [64, 112, 32],
  ])("features to x: %d buckets, %d columns, embedding of %d", async (count, size, e) => {
    const random = createRandom(count + size);
    const known = distinct(random, count);
    const tensors = makeFeaturizer(random, known, size, e);
    const got = await loadFeaturizer(tensors, e, create);
    const wanted = await loadFeaturizer(tensors, e, createScalarKernels);
    for (let round = 0; round < 20; round++) {
      const here = known.filter(() => nextInt(random, 3) === 0);
      const all = [...new Set([...here, ...distinct(random, round * 20)])].sort((a, b) => a - b);
      const raw = makeRaw(random, all, e);
      const x = new Float32Array(got.dimensions);
      const y = new Float32Array(wanted.dimensions);
      expect(got.apply(raw, x)).toBe(wanted.apply(raw, y));
      expect(x).toEqual(y);
      expect(x.some(Number.isNaN)).toBe(false);
    }
  });

  test.each([
    [1, 16, 2, "distance", true],
    [200, 32, 3, "distance", true],
    [200, 32, 5, "uniform", false],
    [700, 112, 4, "distance", false],
  ] as const)("nearest rows: %d × %d, %d models, %s", async (n, d, m, weights, complete) => {
    const random = createRandom(n + d);
    const mass = Float32Array.from({ length: n }, () => 1 + nextInt(random, 5));
    const fitted = {
      tensors: {
        "knn.rows": i8(bytes(random, n * d), n, d),
        "knn.scales": f32(new Float32Array(n).fill(0.2 / d), n),
        "knn.quality": f32(normals(random, n * m), n, m),
        "knn.weight": f32(
          Float32Array.from({ length: n * m }, (_, i) =>
            complete ? (mass[Math.floor(i / m)] as number) : random.next(),
          ),
          n,
          m,
        ),
        "knn.mass": f32(mass, n),
        "knn.mean": f32(new Float32Array(m).fill(0.5), m),
      },
      json: { n_neighbors: 60, weights },
    };
    const got = await knn.load(fitted, { d, m }, create);
    const wanted = await knn.load(fitted, { d, m }, createScalarKernels);
    for (let round = 0; round < 20; round++) {
      const x = normals(random, d).map((value) => value / Math.sqrt(d));
      expect(got.score(x)).toEqual(wanted.score(x) as Scores);
    }
  });
});
