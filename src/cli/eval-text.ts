/** An evaluation as lines for a terminal: each figure with its interval and beside its baselines. */
import type { Interval } from "../learning/evidence/bootstrap.ts";
import type { CurveStats } from "../learning/evidence/curve.ts";
import type { Evaluation } from "../learning/evidence/evaluate.ts";
import type { Robustness } from "../learning/robustness/measure.ts";
import { toRobustnessLine } from "../learning/robustness/report.ts";

export interface EvaluationEntry {
  readonly data: string;
  readonly evaluation: Evaluation;
  readonly robustness: Robustness;
}

export function toLines({ data, evaluation: e, robustness }: EvaluationEntry): readonly string[] {
  const { bestSingle, cheapest, random } = e.baselines;
  return [
    `${data} · ${e.strategy}: ${e.rows} queries, ${e.models} models`,
    ...figureTable(e),
    `  the dial alone: AIQ ${four(e.dialAiq)}, gain over fixed models ${signed(e.gain.value)} ` +
      `${range(e.gain)}, over the control ${withRange(e.intervals["gainOverControl"])}`,
    `  best single ${bestSingle.name} ${four(bestSingle.quality)}, ` +
      `cheapest ${cheapest.name} ${four(cheapest.quality)}, random ${four(random)}`,
    `  oracle gap ${four(e.oracleGap.value)} ${range(e.oracleGap)}; of the oracle's gain ` +
      `${(100 * e.oracleGapClosed.value).toFixed(1)} % is taken`,
    ...pairLines(e),
    ...budgetTable(e),
    ...reliabilityTable(e),
    `  ${toRobustnessLine(robustness)}`,
    `  abstained ${e.abstained}, mean novelty ${e.novelty.toFixed(3)}`,
  ];
}

const figures: readonly [string, string, (stats: CurveStats) => number][] = [
  ["AIQ", "aiq", (stats) => stats.aiq],
  ["AIQ, log cost", "aiqLog", (stats) => stats.aiqLog],
  ["best quality", "maxQuality", (stats) => stats.maxQuality],
  ["APGR, by cost", "apgr", (stats) => stats.apgr],
  ["CPT(50 %)", "cpt50", (stats) => stats.cpt50],
  ["CPT(80 %)", "cpt80", (stats) => stats.cpt80],
  ["cost at 100 %", "cost100", (stats) => stats.costAt[100]],
  ["cost at 98 %", "cost98", (stats) => stats.costAt[98]],
  ["cost at 95 %", "cost95", (stats) => stats.costAt[95]],
];

function figureTable({ router, baselines, control, intervals }: Evaluation): string[] {
  const { zeroRouter, queryLength, category, oracle } = baselines;
  const columns: readonly [string, CurveStats | undefined][] = [
    ["fixed", zeroRouter],
    ["length", queryLength],
    ["category", category],
    ["control", control],
    ["oracle", oracle],
  ];
  const shown = columns.filter(([, stats]) => stats !== undefined);
  const head = shown.map(([name]) => name.padStart(9)).join("");
  return [
    `  ${"".padEnd(15)}${"router".padStart(8)}  ${"95 % interval".padEnd(17)}${head}`,
    ...figures.map(([name, key, pick]) => {
      const cells = shown.map(([, stats]) => four(stats ? pick(stats) : Number.NaN).padStart(9));
      const interval = range(intervals[`router.${key}`]);
      return `  ${name.padEnd(15)}${four(pick(router)).padStart(8)}  ${interval.padEnd(17)}${cells.join("")}`;
    }),
  ];
}

function pairLines({ pair }: Evaluation): string[] {
  if (!pair) return [];
  const { strong, weak, apgr, cpt50, cpt80, intervals } = pair;
  return [
    `  by calls, ${strong} over ${weak}: APGR ${four(apgr)} ${range(intervals.apgr)}, ` +
      `CPT50 ${four(cpt50)} ${range(intervals.cpt50)}, CPT80 ${four(cpt80)} ${range(intervals.cpt80)}`,
  ];
}

function budgetTable({ budgets }: Evaluation): string[] {
  return [
    "  at the budget of       USD a call    alone   router  gain, 95 % interval         control    fixed",
    ...budgets.map(({ model, cost, single, router, gain, control, zeroRouter }) => {
      const gained = `${signed(gain.value)} ${range(gain)}`;
      return (
        `  ${model.slice(0, 22).padEnd(22)} ${cost.toPrecision(3).padStart(10)} ` +
        `${four(single).padStart(8)} ${four(router).padStart(8)}  ${gained.padEnd(26)}` +
        `${four(control).padStart(8)} ${four(zeroRouter).padStart(8)}`
      );
    }),
  ];
}

function reliabilityTable({ reliability, calibrationError, intervals }: Evaluation): string[] {
  const filled = reliability.filter(({ count }) => count > 0);
  return [
    `  calibration error ${four(calibrationError)} ${range(intervals["calibrationError"])}; ` +
      "predicted → came true:",
    `    ${filled
      .map(({ predicted, observed }) => `${predicted.toFixed(2)}→${observed.toFixed(2)}`)
      .join("  ")}`,
  ];
}

function four(value: number): string {
  return Number.isFinite(value) ? value.toFixed(4) : "–";
}

function signed(value: number): string {
  return `${value >= 0 ? "+" : ""}${four(value)}`;
}

function range(interval: Interval | undefined): string {
  return interval ? `[${four(interval.low)}, ${four(interval.high)}]` : "";
}

function withRange(interval: Interval | undefined): string {
  return interval ? `${signed(interval.value)} ${range(interval)}` : "–";
}
