/**
 * The contract of a learned strategy: learning and scoring side by side. A strategy predicts each
 * model's quality from a feature vector; cost, the dial and the choice belong to `routing/decide.ts`.
 */
import type { Static, TObject } from "@sinclair/typebox";
import type { Kernels } from "../../kernels/kernels.ts";
import type { Pause } from "../../std/pause.ts";
import type { Random } from "../../std/random.ts";

/** Rows to learn from. NaN in `quality` means: not observed. */
export interface Examples {
  readonly models: readonly string[];
  /** n×d, row-major: the featurizer's output, each row of about unit length. */
  readonly x: Float32Array;
  readonly n: number;
  readonly d: number;
  /** n×m, row-major, in [0, 1]. */
  readonly quality: Float32Array;
  /** n: importance of a row; logged rows carry 1/propensity (clipped). */
  readonly weight: Float32Array;
  /** n: rows of one group (near-duplicate queries) never straddle a fold. */
  readonly group: Int32Array;
  /** m: parameters in billions and USD per million tokens, NaN where unknown. */
  readonly sizeB: Float32Array;
  readonly priceUsdPerMtok: Float32Array;
  /** m: mean cost of a row, NaN where unknown. */
  readonly meanCostUsd?: Float32Array;
  /** n: who asked, hashed (`hashUser`); undefined where nobody was named. For personal strategies. */
  readonly user?: readonly (string | undefined)[];
  /** n×m: share of a verifier's verdicts in favour of a model's answer; NaN where unknown. */
  readonly verification?: Float32Array;
}

/** What a strategy learnt: named tensors (safetensors) and small JSON; data, never code. */
export interface Fitted {
  readonly tensors: Readonly<Record<string, Tensor>>;
  readonly json: Readonly<Record<string, unknown>>;
  /** Further files of the artifact: `mlp.onnx`. */
  readonly files?: Readonly<Record<string, Uint8Array>>;
}

export type Tensor =
  | { readonly dtype: "F32"; readonly shape: readonly number[]; readonly values: Float32Array }
  | { readonly dtype: "I8"; readonly shape: readonly number[]; readonly values: Int8Array }
  | { readonly dtype: "I32"; readonly shape: readonly number[]; readonly values: Int32Array };

export interface FitContext {
  readonly random: Random;
  readonly kernels: (bytes: number) => Kernels;
  /** 0..1; for progress bars. */
  readonly progress: (share: number) => void;
  /** A fit that validation throws away: what costs time and adds a little may be left out. */
  readonly draft?: boolean;
}

/**
 * Scores of one query, per model in the order of `Examples.models`. A scorer that answers at once
 * may overwrite them with its next answer.
 */
export interface Scores {
  /** m, in [0, 1]. */
  readonly quality: Float32Array;
  /** m: standard deviation of the estimate; NaN where the strategy has none. */
  readonly uncertainty: Float32Array;
  readonly neighbours?: readonly { readonly row: number; readonly similarity: number }[];
}

/** A strategy at work. Owns its kernels instance; `close` frees what is outside the heap. */
export interface Scorer {
  readonly sync: boolean;
  /**
   * True where the strategy itself decides, and neither the dial nor shrinkage has a say: smallest,
   * largest, a fixed threshold, a vote on the best model's name. The highest quality is its choice.
   */
  readonly constant?: boolean;
  /** True where scores depend on who asks. */
  readonly personal?: boolean;
  /** @param user as in `Examples.user`; unknown ones get what is true of everybody */
  score(x: Float32Array, user?: string): Scores | Promise<Scores>;
  close(): void;
}

/** An ONNX model in a worker: float32 [n, d] → float32 [n, m]. */
export type OpenOnnx = (bytes: Uint8Array) => Promise<{
  run(input: Float32Array, rows: number): Promise<Float32Array>;
  close(): void;
}>;

export interface ScorerShape {
  /** Length of x. */
  readonly d: number;
  /** Number of models. */
  readonly m: number;
}

export interface Strategy<Options extends TObject = TObject> {
  /** `llmrouter-knn` … */
  readonly name: string;
  readonly summary: string;
  readonly options: Options;
  fit(examples: Examples, options: Static<Options>, context: FitContext): Fitted | Promise<Fitted>;
  /**
   * @throws GatewayError artifact_refused when what was learnt does not fit the shape: the numbers
   * come from a file, and the kernels check nothing.
   */
  load(
    fitted: Fitted,
    shape: ScorerShape,
    kernels: (bytes: number) => Kernels,
    openOnnx?: OpenOnnx,
    pause?: Pause,
  ): Scorer | Promise<Scorer>;
}

/** A strategy that serves what another program learnt: there is nothing to fit. */
export type ServedStrategy = Pick<Strategy, "name" | "summary" | "load">;

export function defineStrategy<Options extends TObject>(
  strategy: Strategy<Options>,
): Strategy<Options> {
  return strategy;
}
