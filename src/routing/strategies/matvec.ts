/** A matrix that waits in the kernels' memory for vectors: what most scorers are made of. */
import type { Kernels } from "../../kernels/kernels.ts";

/**
 * rows×columns times x, plus the bias where there is one. The answer is overwritten by the next.
 * Cost: rows·columns multiplications in the kernels.
 */
export function createMatvec(
  matrix: Float32Array,
  bias: Float32Array | undefined,
  columns: number,
  createKernels: (bytes: number) => Kernels,
): (x: Float32Array) => Float32Array {
  const rows = matrix.length / columns;
  const kernels = createKernels((matrix.length + columns + 2 * rows) * 4 + 256);
  const matrixAt = kernels.alloc(matrix.byteLength);
  kernels.f32(matrixAt, matrix.length).set(matrix);
  const biasAt = bias ? kernels.alloc(rows * 4) : 0;
  if (bias) kernels.f32(biasAt, rows).set(bias);
  const xAt = kernels.alloc(columns * 4);
  const input = kernels.f32(xAt, columns);
  const outAt = kernels.alloc(rows * 4);
  const out = kernels.f32(outAt, rows);
  return (x) => {
    input.set(x);
    kernels.matvecF32(matrixAt, xAt, biasAt, outAt, rows, columns);
    return out;
  };
}

/** Which of the rows (unit length) is nearest to x. */
export function createNearest(
  rows: Float32Array,
  columns: number,
  createKernels: (bytes: number) => Kernels,
): (x: Float32Array) => number {
  const count = rows.length / columns;
  const kernels = createKernels((rows.length + columns + 2) * 4 + 256);
  const rowsAt = kernels.alloc(rows.byteLength);
  kernels.f32(rowsAt, rows.length).set(rows);
  const xAt = kernels.alloc(columns * 4);
  const input = kernels.f32(xAt, columns);
  const idAt = kernels.alloc(4);
  const id = kernels.i32(idAt, 1);
  const scoreAt = kernels.alloc(4);
  return (x) => {
    input.set(x);
    kernels.topKF32(rowsAt, xAt, count, columns, 1, idAt, scoreAt);
    return id[0] as number;
  };
}
