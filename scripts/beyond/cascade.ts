/**
 * AutoMix where answers are recorded and verdicts are not: the small model's answers, their scores and
 * costs are the set's own; the verifier is simulated from the recorded correctness, as one that is
 * right on each of its verdicts with a given probability. So this says what the cascade's rule is worth
 * with a verifier of that quality, not how good a verifier any model is.
 */
import { heightAt, toHull } from "../../src/learning/evidence/curve.ts";
import type { Table } from "../../src/learning/table.ts";
import {
  type AutomixRow,
  escalates,
  fitAutomix,
  type RoutingMethod,
} from "../../src/routing/policies/automix-rules.ts";
import { createRandom, type Random } from "../../src/std/random.ts";
import { pointOf } from "./fit-need.ts";

export interface Cascade {
  readonly small: string;
  readonly large: string;
  readonly rows: readonly {
    readonly accuracy: number;
    readonly method: RoutingMethod;
    readonly quality: number;
    /** USD per query, verdicts and both answers included. */
    readonly cost: number;
    readonly escalated: number;
    /** Over the line from the small model to the large one, and over all fixed models, at that cost. */
    readonly overLine: number;
    readonly overFixed: number;
  }[];
}

/** Share of verdicts that are right. AutoMix's own verifiers lie between .55 and .75. */
const accuracies = [0.6, 0.7, 0.8, 0.9] as const;
/** As the strategy's defaults: verdicts per answer, bins, and their cost in small answers. */
const verdicts = 8;
const bins = 8;
const verificationCost = 1;
const methods: readonly RoutingMethod[] = ["Threshold", "POMDP"];

/** Small and large: the ends of the hull of the fixed models on the train split. */
export function measureCascade(train: Table, test: Table): Cascade | undefined {
  const singles = train.labels.map((name, j) => ({ name, ...pointOf(train, j) }));
  const hull = toHull(singles);
  const [small, large] = [hull[0], hull.at(-1)];
  if (!small || !large || small === large) return undefined;
  const fixed = toHull(test.labels.map((_, j) => pointOf(test, j)));
  const of = (table: Table, name: string) => table.labels.indexOf(name);
  const rows = accuracies.map((accuracy) => {
    const random = createRandom(1);
    const pair = { small: of(train, small.name), large: of(train, large.name) };
    const known = toRows(train, pair, accuracy, random);
    const costs = {
      small: small.cost,
      large: large.cost,
      verifier: verificationCost * small.cost,
    };
    const fits = methods.map((method) => fitAutomix(known, method, bins, costs));
    const best = fits.reduce((top, one) => (one.ibcLift > top.ibcLift ? one : top));
    const there = { small: of(test, small.name), large: of(test, large.name) };
    const judged = toRows(test, there, accuracy, random);
    let quality = 0;
    let cost = 0;
    let escalated = 0;
    judged.forEach((row, at) => {
      const up = escalates(best.rule, row.p);
      quality += (up ? row.large : row.small) / judged.length;
      cost += ((1 + verificationCost) * costOf(test, at, there.small)) / judged.length;
      if (up) cost += costOf(test, at, there.large) / judged.length;
      if (up) escalated += 1 / judged.length;
    });
    const line = toHull([pointOf(test, there.small), pointOf(test, there.large)]);
    return {
      accuracy,
      method: best.rule.method,
      quality,
      cost,
      escalated,
      overLine: quality - heightAt(line, cost),
      overFixed: quality - heightAt(fixed, cost),
    };
  });
  return { small: small.name, large: large.name, rows };
}

function toRows(
  { n, labels, quality, weight }: Table,
  pair: { readonly small: number; readonly large: number },
  accuracy: number,
  random: Random,
): AutomixRow[] {
  const m = labels.length;
  return Array.from({ length: n }, (_, row) => {
    const small = quality[row * m + pair.small] as number;
    let favourable = 0;
    for (let i = 0; i < verdicts; i++) {
      const right = random.next() < small;
      if (random.next() < accuracy ? right : !right) favourable++;
    }
    const large = quality[row * m + pair.large] as number;
    return { small, large, p: favourable / verdicts, weight: weight[row] as number };
  });
}

const costOf = ({ labels, costUsd }: Table, row: number, j: number) =>
  costUsd[row * labels.length + j] as number;
