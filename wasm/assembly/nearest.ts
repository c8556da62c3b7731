// The mean quality of a query's nearest rows: src/routing/strategies/knn.ts says which, and why.
import { matvecI8 } from "./dense";
import { projectSparseF32 } from "./pool";
import { quantizeQueryF32 } from "./quantize";

// The layout that JavaScript writes, an i32 each but for WANTED.
const ROWS = 0; // n×d int8, their scales and sums as in topKI8
const SCALES = 4;
const ROW_SUMS = 8;
const QUALITY = 12; // n×m f32: sums of quality
const WEIGHT = 16; // n×m f32: what they are sums over; 0 where it is the mass of the row for all
const MASS = 20; // n f32: training rows that a row stands for
const X = 24; // the query, d f32
const QUERY = 28; // scratch: d bytes
// Three of n, with room up to a multiple of four:
const SIMILARITY = 32; // out: f32
const FOUND = 36; // scratch: i32
const FACTOR = 40; // scratch: f32
const SUMS = 44; // out: m f32, to which Σ factor · quality is added
const USED = 48; // out: m f32, to which Σ factor · weight is added
const BINS = 52; // scratch: 512 f64
const NEAREST = 56; // out: row (i32) and similarity (f32) of the five most similar, best first
const N = 60;
const D = 64;
const M = 68;
const BY_DISTANCE = 72; // 1: a nearer row counts for more
const WANTED = 80; // f64: training rows that are averaged
const USED_MASS = 88; // out: f64, Σ factor · mass

const BIN_COUNT = 512;
const KEPT: usize = 5;

/** Returns how many are in NEAREST. */
export function averageNearest(layout: usize): i32 {
  const n = load<i32>(layout, N);
  const d = load<i32>(layout, D);
  const m = load<i32>(layout, M);
  const query = <usize>load<i32>(layout, QUERY);
  const similarity = <usize>load<i32>(layout, SIMILARITY);
  const scale = quantizeQueryF32(<usize>load<i32>(layout, X), query, d);
  const rows = <usize>load<i32>(layout, ROWS);
  const scales = <usize>load<i32>(layout, SCALES);
  const rowSums = <usize>load<i32>(layout, ROW_SUMS);
  matvecI8(rows, scales, rowSums, query, scale, 0, similarity, n, d);
  const found = <usize>load<i32>(layout, FOUND);
  const factor = <usize>load<i32>(layout, FACTOR);
  const count = select(layout, n, similarity, found, factor);
  const quality = <usize>load<i32>(layout, QUALITY);
  projectSparseF32(quality, found, factor, count, m, <usize>load<i32>(layout, SUMS));
  const weight = <usize>load<i32>(layout, WEIGHT);
  if (weight) projectSparseF32(weight, found, factor, count, m, <usize>load<i32>(layout, USED));
  else sumMass(layout, count, found, factor);
  return keepNearest(layout, count, found, similarity);
}

/**
 * The bins of four cosines; what rounding puts outside [−1, 1] belongs to the outermost ones. In
 * double precision, as the oracle reckons.
 */
// @ts-ignore: decorator
@inline
function toBins(similarity: v128): v128 {
  const one = f64x2.splat(1);
  const half = f64x2.splat(BIN_COUNT / 2);
  const least = f64x2.splat(0);
  const most = f64x2.splat(BIN_COUNT - 1);
  let low = f64x2.promote_low_f32x4(similarity);
  let high = f64x2.promote_low_f32x4(i8x16.shuffle(similarity, similarity, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7));
  low = f64x2.max(least, f64x2.min(most, f64x2.mul(f64x2.add(low, one), half)));
  high = f64x2.max(least, f64x2.min(most, f64x2.mul(f64x2.add(high, one), half)));
  return i64x2.shuffle(i32x4.trunc_sat_f64x2_s_zero(low), i32x4.trunc_sat_f64x2_s_zero(high), 0, 2);
}

/** Of the rows, one in eight is looked at to tell how near the wanted ones are … */
const SAMPLE_STEP: usize = 8 << 4;
/** … in bins of eight. Fewer rows than this are all looked at. */
const LEAST_SAMPLED = 256;
const COARSE = 3;
const COARSE_COUNT = BIN_COUNT >> COARSE;
/** More than is wanted, as a sample errs. */
const SAMPLE_MARGIN: f64 = 1.5;

/**
 * The nearest rows that together stand for the wanted ones, to `found` and `factor`; those in the
 * last bin of similarity share what is left. O(n), where a sorted top-k is O(n·k).
 */
function select(layout: usize, n: i32, similarity: usize, found: usize, factor: usize): i32 {
  const least = n < LEAST_SAMPLED ? 0 : guess(layout, n, similarity);
  let count = selectFrom(least, layout, n, similarity, found, factor);
  if (count < 0) count = selectFrom(0, layout, n, similarity, found, factor);
  return count;
}

/** A bin that the wanted rows are probably not below. */
function guess(layout: usize, n: i32, similarity: usize): i32 {
  const mass = <usize>load<i32>(layout, MASS);
  const bins = <usize>load<i32>(layout, BINS);
  memory.fill(bins, 0, COARSE_COUNT << 3);
  for (let i: usize = 0, end = <usize>(n & ~3) << 2; i < end; i += SAMPLE_STEP) {
    const at = i32x4.shr_u(toBins(v128.load(similarity + i)), COARSE);
    addMass(bins, i32x4.extract_lane(at, 0), mass + i);
    addMass(bins, i32x4.extract_lane(at, 1), mass + i + 4);
    addMass(bins, i32x4.extract_lane(at, 2), mass + i + 8);
    addMass(bins, i32x4.extract_lane(at, 3), mass + i + 12);
  }
  const wanted = load<f64>(layout, WANTED) * (SAMPLE_MARGIN / 8);
  let last: i32 = COARSE_COUNT - 1;
  let above: f64 = 0;
  for (; last > 0; last--) {
    above += load<f64>(bins + (<usize>last << 3));
    if (above >= wanted) break;
  }
  return last << COARSE;
}

// @ts-ignore: decorator
@inline
function addMass(bins: usize, bin: i32, mass: usize): void {
  const at = bins + (<usize>bin << 3);
  store<f64>(at, load<f64>(at) + <f64>load<f32>(mass));
}

/** As `select`, of the rows from a bin on; −1 where the wanted ones reach below it. */
function selectFrom(
  least: i32,
  layout: usize,
  n: i32,
  similarity: usize,
  found: usize,
  factor: usize,
): i32 {
  const mass = <usize>load<i32>(layout, MASS);
  const bins = <usize>load<i32>(layout, BINS);
  const wanted = load<f64>(layout, WANTED);
  const byDistance = load<i32>(layout, BY_DISTANCE) == 1;
  const near = gather(least, n, similarity, found, factor);
  // Rounding may have let rows of the bin below in.
  const from = max<i32>(0, least - 1);
  memory.fill(bins + (<usize>from << 3), 0, <usize>(BIN_COUNT - from) << 3);
  for (let i: usize = 0; i < near; i += 4) {
    addMass(bins, binOf(load<f32>(factor + i)), mass + (<usize>load<i32>(found + i) << 2));
  }
  let last: usize = BIN_COUNT - 1;
  let above: f64 = 0;
  while (<i32>last > least && above + load<f64>(bins + (last << 3)) < wanted) {
    above += load<f64>(bins + (last << 3));
    last--;
  }
  const inLast = load<f64>(bins + (last << 3));
  if (least > 0 && above + inLast < wanted) return -1;
  const share: f64 = inLast > 0 ? min<f64>(1, (wanted - above) / inLast) : 0;
  let count: usize = 0;
  // Written always, and kept by the count: which rows are near is nothing a processor can foretell.
  for (let i: usize = 0; i < near; i += 4) {
    const value = load<f32>(factor + i);
    const bin = binOf(value);
    const weight: f64 = byDistance ? max<f64>(0.01, <f64>value) : 1;
    store<i32>(found + count, load<i32>(found + i));
    store<f32>(factor + count, <f32>((bin == <i32>last ? share : 1) * weight));
    count += <usize>(bin >= <i32>last) << 2;
  }
  return <i32>(count >>> 2);
}

/** As `toBins`, of one. */
// @ts-ignore: decorator
@inline
function binOf(similarity: f32): i32 {
  const bin: f64 = (<f64>similarity + 1) * <f64>(BIN_COUNT / 2);
  return <i32>max<f64>(0, min<f64>(<f64>(BIN_COUNT - 1), bin));
}

/** Rows of a bin and above, and a few below by rounding, with their similarities; gives their bytes. */
function gather(least: i32, n: i32, similarity: usize, found: usize, values: usize): usize {
  const end = <usize>n << 2;
  // Half a millionth lower than the bin begins: at its border, a double may round up into it.
  const border: f32 = least > 0 ? <f32>(<f64>least / <f64>(BIN_COUNT / 2) - 1 - 5e-7) : -Infinity;
  const borders = f32x4.splat(border);
  let count: usize = 0;
  let i: usize = 0;
  for (const blocks = <usize>(n & ~3) << 2; i < blocks; i += 16) {
    const four = v128.load(similarity + i);
    if (!v128.any_true(f32x4.ge(four, borders))) continue;
    const row = <i32>(i >>> 2);
    count = keep(row, f32x4.extract_lane(four, 0), border, found, values, count);
    count = keep(row + 1, f32x4.extract_lane(four, 1), border, found, values, count);
    count = keep(row + 2, f32x4.extract_lane(four, 2), border, found, values, count);
    count = keep(row + 3, f32x4.extract_lane(four, 3), border, found, values, count);
  }
  for (; i < end; i += 4) {
    count = keep(<i32>(i >>> 2), load<f32>(similarity + i), border, found, values, count);
  }
  return count;
}

// @ts-ignore: decorator
@inline
function keep(row: i32, value: f32, border: f32, found: usize, values: usize, count: usize): usize {
  store<i32>(found + count, row);
  store<f32>(values + count, value);
  return count + (<usize>(value >= border) << 2);
}

/** Every model was observed on every row: one sum of weights serves them all. */
function sumMass(layout: usize, count: i32, found: usize, factor: usize): void {
  const mass = <usize>load<i32>(layout, MASS);
  let sum: f64 = 0;
  for (let i: usize = 0, end = <usize>count << 2; i < end; i += 4) {
    const row = <usize>load<i32>(found + i) << 2;
    sum += <f64>load<f32>(factor + i) * <f64>load<f32>(mass + row);
  }
  store<f64>(layout, sum, USED_MASS);
}

/** The five most similar of the found rows; ties keep the lower row. */
function keepNearest(layout: usize, count: i32, found: usize, similarity: usize): i32 {
  const best = <usize>load<i32>(layout, NEAREST);
  let kept: usize = 0;
  for (let i: usize = 0, end = <usize>count << 2; i < end; i += 4) {
    const row = load<i32>(found + i);
    const near = load<f32>(similarity + (<usize>row << 2));
    if (kept == KEPT && near <= load<f32>(best + ((KEPT - 1) << 3), 4)) continue;
    let at = kept < KEPT ? kept++ : KEPT - 1;
    for (; at > 0 && load<f32>(best + ((at - 1) << 3), 4) < near; at--) {
      store<u64>(best + (at << 3), load<u64>(best + ((at - 1) << 3)));
    }
    store<i32>(best + (at << 3), row);
    store<f32>(best + (at << 3), near, 4);
  }
  return <i32>kept;
}
