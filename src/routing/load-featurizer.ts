/** The featurizer at work: what featurizer.ts fitted, laid out for one call of the kernels. */
import { GatewayError } from "../domain/errors.ts";
import { PackedFeatures, type RawFeatures } from "../domain/features.ts";
import { lexicalBuckets, lexicalFields, mostBuckets } from "../embedding/lexical.ts";
import { shapeNames } from "../embedding/shape.ts";
import { allocLines, type Kernels, linesOf } from "../kernels/kernels.ts";
import { noPause, type Pause } from "../std/pause.ts";
import { logCounts, shapeLimit, shapeWeight } from "./featurizer.ts";
import { type Tensors, takeF32, takeI8, takeI32 } from "./safetensors.ts";

const shapeSize = shapeNames.length;

/** Owns its kernels instance. */
export interface Featurizer {
  /** Length of x: the projection and the shape part. */
  readonly dimensions: number;
  /**
   * Writes x to `out`; returns the share of the query's lexical length that the projection kept.
   * The features must be of the artifact's embedder. Cost: 20 ns per bucket and dimension.
   */
  apply(raw: RawFeatures, out: Float32Array): number;
}

interface Learnt {
  /** Known buckets, and their idf. */
  readonly buckets: Int32Array;
  readonly idf: Float32Array;
  readonly embeddingMean: Float32Array;
  readonly embeddingWeight: number;
  /** A row per bucket, then per dimension of the embedding; `size` int8 each, and their scales. */
  readonly matrix: Int8Array;
  readonly scales: Float32Array;
  readonly size: number;
  readonly shapeMean: Float32Array;
  readonly shapeScale: Float32Array;
}

/** @throws GatewayError artifact_refused when the tensors do not fit each other. */
export async function loadFeaturizer(
  tensors: Tensors,
  embeddingSize: number,
  createKernels: (bytes: number) => Kernels,
  pause: Pause = noPause,
): Promise<Featurizer> {
  const learnt = takeLearnt(tensors, embeddingSize);
  const { size } = learnt;
  const columns = learnt.buckets.length + embeddingSize;
  const inputBytes = (embeddingSize + shapeSize) * 4 + mostBuckets * 3;
  const most = mostBuckets + embeddingSize;
  const kernels = createKernels(
    linesOf(columns * strideOf(size)) +
      wordBytes +
      inputBytes +
      most * 8 +
      (size + shapeSize * 3 + 256) * 4 +
      512,
  );
  const floats = (values: ArrayLike<number>) => {
    const at = kernels.alloc(values.length * 4);
    kernels.f32(at, values.length).set(values);
    return at;
  };
  const order = rankBuckets(learnt.buckets);
  await pause();
  const wordsAt = storeWords(kernels, learnt.buckets, order);
  await pause();
  const rowsAt = await storeRows(kernels, learnt, order, pause);
  const inputAt = kernels.alloc(inputBytes);
  const outAt = kernels.alloc((size + shapeSize) * 4);
  const layout = kernels.alloc(88);
  kernels
    .i32(layout, 13)
    .set([
      inputAt,
      wordsAt,
      rowsAt,
      order.length,
      embeddingSize,
      size,
      shapeSize,
      floats(logCounts),
      floats(learnt.shapeMean),
      floats(learnt.shapeScale),
      kernels.alloc(most * 4),
      kernels.alloc(most * 4),
      outAt,
    ]);
  kernels.f32(layout + 52, 3).set([learnt.embeddingWeight, shapeWeight, shapeLimit]);
  kernels.i32(layout + 64, 2).set([lexicalFields.grams.start, lexicalFields.tools.start]);
  kernels.i32(layout + 84, 1)[0] = strideOf(size);
  const store = createStore(kernels, inputAt, inputBytes, embeddingSize);
  const x = kernels.f32(outAt, size + shapeSize);
  return {
    dimensions: size + shapeSize,
    apply(raw, out) {
      const kept = kernels.featurize(layout, store(raw));
      out.set(x);
      return kept;
    },
  };
}

function takeLearnt(tensors: Tensors, embeddingSize: number): Learnt {
  const buckets = takeI32(tensors, "features.buckets", [-1]);
  const columns = buckets.length + embeddingSize;
  const matrix = takeI8(tensors, "features.matrix", [columns, -1]);
  const size = columns > 0 ? matrix.length / columns : 16;
  if (size % 16 !== 0) {
    throw new GatewayError("artifact_refused", "features.matrix: its width is no multiple of 16");
  }
  const [embeddingWeight = 0] = takeF32(tensors, "features.embedding_weight", [1]);
  return {
    buckets,
    idf: takeF32(tensors, "features.idf", [buckets.length]),
    embeddingMean: takeF32(tensors, "features.embedding_mean", [embeddingSize]),
    embeddingWeight,
    matrix,
    scales: takeF32(tensors, "features.scales", [columns]),
    size,
    shapeMean: takeF32(tensors, "features.shape_mean", [shapeSize]),
    shapeScale: takeF32(tensors, "features.shape_scale", [shapeSize]),
  };
}

/** Scale, idf or mean, and eight bytes that keep the data at a multiple of sixteen. */
const rowHead = 16;
/** Whole lines of the cache, so that a row of the usual size is two of them and never three. */
const strideOf = (size: number) => (rowHead + size + 63) & ~63;
/** Which of 64 buckets have a row, and how many rows are before theirs: 16 bytes. */
const wordBytes = (lexicalBuckets / 64) * 16;

/** Rows of the artifact's matrix by ascending bucket; of a bucket that stands there twice, the last. */
function rankBuckets(buckets: Int32Array): Int32Array {
  const inOrder = buckets.every((bucket, i) => {
    return bucket < lexicalBuckets && bucket > (i === 0 ? -1 : (buckets[i - 1] as number));
  });
  if (inOrder) return Int32Array.from(buckets, (_, row) => row);
  const rowOf = new Map<number, number>();
  buckets.forEach((bucket, row) => {
    rowOf.set(toBucket(bucket), row);
  });
  return Int32Array.from([...rowOf].sort(([a], [b]) => a - b).map(([, row]) => row));
}

const toBucket = (number: number) => number & (lexicalBuckets - 1);

function storeWords(kernels: Kernels, buckets: Int32Array, order: Int32Array): number {
  const at = kernels.alloc(wordBytes);
  const bits = kernels.u8(at, wordBytes);
  const ranks = kernels.i32(at, wordBytes / 4);
  let word = 0;
  order.forEach((row, rank) => {
    const bucket = toBucket(buckets[row] as number);
    for (; word <= bucket >> 6; word++) ranks[word * 4 + 2] = rank;
    const byte = (bucket >> 6) * 16 + ((bucket >> 3) & 7);
    bits[byte] = (bits[byte] as number) | (1 << (bucket & 7));
  });
  return at;
}

/** Everything of a row side by side: two lines of the cache, where tables apart take five. */
async function storeRows(
  kernels: Kernels,
  { buckets, idf, embeddingMean, matrix, scales, size }: Learnt,
  order: Int32Array,
  pause: Pause,
): Promise<number> {
  const stride = strideOf(size);
  const count = order.length + embeddingMean.length;
  const at = allocLines(kernels, count * stride);
  const heads = kernels.f32(at, (count * stride) / 4);
  const data = kernels.i32(at, (count * stride) / 4);
  const from = new Int32Array(matrix.buffer, matrix.byteOffset, matrix.length / 4);
  for (let to = 0; to < count; to++) {
    const known = to < order.length;
    const row = known ? (order[to] as number) : buckets.length + to - order.length;
    const offset = known ? idf[row] : embeddingMean[to - order.length];
    let head = (to * stride) / 4;
    heads[head] = scales[row] as number;
    heads[head + 1] = offset as number;
    head += rowHead / 4;
    for (let i = 0; i < size / 4; i++) data[head + i] = from[(row * size) / 4 + i] as number;
    if (to % 64 === 0) await pause();
  }
  return at;
}

/** Puts features where the kernels read them; gives the number of buckets. */
function createStore(
  kernels: Kernels,
  inputAt: number,
  inputBytes: number,
  embeddingSize: number,
): (raw: RawFeatures) => number {
  const bytes = kernels.u8(inputAt, inputBytes);
  const floats = kernels.f32(inputAt, embeddingSize + shapeSize);
  const bucketsAt = (embeddingSize + shapeSize) * 4;
  const buckets = new Uint16Array(kernels.memory, inputAt + bucketsAt, mostBuckets);
  return (raw) => {
    if (raw instanceof PackedFeatures) {
      bytes.set(raw.packed);
      return raw.buckets;
    }
    const count = raw.lexicalBuckets.length;
    floats.set(raw.embedding);
    floats.set(raw.shape, embeddingSize);
    buckets.set(raw.lexicalBuckets);
    bytes.set(raw.lexicalCounts, bucketsAt + 2 * count);
    return count;
  };
}
