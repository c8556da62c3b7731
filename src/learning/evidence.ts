/**
 * The evidence for the gate: what a trained router gains over the best single model, and over the
 * release in force, at no more than the other's cost, on rows that the choices were not fitted to.
 */
import type { JsonObject } from "../domain/json.ts";
import type { ArtifactIdentity } from "../routing/trained-router.ts";
import { createRandom, nextInt, type Random } from "../std/random.ts";
import type { Table } from "./table.ts";
import type { Trained } from "./train.ts";
import { choose, type Outcomes, toSingles } from "./validate.ts";

const rounds = 1000;

/** What a router picks on every row of a table, at each point of its dial. */
export type Choices = readonly Int32Array[];

/** The release in force. It may have learnt from these very rows, which only makes it harder to beat. */
export interface Rival {
  readonly identity: ArtifactIdentity;
  readonly choices: Choices;
}

/** The trained router's choices on the rows it learnt from, each by a fit that had not seen the row. */
export function outOfFoldChoices({ n, labels }: Table, { evidence }: Trained): Choices {
  const { predicted, costs, costRef, lambdas } = evidence;
  return lambdas.map((lambda) =>
    choose(predicted, costs, { n, m: labels.length, lambda, costRef }),
  );
}

/** `provenance.metrics.gate` as the gate reads it; undefined where the rows cannot tell. */
export function measureEvidence(
  table: Table,
  choices: Choices,
  { seed, rival }: { readonly seed: number; readonly rival?: Rival | undefined },
): JsonObject | undefined {
  // A gain over a model needs its outcome on every row; logs of single choices have none.
  if (table.quality.some(Number.isNaN)) return undefined;
  const outcomes: Outcomes = { ...table, m: table.labels.length };
  const singles = toSingles(outcomes);
  const best = singles.reduce(
    (top, { quality }, j) => (quality > (singles[top]?.quality ?? 0) ? j : top),
    0,
  );
  const random = createRandom(seed + 9);
  const single = new Int32Array(table.n).fill(best);
  return {
    confidence: "0.95",
    rows: table.n,
    best_single: {
      model: table.labels[best] as string,
      ...toGain(gainsAtEqualCost(table, choices, single), random),
    },
    ...(rival ? { incumbent: toIncumbent(table, choices, rival, random) } : {}),
  };
}

/** Over its dial: beating a router at one of its points is no art. */
function toIncumbent(table: Table, choices: Choices, rival: Rival, random: Random): JsonObject {
  const { version, sha256 } = rival.identity;
  const points = [0.25, 0.5, 0.75].map(
    (share) => rival.choices[Math.round(share * (rival.choices.length - 1))] as Int32Array,
  );
  const gains = new Float64Array(table.n);
  for (const point of points) {
    gainsAtEqualCost(table, choices, point).forEach((gain, row) => {
      gains[row] = (gains[row] as number) + gain / points.length;
    });
  }
  return { version, sha256, ...toGain(gains, random) };
}

/** The mean, and the lower end of its 95 % interval by bootstrap. */
function toGain(gains: Float64Array, random: Random): JsonObject {
  const n = Math.max(1, gains.length);
  const mean = gains.reduce((sum, gain) => sum + gain, 0) / n;
  const means = Float64Array.from({ length: rounds }, () => {
    let sum = 0;
    for (let i = 0; i < gains.length; i++) sum += gains[nextInt(random, gains.length)] as number;
    return sum / n;
  }).sort();
  return {
    gain: mean.toFixed(6),
    gain_lower: (means[Math.floor(0.05 * rounds)] ?? 0).toFixed(6),
  };
}

/**
 * Per row: quality of the router's choice minus the reference's. The operating point is chosen on
 * one half of the rows and measured on the other, so that choosing it earns nothing.
 */
function gainsAtEqualCost(table: Table, choices: Choices, reference: Int32Array): Float64Array {
  const { n, labels, quality, group } = table;
  const m = labels.length;
  const costOf = toCosts(table);
  const gains = new Float64Array(n);
  for (const half of [0, 1]) {
    const rows: number[] = [];
    for (let row = 0; row < n; row++) if ((group[row] as number) % 2 !== half) rows.push(row);
    const sum = (choice: Int32Array, of: (at: number) => number) =>
      rows.reduce((total, row) => total + of(row * m + (choice[row] as number)), 0);
    const limit = sum(reference, costOf);
    let chosen = reference;
    let top = Number.NEGATIVE_INFINITY;
    for (const choice of choices) {
      const reached = sum(choice, (at) => quality[at] as number);
      if (reached <= top || sum(choice, costOf) > limit * (1 + 1e-9)) continue;
      top = reached;
      chosen = choice;
    }
    for (let row = 0; row < n; row++) {
      if ((group[row] as number) % 2 !== half) continue;
      const at = (choice: Int32Array) => quality[row * m + (choice[row] as number)] as number;
      gains[row] = at(chosen) - at(reference);
    }
  }
  return gains;
}

/** An unknown cost stands for the model's mean; where nothing is known, models cost alike. */
function toCosts({ n, labels, costUsd }: Table): (at: number) => number {
  const m = labels.length;
  const means = labels.map((_, j) => {
    let sum = 0;
    let known = 0;
    for (let row = 0; row < n; row++) {
      const cost = costUsd[row * m + j] as number;
      if (Number.isNaN(cost)) continue;
      sum += cost;
      known++;
    }
    return known > 0 ? sum / known : 0;
  });
  return (at) => {
    const cost = costUsd[at] as number;
    return Number.isNaN(cost) ? (means[at % m] as number) : cost;
  };
}
