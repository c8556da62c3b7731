/**
 * Rows in bounded memory. Up to a limit they are kept as they came. Beyond it, rows with outcomes of
 * several models (which teach more than anything) are drawn evenly, and calls with one model's
 * outcome are condensed into rows that stand for many; each pool holds at most the limit.
 */

import type { RawFeatures } from "../../domain/features.ts";
import type { Kernels } from "../../kernels/kernels.ts";
import { findClusters } from "../../routing/strategies/clusters.ts";
import { createRandom, nextInt } from "../../std/random.ts";
import { type Condenser, createCondenser } from "./condense.ts";
import { createGroups, type Groups } from "./groups.ts";
import type { LabelSource, Outcome } from "./row.ts";
import { createSketcher, sketchSize } from "./sketch.ts";

export interface PoolRow {
  readonly id: string;
  readonly category?: string;
  readonly features: RawFeatures;
  readonly outcomes: ReadonlyMap<string, Outcome>;
  readonly weight: number;
  readonly label?: LabelSource;
  /** Who asked, hashed. */
  readonly user?: string | undefined;
  /** Of a verifier, per model; where rows are joined, the heavier one's. */
  readonly verification?: ReadonlyMap<string, number>;
}

export interface PoolOptions {
  /** Rows of each pool. */
  readonly maxRows: number;
  readonly seed: number;
  readonly kernels: (bytes: number) => Kernels;
}

export interface Pooled {
  readonly rows: readonly PoolRow[];
  /** n: rows read that each stands for. */
  readonly mass: Float32Array;
  /** n: rows of one group are never on both sides of a split. */
  readonly group: Int32Array;
  readonly groups: {
    readonly groups: number;
    readonly nearDuplicates: number;
    readonly largestGroup: number;
  };
  readonly condensed?: { readonly from: number; readonly to: number };
}

export interface RowPool {
  add(row: PoolRow, groupKeys: readonly string[]): void;
  /** Rows that came. */
  readonly size: number;
  finish(): Pooled;
}

/** Rows that are kept as they came, and the most that each pool holds beyond. */
export const defaultMaxRows = 40_000;

export function createRowPool(options: PoolOptions): RowPool {
  const { maxRows, seed } = options;
  let plain: { rows: PoolRow[]; groups: Groups } | undefined = { rows: [], groups: createGroups() };
  const drawn: { row: PoolRow; order: number }[] = [];
  const random = createRandom(seed + 31);
  let several = 0;
  let size = 0;
  let condenser: Condenser | undefined;

  /** Rows with several outcomes: any of them is kept with the same chance (Vitter's algorithm R). */
  function draw(row: PoolRow, order: number): void {
    several++;
    if (drawn.length < maxRows) drawn.push({ row, order });
    else {
      const at = nextInt(random, several);
      if (at < maxRows) drawn[at] = { row, order };
    }
  }

  function pool(row: PoolRow, order: number): void {
    const [only, another] = row.outcomes;
    if (another || !only) {
      draw(row, order);
      return;
    }
    condenser ??= createCondenser({ limit: maxRows, seed, kernels: options.kernels });
    const [model, outcome] = only;
    condenser.add({ ...row, model, outcome, order });
  }

  return {
    get size() {
      return size;
    },
    add(row, groupKeys) {
      const order = size++;
      if (!plain) {
        pool(row, order);
        return;
      }
      plain.rows.push(row);
      plain.groups.add(groupKeys);
      if (plain.rows.length <= maxRows) return;
      plain.rows.forEach(pool);
      plain = undefined;
    },
    finish() {
      if (plain) return asTheyCame(plain.rows, plain.groups.finish());
      const share = drawn.length > 0 ? several / drawn.length : 1;
      const rows: Weighed[] = [
        ...drawn.map(({ row, order }) => ({
          ...row,
          weight: row.weight * share,
          mass: share,
          order,
        })),
        ...(condenser?.finish() ?? []).map(({ model, outcome, ...row }) => ({
          ...row,
          outcomes: new Map([[model, outcome]]),
        })),
      ];
      const group = groupByLikeness(rows, options);
      const groups = measureGroups(group);
      return {
        rows,
        mass: Float32Array.from(rows, ({ mass }) => mass),
        group,
        groups: { ...groups, nearDuplicates: size - groups.groups },
        condensed: { from: size, to: rows.length },
      };
    },
  };
}

type Weighed = PoolRow & { readonly mass: number };

function asTheyCame(rows: readonly PoolRow[], group: Int32Array): Pooled {
  return {
    rows,
    mass: new Float32Array(rows.length).fill(1),
    group,
    groups: measureGroups(group),
  };
}

function measureGroups(group: Int32Array) {
  const sizes = new Map<number, number>();
  for (const id of group) sizes.set(id, (sizes.get(id) ?? 0) + 1);
  return {
    groups: sizes.size,
    nearDuplicates: group.length - sizes.size,
    largestGroup: [...sizes.values()].reduce((most, size) => Math.max(most, size), 0),
  };
}

/** Rows of a group where rows stand for many: a small cluster of queries, whatever the model. */
const groupRows = 16;

function groupByLikeness(rows: readonly Weighed[], { seed, kernels }: PoolOptions): Int32Array {
  const n = rows.length;
  const x = new Float32Array(n * sketchSize);
  const sketcher = createSketcher();
  for (const [row, { features }] of rows.entries()) sketcher.write(features, x, row * sketchSize);
  const context = { rounds: 3, random: createRandom(seed + 57), kernels };
  const group = new Int32Array(n);
  const coarse = Math.ceil(Math.sqrt(n / groupRows));
  const { of } = findClusters(x, n, sketchSize, { k: coarse, ...context });
  let next = 0;
  for (let cluster = 0; cluster < coarse; cluster++) {
    const members: number[] = [];
    of.forEach((at, row) => {
      if (at === cluster) members.push(row);
    });
    if (members.length === 0) continue;
    const part = new Float32Array(members.length * sketchSize);
    members.forEach((row, at) => {
      part.set(x.subarray(row * sketchSize, (row + 1) * sketchSize), at * sketchSize);
    });
    const k = Math.ceil(members.length / groupRows);
    const fine = findClusters(part, members.length, sketchSize, { k, ...context });
    members.forEach((row, at) => {
      group[row] = next + (fine.of[at] as number);
    });
    next += k;
  }
  return group;
}
