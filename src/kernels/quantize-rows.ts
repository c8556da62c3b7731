/** A matrix of floats as int8 rows with a scale each: how routers keep what they learnt. */
import type { Kernels } from "./kernels.ts";

/** @param matrix rows×columns, row-major. Cost: O(rows·columns), a kernels instance for the length of it. */
export function quantizeRows(
  matrix: Float32Array,
  rows: number,
  columns: number,
  createKernels: (bytes: number) => Kernels,
) {
  const kernels = createKernels(columns * 5 + 64);
  const rowAt = kernels.alloc(columns * 4);
  const row = kernels.f32(rowAt, columns);
  const outAt = kernels.alloc(columns);
  const out = kernels.i8(outAt, columns);
  const quantized = new Int8Array(rows * columns);
  const scales = new Float32Array(rows);
  for (let r = 0; r < rows; r++) {
    row.set(matrix.subarray(r * columns, (r + 1) * columns));
    scales[r] = kernels.quantizeF32(rowAt, outAt, columns);
    quantized.set(out, r * columns);
  }
  return { rows: quantized, scales };
}
