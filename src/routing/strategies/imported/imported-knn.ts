/**
 * scikit-learn's KNeighborsClassifier: the share of the k nearest training rows that each class has,
 * each row as one or by one over its distance. Exact: where rows are many, int8 says which cannot be
 * among the nearest, and the others are measured in double precision.
 * Source: https://scikit-learn.org/stable/modules/neighbors.html#classification
 * Cost: a multiplication per row and dimension; beyond half a million of them in slices.
 */
import { type Static, Type } from "@sinclair/typebox";
import { Value } from "@sinclair/typebox/value";
import { GatewayError } from "../../../domain/errors.ts";
import type { Kernels } from "../../../kernels/kernels.ts";
import { noPause, type Pause } from "../../../std/pause.ts";
import { takeF32, takeI32 } from "../../safetensors.ts";
import type { Fitted, OpenOnnx, Scorer, ScorerShape, Scores, ServedStrategy } from "../strategy.ts";
import {
  createPrefilter,
  mostNearest,
  type Prefilter,
  prefilterBytes,
} from "./imported-prefilter.ts";
import { squaresOf, storeRows } from "./imported-rows.ts";
import { loadSteps, type Steps, stepsBytes } from "./imported-steps.ts";

/** `learned` of the artifact; tensors `knn.rows` (n×d) and `knn.labels` (n). */
export const ImportedKnn = Type.Object({
  n_neighbors: Type.Integer({ minimum: 1, maximum: 65_536 }),
  weights: Type.Union([Type.Literal("uniform"), Type.Literal("distance")]),
  metric: Type.Union(
    (["euclidean", "sqeuclidean", "cosine", "manhattan", "chebyshev", "minkowski"] as const).map(
      (name) => Type.Literal(name),
    ),
  ),
  /** Of minkowski. */
  p: Type.Number({ minimum: 1, maximum: 64 }),
});
export type ImportedKnn = Static<typeof ImportedKnn>;

export const importedKnn: ServedStrategy = {
  name: "imported-knn",
  summary: "The nearest neighbours of a scikit-learn classifier, voting as they did.",
  load: loadKnn,
};

/** Numbers looked at without letting others have the thread: about half a millisecond. */
const sliceSize = 500_000;
/** Queries that may wait for one that is being looked up in slices. */
const mostWaiting = 64;

async function loadKnn(
  fitted: Fitted,
  { d, m }: ScorerShape,
  createKernels: (bytes: number) => Kernels,
  _openOnnx?: OpenOnnx,
  pause: Pause = noPause,
): Promise<Scorer> {
  const { json, tensors } = fitted;
  if (!Value.Check(ImportedKnn, json)) return refuse("what was learnt is not sound");
  const labels = takeI32(tensors, "knn.labels", [-1]);
  const n = labels.length;
  const rows = takeF32(tensors, "knn.rows", [n, -1]);
  if (json.n_neighbors > n || !labels.every((label) => label >= 0 && label < m)) {
    return refuse("the rows do not fit the models, or are fewer than the neighbours");
  }
  const filterBytes = n > 0 ? prefilterBytes(n, rows.length / n) : 0;
  const kernels = createKernels(
    rows.byteLength + n * 8 + 64 + stepsBytes(tensors, d) + filterBytes,
  );
  const steps = loadSteps(fitted, d, kernels);
  if (rows.length !== n * steps.d) return refuse("the rows are of another length");
  const parts = { rows, n, steps, kernels, options: json };
  const measure = await createMeasure(parts, pause);
  const pick = createVote(labels, m, json);
  const sliceRows = Math.max(1, Math.floor(sliceSize / Math.max(1, steps.d)));
  if (n <= sliceRows) {
    return {
      sync: true,
      score(x) {
        measure.begin(x);
        measure.run(0, n);
        return pick(measure.distances);
      },
      close: () => undefined,
    };
  }

  const filter = await createFilter(parts, pause);

  async function inSlices(x: Float32Array): Promise<Scores> {
    measure.begin(x);
    const near = filter && (await filterRows(filter, measure.isZero));
    for (let from = 0; from < (near?.length ?? n); from += sliceRows) {
      const to = from + sliceRows;
      if (near) for (const row of near.subarray(from, to)) measure.run(row, row + 1);
      else measure.run(from, Math.min(n, to));
      await pause();
    }
    const { quality, uncertainty, neighbours } = pick(measure.distances, near);
    return {
      quality: quality.slice(),
      uncertainty: uncertainty.slice(),
      ...(neighbours && { neighbours }),
    };
  }

  /** An angle needs two directions: for a query without one, all rows are measured. */
  async function filterRows(rowsOf: Prefilter, isZero: boolean): Promise<Int32Array | undefined> {
    if (isZero) return undefined;
    rowsOf.begin(steps.x);
    for (let from = 0; from < n; from += 6 * sliceRows) {
      rowsOf.scan(from, Math.min(n, from + 6 * sliceRows));
      await pause();
    }
    return rowsOf.collect();
  }

  let waiting = 0;
  let last: Promise<unknown> = Promise.resolve();
  return {
    sync: false,
    score(x) {
      if (waiting >= mostWaiting) {
        throw new Error(`${mostWaiting} queries wait for their neighbours already`);
      }
      waiting++;
      const own = x.slice();
      const scored = last.then(() => inSlices(own)).finally(() => waiting--);
      last = scored.catch(() => undefined); // its own caller hears of it
      return scored;
    },
    close: () => undefined,
  };
}

/** Where distances come from dot products, and few of many rows are wanted. */
async function createFilter(
  { rows, n, steps, kernels, options }: MeasureParts,
  pause: Pause,
): Promise<Prefilter | undefined> {
  const { n_neighbors: k, metric } = options;
  const cosine = metric === "cosine";
  if (!isByDots(options) || k > mostNearest) return undefined;
  const { d } = steps;
  if (cosine && (await squaresOf(rows, n, pause)).includes(0)) return undefined;
  return await createPrefilter({ kernels, rows, n, d, k, cosine }, pause);
}

const isByDots = ({ metric, p }: ImportedKnn): boolean =>
  metric === "euclidean" ||
  metric === "sqeuclidean" ||
  metric === "cosine" ||
  (metric === "minkowski" && p === 2);

interface Measure {
  readonly distances: Float64Array;
  /** The query begun with is all zeros. */
  readonly isZero: boolean;
  begin(x: Float32Array): void;
  run(from: number, to: number): void;
}

interface MeasureParts {
  readonly rows: Float32Array;
  readonly n: number;
  readonly steps: Steps;
  readonly kernels: Kernels;
  readonly options: ImportedKnn;
}

/** Distances of the query to rows: from dot products where the metric has such a form. */
async function createMeasure(
  { rows, n, steps, kernels, options }: MeasureParts,
  pause: Pause,
): Promise<Measure> {
  const { d } = steps;
  const outAt = kernels.alloc(n * 8);
  const distances = kernels.f64(outAt, n);
  const { metric, p } = options;
  let square = 0;
  const begin = (x: Float32Array) => {
    steps.apply(x);
    square = 0;
    for (const value of steps.x) square += value * value;
  };
  if (!isByDots(options)) {
    const power =
      metric === "manhattan" ? 1 : metric === "chebyshev" ? Number.POSITIVE_INFINITY : p;
    return {
      distances,
      isZero: false,
      begin,
      run(from, to) {
        for (let r = from; r < to; r++) distances[r] = minkowski(rows, r * d, steps.x, power);
      },
    };
  }
  const rowsAt = await storeRows(kernels, rows, pause);
  const squares = await squaresOf(rows, n, pause);
  return {
    distances,
    get isZero() {
      return square === 0;
    },
    begin,
    run(from, to) {
      kernels.matvecWide(rowsAt + from * d * 4, steps.at, outAt + from * 8, to - from, d);
      for (let r = from; r < to; r++) {
        const dot = distances[r] as number;
        const own = squares[r] as number;
        if (metric === "cosine") {
          const length = Math.sqrt(own * square);
          distances[r] = length > 0 ? Math.max(0, 1 - dot / length) : 1;
          continue;
        }
        const squared = Math.max(0, own + square - 2 * dot);
        distances[r] = metric === "sqeuclidean" ? squared : Math.sqrt(squared);
      }
    },
  };
}

function minkowski(rows: Float32Array, at: number, x: Float64Array, p: number): number {
  let sum = 0;
  for (let i = 0; i < x.length; i++) {
    const difference = Math.abs((rows[at + i] as number) - (x[i] as number));
    if (p === 1) sum += difference;
    else sum = p < Number.POSITIVE_INFINITY ? sum + difference ** p : Math.max(sum, difference);
  }
  return p === 1 || p === Number.POSITIVE_INFINITY ? sum : sum ** (1 / p);
}

/** The receipt names so many. */
const shownNeighbours = 8;

function createVote(labels: Int32Array, m: number, { n_neighbors: k, weights }: ImportedKnn) {
  const nearest = new Int32Array(k);
  const quality = new Float32Array(m);
  const sums = new Float64Array(m);
  const uncertainty = new Float32Array(m).fill(Number.NaN);
  return (distances: Float64Array, rows?: Int32Array): Scores => {
    findNearest(distances, nearest, rows);
    // A row at no distance outweighs all others: then only such rows count.
    const exact = weights === "distance" && distances[nearest[0] as number] === 0;
    sums.fill(0);
    let total = 0;
    for (const row of nearest) {
      const distance = distances[row] as number;
      const weight = weights === "uniform" ? 1 : exact ? Number(distance === 0) : 1 / distance;
      const label = labels[row] as number;
      sums[label] = (sums[label] as number) + weight;
      total += weight;
    }
    for (let j = 0; j < m; j++) quality[j] = (sums[j] as number) / total;
    const neighbours = Array.from(nearest.subarray(0, shownNeighbours), (row) => ({
      row,
      similarity: 1 / (1 + (distances[row] as number)),
    }));
    return { quality, uncertainty, neighbours };
  };
}

/** Row numbers of the smallest (of `rows`, ascending), smallest first; of equals, the lower rows. */
function findNearest(distances: Float64Array, nearest: Int32Array, rows?: Int32Array): void {
  const k = nearest.length;
  let count = 0;
  for (let i = 0; i < (rows ?? distances).length; i++) {
    const row = rows ? (rows[i] as number) : i;
    const distance = distances[row] as number;
    if (count === k && distance >= (distances[nearest[k - 1] as number] as number)) continue;
    let at = count < k ? count++ : k - 1;
    while (at > 0 && distance < (distances[nearest[at - 1] as number] as number)) {
      nearest[at] = nearest[at - 1] as number;
      at--;
    }
    nearest[at] = row;
  }
}

function refuse(why: string): never {
  throw new GatewayError("artifact_refused", `imported-knn: ${why}`);
}
