/** Trains and measures: a strategy on a set, transfer to unseen kinds, a new model, latency. */
import { GatewayError } from "../../src/domain/errors.ts";
import { createKernels } from "../../src/kernels/create.ts";
import { pointOf } from "../../src/learning/evidence/baselines.ts";
import { meanHeight, type Point, toHull } from "../../src/learning/evidence/curve.ts";
import { evaluate } from "../../src/learning/evidence/evaluate.ts";
import { type Prepared, prepareTraining } from "../../src/learning/fit/prepare.ts";
import type { Table } from "../../src/learning/table.ts";
import { type Trained, trainRouter } from "../../src/learning/train.ts";
import { decide } from "../../src/routing/decide.ts";
import { loadRouter } from "../../src/routing/load-router.ts";
import { assignFolds } from "../../src/routing/strategies/examples.ts";
import type { TrainedRouter } from "../../src/routing/trained-router.ts";
import type { Entry, Latency, Newcomer, Nothing, Refused, SetRows, Transfer } from "./results.ts";
import { embedder } from "./results.ts";

const seed = 1;
const rounds = 200;
const identity = { name: "router", version: 0, sha256: "" };

const parts = { seed, embedder, kernels: createKernels };
const train = (table: Table, strategy: string): Promise<Trained> =>
  trainRouter(table, { strategy, ...parts });
const load = ({ files }: Trained): Promise<TrainedRouter> =>
  loadRouter(files, { identity, embedder, kernels: createKernels });

/** A set's features and costs, made once for all strategies, and the CPU seconds that it took. */
export interface PreparedSet {
  readonly prepared: Prepared;
  readonly cpuSeconds: number;
}

export async function prepareSet({ train: rows }: SetRows): Promise<PreparedSet> {
  const before = process.cpuUsage();
  const prepared = await prepareTraining(rows, parts);
  return { prepared, cpuSeconds: secondsSince(before) };
}

function secondsSince(before: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1e6;
}

export async function measureEntry(
  { train: rows, test }: SetRows,
  strategy: string,
  { prepared, cpuSeconds: preparation }: PreparedSet,
): Promise<Entry | Refused> {
  const before = process.cpuUsage();
  let trained: Trained;
  try {
    trained = await trainRouter(rows, { strategy, ...parts, prepared });
  } catch (error) {
    if (error instanceof GatewayError) return { kind: "refused", why: error.message };
    throw error;
  }
  const cpuSeconds = preparation + secondsSince(before);
  const router = await load(trained);
  const { evaluation: e } = await evaluate(router, test, { seed, bootstrap: rounds });
  router.close();
  const exact = (value: number) => ({ value, low: value, high: value });
  const { baselines, pair } = e;
  return {
    kind: "entry",
    strategy: trained.strategy,
    ...(trained.why ? { why: trained.why } : {}),
    aiq: e.intervals["router.aiq"] ?? exact(e.router.aiq),
    gain: e.gain,
    dialAiq: e.dialAiq,
    maxQuality: e.router.maxQuality,
    cost98: e.intervals["router.cost98"] ?? exact(e.router.costAt["98"]),
    apgr: e.intervals["router.apgr"] ?? exact(e.router.apgr),
    cpt50: e.intervals["router.cpt50"] ?? exact(e.router.cpt50),
    cpt80: e.intervals["router.cpt80"] ?? exact(e.router.cpt80),
    calibrationError: e.calibrationError,
    control: e.control.aiq - baselines.zeroRouter.aiq,
    ...(pair ? { pair: pair.intervals } : {}),
    cpuSeconds,
    bytes: [...trained.files.values()].reduce((sum, { length }) => sum + length, 0),
    baselines: {
      rows: e.rows,
      models: e.models,
      zero: baselines.zeroRouter.aiq,
      random: baselines.random,
      length: baselines.queryLength.aiq,
      ...(baselines.category ? { category: baselines.category.aiq } : {}),
      oracle: baselines.oracle.aiq,
      best: { name: baselines.bestSingle.name, quality: baselines.bestSingle.quality },
    },
  };
}

const transferFolds = 3;

/** Categories are dealt to folds by name, so that the folds are the same for everybody. */
export async function measureTransfer(
  { train: rows }: SetRows,
  strategy = "auto",
): Promise<Transfer | Nothing> {
  const names = [...new Set(rows.categories.map((name) => name ?? ""))].sort();
  if (names.length < transferFolds) return { kind: "nothing" };
  const folds = [];
  for (let fold = 0; fold < transferFolds; fold++) {
    const heldOut = names.filter((_, at) => at % transferFolds === fold);
    const isHeld = (row: number) => heldOut.includes(rows.categories[row] ?? "");
    const learnt = takeTableRows(rows, (row) => !isHeld(row));
    const judged = takeTableRows(rows, isHeld);
    const router = await load(await train(learnt, strategy));
    const { evaluation } = await evaluate(router, judged, { seed, bootstrap: rounds });
    const zero = evaluation.baselines.zeroRouter.aiq;
    const { value, low, high } = evaluation.gain;
    // With the fixed models beside the dial, as an operator has them.
    const shift = evaluation.router.aiq - evaluation.dialAiq;
    const gain = { value: value + shift, low: low + shift, high: high + shift };
    folds.push({ heldOut, gain, fixedGain: fixedCurve(router, judged) - zero });
    router.close();
  }
  return { kind: "transfer", folds };
}

/** AIQ on some rows of the fixed models that the training rows' hull has. */
function fixedCurve({ labels, labelQuality, labelCostUsd }: TrainedRouter, table: Table): number {
  const known = labels.map((name, j) => ({
    name,
    cost: labelCostUsd[j] as number,
    quality: labelQuality[j] as number,
  }));
  const hull = toHull(known).map(({ name }) => table.labels.indexOf(name));
  const singles = table.labels.map((_, j) => pointOf(table, new Int32Array(table.n).fill(j)));
  const costs = singles.map(({ cost }) => cost);
  const cheapest = singles.reduce((least, one) => (one.cost < least.cost ? one : least));
  const points = [...hull.map((j) => singles[j] as Point), cheapest];
  return meanHeight(toHull(points), Math.min(...costs), Math.max(...costs));
}

/** λ at which a newcomer's worth is judged: quality first, a little for cost. */
const newcomerTradeoff = 0.9;
const newcomerLabels = [0, 50, 100, 200];

/**
 * The best single model as the newcomer: all rows know the others, some of them know it. What is
 * measured is the quality that the router reaches on the test split.
 */
export async function measureNewcomer({ train: rows, test }: SetRows): Promise<Newcomer | Nothing> {
  const m = rows.labels.length;
  if (m < 3) return { kind: "nothing" };
  const best = bestLabel(rows);
  const order = assignFolds(rows.group, 127); // a shuffle that keeps groups together
  const sorted = [...order.keys()].sort(
    (a, b) => (order[a] as number) - (order[b] as number) || a - b,
  );
  const worth = [];
  for (const labels of [...newcomerLabels, rows.n]) {
    const known = new Set(sorted.slice(0, labels));
    const table = labels === 0 ? dropLabel(rows, best) : hideLabel(rows, best, known);
    const router = await load(await train(table, "llmrouter-ensemble"));
    worth.push({ labels, quality: await qualityOf(router, test) });
    router.close();
  }
  return { kind: "newcomer", model: rows.labels[best] as string, worth };
}

function bestLabel({ labels, quality, n }: Table): number {
  const m = labels.length;
  const sums = new Float64Array(m);
  for (let at = 0; at < n * m; at++) {
    sums[at % m] = (sums[at % m] as number) + (quality[at] as number);
  }
  return sums.indexOf(Math.max(...sums));
}

async function qualityOf(router: TrainedRouter, table: Table): Promise<number> {
  const { evaluation } = await evaluate(router, table, { seed, bootstrap: 2 });
  const name = `tradeoff=${newcomerTradeoff}`;
  const near = evaluation.curve
    .filter((point) => point.name.startsWith("tradeoff="))
    .map((point) => ({ ...point, far: Math.abs(Number(point.name.slice(9)) - newcomerTradeoff) }))
    .sort((a, b) => a.far - b.far)[0];
  if (!near) throw new Error(`the dial has no ${name}`);
  return near.quality;
}

/** Weights of latency in the utility that are tried: quality per slowest model's mean latency. */
const latencyWeights = [0, ...Array.from({ length: 24 }, (_, i) => 0.005 * 1.45 ** i)];

export async function measureLatency({ train: rows, test }: SetRows): Promise<Latency | Nothing> {
  if (test.latencyMs.every(Number.isNaN)) return { kind: "nothing" };
  const router = await load(await train(rows, "auto"));
  const candidates = test.labels.map((model) => ({
    model,
    group: model,
    label: router.labels.indexOf(model),
  }));
  const m = test.labels.length;
  const at = (row: number, j: number) => ({
    seconds: (test.latencyMs[row * m + j] as number) / 1000,
    quality: test.quality[row * m + j] as number,
  });
  const sums = latencyWeights.map(() => ({ seconds: 0, quality: 0 }));
  for (let row = 0; row < test.n; row++) {
    const features = test.features[row];
    if (!features) continue;
    const scores = await router.scoreFeatures(features);
    latencyWeights.forEach((latencyWeight, w) => {
      const dial = { tradeoff: 1, latencyWeight };
      const { chosen } = decide({ router, scores, candidates, inputTokens: 0, dial });
      const got = at(row, test.labels.indexOf(chosen));
      const sum = sums[w] as { seconds: number; quality: number };
      sum.seconds += got.seconds / test.n;
      sum.quality += got.quality / test.n;
    });
  }
  router.close();
  const singles = test.labels.map((name, j) => {
    let seconds = 0;
    let quality = 0;
    for (let row = 0; row < test.n; row++) {
      seconds += at(row, j).seconds / test.n;
      quality += at(row, j).quality / test.n;
    }
    return { name, seconds, quality };
  });
  const best = singles.reduce((top, one) => (one.quality > top.quality ? one : top));
  return { kind: "latency", points: sums, best };
}

/** A part of the rows, in their order. */
export function takeTableRows(table: Table, keep: (row: number) => boolean): Table {
  const rows = Array.from({ length: table.n }, (_, row) => row).filter(keep);
  const m = table.labels.length;
  const cells = <T extends Float32Array | Float64Array>(values: T, out: T): T => {
    rows.forEach((row, to) => {
      out.set(values.subarray(row * m, (row + 1) * m), to * m);
    });
    return out;
  };
  const size = rows.length * m;
  return {
    ...table,
    n: rows.length,
    ids: rows.map((row) => table.ids[row] as string),
    categories: rows.map((row) => table.categories[row]),
    features: rows.map((row) => table.features[row] as Table["features"][number]),
    quality: cells(table.quality, new Float32Array(size)),
    costUsd: cells(table.costUsd, new Float64Array(size)),
    outputTokens: cells(table.outputTokens, new Float32Array(size)),
    latencyMs: cells(table.latencyMs, new Float32Array(size)),
    weight: Float32Array.from(rows, (row) => table.weight[row] as number),
    group: Int32Array.from(rows, (row) => table.group[row] as number),
  };
}

/** The same rows, a model's outcomes known on some of them only. */
export function hideLabel(table: Table, label: number, known: ReadonlySet<number>): Table {
  const m = table.labels.length;
  const hide = <T extends Float32Array | Float64Array>(values: T): T => {
    const out = values.slice() as T;
    for (let row = 0; row < table.n; row++) {
      if (!known.has(row)) out[row * m + label] = Number.NaN;
    }
    return out;
  };
  return {
    ...table,
    quality: hide(table.quality),
    costUsd: hide(table.costUsd),
    outputTokens: hide(table.outputTokens),
    latencyMs: hide(table.latencyMs),
  };
}

export function dropLabel(table: Table, label: number): Table {
  const m = table.labels.length;
  const drop = <T extends Float32Array | Float64Array>(values: T): T =>
    values.filter((_: number, at: number) => at % m !== label) as T;
  const without = (_: unknown, j: number) => j !== label;
  return {
    ...table,
    labels: table.labels.filter(without),
    quality: drop(table.quality),
    costUsd: drop(table.costUsd),
    outputTokens: drop(table.outputTokens),
    latencyMs: drop(table.latencyMs),
    sizeB: table.sizeB.filter(without),
    priceUsdPerMtok: table.priceUsdPerMtok.filter(without),
  };
}
