/** One extremely randomised tree over many outputs, laid out so that a walk only goes forward. */
import { nextInt, type Random } from "../../std/random.ts";

export interface TreeProblem {
  /** d×n: a feature's values side by side. */
  readonly columns: Float32Array;
  /** n×m: weight × (quality − mean). */
  readonly gains: Float32Array;
  readonly weight: Float32Array;
  readonly n: number;
  readonly d: number;
  readonly m: number;
}

export interface TreeOptions {
  readonly leafRows: number;
  /** Of the features, tried at each fork. */
  readonly share: number;
  readonly random: Random;
}

export interface Tree {
  /** Per node, in preorder: feature·2²⁰ + the distance to the branch of larger values (the other one
   * is the next node); for a leaf `leafMark` minus its number. */
  readonly links: readonly number[];
  readonly thresholds: readonly number[];
  /** Rows of each leaf. */
  readonly leaves: readonly Int32Array[];
}

export const leafMark = -1;
const featureStep = 2 ** 20;
/** A fork that divides less than this share of what there is to explain is none. */
const leastGain = 1e-9;

/** Rows that a fork is judged by, at most: spread evenly over a node that has more. */
const judged = 768;

/** Cost: n × d·share × m × depth, about. The same random gives the same tree. */
export function growTree(problem: TreeProblem, options: TreeOptions): Tree {
  const { n } = problem;
  const links: number[] = [];
  const thresholds: number[] = [];
  const leaves: Int32Array[] = [];
  const rows = Int32Array.from({ length: n }, (_, row) => row);
  const scratch = new Int32Array(n);
  const findFork = createSearch(problem, options);

  function grow(from: number, to: number): void {
    const node = links.length;
    const fork = to - from >= 2 * options.leafRows ? findFork(rows, from, to) : undefined;
    if (!fork) {
      links.push(leafMark - leaves.length);
      thresholds.push(0);
      leaves.push(rows.slice(from, to));
      return;
    }
    links.push(0);
    thresholds.push(fork.threshold);
    const middle = part(problem, rows, scratch, { from, to, ...fork });
    grow(from, middle);
    links[node] = fork.feature * featureStep + (links.length - node);
    grow(middle, to);
  }

  grow(0, n);
  return { links, thresholds, leaves };
}

interface Fork {
  readonly feature: number;
  readonly threshold: number;
}

/** Finds a fork for a range of rows: one random threshold for each of some random features. */
function createSearch({ columns, gains, weight, n, d, m }: TreeProblem, options: TreeOptions) {
  const features = Int32Array.from({ length: d }, (_, i) => i);
  const tries = Math.max(1, Math.round(d * options.share));
  const total = new Float64Array(m);
  const left = new Float64Array(m);
  const { random, leafRows } = options;

  /** How well a threshold divides the gains: the sum of squares between the two sides. */
  let share = 1;
  const sampled = new Int32Array(judged);

  function sample(rows: Int32Array, from: number, to: number) {
    const count = to - from;
    share = Math.min(1, judged / count);
    if (share === 1) return { rows, from, to };
    const offset = random.next();
    for (let i = 0; i < judged; i++) {
      sampled[i] = rows[from + Math.floor(((i + offset) * count) / judged)] as number;
    }
    return { rows: sampled, from: 0, to: judged };
  }

  function judge(rows: Int32Array, from: number, to: number, fork: Fork, mass: number): number {
    const offset = fork.feature * n;
    left.fill(0);
    let leftMass = 0;
    let leftRows = 0;
    for (let i = from; i < to; i++) {
      const row = rows[i] as number;
      if ((columns[offset + row] as number) >= fork.threshold) continue;
      leftRows++;
      leftMass += weight[row] as number;
      const at = row * m;
      for (let j = 0; j < m; j++) left[j] = (left[j] as number) + (gains[at + j] as number);
    }
    // In a sample fewer rows stand for a leaf's; `grow` looks at all of them.
    const least = Math.max(1, leafRows * share);
    if (leftRows < least || to - from - leftRows < least) return 0;
    const rightMass = mass - leftMass;
    if (!(leftMass > 0 && rightMass > 0)) return 0;
    let score = 0;
    for (let j = 0; j < m; j++) {
      const l = left[j] as number;
      const r = (total[j] as number) - l;
      score += (l * l) / leftMass + (r * r) / rightMass;
    }
    return score;
  }

  return (all: Int32Array, start: number, end: number): Fork | undefined => {
    const { rows, from, to } = sample(all, start, end);
    total.fill(0);
    let mass = 0;
    for (let i = from; i < to; i++) {
      const row = rows[i] as number;
      mass += weight[row] as number;
      for (let j = 0; j < m; j++) {
        total[j] = (total[j] as number) + (gains[row * m + j] as number);
      }
    }
    let undivided = 0;
    for (let j = 0; j < m; j++) undivided += (total[j] as number) ** 2 / Math.max(mass, 1e-12);
    let best: Fork | undefined;
    let bestScore = undivided + leastGain;
    for (let tried = 0, at = 0; tried < tries && at < d; at++) {
      // The next of a shuffle that goes only as far as it is needed.
      const other = at + nextInt(random, d - at);
      const feature = features[other] as number;
      features[other] = features[at] as number;
      features[at] = feature;
      const range = rangeOf(columns, feature * n, rows, from, to);
      if (!(range.high > range.low)) continue; // all alike: not a try
      tried++;
      const threshold = Math.fround(range.low + random.next() * (range.high - range.low));
      const fork = { feature, threshold };
      const score = judge(rows, from, to, fork, mass);
      if (score <= bestScore) continue;
      bestScore = score;
      best = fork;
    }
    return best;
  };
}

function rangeOf(
  columns: Float32Array,
  offset: number,
  rows: Int32Array,
  from: number,
  to: number,
): { readonly low: number; readonly high: number } {
  let low = Number.POSITIVE_INFINITY;
  let high = Number.NEGATIVE_INFINITY;
  for (let i = from; i < to; i++) {
    const value = columns[offset + (rows[i] as number)] as number;
    if (value < low) low = value;
    if (value > high) high = value;
  }
  return { low, high };
}

/** Puts the rows below the threshold first, each side in its old order; says where the other begins. */
function part(
  { columns, n }: TreeProblem,
  rows: Int32Array,
  scratch: Int32Array,
  { from, to, feature, threshold }: Fork & { readonly from: number; readonly to: number },
): number {
  let middle = from;
  let held = 0;
  for (let i = from; i < to; i++) {
    const row = rows[i] as number;
    if ((columns[feature * n + row] as number) < threshold) rows[middle++] = row;
    else scratch[held++] = row;
  }
  rows.set(scratch.subarray(0, held), middle);
  return middle;
}
