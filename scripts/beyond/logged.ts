/**
 * Learning from a log: some queries answered by every model (a shadow set), the others by one model
 * each, drawn as an exploring gateway does. What is reached is the utility score − 100 × USD on the
 * test split, beside the best single model's and a router's that knows every outcome.
 */
import { createKernels } from "../../src/kernels/create.ts";
import type { Table } from "../../src/learning/table.ts";
import { trainRouter } from "../../src/learning/train.ts";
import { loadRouter } from "../../src/routing/load-router.ts";
import { createRandom } from "../../src/std/random.ts";
import { takeTableRows } from "../results/measure.ts";
import { embedder, type SetRows } from "../results/results.ts";

export interface Logged {
  readonly shadow: number;
  readonly logged: number;
  readonly single: { readonly name: string; readonly utility: number };
  readonly whole: number;
  /** Of the shadow set alone, and with the log: a value per draw. */
  readonly shadowAlone: readonly number[];
  readonly withLog: readonly number[];
}

/** Quality that a dollar is worth. */
const perUsd = 100;
const shadow = 400;
/** The log: so often the best on the shadow set, else evenly among the best few. */
const greedy = 0.8;
const arms = 5;
const draws = 4;

export async function measureLogged({ train, test }: SetRows, strategy: string): Promise<Logged> {
  const reach = async (table: Table) => {
    const options = { strategy, seed: 1, embedder, kernels: createKernels };
    const { files } = await trainRouter(table, options);
    const identity = { name: "router", version: 0, sha256: "" };
    const router = await loadRouter(files, { identity, embedder, kernels: createKernels });
    let sum = 0;
    for (let row = 0; row < test.n; row++) {
      const features = test.features[row];
      if (!features) continue;
      const { quality, costUsd } = await router.scoreFeatures(features);
      const worth = [...router.labels.keys()].map(
        (j) => (quality[j] as number) - perUsd * (costUsd[j] as number),
      );
      const name = router.labels[worth.indexOf(Math.max(...worth))] as string;
      sum += utilityOf(test, row, test.labels.indexOf(name)) / test.n;
    }
    router.close();
    return sum;
  };
  const singles = test.labels.map((name, j) => ({ name, utility: meanUtility(test, j) }));
  const single = singles.reduce((top, one) => (one.utility > top.utility ? one : top));
  const whole = await reach(train);
  const shadowAlone: number[] = [];
  const withLog: number[] = [];
  for (let draw = 0; draw < draws; draw++) {
    const { rows, table } = drawLog(train, 500 + draw);
    withLog.push(await reach(table));
    shadowAlone.push(await reach(takeTableRows(train, (row) => rows.has(row))));
  }
  return { shadow, logged: train.n - shadow, single, whole, shadowAlone, withLog };
}

function drawLog(train: Table, seed: number) {
  const random = createRandom(seed);
  const m = train.labels.length;
  const order = Array.from({ length: train.n }, (_, row) => ({ row, key: random.next() }));
  const shuffled = order.sort((a, b) => a.key - b.key).map(({ row }) => row);
  const rows = new Set(shuffled.slice(0, shadow));
  const best = [...train.labels.keys()]
    .map((j) => ({ j, utility: meanUtility(train, j, rows) }))
    .sort((a, b) => b.utility - a.utility)
    .map(({ j }) => j);
  const quality = train.quality.slice();
  const costUsd = train.costUsd.slice();
  const outputTokens = train.outputTokens.slice();
  const weight = train.weight.slice();
  for (let row = 0; row < train.n; row++) {
    if (rows.has(row)) continue;
    const at = random.next() < greedy ? 0 : Math.floor(random.next() * arms);
    const chance = (1 - greedy) / arms + (at === 0 ? greedy : 0);
    weight[row] = Math.min(20, 1 / chance);
    for (let j = 0; j < m; j++) {
      if (j === best[at]) continue;
      quality[row * m + j] = Number.NaN;
      costUsd[row * m + j] = Number.NaN;
      outputTokens[row * m + j] = Number.NaN;
    }
  }
  return { rows, table: { ...train, quality, costUsd, outputTokens, weight } };
}

function utilityOf({ labels, quality, costUsd }: Table, row: number, j: number): number {
  const at = row * labels.length + j;
  return (quality[at] as number) - perUsd * (costUsd[at] as number);
}

function meanUtility(table: Table, j: number, only?: ReadonlySet<number>): number {
  const rows = only ? [...only] : Array.from({ length: table.n }, (_, row) => row);
  return rows.reduce((sum, row) => sum + utilityOf(table, row, j), 0) / rows.length;
}
