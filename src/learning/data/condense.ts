/**
 * Millions of logged calls in bounded memory: up to twice the limit are held; then the most alike
 * calls of one model are joined, pair by pair, until the limit is met again. A joined row has the sum
 * of the weights and the weighted mean of score, cost, tokens and latency, and the features of the
 * heavier of the two; so every call counts, and what is lost is only how queries that are nearly the
 * same differ from one another.
 * Sources: Ward, "Hierarchical grouping to optimize an objective function", 1963 (what a join costs);
 * Har-Peled & Mazumdar, "On coresets for k-means", 2004 (merge and reduce over a stream).
 * Cost: measured in test/bench/learning.bench.ts.
 */
import type { RawFeatures } from "../../domain/features.ts";
import type { Kernels } from "../../kernels/kernels.ts";
import { findClusters } from "../../routing/strategies/clusters.ts";
import { assert } from "../../std/assert.ts";
import { createRandom } from "../../std/random.ts";
import type { Outcome } from "./row.ts";
import { createSketcher, sketchSize } from "./sketch.ts";

/** Queries are compared within clusters of about so many. */
const clusterRows = 192;
/** A cluster of more is cut: where all are alike, it does not matter which are compared. */
const mostCompared = 768;
const clusterRounds = 2;
/** Each joins at least a fifth of the rows where clusters allow it. */
const mostPasses = 16;

export interface SingleRow {
  readonly id: string;
  readonly category?: string;
  readonly features: RawFeatures;
  readonly model: string;
  readonly outcome: Outcome;
  readonly weight: number;
  /** Lost where rows of several are joined. */
  readonly user?: string | undefined;
  /** Its place in the order of coming. */
  readonly order: number;
}

export interface CondensedRow extends SingleRow {
  /** Calls that it stands for. */
  readonly mass: number;
}

export interface Condenser {
  add(row: SingleRow): void;
  readonly size: number;
  /** At most the limit, in the order of coming. */
  finish(): CondensedRow[];
}

export interface CondenserOptions {
  readonly limit: number;
  readonly seed: number;
  readonly kernels: (bytes: number) => Kernels;
}

const measures = ["score", "costUsd", "inputTokens", "outputTokens", "latencyMs"] as const;

export function createCondenser(options: CondenserOptions): Condenser {
  const { limit } = options;
  const room = 2 * limit;
  const sketcher = createSketcher();
  const sketches = new Float32Array(room * sketchSize);
  const weight = new Float64Array(room);
  const mass = new Float64Array(room);
  const model = new Int32Array(room);
  const values = measures.map(() => new Float64Array(room));
  const rows: SingleRow[] = [];
  const models: string[] = [];
  const modelOf = new Map<string, number>();
  const held: Held = { sketches, weight, mass, values, rows };
  let reductions = 0;

  function reduce(): void {
    const random = createRandom(options.seed + reductions++);
    const alive = new Uint8Array(rows.length).fill(1);
    const clusters: Int32Array[] = [];
    for (const members of byModel(model, rows.length, models.length)) {
      clusters.push(...toClusters(members, sketches, { random, kernels: options.kernels }));
    }
    let count = rows.length;
    for (let pass = 0; pass < mostPasses && count > limit; pass++) {
      const pairs = clusters.flatMap((members) => nearestPairs(held, members, alive));
      pairs.sort((a, b) => a.cost - b.cost || a.from - b.from);
      const taken = new Uint8Array(rows.length);
      for (const { from, to } of pairs) {
        if (count <= limit) break;
        if (taken[from] || taken[to]) continue;
        taken[from] = 1;
        taken[to] = 1;
        join(held, from, to);
        alive[from] = 0;
        count--;
      }
      if (pairs.length === 0) break;
    }
    compact(alive);
  }

  /** What is left moves to the front, in its order. */
  function compact(alive: Uint8Array): void {
    let to = 0;
    for (let from = 0; from < alive.length; from++) {
      if (!alive[from]) continue;
      sketches.copyWithin(to * sketchSize, from * sketchSize, (from + 1) * sketchSize);
      for (const column of [weight, mass, model, ...values]) column[to] = column[from] as number;
      rows[to++] = rows[from] as SingleRow;
    }
    rows.length = to;
  }

  return {
    add(row) {
      if (rows.length === room) reduce();
      assert(rows.length < room, "a log has far fewer models than rows are held");
      const at = rows.length;
      let label = modelOf.get(row.model);
      if (label === undefined) {
        label = models.push(row.model) - 1;
        modelOf.set(row.model, label);
      }
      sketcher.write(row.features, sketches, at * sketchSize);
      weight[at] = row.weight;
      mass[at] = 1;
      model[at] = label;
      measures.forEach((name, i) => {
        (values[i] as Float64Array)[at] = row.outcome[name] ?? Number.NaN;
      });
      rows.push(row);
    },
    get size() {
      return rows.length;
    },
    finish() {
      if (rows.length > limit) reduce();
      return rows
        .map((row, at) => ({
          ...row,
          outcome: toOutcome(values, at),
          weight: weight[at] as number,
          mass: mass[at] as number,
        }))
        .sort((a, b) => a.order - b.order);
    },
  };
}

interface Held {
  readonly sketches: Float32Array;
  readonly weight: Float64Array;
  readonly mass: Float64Array;
  readonly values: readonly Float64Array[];
  readonly rows: SingleRow[];
}

function toOutcome(values: readonly Float64Array[], at: number): Outcome {
  const [score = 0] = values.map((column) => column[at] as number);
  const rest = measures.flatMap((name, i) => {
    const value = values[i]?.[at] as number;
    return Number.isNaN(value) ? [] : [[name, value] as const];
  });
  return { ...Object.fromEntries(rest), score };
}

function byModel(model: Int32Array, n: number, models: number): Int32Array[] {
  const members: number[][] = Array.from({ length: models }, () => []);
  for (let row = 0; row < n; row++) (members[model[row] as number] as number[]).push(row);
  return members.filter((list) => list.length > 1).map((list) => Int32Array.from(list));
}

type ClusterContext = Pick<Parameters<typeof findClusters>[3], "random" | "kernels">;

/** Rows that are near one another, a list per cluster. */
function toClusters(
  members: Int32Array,
  sketches: Float32Array,
  context: ClusterContext,
): Int32Array[] {
  const n = members.length;
  const k = Math.ceil(n / clusterRows);
  if (k === 1) return [members];
  const x = new Float32Array(n * sketchSize);
  members.forEach((row, at) => {
    x.set(sketches.subarray(row * sketchSize, (row + 1) * sketchSize), at * sketchSize);
  });
  const { of } = findClusters(x, n, sketchSize, { k, rounds: clusterRounds, ...context });
  const lists: number[][] = Array.from({ length: k }, () => []);
  members.forEach((row, at) => {
    (lists[of[at] as number] as number[]).push(row);
  });
  return lists.flatMap((list) => {
    const parts = Math.ceil(list.length / mostCompared);
    const size = Math.ceil(list.length / Math.max(1, parts));
    return Array.from({ length: parts }, (_, part) =>
      Int32Array.from(list.slice(part * size, (part + 1) * size)),
    );
  });
}

interface Pair {
  readonly cost: number;
  /** The later row, which goes. */
  readonly from: number;
  readonly to: number;
}

/** For each living row the partner that costs least; each pair once. */
function nearestPairs({ sketches, weight }: Held, members: Int32Array, alive: Uint8Array): Pair[] {
  const list = members.filter((row) => alive[row]);
  const n = list.length;
  if (n < 2) return [];
  const best = new Float64Array(n).fill(Number.POSITIVE_INFINITY);
  const partner = new Int32Array(n).fill(-1);
  for (let i = 0; i < n; i++) {
    const a = list[i] as number;
    const at = a * sketchSize;
    const wa = weight[a] as number;
    for (let j = i + 1; j < n; j++) {
      const b = list[j] as number;
      const wb = weight[b] as number;
      const factor = (wa * wb) / (wa + wb);
      const enough = Math.max(best[i] as number, best[j] as number) / factor;
      const cost = factor * distance(sketches, at, b * sketchSize, enough);
      if (cost < (best[i] as number)) {
        best[i] = cost;
        partner[i] = j;
      }
      if (cost < (best[j] as number)) {
        best[j] = cost;
        partner[j] = i;
      }
    }
  }
  const pairs: Pair[] = [];
  for (let i = 0; i < n; i++) {
    const j = partner[i] as number;
    if (j < 0 || (partner[j] === i && j < i)) continue;
    const [one, two] = [list[i] as number, list[j] as number];
    pairs.push({ cost: best[i] as number, from: Math.max(one, two), to: Math.min(one, two) });
  }
  return pairs;
}

/** Squared; it stops where it is past `enough`. */
function distance(x: Float32Array, a: number, b: number, enough: number): number {
  let sum = 0;
  for (let i = 0; i < sketchSize; i += 16) {
    for (let j = i; j < i + 16; j++) {
      const gap = (x[a + j] as number) - (x[b + j] as number);
      sum += gap * gap;
    }
    if (sum > enough) return sum;
  }
  return sum;
}

/** `from` into `to`. */
function join({ sketches, weight, mass, values, rows }: Held, from: number, to: number): void {
  const [wf, wt] = [weight[from] as number, weight[to] as number];
  const share = wf / (wf + wt);
  for (let i = 0; i < sketchSize; i++) {
    const at = to * sketchSize + i;
    const own = sketches[at] as number;
    sketches[at] = own + share * ((sketches[from * sketchSize + i] as number) - own);
  }
  for (const column of values) {
    const [theirs, own] = [column[from] as number, column[to] as number];
    // What only one of the two knows stands for both.
    if (Number.isNaN(own)) column[to] = theirs;
    else if (!Number.isNaN(theirs)) column[to] = own + share * (theirs - own);
  }
  const [one, other] = [rows[to] as SingleRow, rows[from] as SingleRow];
  const kept = (mass[from] as number) > (mass[to] as number) ? other : one;
  rows[to] = one.user === other.user ? kept : { ...kept, user: undefined };
  weight[to] = wf + wt;
  mass[to] = (mass[to] as number) + (mass[from] as number);
}
