/** Rows of an imported router on their way into service, in pieces: others share the thread. */
import type { Kernels } from "../../../kernels/kernels.ts";
import type { Pause } from "../../../std/pause.ts";

/** Numbers between two pauses: under a tenth of a millisecond to copy, half of one to work with. */
const piece = 64 * 1024;

/** Copies rows to the kernels' memory; gives their place. */
export async function storeRows(
  kernels: Kernels,
  values: Float32Array,
  pause: Pause,
): Promise<number> {
  const at = kernels.alloc(values.byteLength);
  const to = kernels.f32(at, values.length);
  for (let from = 0; from < values.length; from += piece) {
    to.set(values.subarray(from, from + piece), from);
    await pause();
  }
  return at;
}

/** Calls `work` for every row, with pauses. */
export async function eachRow(
  n: number,
  d: number,
  pause: Pause,
  work: (row: number) => void,
): Promise<void> {
  const rows = Math.max(1, Math.floor(piece / 4 / Math.max(1, d)));
  for (let row = 0; row < n; row++) {
    work(row);
    if (row % rows === rows - 1) await pause();
  }
}

/** Σ x² of every row, in double precision. */
export async function squaresOf(
  rows: Float32Array,
  n: number,
  pause: Pause,
): Promise<Float64Array> {
  const d = n > 0 ? rows.length / n : 0;
  const squares = new Float64Array(n);
  await eachRow(n, d, pause, (row) => {
    let sum = 0;
    for (let i = row * d; i < (row + 1) * d; i++) sum += (rows[i] as number) ** 2;
    squares[row] = sum;
  });
  return squares;
}
