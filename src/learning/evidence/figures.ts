/**
 * The figures of an evaluation, measured under weights per row, so that the same code gives the
 * value (each row once) and every round of the bootstrap (each row as often as it was drawn).
 */

import type { Table } from "../table.ts";
import { pointOf } from "./baselines.ts";
import { toCalibrationError, toReliability } from "./calibration.ts";
import { bestOf, type CurveStats, heightAt, type Point, toHull, toStats } from "./curve.ts";
import type { OperatingPoint } from "./route-table.ts";

/** Choices to be measured: a router's, and what stands beside it. */
export interface Policies {
  readonly dial: readonly OperatingPoint[];
  readonly fixed: readonly OperatingPoint[];
  readonly singles: readonly OperatingPoint[];
  readonly oracle: OperatingPoint;
  readonly queryLength: readonly OperatingPoint[];
  readonly category: readonly OperatingPoint[] | undefined;
  /** n×m: for the calibration. */
  readonly predicted: Float32Array;
}

export interface Figures {
  readonly singles: readonly Point[];
  readonly curve: readonly Point[];
  /** The dial and the fixed models that training found worth having. */
  readonly router: CurveStats;
  readonly dial: CurveStats;
  readonly zeroRouter: CurveStats;
  readonly oracle: CurveStats;
  readonly queryLength: CurveStats;
  readonly category: CurveStats | undefined;
  /** The dial's choices dealt to other queries. */
  readonly control: CurveStats;
  /** Per single model: what its budget buys. */
  readonly budgets: readonly Budget[];
  readonly calibrationError: number;
}

/** Qualities at the mean cost of one model. */
export interface Budget {
  readonly cost: number;
  readonly single: number;
  readonly router: number;
  readonly zeroRouter: number;
  readonly control: number;
}

/** Cost: (operating points) × n, a few ms for 5,000 rows. */
export function measureFigures(
  table: Table,
  policies: Policies,
  weight?: ArrayLike<number>,
): Figures {
  const measured = ({ chosen }: OperatingPoint) => pointOf(table, chosen, weight);
  const singles = policies.singles.map(measured);
  const dial = policies.dial.map(measured);
  const curve = [...dial, ...policies.fixed.map(measured)];
  const control = policies.dial.map(({ chosen }) => dealt(chosen, singles, weight));
  const { category, predicted } = policies;
  return {
    singles,
    curve,
    router: toStats(curve, singles),
    dial: toStats(dial, singles),
    zeroRouter: toStats(singles, singles),
    oracle: toStats([measured(policies.oracle)], singles),
    queryLength: toStats(policies.queryLength.map(measured), singles),
    category: category && toStats(category.map(measured), singles),
    control: toStats(control, singles),
    budgets: toBudgets(singles, curve, control),
    calibrationError: toCalibrationError(
      toReliability(predicted, table.quality, table.labels.length, weight),
    ),
  };
}

/**
 * A choice dealt to queries by chance: each model keeps its share of the calls and answers queries
 * like any others. This is the exact mean over all shuffles, so that a hull over it flatters nothing.
 */
function dealt(chosen: Int32Array, singles: readonly Point[], weight?: ArrayLike<number>): Point {
  const share = new Float64Array(singles.length);
  let total = 0;
  for (let row = 0; row < chosen.length; row++) {
    const w = weight ? (weight[row] as number) : 1;
    const j = chosen[row] as number;
    share[j] = (share[j] as number) + w;
    total += w;
  }
  let cost = 0;
  let quality = 0;
  singles.forEach((single, j) => {
    cost += ((share[j] as number) / total) * single.cost;
    quality += ((share[j] as number) / total) * single.quality;
  });
  return { cost, quality };
}

function toBudgets(
  singles: readonly Point[],
  curve: readonly Point[],
  control: readonly Point[],
): Budget[] {
  const cheapest = singles.reduce((least, point) => (point.cost < least.cost ? point : least));
  const hullOf = (points: readonly Point[]) => toHull([...points, cheapest]);
  const [router, zero, shuffled] = [hullOf(curve), hullOf(singles), hullOf(control)];
  return singles.map(({ cost, quality }) => ({
    cost,
    single: quality,
    router: heightAt(router, cost),
    zeroRouter: heightAt(zero, cost),
    control: heightAt(shuffled, cost),
  }));
}

/** What intervals are given for, by name. */
export function toFlat(figures: Figures): Record<string, number> {
  const { router, dial, zeroRouter, oracle, control, singles } = figures;
  const best = bestOf(singles);
  const flat: Record<string, number> = {
    ...ofCurve("router", router),
    dialAiq: dial.aiq,
    gain: dial.aiq - zeroRouter.aiq,
    gainOverControl: dial.aiq - control.aiq,
    gainOverLength: router.aiq - figures.queryLength.aiq,
    ...(figures.category ? { gainOverCategory: router.aiq - figures.category.aiq } : {}),
    oracleGap: oracle.maxQuality - router.maxQuality,
    oracleGapClosed: (router.aiq - zeroRouter.aiq) / (oracle.aiq - zeroRouter.aiq),
    overBestSingle: router.maxQuality - best.quality,
    calibrationError: figures.calibrationError,
  };
  figures.budgets.forEach((budget, j) => {
    flat[`budget${j}`] = budget.router - budget.single;
    flat[`budgetControl${j}`] = budget.router - budget.control;
  });
  return flat;
}

function ofCurve(name: string, stats: CurveStats): Record<string, number> {
  const { aiq, aiqLog, maxQuality, perfGain, apgr, cpt50, cpt80, costAt } = stats;
  const named = {
    aiq,
    aiqLog,
    maxQuality,
    perfGain,
    apgr,
    cpt50,
    cpt80,
    cost100: costAt[100],
    cost98: costAt[98],
    cost95: costAt[95],
  };
  return Object.fromEntries(Object.entries(named).map(([key, value]) => [`${name}.${key}`, value]));
}
