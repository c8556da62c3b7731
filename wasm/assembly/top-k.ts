// The k best of n rows. A binary heap of the k best so far, the worst at its root, lives in the two
// output arrays; at the end it is sorted in place, best first. Of equal scores the lower row wins.
import { dotAddI8, dotF32, dotI8, squaredDistanceF32, sumI32 } from "./dot";

/** Whether (scoreA, rowA) is worse than (scoreB, rowB). */
// @ts-ignore: decorator
@inline
function worse(scoreA: f32, rowA: i32, scoreB: f32, rowB: i32): bool {
  return scoreA < scoreB || (scoreA == scoreB && rowA > rowB);
}

function siftDown(rows: usize, scores: usize, start: i32, size: i32, row: i32, score: f32): void {
  let hole = start;
  while (true) {
    let child = 2 * hole + 1;
    if (child >= size) break;
    let at = <usize>child << 2;
    if (
      child + 1 < size &&
      worse(load<f32>(scores + at + 4), load<i32>(rows + at + 4), load<f32>(scores + at), load<i32>(rows + at))
    ) {
      child++;
      at += 4;
    }
    if (!worse(load<f32>(scores + at), load<i32>(rows + at), score, row)) break;
    store<f32>(scores + (<usize>hole << 2), load<f32>(scores + at));
    store<i32>(rows + (<usize>hole << 2), load<i32>(rows + at));
    hole = child;
  }
  store<f32>(scores + (<usize>hole << 2), score);
  store<i32>(rows + (<usize>hole << 2), row);
}

function siftUp(rows: usize, scores: usize, start: i32, row: i32, score: f32): void {
  let hole = start;
  while (hole > 0) {
    const parent = (hole - 1) >> 1;
    const at = <usize>parent << 2;
    if (!worse(score, row, load<f32>(scores + at), load<i32>(rows + at))) break;
    store<f32>(scores + (<usize>hole << 2), load<f32>(scores + at));
    store<i32>(rows + (<usize>hole << 2), load<i32>(rows + at));
    hole = parent;
  }
  store<f32>(scores + (<usize>hole << 2), score);
  store<i32>(rows + (<usize>hole << 2), row);
}

/** Rows come in ascending order, so an equal score is a higher row and never displaces. */
// @ts-ignore: decorator
@inline
function offer(rows: usize, scores: usize, k: i32, row: i32, score: f32): void {
  if (row < k) siftUp(rows, scores, row, row, score);
  else if (score > load<f32>(scores)) siftDown(rows, scores, 0, k, row, score);
}

function sortBestFirst(rows: usize, scores: usize, k: i32): void {
  for (let size = k - 1; size > 0; size--) {
    const at = <usize>size << 2;
    const row = load<i32>(rows + at);
    const score = load<f32>(scores + at);
    store<i32>(rows + at, load<i32>(rows));
    store<f32>(scores + at, load<f32>(scores));
    siftDown(rows, scores, 0, size, row, score);
  }
}

export function topKF32(
  rows: usize,
  query: usize,
  n: i32,
  d: i32,
  k: i32,
  outRows: usize,
  outScores: usize,
): void {
  const stride = <usize>d << 2;
  for (let r = 0, row = rows; r < n; r++, row += stride) {
    offer(outRows, outScores, k, r, dotF32(row, query, d));
  }
  sortBestFirst(outRows, outScores, k);
}

/** Ascending squared distances: the heap holds their negatives. */
export function nearestKF32(
  rows: usize,
  query: usize,
  n: i32,
  d: i32,
  k: i32,
  outRows: usize,
  outDistances: usize,
): void {
  const stride = <usize>d << 2;
  for (let r = 0, row = rows; r < n; r++, row += stride) {
    offer(outRows, outDistances, k, r, -squaredDistanceF32(row, query, d));
  }
  sortBestFirst(outRows, outDistances, k);
  for (let i: usize = 0, end = <usize>k << 2; i < end; i += 4) {
    store<f32>(outDistances + i, -load<f32>(outDistances + i));
  }
}

export function topKI8(
  rows: usize,
  scales: usize,
  rowSums: usize,
  query: usize,
  queryScale: f32,
  n: i32,
  d: i32,
  k: i32,
  outRows: usize,
  outScores: usize,
): void {
  const stride = <usize>d;
  const blocks = n & ~3;
  let r = 0;
  let row = rows;
  // Four rows share each load of the query; more would not fit the registers.
  for (; r < blocks; r += 4) {
    const row1 = row + stride;
    const row2 = row1 + stride;
    const row3 = row2 + stride;
    let a0 = i32x4.splat(0);
    let a1 = i32x4.splat(0);
    let a2 = i32x4.splat(0);
    let a3 = i32x4.splat(0);
    for (let i: usize = 0; i < stride; i += 16) {
      const q = v128.load(query + i);
      a0 = dotAddI8(v128.load(row + i), q, a0);
      a1 = dotAddI8(v128.load(row1 + i), q, a1);
      a2 = dotAddI8(v128.load(row2 + i), q, a2);
      a3 = dotAddI8(v128.load(row3 + i), q, a3);
    }
    const at = <usize>r << 2;
    const s0 = scoreOf(sumI32(a0), scales + at, rowSums + at, queryScale);
    const s1 = scoreOf(sumI32(a1), scales + at + 4, rowSums + at + 4, queryScale);
    const s2 = scoreOf(sumI32(a2), scales + at + 8, rowSums + at + 8, queryScale);
    const s3 = scoreOf(sumI32(a3), scales + at + 12, rowSums + at + 12, queryScale);
    offer(outRows, outScores, k, r, s0);
    offer(outRows, outScores, k, r + 1, s1);
    offer(outRows, outScores, k, r + 2, s2);
    offer(outRows, outScores, k, r + 3, s3);
    row = row3 + stride;
  }
  for (; r < n; r++, row += stride) {
    const at = <usize>r << 2;
    const score = scoreOf(dotI8(row, query, d), scales + at, rowSums + at, queryScale);
    offer(outRows, outScores, k, r, score);
  }
  sortBestFirst(outRows, outScores, k);
}

/** The query was shifted by 64 to be unsigned; 64·Σ row takes that back. */
// @ts-ignore: decorator
@inline
function scoreOf(dot: i32, scale: usize, rowSum: usize, queryScale: f32): f32 {
  return <f32>(dot - (load<i32>(rowSum) << 6)) * load<f32>(scale) * queryScale;
}
