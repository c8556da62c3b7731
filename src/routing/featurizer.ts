/**
 * Raw features to the vector that strategies learn on: hashed words weighted by TF-IDF (sublinear,
 * each field of unit length), joined to the embedding, projected by a truncated SVD learnt on the
 * traffic, of unit length; beside it the standardised shape features at a smaller weight.
 * Sources: Deerwester et al., "Indexing by latent semantic analysis", 1990; Halko, Martinsson &
 * Tropp, "Finding structure with randomness", SIAM Review 53(2), 2011.
 */
import type { RawFeatures } from "../domain/features.ts";
import { lexicalBuckets, lexicalFields } from "../embedding/lexical.ts";
import { shapeNames } from "../embedding/shape.ts";
import type { Kernels } from "../kernels/kernels.ts";
import { quantizeRows } from "../kernels/quantize-rows.ts";
import { eigenSymmetric, gram, normalMatrix, orthonormalize } from "../std/matrix.ts";
import type { Random } from "../std/random.ts";
import { f32, i8, i32, type Tensors } from "./safetensors.ts";

const shapeSize = shapeNames.length;

export interface FeaturizerOptions {
  /** Dimensions of the projection; a multiple of 16. */
  readonly dimensions: number;
  /** Buckets that are kept: the most frequent ones seen in at least two queries. */
  readonly vocabulary: number;
  readonly embeddingWeight: number;
}

export const featurizerDefaults: FeaturizerOptions = {
  dimensions: 96,
  vocabulary: 12_288,
  embeddingWeight: 1,
};

/** Weight of the shape part beside the projection of unit length. */
export const shapeWeight = 0.5;
/** Standard deviations at which a shape feature is cut. */
export const shapeLimit = 3;

export interface FitFeaturizer {
  readonly random: Random;
  readonly kernels: (bytes: number) => Kernels;
  readonly progress: (share: number) => void;
}

/** @param raws at least two queries with the same embedder. Cost: O(non-zeros × dimensions × 8). */
export function fitFeaturizer(
  raws: readonly RawFeatures[],
  options: FeaturizerOptions,
  context: FitFeaturizer,
): Tensors {
  const vocabulary = fitVocabulary(raws, options.vocabulary);
  const embeddingMean = meanEmbedding(raws);
  const shape = fitShape(raws);
  const weigh = createWeigher(vocabulary.buckets, vocabulary.idf, embeddingMean, options);
  const columns = weigh.columns;
  const sparse = toSparse(takeEvenly(raws, projectedRows), weigh);
  context.progress(0.2);
  const matrix = project(sparse, columns, options.dimensions, context);
  const { rows, scales } = quantizeRows(matrix, columns, options.dimensions, context.kernels);
  return {
    "features.buckets": i32(vocabulary.buckets, vocabulary.buckets.length),
    "features.idf": f32(vocabulary.idf, vocabulary.idf.length),
    "features.embedding_mean": f32(embeddingMean, embeddingMean.length),
    "features.embedding_weight": f32(Float32Array.of(options.embeddingWeight), 1),
    "features.matrix": i8(rows, columns, options.dimensions),
    "features.scales": f32(scales, columns),
    "features.shape_mean": f32(shape.mean, shapeSize),
    "features.shape_scale": f32(shape.scale, shapeSize),
  };
}

/**
 * Rows that the projection is learnt on: 96 directions need no more, and each costs 700 numbers of
 * memory twice.
 */
const projectedRows = 16_384;

function takeEvenly<T>(rows: readonly T[], limit: number): readonly T[] {
  if (rows.length <= limit) return rows;
  return Array.from({ length: limit }, (_, i) => rows[Math.floor((i * rows.length) / limit)] as T);
}

function fitVocabulary(raws: readonly RawFeatures[], limit: number) {
  const frequency = new Uint32Array(lexicalBuckets);
  for (const raw of raws) {
    for (const bucket of raw.lexicalBuckets) frequency[bucket] = (frequency[bucket] as number) + 1;
  }
  const seen: number[] = [];
  frequency.forEach((count, bucket) => {
    if (count >= 2) seen.push(bucket);
  });
  // A field may take at most half of the places, so that grams do not crowd the words out.
  const kept = Object.values(lexicalFields).flatMap((field) => {
    const inside = (bucket: number) =>
      bucket >= field.start && bucket < field.start + 2 ** field.bits;
    return seen
      .filter(inside)
      .sort((a, b) => (frequency[b] as number) - (frequency[a] as number) || a - b)
      .slice(0, Math.floor(limit / 2));
  });
  const buckets = Int32Array.from(kept).sort();
  const idf = Float32Array.from(
    buckets,
    (bucket) => Math.log((1 + raws.length) / (1 + (frequency[bucket] as number))) + 1,
  );
  return { buckets, idf };
}

function meanEmbedding(raws: readonly RawFeatures[]): Float32Array {
  const size = raws[0]?.embedding.length ?? 0;
  const mean = new Float64Array(size);
  for (const { embedding } of raws) {
    for (let i = 0; i < size; i++) mean[i] = (mean[i] as number) + (embedding[i] ?? 0);
  }
  return Float32Array.from(mean, (sum) => sum / raws.length);
}

function fitShape(raws: readonly RawFeatures[]) {
  const mean = new Float32Array(shapeSize);
  const scale = new Float32Array(shapeSize);
  for (let i = 0; i < shapeSize; i++) {
    const column = raws.map((raw) => raw.shape[i] as number);
    const average = column.reduce((sum, value) => sum + value, 0) / column.length;
    const variance = column.reduce((sum, v) => sum + (v - average) ** 2, 0) / column.length;
    mean[i] = average;
    scale[i] = variance > 1e-12 ? 1 / Math.sqrt(variance) : 0;
  }
  return { mean, scale };
}

/** What a count weighs: sublinear. */
export const logCounts = Float32Array.from({ length: 256 }, (_, count) =>
  count > 0 ? 1 + Math.log(count) : 0,
);

/** Sparse weights of a query over the vocabulary's rows and, after them, the embedding's. */
function createWeigher(
  buckets: Int32Array,
  idf: Float32Array,
  embeddingMean: Float32Array,
  { embeddingWeight }: Pick<FeaturizerOptions, "embeddingWeight">,
) {
  const rowOf = new Int32Array(lexicalBuckets).fill(-1);
  buckets.forEach((bucket, row) => {
    rowOf[bucket & 0xffff] = row;
  });
  const fieldEnds = [lexicalFields.grams.start, lexicalFields.tools.start, lexicalBuckets];
  return {
    columns: buckets.length + embeddingMean.length,
    /** Writes row numbers and weights; returns how many, and the length of the whole vector. */
    apply(
      { lexicalBuckets, lexicalCounts, embedding }: RawFeatures,
      ids: Int32Array,
      weights: Float32Array,
    ) {
      let count = 0;
      let at = 0;
      let total = 0;
      for (const end of fieldEnds) {
        const from = count;
        let squares = 0;
        for (; at < lexicalBuckets.length; at++) {
          const bucket = lexicalBuckets[at] as number;
          if (bucket >= end) break;
          const row = rowOf[bucket] as number;
          if (row < 0) continue;
          const weight = (logCounts[lexicalCounts[at] as number] as number) * (idf[row] as number);
          ids[count] = row;
          weights[count++] = weight;
          squares += weight * weight;
        }
        if (squares === 0) continue;
        const factor = 1 / Math.sqrt(squares);
        for (let i = from; i < count; i++) weights[i] = (weights[i] as number) * factor;
        total += 1;
      }
      for (let i = 0; i < embeddingMean.length; i++) {
        const weight = embeddingWeight * ((embedding[i] as number) - (embeddingMean[i] as number));
        ids[count] = buckets.length + i;
        weights[count++] = weight;
        total += weight * weight;
      }
      return { count, length: Math.sqrt(total) };
    },
  };
}

interface Sparse {
  readonly n: number;
  readonly starts: Int32Array;
  readonly ids: Int32Array;
  readonly weights: Float32Array;
}

function toSparse(raws: readonly RawFeatures[], weigh: ReturnType<typeof createWeigher>): Sparse {
  const ids = new Int32Array(weigh.columns);
  const weights = new Float32Array(weigh.columns);
  const starts = new Int32Array(raws.length + 1);
  const parts = raws.map((raw, row) => {
    const { count } = weigh.apply(raw, ids, weights);
    starts[row + 1] = (starts[row] as number) + count;
    return { ids: ids.slice(0, count), weights: weights.slice(0, count) };
  });
  const all = starts[raws.length] as number;
  const joined = { ids: new Int32Array(all), weights: new Float32Array(all) };
  parts.forEach((part, row) => {
    joined.ids.set(part.ids, starts[row]);
    joined.weights.set(part.weights, starts[row]);
  });
  return { n: raws.length, starts, ...joined };
}

/** The right singular vectors of the sparse matrix: columns×dimensions, by randomised iteration. */
function project(
  sparse: Sparse,
  columns: number,
  dimensions: number,
  context: FitFeaturizer,
): Float32Array {
  const rank = Math.min(dimensions, sparse.n, columns);
  const width = Math.min(rank + 16, sparse.n, columns);
  const product = createProduct(sparse, columns, width, context.kernels);
  let right = normalMatrix(columns, width, context.random);
  let left = product.times(right);
  const rounds = 3;
  for (let round = 0; round < rounds; round++) {
    orthonormalize(left, sparse.n, width);
    right = product.transposedTimes(left);
    if (round < rounds - 1) {
      orthonormalize(right, columns, width);
      left = product.times(right);
    }
    context.progress(0.2 + (0.8 * (round + 1)) / rounds);
  }
  // right = Xᵀ·Q, so its Gram matrix has the squared singular values.
  const { values, vectors } = eigenSymmetric(gram(right, columns, width), width);
  const out = new Float32Array(columns * dimensions);
  for (let column = 0; column < columns; column++) {
    for (let j = 0; j < rank; j++) {
      const value = values[j] as number;
      if (value < 1e-9) continue;
      let sum = 0;
      for (let i = 0; i < width; i++) {
        sum += (right[column * width + i] as number) * (vectors[i * width + j] as number);
      }
      out[column * dimensions + j] = sum / Math.sqrt(value);
    }
  }
  return out;
}

/** X·W and Xᵀ·Y for the sparse X, by the kernels. */
function createProduct(
  sparse: Sparse,
  columns: number,
  width: number,
  createKernels: (bytes: number) => Kernels,
) {
  const { n, starts } = sparse;
  const nonZeros = sparse.ids.length;
  const kernels = createKernels(nonZeros * 8 + (columns + n) * width * 4 + 4096);
  const idsAt = kernels.alloc(nonZeros * 4);
  kernels.i32(idsAt, nonZeros).set(sparse.ids);
  const weightsAt = kernels.alloc(nonZeros * 4);
  kernels.f32(weightsAt, nonZeros).set(sparse.weights);
  const rightAt = kernels.alloc(columns * width * 4);
  const right = kernels.f32(rightAt, columns * width);
  const leftAt = kernels.alloc(n * width * 4);
  const left = kernels.f32(leftAt, n * width);
  return {
    times(matrix: Float32Array): Float32Array {
      right.set(matrix);
      left.fill(0);
      for (let row = 0; row < n; row++) {
        const from = starts[row] as number;
        const count = (starts[row + 1] as number) - from;
        const out = leftAt + row * width * 4;
        kernels.projectSparseF32(
          rightAt,
          idsAt + from * 4,
          weightsAt + from * 4,
          count,
          width,
          out,
        );
      }
      return left.slice();
    },
    transposedTimes(matrix: Float32Array): Float32Array {
      left.set(matrix);
      right.fill(0);
      for (let row = 0; row < n; row++) {
        const rowAt = leftAt + row * width * 4;
        for (let i = starts[row] as number; i < (starts[row + 1] as number); i++) {
          const to = rightAt + (sparse.ids[i] as number) * width * 4;
          kernels.axpyF32(sparse.weights[i] as number, rowAt, to, width);
        }
      }
      return right.slice();
    },
  };
}
