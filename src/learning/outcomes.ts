/** What every model made of every query, and what that cost: what predictions are judged by. */
export interface Outcomes {
  readonly n: number;
  readonly m: number;
  /** n×m. */
  readonly quality: Float32Array;
  readonly costUsd: Float64Array;
  /** n: queries that each row stands for; missing: 1. */
  readonly mass?: Float32Array;
}
