/**
 * What a router is worth on full-information rows: its quality-cost curve beside the fixed models,
 * the oracle, chance, query length, a table per category, and a shuffled control of equal cost;
 * with paired intervals.
 * Sources: RouterBench (AIQ), arXiv 2403.12031; RouteLLM (APGR, CPT), arXiv 2406.18665.
 */
import type { TrainedRouter } from "../../routing/trained-router.ts";
import { createRandom } from "../../std/random.ts";
import type { Table } from "../table.ts";
import { categoryPoints, lengthPoints, oraclePoint, pointOf, singlePoints } from "./baselines.ts";
import { drawWeights, type Interval, toInterval } from "./bootstrap.ts";
import { type ReliabilityBin, toReliability } from "./calibration.ts";
import { bestOf, type CurveStats, type Point, toHull } from "./curve.ts";
import { type Budget, type Figures, measureFigures, type Policies, toFlat } from "./figures.ts";
import { measurePair, type PairStats } from "./pair.ts";
import { type Routed, routeTable } from "./route-table.ts";

export interface NamedPoint extends Point {
  readonly name: string;
}

export interface Evaluation {
  readonly strategy: string;
  readonly artifact: string;
  readonly rows: number;
  readonly models: number;
  readonly curve: readonly NamedPoint[];
  /** The curve's upper concave hull, from the cheapest model on. */
  readonly hull: readonly Point[];
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
    /** Means per category, which no router may see; missing where the rows have none. */
    readonly category?: CurveStats;
  };
  /** The same choices, dealt to other queries: equal cost on average, no knowledge. Exact. */
  readonly control: CurveStats;
  /** AIQ over the zero-router's: on the rows, and a 95 % interval by paired bootstrap. */
  readonly gain: Interval;
  /** What the oracle reaches beyond the router's best, and the share of its gain that is taken. */
  readonly oracleGap: Interval;
  readonly oracleGapClosed: Interval;
  /** What the mean cost of each single model buys. */
  readonly budgets: readonly ModelBudget[];
  /** 95 % intervals by the name of the figure: `router.aiq`, `gainOverControl` … */
  readonly intervals: Readonly<Record<string, Interval>>;
  readonly calibrationError: number;
  readonly reliability: readonly ReliabilityBin[];
  readonly novelty: number;
  readonly abstained: number;
  readonly unknownModels: readonly string[];
  readonly pair?: PairStats;
}

export interface ModelBudget extends Budget {
  readonly model: string;
  /** The router's quality over the model's own, and over the control's, at that cost. */
  readonly gain: Interval;
  readonly gainOverControl: Interval;
}

export interface EvaluateOptions {
  readonly seed: number;
  readonly bootstrap?: number;
  readonly progress?: (share: number) => void;
}

const usualBootstrap = 200;
const routingShare = 0.5;

export async function evaluate(
  router: TrainedRouter,
  table: Table,
  options: EvaluateOptions,
): Promise<{ readonly evaluation: Evaluation; readonly routed: Routed }> {
  const progress = options.progress ?? (() => undefined);
  const routed = await routeTable(router, table, (share) => progress(routingShare * share));
  const policies = toPolicies(table, routed);
  const figures = measureFigures(table, policies);
  const intervals = measureIntervals(table, policies, figures, options);
  const found = (name: string) => intervals[name] ?? nothing;
  const { baselines, singles } = toBaselines(table, figures);
  const rounds = options.bootstrap ?? usualBootstrap;
  const drawing = { rounds, random: createRandom(options.seed + 1) };
  const pair = table.labels.length === 2 ? measurePair(router, table, routed, drawing) : undefined;
  const evaluation: Evaluation = {
    strategy: router.strategy,
    artifact: `${router.identity.name}@${router.identity.version}`,
    rows: table.n,
    models: table.labels.length,
    curve: [...policies.dial, ...policies.fixed].map(({ name }, at) => ({
      name,
      ...(figures.curve[at] as Point),
    })),
    hull: toHull([...figures.curve, baselines.cheapest]).map(({ cost, quality }) => ({
      cost,
      quality,
    })),
    singles,
    router: figures.router,
    dialAiq: figures.dial.aiq,
    baselines,
    control: figures.control,
    gain: found("gain"),
    oracleGap: found("oracleGap"),
    oracleGapClosed: found("oracleGapClosed"),
    budgets: figures.budgets.map((budget, j) => ({
      model: table.labels[j] as string,
      ...budget,
      gain: found(`budget${j}`),
      gainOverControl: found(`budgetControl${j}`),
    })),
    intervals: Object.fromEntries(
      Object.entries(intervals).filter(([name]) => !name.startsWith("budget")),
    ),
    calibrationError: figures.calibrationError,
    reliability: toReliability(routed.quality, table.quality, table.labels.length),
    novelty: routed.novelty.reduce((sum, value) => sum + value, 0) / Math.max(1, table.n),
    abstained: routed.abstained,
    unknownModels: routed.unknown,
    ...(pair ? { pair } : {}),
  };
  progress(1);
  return { evaluation, routed };
}

const nothing: Interval = { value: Number.NaN, low: Number.NaN, high: Number.NaN };

function toPolicies(table: Table, routed: Routed): Policies {
  const singles = singlePoints(table);
  const measured = singles.map(({ chosen }) => pointOf(table, chosen));
  return {
    dial: routed.points,
    fixed: routed.fixed,
    singles,
    oracle: oraclePoint(table),
    queryLength: lengthPoints(table, measured),
    category: categoryPoints(table),
    predicted: routed.quality,
  };
}

function toBaselines({ labels }: Table, figures: Figures) {
  const singles = labels.map((name, j) => ({ name, ...(figures.singles[j] as Point) }));
  const { zeroRouter, oracle, queryLength, category } = figures;
  const baselines = {
    zeroRouter,
    oracle,
    bestSingle: bestOf(singles) as NamedPoint,
    cheapest: singles.reduce((best, point) => (point.cost < best.cost ? point : best)),
    random: singles.reduce((sum, { quality }) => sum + quality, 0) / singles.length,
    queryLength,
    ...(category ? { category } : {}),
  };
  return { baselines, singles };
}

function measureIntervals(
  table: Table,
  policies: Policies,
  figures: Figures,
  { seed, bootstrap = usualBootstrap, progress = () => undefined }: EvaluateOptions,
): Record<string, Interval> {
  const random = createRandom(seed);
  const values = toFlat(figures);
  const rounds = Object.fromEntries(Object.keys(values).map((name) => [name, [] as number[]]));
  for (let round = 0; round < bootstrap; round++) {
    const drawn = toFlat(measureFigures(table, policies, drawWeights(table.n, random)));
    for (const name in drawn) rounds[name]?.push(drawn[name] as number);
    progress(routingShare + ((1 - routingShare) * round) / bootstrap);
  }
  return Object.fromEntries(
    Object.entries(values).map(([name, value]) => [name, toInterval(value, rounds[name] ?? [])]),
  );
}
