// The arithmetic of routing, over one linear memory that JavaScript lays out. No allocation, no
// runtime, no table: every function reads and writes what it is pointed at.
// Sums run in a fixed lane order without fused multiply-add, so both builds (and the scalar oracle)
// give the same bits on every processor. src/kernels/kernels.ts documents each export.
export { dotF32, cosineF32, squaredDistanceF32 } from "./dot";
export { topKF32, topKI8, nearestKF32 } from "./top-k";
export { matvecF32, largestDotF32, matvecI8, reluF32, axpyF32, normalizeF32 } from "./dense";
export { rbfF32 } from "./rbf";
export { matvecWide } from "./wide";
export { quantizeF32, quantizeQueryF32, rowSumsI8 } from "./quantize";
export { sumPoolI8, projectSparseF32 } from "./pool";
export { featurize } from "./featurize";
export { averageNearest } from "./nearest";
export { indexPieces, wordPieces } from "./pieces";
export { readText } from "./text";

/** First byte that nothing static uses. */
export function heapBase(): usize {
  return __heap_base;
}
