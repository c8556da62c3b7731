/**
 * Bayesian ridge regression per model: a posterior over weights, so that an estimate comes with its
 * standard deviation. Features are x and a constant; prior N(0, σ²/λ), the constant's mean is the
 * model's level, drawn to all models' by `levelRows`.
 *   A = Λ + Σ w·x̃x̃ᵀ = L·Lᵀ,  mean = A⁻¹·Σ w·x̃y,  sd(x) = σ·|L⁻¹x̃|.
 * Where every model was seen on every row they share one A.
 * Sources: Bishop, "Pattern Recognition and Machine Learning", §3.3; Li et al., "LinUCB", WWW 2010.
 */
import { GatewayError } from "../../domain/errors.ts";
import type { Kernels } from "../../kernels/kernels.ts";
import { cholesky, solveCholesky } from "../../std/matrix.ts";
import { f32, takeF32 } from "../safetensors.ts";
import { assignFolds, meanQuality } from "./examples.ts";
import { createMatvec } from "./matvec.ts";
import type { Examples, Fitted, ScorerShape } from "./strategy.ts";

export interface PosteriorOptions {
  /** λ; 0: chosen by cross-validation. */
  readonly lambda: number;
}

/** Models beyond this share one factor, of the mean of their precisions. */
const mostFactors = 64;
/** Rows' worth of belief that a model's level is that of all models. */
const levelRows = 4;
const triedLambdas = [1, 3, 10, 30, 100, 300, 1000];
const folds = 4;

/** Sums over the rows of a fold that one or all models were seen on. */
interface Moments {
  /** D×D. */
  readonly xx: Float64Array;
  /** D per column. */
  readonly xy: Map<number, Float64Array>;
}

/** Tensors `bayes.mean` (m×(d+1)), `bayes.factor` (g×(d+1)×(d+1): L⁻¹; g is 1 or m), `bayes.sigma` (m). */
export function fitPosterior(
  examples: Examples,
  { lambda }: PosteriorOptions,
  progress: (share: number) => void,
): Fitted {
  const m = examples.models.length;
  const size = examples.d + 1;
  const centre = centreOf(examples);
  const foldOf = assignFolds(examples.group, folds);
  const shared = examples.quality.every((q) => !Number.isNaN(q));
  const groups = shared ? [[...examples.models.keys()]] : examples.models.map((_, j) => [j]);
  const byGroup = groups.map((columns, at) => {
    const moments = toMoments(examples, columns, centre, foldOf);
    progress((0.6 * (at + 1)) / groups.length);
    return moments;
  });
  const chosen = lambda > 0 ? lambda : chooseLambda(examples, { groups, byGroup, centre, foldOf });
  progress(0.9);
  const mean = new Float32Array(m * size);
  const factors: Float32Array[] = [];
  groups.forEach((columns, at) => {
    const { xx, solved } = solve(byGroup[at] as readonly Moments[], chosen, size, columns);
    if (factors.length < mostFactors) factors.push(invertLower(xx, size));
    columns.forEach((j, c) => {
      for (let i = 0; i < size; i++) mean[j * size + i] = solved[i * columns.length + c] as number;
      mean[j * size + size - 1] = (mean[j * size + size - 1] as number) + (centre[j] as number);
    });
  });
  const sigma = residualSpread(examples, mean);
  const kept = groups.length > mostFactors ? [pooledFactor(byGroup, chosen, size)] : factors;
  const factor = new Float32Array(kept.length * size * size);
  kept.forEach((one, at) => {
    factor.set(one, at * size * size);
  });
  progress(1);
  return {
    tensors: {
      "bayes.mean": f32(mean, m, size),
      "bayes.factor": f32(factor, kept.length, size, size),
      "bayes.sigma": f32(sigma, m),
    },
    json: { lambda: chosen },
  };
}

/** Each model's level: its mean, drawn to the mean of them all where it was hardly seen. */
function centreOf(examples: Examples): Float64Array {
  const { n, models, quality, weight } = examples;
  const m = models.length;
  const mean = meanQuality(examples);
  const mass = new Float64Array(m);
  for (let at = 0; at < n * m; at++) {
    if (Number.isNaN(quality[at])) continue;
    mass[at % m] = (mass[at % m] as number) + (weight[Math.floor(at / m)] as number);
  }
  const all = mean.reduce((sum, q) => sum + q, 0) / m;
  return mean.map((q, j) => {
    const seen = mass[j] as number;
    return (seen * q + levelRows * all) / (seen + levelRows);
  });
}

function toMoments(
  { x, n, d, models, quality, weight }: Examples,
  columns: readonly number[],
  centre: Float64Array,
  foldOf: Int8Array,
): readonly Moments[] {
  const m = models.length;
  const size = d + 1;
  const first = columns[0] as number;
  const moments = Array.from({ length: folds }, () => ({
    xx: new Float64Array(size * size),
    xy: new Map(columns.map((j) => [j, new Float64Array(size)])),
  }));
  const row = new Float64Array(size).fill(1);
  for (let r = 0; r < n; r++) {
    if (Number.isNaN(quality[r * m + first])) continue;
    const { xx, xy } = moments[foldOf[r] as number] as Moments;
    const w = weight[r] as number;
    for (let i = 0; i < d; i++) row[i] = x[r * d + i] as number;
    for (let i = 0; i < size; i++) {
      const a = w * (row[i] as number);
      if (a === 0) continue;
      for (let k = 0; k <= i; k++) {
        xx[i * size + k] = (xx[i * size + k] as number) + a * (row[k] as number);
      }
    }
    for (const [j, sums] of xy) {
      const y = w * ((quality[r * m + j] as number) - (centre[j] as number));
      for (let i = 0; i < size; i++) sums[i] = (sums[i] as number) + y * (row[i] as number);
    }
  }
  return moments;
}

/** Over the folds but one: L, and the weights per column (D×columns). */
function solve(
  moments: readonly Moments[],
  lambda: number,
  size: number,
  columns: readonly number[],
  without = -1,
) {
  const a = new Float64Array(size * size);
  const b = new Float64Array(size * columns.length);
  moments.forEach(({ xx, xy }, fold) => {
    if (fold === without) return;
    for (let i = 0; i < xx.length; i++) a[i] = (a[i] as number) + (xx[i] as number);
    columns.forEach((j, c) => {
      const sums = xy.get(j) as Float64Array;
      for (let i = 0; i < size; i++) {
        const at = i * columns.length + c;
        b[at] = (b[at] as number) + (sums[i] as number);
      }
    });
  });
  addPrior(a, lambda, size);
  const l = cholesky(a, size);
  return { xx: l, solved: solveCholesky(l, b, size, columns.length) };
}

function addPrior(a: Float64Array, lambda: number, size: number): void {
  for (let i = 0; i < size; i++) {
    const prior = i === size - 1 ? levelRows : lambda;
    a[i * size + i] = (a[i * size + i] as number) + prior;
  }
}

interface Search {
  readonly groups: readonly (readonly number[])[];
  readonly byGroup: readonly (readonly Moments[])[];
  readonly centre: Float64Array;
  readonly foldOf: Int8Array;
}

/** The λ of least squared error on the folds left out, one for all models. */
function chooseLambda(examples: Examples, { groups, byGroup, centre, foldOf }: Search): number {
  const { x, n, d, models, quality, weight } = examples;
  const m = models.length;
  const size = d + 1;
  const errors = triedLambdas.map((lambda) => {
    let error = 0;
    groups.forEach((columns, at) => {
      for (let fold = 0; fold < folds; fold++) {
        const { solved } = solve(byGroup[at] as readonly Moments[], lambda, size, columns, fold);
        for (let row = 0; row < n; row++) {
          if (foldOf[row] !== fold) continue;
          columns.forEach((j, c) => {
            const q = quality[row * m + j] as number;
            if (Number.isNaN(q)) return;
            let value = (centre[j] as number) + (solved[d * columns.length + c] as number);
            for (let i = 0; i < d; i++) {
              value += (x[row * d + i] as number) * (solved[i * columns.length + c] as number);
            }
            error += (weight[row] as number) * (value - q) ** 2;
          });
        }
      }
    });
    return error;
  });
  return triedLambdas[errors.indexOf(Math.min(...errors))] ?? 10;
}

/** L⁻¹ of a lower triangular L, row-major; the upper half is zero. */
function invertLower(l: Float64Array, size: number): Float32Array {
  const out = new Float64Array(size * size);
  for (let column = 0; column < size; column++) {
    for (let i = column; i < size; i++) {
      let value = i === column ? 1 : 0;
      for (let k = column; k < i; k++) {
        value -= (l[i * size + k] as number) * (out[k * size + column] as number);
      }
      out[i * size + column] = value / (l[i * size + i] as number);
    }
  }
  return Float32Array.from(out);
}

function pooledFactor(
  byGroup: readonly (readonly Moments[])[],
  lambda: number,
  size: number,
): Float32Array {
  const a = new Float64Array(size * size);
  for (const { xx } of byGroup.flat()) {
    for (let i = 0; i < a.length; i++) {
      a[i] = (a[i] as number) + (xx[i] as number) / byGroup.length;
    }
  }
  addPrior(a, lambda, size);
  return invertLower(cholesky(a, size), size);
}

/** Standard deviation of an outcome around the estimate, per model; 0.5 where it was hardly seen. */
function residualSpread(examples: Examples, mean: Float32Array): Float32Array {
  const { x, n, d, models, quality, weight } = examples;
  const m = models.length;
  const size = d + 1;
  // Two rows' worth of a coin's variance: what was never seen is no surer than that.
  const squares = new Float64Array(m).fill(2 * 0.25);
  const mass = new Float64Array(m).fill(2);
  for (let row = 0; row < n; row++) {
    for (let j = 0; j < m; j++) {
      const q = quality[row * m + j] as number;
      if (Number.isNaN(q)) continue;
      let value = mean[j * size + d] as number;
      for (let i = 0; i < d; i++) {
        value += (x[row * d + i] as number) * (mean[j * size + i] as number);
      }
      squares[j] = (squares[j] as number) + (weight[row] as number) * (q - value) ** 2;
      mass[j] = (mass[j] as number) + (weight[row] as number);
    }
  }
  return Float32Array.from(squares, (sum, j) => Math.sqrt(sum / (mass[j] as number)));
}

export interface Estimate {
  /** m: the posterior mean, not clamped; overwritten by the next. */
  readonly mean: Float32Array;
  /** m: its standard deviation. */
  readonly deviation: Float32Array;
}

/** @throws GatewayError artifact_refused. Cost of an estimate: (m + g·(d+1))·(d+1) multiplications. */
export function loadPosterior(
  { tensors }: Pick<Fitted, "tensors">,
  { d, m }: ScorerShape,
  createKernels: (bytes: number) => Kernels,
): (x: Float32Array) => Estimate {
  const size = d + 1;
  const sigma = takeF32(tensors, "bayes.sigma", [m]);
  const factor = takeF32(tensors, "bayes.factor", [-1, size, size]);
  const groups = factor.length / (size * size);
  if (groups !== 1 && groups !== m) {
    throw new GatewayError(
      "artifact_refused",
      "bayes.factor holds neither one factor nor one each",
    );
  }
  const answer = createMatvec(
    takeF32(tensors, "bayes.mean", [m, size]),
    undefined,
    size,
    createKernels,
  );
  const spread = createMatvec(factor, undefined, size, createKernels);
  const input = new Float32Array(size).fill(1);
  const deviation = new Float32Array(m);
  const lengths = new Float64Array(groups);
  return (x) => {
    input.set(x);
    const rows = spread(input);
    for (let g = 0; g < groups; g++) {
      let sum = 0;
      for (let i = g * size; i < (g + 1) * size; i++) sum += (rows[i] as number) ** 2;
      lengths[g] = Math.sqrt(sum);
    }
    for (let j = 0; j < m; j++) {
      deviation[j] = (sigma[j] as number) * (lengths[groups === 1 ? 0 : j] as number);
    }
    return { mean: answer(input), deviation };
  };
}
