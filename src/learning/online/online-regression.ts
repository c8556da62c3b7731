/**
 * Learning from single outcomes while serving: a Bayesian linear regression per label on what the
 * router's prediction left over. Its posterior mean and covariance are what LinUCB (Li et al.,
 * "A contextual-bandit approach", WWW 2010) and Thompson sampling (Agrawal and Goyal, ICML 2013) need.
 * Old outcomes fade, so that a model that changed is learnt anew.
 */
import { onlineInputs } from "../../routing/online.ts";

export interface OnlineRules {
  /** Standard deviation of an outcome about its expectation. */
  readonly noise: number;
  /** Standard deviation of a correction before any outcome: of its constant, of each weight. */
  readonly priorConstant: number;
  readonly priorWeight: number;
  /** Outcomes of a label that count: older ones fade by one over this at each new one. */
  readonly memory: number;
}

/** Predictions of a trained router are off by some 0.05 in the mean; thumbs vary by 0.4. */
export const onlineRules: OnlineRules = {
  noise: 0.4,
  priorConstant: 0.08,
  priorWeight: 0.12,
  memory: 5_000,
};

export interface OnlineRegression {
  /** A score less its prediction, at some inputs. Cost: 1 µs. */
  learn(label: number, inputs: Float32Array, residual: number): void;
  /** Posterior of all labels; only those that learnt since the last time are reckoned again. */
  posterior(): { readonly mean: Float32Array; readonly covariance: Float32Array };
  /** What was learnt, to be kept: per label Σxxᵀ, Σxy and the weight of outcomes. */
  readonly sums: OnlineSums;
}

export interface OnlineSums {
  readonly squares: Float64Array;
  readonly products: Float64Array;
  readonly weight: Float64Array;
}

const d = onlineInputs;

export function emptySums(labels: number): OnlineSums {
  return {
    squares: new Float64Array(labels * d * d),
    products: new Float64Array(labels * d),
    weight: new Float64Array(labels),
  };
}

export function createOnlineRegression(
  labels: number,
  sums: OnlineSums = emptySums(labels),
  rules: OnlineRules = onlineRules,
): OnlineRegression {
  const mean = new Float32Array(labels * d);
  const covariance = new Float32Array(labels * d * d);
  const changed = new Set(Array.from({ length: labels }, (_, label) => label));
  const fade = 1 - 1 / rules.memory;

  function reckon(label: number): void {
    const precision = new Float64Array(d * d);
    const noise = rules.noise ** 2;
    for (let i = 0; i < d * d; i++) {
      precision[i] = (sums.squares[label * d * d + i] as number) / noise;
    }
    for (let a = 0; a < d; a++) {
      const prior = a === 0 ? rules.priorConstant : rules.priorWeight;
      precision[a * d + a] = (precision[a * d + a] as number) + 1 / prior ** 2;
    }
    const inverse = invert(precision, d);
    covariance.set(inverse, label * d * d);
    for (let a = 0; a < d; a++) {
      let sum = 0;
      for (let b = 0; b < d; b++) {
        sum += (inverse[a * d + b] as number) * (sums.products[label * d + b] as number);
      }
      mean[label * d + a] = sum / noise;
    }
  }

  return {
    sums,
    learn(label, inputs, residual) {
      changed.add(label);
      const square = label * d * d;
      const product = label * d;
      sums.weight[label] = (sums.weight[label] as number) * fade + 1;
      for (let a = 0; a < d; a++) {
        const input = inputs[a] as number;
        sums.products[product + a] =
          (sums.products[product + a] as number) * fade + input * residual;
        const row = square + a * d;
        for (let b = 0; b < d; b++) {
          sums.squares[row + b] =
            (sums.squares[row + b] as number) * fade + input * (inputs[b] as number);
        }
      }
    },
    posterior() {
      for (const label of changed) reckon(label);
      changed.clear();
      return { mean, covariance };
    },
  };
}

/** Of a symmetric positive definite matrix, by Cholesky. Cost: n³ flops. */
export function invert(matrix: Float64Array, n: number): Float64Array {
  const lower = new Float64Array(n * n);
  for (let i = 0; i < n; i++) {
    for (let j = 0; j <= i; j++) {
      let sum = matrix[i * n + j] as number;
      for (let k = 0; k < j; k++) {
        sum -= (lower[i * n + k] as number) * (lower[j * n + k] as number);
      }
      lower[i * n + j] =
        i === j ? Math.sqrt(Math.max(sum, 1e-300)) : sum / (lower[j * n + j] as number);
    }
  }
  const inverse = new Float64Array(n * n);
  const column = new Float64Array(n);
  for (let c = 0; c < n; c++) {
    for (let i = 0; i < n; i++) {
      let sum = i === c ? 1 : 0;
      for (let k = 0; k < i; k++) sum -= (lower[i * n + k] as number) * (column[k] as number);
      column[i] = sum / (lower[i * n + i] as number);
    }
    for (let i = n - 1; i >= 0; i--) {
      let sum = column[i] as number;
      for (let k = i + 1; k < n; k++) sum -= (lower[k * n + i] as number) * (column[k] as number);
      column[i] = sum / (lower[i * n + i] as number);
    }
    for (let i = 0; i < n; i++) inverse[i * n + c] = column[i] as number;
  }
  return inverse;
}
