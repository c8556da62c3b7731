/**
 * The evidence for the gate: what a trained router gains at equal cost over the fixed models, over
 * its own choices dealt at random, and over the release in force; on rows that its choices were not
 * fitted to. Rows that every model answered tell it directly; logged calls by doubly robust outcomes.
 */
import type { JsonObject } from "../../domain/json.ts";
import type { ArtifactIdentity } from "../../routing/trained-router.ts";
import { createRandom, type Random } from "../../std/random.ts";
import { choose } from "../fit/validate.ts";
import type { Table } from "../table.ts";
import type { Trained } from "../train.ts";
import { drawWeights, quantileOf } from "./bootstrap.ts";
import { type Point, toHull } from "./curve.ts";
import { type Judged, toFullRows } from "./judged.ts";

const usualRounds = 1000;
/** The lower end of the 95 % interval: what is promoted without a true gain is under 5 % of all. */
const lowerShare = 0.025;
/** Where on its dial a router is judged: beating another at one point is no art. */
const dialShares = [0.25, 0.5, 0.75];

/** What a router picks on every row, at each point of its dial. */
export type Choices = readonly Int32Array[];

/** The release in force. It may have learnt from these very rows, which only makes it harder to beat. */
export interface Rival {
  readonly identity: ArtifactIdentity;
  /** On every row of the table. */
  readonly choices: Choices;
}

/** The trained router's choices on the rows it learnt from, each by a fit that had not seen the row. */
export function outOfFoldChoices({ n, labels }: Table, { evidence }: Trained): Choices {
  const { predicted, costs, costRef, lambdas } = evidence;
  return lambdas.map((lambda) =>
    choose(predicted, costs, { n, m: labels.length, lambda, costRef }),
  );
}

export interface EvidenceOptions {
  readonly seed: number;
  readonly rival?: Rival | undefined;
  /** Rows that can tell, where they are not the table's complete ones: logged calls. */
  readonly judged?: Judged | undefined;
  /** What it is held against as its control, where that is not its own choices dealt at random. */
  readonly control?: Choices | undefined;
  /** Of the bootstrap. Default 1,000. */
  readonly rounds?: number;
}

/**
 * `provenance.metrics.gate` as artifacts/gate.ts reads it; undefined where the rows cannot tell.
 * @param choices on every row of the table
 */
export function measureEvidence(
  table: Table,
  choices: Choices,
  { seed, rival, judged = toFullRows(table), control, rounds = usualRounds }: EvidenceOptions,
): JsonObject | undefined {
  if (!judged || judged.n === 0) return undefined;
  const own = onRows(choices, judged.rows);
  const { labels } = table;
  const singles = labels.map((_, j): Reference => oneHot(j, judged.m));
  const values = singles.map((single) => toPoint(judged, single, () => true));
  const best = values.reduce(
    (top, { quality }, j) => (quality > (values[top]?.quality ?? 0) ? j : top),
    0,
  );
  const gainOver = (references: References, order: Order) => {
    const drawing = { rounds, random: createRandom(seed + 9) };
    return toGain(judged, gainsAtEqualCost(judged, own, references, order), drawing);
  };
  return {
    confidence: "0.95",
    method: judged.method,
    rows: judged.n,
    ...(judged.effectiveSamples
      ? { effective_samples: Math.floor(judged.effectiveSamples(atDial(own))) }
      : {}),
    best_single: { model: labels[best] as string, ...gainOver(() => singles, byHull) },
    control: gainOver(
      control
        ? () => onRows(control, judged.rows)
        : (half) => own.map((choice) => dealt(judged, choice, half)),
      byCost,
    ),
    ...(rival
      ? {
          incumbent: {
            version: rival.identity.version,
            sha256: rival.identity.sha256,
            ...gainOver(() => onRows(rival.choices, judged.rows), byCost),
          },
        }
      : {}),
  };
}

function onRows(choices: Choices, rows: Int32Array): Int32Array[] {
  return choices.map((choice) => Int32Array.from(rows, (row) => choice[row] as number));
}

function atDial(choices: Choices): Int32Array[] {
  return dialShares.map((share) => choices[Math.round(share * (choices.length - 1))] as Int32Array);
}

/** What is compared with: a choice per row, or the same mixture of models on every row. */
type Reference = Int32Array | Float64Array;
/** May be learnt from the rows of the half that is not measured. */
type References = (belongs: (row: number) => boolean) => readonly Reference[];

function oneHot(j: number, m: number): Float64Array {
  const mixture = new Float64Array(m);
  mixture[j] = 1;
  return mixture;
}

/** A choice dealt to other queries: each model keeps its share. */
function dealt(
  { n, m }: Judged,
  choice: Int32Array,
  belongs: (row: number) => boolean,
): Float64Array {
  const mixture = new Float64Array(m);
  let count = 0;
  for (let row = 0; row < n; row++) {
    if (!belongs(row)) continue;
    const j = choice[row] as number;
    mixture[j] = (mixture[j] as number) + 1;
    count++;
  }
  return mixture.map((share) => share / Math.max(1, count));
}

function valueAt(values: ArrayLike<number>, row: number, m: number, reference: Reference): number {
  if (reference instanceof Int32Array)
    return values[row * m + (reference[row] as number)] as number;
  let sum = 0;
  for (let j = 0; j < m; j++) {
    const share = reference[j] as number;
    if (share !== 0) sum += share * (values[row * m + j] as number);
  }
  return sum;
}

function toPoint(judged: Judged, of: Reference, belongs: (row: number) => boolean): Point {
  const { n, m, quality, costUsd } = judged;
  let [cost, sum, count] = [0, 0, 0];
  for (let row = 0; row < n; row++) {
    if (!belongs(row)) continue;
    cost += valueAt(costUsd, row, m, of);
    sum += valueAt(quality, row, m, of);
    count++;
  }
  return { cost: cost / Math.max(1, count), quality: sum / Math.max(1, count) };
}

/** Per row, by the clipped outcomes and, for logged calls, by the unclipped ones. */
interface Gains {
  readonly gains: Float64Array;
  readonly unclipped: Float64Array | undefined;
}

/** Which of a reference's points stand for it, by ascending cost. */
type Order = (points: NamedPoint[]) => readonly NamedPoint[];

interface NamedPoint extends Point {
  readonly at: number;
}

const byHull: Order = toHull;

/**
 * A router's own points, as its dial has them. Taking the better ones by their luck on one half would
 * hold the reference to less than it is worth on the other.
 */
const byCost: Order = (points) => points.sort((a, b) => a.cost - b.cost || a.at - b.at);

/**
 * Quality of the router's choice minus the reference's at the same cost, averaged over the dial. Each
 * is a coin between its two points around that cost; which, is learnt on one half of the rows and
 * measured on the other, so that choosing it earns nothing. Where the reference has nothing so cheap
 * (or so dear), they meet at the cost that it has.
 */
function gainsAtEqualCost(
  judged: Judged,
  choices: Choices,
  references: References,
  order: Order,
): Gains {
  const { n, m, unit, quality, unclipped } = judged;
  const gains = new Float64Array(n);
  const plain = unclipped ? new Float64Array(n) : undefined;
  for (const half of [0, 1]) {
    const learns = (row: number) => (unit[row] as number) % 2 !== half;
    const lineOf = (offered: readonly Reference[], ordering: Order): Line => ({
      offered,
      points: ordering(offered.map((one, at) => ({ ...toPoint(judged, one, learns), at }))),
    });
    const own = lineOf(choices, byCost);
    const other = lineOf(references(learns), order);
    const range = [other.points[0]?.cost ?? 0, other.points.at(-1)?.cost ?? 0] as const;
    const costs = atDial(choices).map((choice) =>
      Math.max(range[0], Math.min(range[1], toPoint(judged, choice, learns).cost)),
    );
    for (const cost of costs) {
      const [router, reference] = [mixAt(own, cost), mixAt(other, cost)];
      const gainOf = (values: ArrayLike<number>, row: number) =>
        valueOfMix(values, row, m, router) - valueOfMix(values, row, m, reference);
      for (let row = 0; row < n; row++) {
        if (learns(row)) continue;
        gains[row] = (gains[row] as number) + gainOf(quality, row) / costs.length;
        if (!plain || !unclipped) continue;
        plain[row] = (plain[row] as number) + gainOf(unclipped, row) / costs.length;
      }
    }
  }
  return { gains, unclipped: plain };
}

/** What is offered, and its points by ascending cost. */
interface Line {
  readonly offered: readonly Reference[];
  readonly points: readonly NamedPoint[];
}

/** A coin between two: how often it falls on the second. */
interface Mix {
  readonly from: Reference;
  readonly to: Reference;
  readonly share: number;
}

function mixAt({ offered, points }: Line, cost: number): Mix {
  const { low, high, share } = bracket(points, cost);
  return { from: offered[low] as Reference, to: offered[high] as Reference, share };
}

function valueOfMix(values: ArrayLike<number>, row: number, m: number, { from, to, share }: Mix) {
  const second = valueAt(values, row, m, to);
  return share === 1 ? second : (1 - share) * valueAt(values, row, m, from) + share * second;
}

/** The two points around a cost, and how much of the second makes that cost. */
function bracket(points: readonly NamedPoint[], cost: number) {
  const above = points.findIndex((point) => point.cost >= cost * (1 - 1e-9));
  const last = points.at(-1)?.at ?? 0;
  if (above < 0) return { low: last, high: last, share: 1 };
  const high = points[above] as NamedPoint;
  const low = points[above - 1];
  const range = high.cost - (low?.cost ?? 0);
  if (!low || !(range > 0) || high.cost <= cost) return { low: high.at, high: high.at, share: 1 };
  return { low: low.at, high: high.at, share: (cost - low.cost) / range };
}

/** The mean, and the lower end of its 95 % interval by bootstrap over groups of rows. */
function toGain(
  { n, unit }: Judged,
  { gains, unclipped }: Gains,
  { rounds, random }: { readonly rounds: number; readonly random: Random },
): JsonObject {
  const units = unit.reduce((most, id) => Math.max(most, id + 1), 0);
  const sums = new Float64Array(units);
  const counts = new Float64Array(units);
  gains.forEach((gain, row) => {
    const at = unit[row] as number;
    sums[at] = (sums[at] as number) + gain;
    counts[at] = (counts[at] as number) + 1;
  });
  const means = Float64Array.from({ length: rounds }, () => {
    const weight = drawWeights(sums.length, random);
    let [sum, count] = [0, 0];
    for (let at = 0; at < sums.length; at++) {
      sum += (weight[at] as number) * (sums[at] as number);
      count += (weight[at] as number) * (counts[at] as number);
    }
    return sum / Math.max(1, count);
  }).sort();
  const mean = meanOf(gains, n);
  // What clipping hides is bias: where it flattered the gain, the bound gives it back.
  const flattered = unclipped ? Math.min(0, meanOf(unclipped, n) - mean) : 0;
  return {
    gain: mean.toFixed(6),
    gain_lower: (quantileOf(means, lowerShare) + flattered).toFixed(6),
  };
}

function meanOf(values: Float64Array, n: number): number {
  let sum = 0;
  for (const value of values) sum += value;
  return sum / Math.max(1, n);
}
