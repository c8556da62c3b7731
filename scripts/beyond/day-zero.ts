/** Day 0: the catalog's prior on a set, with and without what it may know of that set and its models. */

import { shapeNames } from "../../src/embedding/shape.ts";
import { toStats } from "../../src/learning/evidence/curve.ts";
import { type Evaluation, evaluate } from "../../src/learning/evidence/evaluate.ts";
import type { Table } from "../../src/learning/table.ts";
import { createTablePrior } from "../../src/learning/table-prior.ts";
import { defaultTradeoff } from "../../src/routing/dial.ts";
import { createCapabilities, toKey } from "../../src/routing/prior/capability.ts";
import { fitNeed, pointOf } from "./fit-need.ts";

export interface DayZero {
  readonly set: string;
  readonly zero: number;
  readonly prior: number;
  readonly heldOut: number;
  readonly heldLow: number;
  readonly heldHigh: number;
  /** Of the fixed models that the held-out prior's abilities and prices put on their hull. */
  readonly fixed: number;
  readonly random: number;
  readonly cheapest: { readonly name: string; readonly quality: number };
  readonly best: { readonly name: string; readonly quality: number };
  /** Best quality of the held-out prior's curve. */
  readonly most: number;
  readonly apgr?: number;
  /** At the dial's default, held out; cost as a share of the random mix's. */
  readonly half: { readonly quality: number; readonly cost: number };
  readonly mix: { readonly quality: number };
}

/** Every query alike: the dial goes from one fixed model to the next. */
const noNeed = { weights: shapeNames.map(() => 0), bias: 0 } as const;

function atDefault(curve: Evaluation["curve"], mixCost: number): DayZero["half"] {
  const far = (name: string) => Math.abs(Number(name.replace("tradeoff=", "")) - defaultTradeoff);
  const [nearest] = curve
    .filter(({ name }) => name.startsWith("tradeoff="))
    .sort((a, b) => far(a.name) - far(b.name));
  if (!nearest) throw new Error("the prior has no dial");
  return { quality: nearest.quality, cost: nearest.cost / mixCost };
}

/** @param others train splits of the sets that the need may be learnt from */
export async function measureDayZero(
  set: string,
  test: Table,
  others: readonly Table[],
): Promise<DayZero> {
  const shipped = createTablePrior(test);
  const keys = test.labels.map(toKey);
  const isOurs = (key: string) => keys.some((one) => one === key || one.startsWith(`${key}-`));
  const capabilityOf = createCapabilities(isOurs);
  const heldOut = createTablePrior(test, { capabilityOf, need: fitNeed(others) });
  const alike = createTablePrior(test, { capabilityOf, need: noNeed });
  const fixed = (await evaluate(alike, test, { seed: 1, bootstrap: 1 })).evaluation.router.aiq;
  const known = (await evaluate(shipped, test, { seed: 1, bootstrap: 2 })).evaluation;
  const { evaluation } = await evaluate(heldOut, test, { seed: 1, bootstrap: 200 });
  const singles = test.labels.map((_, j) => pointOf(test, j));
  const mean = (of: (one: (typeof singles)[number]) => number) =>
    singles.reduce((sum, one) => sum + of(one), 0) / singles.length;
  const mix = { cost: mean(({ cost }) => cost), quality: mean(({ quality }) => quality) };
  const { baselines, pair } = evaluation;
  const aiq = evaluation.intervals["router.aiq"];
  return {
    set,
    zero: baselines.zeroRouter.aiq,
    prior: known.router.aiq,
    heldOut: evaluation.router.aiq,
    heldLow: aiq?.low ?? Number.NaN,
    heldHigh: aiq?.high ?? Number.NaN,
    fixed,
    random: toStats([mix], singles).aiq,
    cheapest: baselines.cheapest,
    best: baselines.bestSingle,
    most: evaluation.router.maxQuality,
    half: atDefault(evaluation.curve, mix.cost),
    mix,
    ...(pair ? { apgr: pair.intervals.apgr.value } : {}),
  };
}
