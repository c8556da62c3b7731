/**
 * What is learnt while serving: per label a correction of the router's predicted quality, linear in
 * the leading features, and how uncertain it is. Data alone, swapped whole; the router stays as it was
 * trained, so that forgetting the state is always safe. `learning/online-regression.ts` makes it.
 */
import type { QueryScores, TrainedRouter } from "./trained-router.ts";

export interface OnlineState {
  /** Names it in receipts, so that they can be executed again; from 1. */
  readonly id: number;
  /** sha256 of the router that it corrects. */
  readonly artifact: string;
  /** m×inputs. */
  readonly mean: Float32Array;
  /** m×inputs×inputs, symmetric. */
  readonly covariance: Float32Array;
}

/** A constant, and the leading directions of the featurizer: those that vary most. */
export const onlineInputs = 25;

/** The inputs of a feature vector. */
export function toInputs(x: Float32Array, to: Float32Array = new Float32Array(onlineInputs)) {
  to[0] = 1;
  for (let i = 1; i < onlineInputs; i++) to[i] = x[i - 1] ?? 0;
  return to;
}

/** Whether a state is about a router: the numbers come from a file. */
export function fits(state: OnlineState, { identity, labels }: TrainedRouter): boolean {
  const m = labels.length;
  return (
    state.artifact === identity.sha256 &&
    state.mean.length === m * onlineInputs &&
    state.covariance.length === m * onlineInputs * onlineInputs
  );
}

/**
 * Scores with qualities corrected, and uncertainties of the correction in the strategy's place. The
 * arrays are new ones. Cost: about 1 µs a label.
 */
export function correct(
  scores: QueryScores,
  inputs: Float32Array,
  { mean, covariance }: Pick<OnlineState, "mean" | "covariance">,
): QueryScores {
  const m = scores.quality.length;
  const quality = new Float32Array(m);
  const uncertainty = new Float32Array(m);
  for (let j = 0; j < m; j++) {
    let shift = 0;
    let variance = 0;
    const row = j * onlineInputs;
    for (let a = 0; a < onlineInputs; a++) {
      const input = inputs[a] as number;
      shift += (mean[row + a] as number) * input;
      let sum = 0;
      const at = (row + a) * onlineInputs;
      for (let b = 0; b < onlineInputs; b++) {
        sum += (covariance[at + b] as number) * (inputs[b] as number);
      }
      variance += sum * input;
    }
    quality[j] = Math.max(0, Math.min(1, (scores.quality[j] as number) + shift));
    uncertainty[j] = Math.sqrt(Math.max(0, variance));
  }
  return { ...scores, quality, uncertainty };
}

/** What an outcome will teach: which label, at which inputs, beside which prediction. */
export interface Lesson {
  readonly artifact: string;
  readonly label: number;
  readonly inputs: Float32Array;
  /** The router's own, uncorrected. */
  readonly predicted: number;
}

/** The learner as the router sees it. */
export interface OnlineScores {
  /** The state in force for a router; undefined where there is none yet. */
  stateFor(router: TrainedRouter): OnlineState | undefined;
  /** A call ended: its score, when one comes, will teach this. A failure teaches at once. */
  ended(callId: string, lesson: Lesson, ok: boolean): void;
}
