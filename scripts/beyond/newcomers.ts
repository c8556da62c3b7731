/**
 * New models: each is taken out of a set and given back, unlabelled, with some labels, and with all. Its
 * worth is what it adds to the area under the quality-cost curve (AIQ, over the costs of all models).
 */
import { createKernels } from "../../src/kernels/create.ts";
import { meanHeight, toHull } from "../../src/learning/evidence/curve.ts";
import { evaluate } from "../../src/learning/evidence/evaluate.ts";
import type { Table } from "../../src/learning/table.ts";
import { trainRouter } from "../../src/learning/train.ts";
import { loadRouter } from "../../src/routing/load-router.ts";
import type { TrainedRouter } from "../../src/routing/trained-router.ts";
import { createRandom } from "../../src/std/random.ts";
import { dropLabel, hideLabel } from "../results/measure.ts";
import { embedder, type SetRows } from "../results/results.ts";
import { pointOf } from "./fit-need.ts";

export interface NewcomerWorth {
  readonly set: string;
  readonly model: string;
  /** AIQ without the model, and with it unlabelled, labelled on some rows (a value per draw), on all. */
  readonly without: number;
  readonly unlabelled: number;
  readonly some: readonly { readonly labels: number; readonly draws: readonly number[] }[];
  readonly all: number;
}

export interface NewcomerOptions {
  readonly strategy: string;
  /** The models that the fixed models' hull would miss most. */
  readonly models: number;
  readonly labels: readonly number[];
  readonly draws: number;
}

export async function measureNewcomers(
  { name, train, test }: SetRows,
  options: NewcomerOptions,
): Promise<NewcomerWorth[]> {
  const { strategy } = options;
  const m = train.labels.length;
  if (m < 3) return [];
  const range = toRange(test);
  const worthOf = async (rows: Table, judged: Table) => {
    const router = await trainOn(rows, strategy);
    const aiq = await areaOf(router, judged, range);
    router.close();
    return aiq;
  };
  const all = await worthOf(train, test);
  const found: NewcomerWorth[] = [];
  for (const label of mostMissed(train).slice(0, options.models)) {
    const router = await trainOn(dropLabel(train, label), strategy);
    const without = await areaOf(router, dropLabel(test, label), range);
    const unlabelled = await areaOf(router, test, range);
    router.close();
    const some = [];
    for (const labels of options.labels) {
      const draws = [];
      for (let draw = 0; draw < options.draws; draw++) {
        const known = drawRows(train.n, labels, 1000 + draw);
        draws.push(await worthOf(hideLabel(train, label, known), test));
      }
      some.push({ labels, draws });
    }
    found.push({
      set: name,
      model: train.labels[label] as string,
      without,
      unlabelled,
      some,
      all,
    });
  }
  return found;
}

async function trainOn(table: Table, strategy: string): Promise<TrainedRouter> {
  const options = { strategy, seed: 1, embedder, kernels: createKernels };
  const { files } = await trainRouter(table, options);
  const identity = { name: "router", version: 0, sha256: "" };
  return loadRouter(files, { identity, embedder, kernels: createKernels });
}

interface Range {
  readonly from: number;
  readonly to: number;
}

function toRange(test: Table): Range {
  const costs = test.labels.map((_, j) => pointOf(test, j).cost);
  return { from: Math.min(...costs), to: Math.max(...costs) };
}

async function areaOf(router: TrainedRouter, test: Table, { from, to }: Range): Promise<number> {
  const { evaluation } = await evaluate(router, test, { seed: 1, bootstrap: 1 });
  const { curve, baselines } = evaluation;
  return meanHeight(toHull([...curve, baselines.cheapest]), from, to);
}

/** Labels by what the hull of the fixed models loses without them on the rows learnt from. */
function mostMissed(train: Table): number[] {
  const points = train.labels.map((_, j) => pointOf(train, j));
  const costs = points.map(({ cost }) => cost);
  const area = (without?: number) =>
    meanHeight(
      toHull(points.filter((_, j) => j !== without)),
      Math.min(...costs),
      Math.max(...costs),
    );
  const missed = points.map((_, j) => area() - area(j));
  return [...missed.keys()].sort((a, b) => (missed[b] as number) - (missed[a] as number));
}

function drawRows(n: number, count: number, seed: number): Set<number> {
  const random = createRandom(seed);
  const rows = Array.from({ length: n }, (_, row) => ({ row, key: random.next() }));
  return new Set(
    rows
      .sort((a, b) => a.key - b.key)
      .slice(0, count)
      .map(({ row }) => row),
  );
}
