/**
 * What cross-validation says of a strategy: predictions of every training row by a fit that has not
 * seen it, how far they are to be trusted, and what they are worth in quality and cost.
 */

import type { Kernels } from "../../kernels/kernels.ts";
import { blendRow } from "../../routing/blend.ts";
import { findClusters } from "../../routing/strategies/clusters.ts";
import { assignFolds, meanQuality, takeRows } from "../../routing/strategies/examples.ts";
import type { Examples, Strategy } from "../../routing/strategies/strategy.ts";
import { createRandom } from "../../std/random.ts";
import { meanHeight, type Point, toHull, toStats } from "../evidence/curve.ts";
import { fillOutcomes, widening } from "../evidence/logged-outcomes.ts";
import type { Outcomes } from "../outcomes.ts";
import { type Judged, toJudged } from "./complete-rows.ts";
import { fitBlend } from "./fit-blend.ts";

const folds = 3;
/** Kinds of query, each held out whole, so that validation also meets what training has not seen. */
const kinds = 15;
const triedShrinks = [0.25, 0.35, 0.5, 0.65, 0.8, 1];
/** λ at which a shrink factor is judged: a coarse dial. */
const judgedLambdas = Array.from({ length: 25 }, (_, i) => (i === 0 ? 0 : 1e-3 * 1.53 ** i));

export interface Validation {
  /** n×m: out-of-fold predictions, blended (by what the other folds' rows say), before shrinkage. */
  readonly predicted: Float32Array;
  /** n×m: the global table of the fold that predicted the row. */
  readonly table: Float32Array;
  /** The factor that predictions' distance from the table is multiplied by. */
  readonly shrink: number;
  /** m×m: how far each direction of the predictions is believed (fit-blend.ts). */
  readonly blend?: Float32Array;
  readonly constant: boolean;
}

export interface ValidateInput {
  readonly examples: Examples;
  readonly strategy: Strategy;
  readonly settings: Readonly<Record<string, unknown>>;
  readonly outcomes: Outcomes;
  /** n×m: predicted cost, USD. */
  readonly costs: Float32Array;
  readonly costRef: number;
  readonly seed: number;
  readonly kernels: (bytes: number) => Kernels;
  readonly progress: (share: number) => void;
}

/**
 * Two cross-validations: over random groups, which says what the strategy is worth on more of the
 * same, and over whole kinds of query, which says what it does to queries unlike its training data.
 * The first learns how far each direction of the predictions is believed; both choose the factor that
 * all of them shrink by: the smallest whose mean gain is near the best.
 */
export async function validate(input: ValidateInput): Promise<Validation> {
  const { examples, progress } = input;
  const foldOf = assignFolds(examples.group, folds);
  const raw = await predictFolds(input, foldOf, (share) => progress(share / 2));
  if (raw.constant) return { ...raw, shrink: 1 };
  const blend = fitBlend(toBlendRows(examples, raw));
  const same = crossBlend(examples, raw, foldOf);
  const kinds = await predictFolds(input, assignKinds(input), (s) => progress(0.5 + s / 2));
  const other = applyBlend(kinds, examples.models.length, () => blend);
  const judged = toJudged(input.outcomes, { quality: examples.quality, costs: input.costs });
  const shrink = isComplete(judged.outcomes)
    ? chooseShrink(input, judged, [same, other])
    : chooseShrinkOfLog(input, [same, other]);
  return { ...same, shrink, ...(blend && { blend }) };
}

type Predicted = Omit<Validation, "shrink" | "blend">;

function toBlendRows({ n, models, quality, weight }: Examples, { predicted, table }: Predicted) {
  return { n, m: models.length, predicted, table, quality, weight };
}

/** Each row by a blend that has not seen it, so that what is measured on it is honest. */
function crossBlend(examples: Examples, raw: Predicted, foldOf: Int8Array): Predicted {
  const rows = toBlendRows(examples, raw);
  const blends = Array.from({ length: folds }, (_, fold) =>
    fitBlend(rows, (row) => foldOf[row] !== fold),
  );
  return applyBlend(raw, rows.m, (row) => blends[foldOf[row] as number]);
}

function applyBlend(
  raw: Predicted,
  m: number,
  blendOf: (row: number) => Float32Array | undefined,
): Predicted {
  const out = new Float32Array(raw.predicted.length);
  for (let at = 0; at < out.length; at += m) {
    const target = { predicted: raw.predicted, table: raw.table, out, at, tableAt: at, m };
    blendRow(blendOf(at / m), 1, target);
  }
  return { ...raw, predicted: out };
}

async function predictFolds(
  { examples, strategy, settings, seed, kernels }: ValidateInput,
  foldOf: Int8Array,
  progress: (share: number) => void,
): Promise<Predicted> {
  const { n, d, models } = examples;
  const m = models.length;
  const predicted = new Float32Array(n * m);
  const table = new Float32Array(n * m);
  let constant = false;
  for (let fold = 0; fold < folds; fold++) {
    const train = takeRows(examples, (row) => foldOf[row] !== fold);
    // With too few groups a fold may be all there is: then it predicts itself, and the gate decides.
    const learnt = train.n > 0 ? train : examples;
    const fitted = await strategy.fit(learnt, settings, {
      random: createRandom(seed + fold),
      kernels,
      progress: (share) => progress((fold + share) / folds),
      draft: true,
    });
    const scorer = await strategy.load(fitted, { d, m }, kernels);
    constant = scorer.constant === true;
    const mean = meanQuality(learnt);
    for (let row = 0; row < n; row++) {
      if (foldOf[row] !== fold) continue;
      const x = examples.x.subarray(row * d, (row + 1) * d);
      const scores = await scorer.score(x, examples.user?.[row]);
      predicted.set(scores.quality, row * m);
      table.set(mean, row * m);
    }
    scorer.close();
  }
  return { predicted, table, constant };
}

/** A fold per cluster of queries. */
function assignKinds({ examples, seed, kernels }: ValidateInput): Int8Array {
  const { x, n, d } = examples;
  const random = createRandom(seed + 77);
  const { of } = findClusters(x, n, d, { k: kinds, rounds: 15, random, kernels });
  return Int8Array.from(of, (cluster) => cluster % folds);
}

/** About one standard error of the difference of two gains, per √n, by paired bootstrap on public sets. */
const standardError = 0.1;
/** Standard errors that caution may cost: no more, for the blend has shrunk already. */
const indifference = 0.5;

function chooseShrink(
  input: ValidateInput,
  { outcomes, take }: Judged,
  views: readonly Predicted[],
  { tried, error } = { tried: triedShrinks, error: standardError },
): number {
  const { costRef } = input;
  const costs = take(input.costs);
  const { n, m } = outcomes;
  const singles = toSingles(outcomes);
  const gains = tried.map((shrink) => {
    let sum = 0;
    for (const view of views) {
      const predicted = take(temper({ ...view, shrink }));
      const points = judgedLambdas.map((lambda) => {
        const chosen = choose(predicted, costs, { n, m, lambda, costRef });
        return measure(chosen, outcomes, predicted, costs);
      });
      sum += gainOverSingles(points, singles) / views.length;
    }
    return sum;
  });
  const enough = Math.max(...gains) - (indifference * error) / Math.sqrt(n);
  return tried[gains.findIndex((gain) => gain >= enough)] ?? 0;
}

function isComplete({ quality }: Outcomes): boolean {
  return !quality.some(Number.isNaN);
}

/**
 * Where not every model was observed on every query: the same choice by estimated outcomes, whose
 * wider error asks for more caution. Factors below the usual ones are tried as well: a log of single
 * outcomes says little of each query, and the best of many noisy predictions flatters itself.
 */
function chooseShrinkOfLog(input: ValidateInput, views: readonly Predicted[]): number {
  const { outcomes, costs, examples } = input;
  const [{ table }] = views as readonly [Predicted];
  const filled = fillOutcomes({ outcomes, weight: examples.weight, table, costs });
  const error = standardError * widening(outcomes, examples.weight);
  const judged = { outcomes: filled, take: (cells: Float32Array) => cells };
  return chooseShrink(input, judged, views, { tried: [0, 0.1, ...triedShrinks], error });
}

/** Predictions as the router will give them. */
export function temper({ predicted, table, shrink, constant }: Validation): Float32Array {
  if (constant) return predicted;
  return predicted.map((q, at) => {
    const mean = table[at] as number;
    return Math.max(0, Math.min(1, mean + shrink * (q - mean)));
  });
}

/** One (mean cost, mean quality) per model over the rows where it was observed. */
export function toSingles({ n, m, quality, costUsd, mass }: Outcomes): Point[] {
  return Array.from({ length: m }, (_, j) => {
    let cost = 0;
    let sum = 0;
    let count = 0;
    for (let row = 0; row < n; row++) {
      const q = quality[row * m + j] as number;
      if (Number.isNaN(q)) continue;
      const weight = mass?.[row] ?? 1;
      sum += weight * q;
      cost += weight * (costUsd[row * m + j] as number);
      count += weight;
    }
    return { cost: cost / Math.max(1, count), quality: sum / Math.max(1, count) };
  });
}

/** The model that each row's utility picks at a λ. */
export function choose(
  predicted: Float32Array,
  costs: Float32Array,
  { n, m, lambda, costRef }: { n: number; m: number; lambda: number; costRef: number },
): Int32Array {
  const factor = lambda / costRef;
  return Int32Array.from({ length: n }, (_, row) => {
    let best = 0;
    let bestUtility = Number.NEGATIVE_INFINITY;
    for (let j = 0; j < m; j++) {
      const at = row * m + j;
      const utility = (predicted[at] as number) - factor * (costs[at] as number);
      if (utility > bestUtility) {
        bestUtility = utility;
        best = j;
      }
    }
    return best;
  });
}

/** Mean cost and quality of a choice per row; what was not observed counts as predicted. */
export function measure(
  chosen: Int32Array,
  { n, m, quality, costUsd, mass }: Outcomes,
  predicted: Float32Array,
  costs: Float32Array,
): Point {
  let cost = 0;
  let sum = 0;
  let count = 0;
  for (let row = 0; row < n; row++) {
    const at = row * m + (chosen[row] as number);
    const q = quality[at] as number;
    const c = costUsd[at] as number;
    const weight = mass?.[row] ?? 1;
    sum += weight * (Number.isNaN(q) ? (predicted[at] as number) : q);
    cost += weight * (Number.isNaN(c) ? (costs[at] as number) : c);
    count += weight;
  }
  return { cost: cost / count, quality: sum / count };
}

/** The curve's area over the zero-router's: what a strategy is worth on rows it has not seen. */
export function gainOverSingles(points: readonly Point[], singles: readonly Point[]): number {
  const costs = singles.map(({ cost }) => cost);
  const zero = meanHeight(toHull(singles), Math.min(...costs), Math.max(...costs));
  return toStats(points, singles).aiq - zero;
}
