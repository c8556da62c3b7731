/**
 * What a router is worth on full-information rows: its quality-cost curve beside the fixed models,
 * the oracle, chance, query length, and a shuffled control of equal cost; with paired intervals.
 * Sources: RouterBench (AIQ), arXiv 2403.12031; RouteLLM (APGR, CPT), arXiv 2406.18665.
 */
import type { TrainedRouter } from "../routing/trained-router.ts";
import { createRandom, nextInt, type Random, shuffle } from "../std/random.ts";
import { bestOf, type CurveStats, meanHeight, type Point, toHull, toStats } from "./curve.ts";
import { measurePair, type PairStats } from "./pair.ts";
import { type OperatingPoint, type Routed, routeTable } from "./route-table.ts";
import type { Table } from "./table.ts";

export interface NamedPoint extends Point {
  readonly name: string;
}

export interface Evaluation {
  readonly strategy: string;
  readonly artifact: string;
  readonly rows: number;
  readonly models: number;
  readonly curve: readonly NamedPoint[];
  readonly singles: readonly NamedPoint[];
  /** The router's dial and the fixed models that its training found worth having. */
  readonly router: CurveStats;
  /** AIQ of the dial alone. `gain` and `control` are about it, so that no harm hides. */
  readonly dialAiq: number;
  readonly baselines: {
    /** The hull of the single models: a fixed choice, or a coin between two. */
    readonly zeroRouter: CurveStats;
    readonly oracle: CurveStats;
    readonly bestSingle: NamedPoint;
    readonly cheapest: NamedPoint;
    /** Mean quality of a model drawn evenly. */
    readonly random: number;
    /** Longer queries to the best model, shorter ones to the cheapest. */
    readonly queryLength: CurveStats;
  };
  /** The same choices, dealt to other queries: equal cost on average, no knowledge. */
  readonly control: { readonly aiq: number; readonly rounds: number };
  /** AIQ over the zero-router's: on the rows, and a 95 % interval by paired bootstrap. */
  readonly gain: Interval;
  readonly calibrationError: number;
  readonly novelty: number;
  readonly abstained: number;
  readonly unknownModels: readonly string[];
  readonly pair?: PairStats;
}

export interface Interval {
  readonly value: number;
  readonly low: number;
  readonly high: number;
}

export interface EvaluateOptions {
  readonly seed: number;
  readonly bootstrap?: number;
  readonly progress?: (share: number) => void;
}

const controlRounds = 20;
const usualBootstrap = 200;

export async function evaluate(
  router: TrainedRouter,
  table: Table,
  options: EvaluateOptions,
): Promise<{ readonly evaluation: Evaluation; readonly routed: Routed }> {
  const progress = options.progress ?? (() => undefined);
  const routed = await routeTable(router, table, (share) => progress(0.6 * share));
  const random = createRandom(options.seed);
  const everything = Int32Array.from({ length: table.n }, (_, row) => row);
  const singles = singlePoints(table, everything);
  const named = table.labels.map((name, j) => ({ name, ...(singles[j] as Point) }));
  const measured = ({ name, chosen }: OperatingPoint) => ({
    name,
    ...pointOf(table, chosen, everything),
  });
  const dial = routed.points.map(measured);
  const curve = [...dial, ...routed.fixed.map(measured)];
  const dialAiq = toStats(dial, singles).aiq;
  const zeroRouter = toStats(singles, singles);
  const control = measureControl(table, routed, singles, random);
  progress(0.8);
  const rounds = options.bootstrap ?? usualBootstrap;
  const evaluation: Evaluation = {
    strategy: router.strategy,
    artifact: `${router.identity.name}@${router.identity.version}`,
    rows: table.n,
    models: table.labels.length,
    curve,
    singles: named,
    router: toStats(curve, singles),
    dialAiq,
    baselines: {
      zeroRouter,
      oracle: toStats([oraclePoint(table)], singles),
      bestSingle: bestOf(named) as NamedPoint,
      cheapest: cheapestOf(named),
      random: singles.reduce((sum, { quality }) => sum + quality, 0) / singles.length,
      queryLength: toStats(lengthPoints(table, singles), singles),
    },
    control,
    gain: bootstrapGain(table, routed, dialAiq - zeroRouter.aiq, { rounds, random }),
    calibrationError: calibrationError(table, routed.quality),
    novelty: routed.novelty.reduce((sum, value) => sum + value, 0) / Math.max(1, table.n),
    abstained: routed.abstained,
    unknownModels: routed.unknown,
    ...(table.labels.length === 2 ? { pair: measurePair(router, table, routed) } : {}),
  };
  progress(1);
  return { evaluation, routed };
}

function pointOf(table: Table, chosen: Int32Array, rows: Int32Array): Point {
  const m = table.labels.length;
  let cost = 0;
  let quality = 0;
  for (const row of rows) {
    const at = row * m + (chosen[row] as number);
    cost += table.costUsd[at] as number;
    quality += table.quality[at] as number;
  }
  return { cost: cost / rows.length, quality: quality / rows.length };
}

function singlePoints(table: Table, rows: Int32Array): Point[] {
  return table.labels.map((_, j) => pointOf(table, new Int32Array(table.n).fill(j), rows));
}

function cheapestOf(points: readonly NamedPoint[]): NamedPoint {
  return points.reduce((best, point) => (point.cost < best.cost ? point : best));
}

/** The cheapest model among those of best quality, query by query. */
function oraclePoint(table: Table): Point {
  const m = table.labels.length;
  const chosen = Int32Array.from({ length: table.n }, (_, row) => {
    let best = 0;
    for (let j = 1; j < m; j++) {
      const q = (table.quality[row * m + j] as number) - (table.quality[row * m + best] as number);
      const cheaper =
        (table.costUsd[row * m + j] as number) < (table.costUsd[row * m + best] as number);
      if (q > 1e-9 || (q > -1e-9 && cheaper)) best = j;
    }
    return best;
  });
  return pointOf(table, chosen, Int32Array.from(chosen.keys()));
}

/** The longest share of the queries to the best model, the rest to the cheapest. */
function lengthPoints(table: Table, singles: readonly Point[]): Point[] {
  const best = singles.indexOf(bestOf(singles));
  const cheapest = singles.reduce(
    (least, point, j) => (point.cost < (singles[least] as Point).cost ? j : least),
    0,
  );
  const rows = Int32Array.from({ length: table.n }, (_, row) => row);
  // The first shape feature is the logarithm of the length.
  const lengthOf = (row: number) => table.features[row]?.shape[0] ?? 0;
  const order = [...rows].sort((a, b) => lengthOf(b) - lengthOf(a) || a - b);
  return Array.from({ length: 21 }, (_, i) => {
    const chosen = new Int32Array(table.n).fill(cheapest);
    for (const row of order.slice(0, Math.round((table.n * i) / 20))) chosen[row] = best;
    return pointOf(table, chosen, rows);
  });
}

/** Costs and qualities are averaged over the rounds first: a hull over noise would flatter itself. */
function measureControl(table: Table, routed: Routed, singles: readonly Point[], random: Random) {
  const rows = Int32Array.from({ length: table.n }, (_, row) => row);
  const sums = routed.points.map(() => ({ cost: 0, quality: 0 }));
  for (let round = 0; round < controlRounds; round++) {
    const order = shuffle([...rows], random);
    routed.points.forEach(({ chosen }, at) => {
      const dealt = Int32Array.from(order, (row) => chosen[row] as number);
      const { cost, quality } = pointOf(table, dealt, rows);
      const sum = sums[at] as { cost: number; quality: number };
      sum.cost += cost / controlRounds;
      sum.quality += quality / controlRounds;
    });
  }
  return { aiq: toStats(sums, singles).aiq, rounds: controlRounds };
}

function bootstrapGain(
  table: Table,
  routed: Routed,
  value: number,
  { rounds, random }: { readonly rounds: number; readonly random: Random },
): Interval {
  const gains: number[] = [];
  for (let round = 0; round < rounds; round++) {
    const rows = Int32Array.from({ length: table.n }, () => nextInt(random, table.n));
    const singles = singlePoints(table, rows);
    const points = routed.points.map(({ chosen }) => pointOf(table, chosen, rows));
    const costs = singles.map(({ cost }) => cost);
    const zero = meanHeight(toHull(singles), Math.min(...costs), Math.max(...costs));
    gains.push(toStats(points, singles).aiq - zero);
  }
  gains.sort((a, b) => a - b);
  const quantile = (share: number) => gains[Math.round(share * (gains.length - 1))] ?? value;
  return { value, low: quantile(0.025), high: quantile(0.975) };
}

/** Expected calibration error over ten bins of predicted quality, all queries and models. */
function calibrationError(table: Table, predicted: Float32Array): number {
  const bins = Array.from({ length: 10 }, () => ({ predicted: 0, real: 0, count: 0 }));
  predicted.forEach((p, at) => {
    const bin = bins[Math.min(9, Math.floor(p * 10))];
    if (!bin) return;
    bin.predicted += p;
    bin.real += table.quality[at] as number;
    bin.count++;
  });
  const total = Math.max(1, predicted.length);
  return bins.reduce((sum, bin) => sum + Math.abs(bin.predicted - bin.real), 0) / total;
}
