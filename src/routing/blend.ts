/**
 * From what a strategy predicts to what is believed of it: gains over the models' mean qualities, seen
 * through a matrix that validation learnt (`learning/fit-blend.ts`), and shrunk by a factor.
 */

/** A row of m predictions within arrays of many. */
export interface BlendTarget {
  readonly predicted: Float32Array;
  /** The models' mean qualities. */
  readonly table: Float32Array;
  readonly out: Float32Array;
  /** Where the row begins in `predicted` and `out`, and in `table`. */
  readonly at: number;
  readonly tableAt: number;
  readonly m: number;
}

/**
 * out = table + factor·B·(predicted − table), cut to [0, 1]; without a blend B is the identity.
 * Cost: m² multiplications, on the way of every decision.
 */
export function blendRow(
  blend: Float32Array | undefined,
  factor: number,
  { predicted, table, out, at, tableAt, m }: BlendTarget,
): void {
  for (let j = 0; j < m; j++) {
    const mean = table[tableAt + j] as number;
    let gain = 0;
    if (blend) {
      const row = j * m;
      for (let i = 0; i < m; i++) {
        gain +=
          (blend[row + i] as number) *
          ((predicted[at + i] as number) - (table[tableAt + i] as number));
      }
    } else gain = (predicted[at + j] as number) - mean;
    out[at + j] = Math.max(0, Math.min(1, mean + factor * gain));
  }
}
