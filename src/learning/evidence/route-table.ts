/** Routes a table of full-information rows with a trained router, at every operating point of its dial. */
import { type CandidateInput, decide, toLambda } from "../../routing/decide.ts";
import { createCapabilities } from "../../routing/prior/capability.ts";
import { type PriorModel, toNotes } from "../../routing/prior/prior-router.ts";
import type { QueryScores, TrainedRouter } from "../../routing/trained-router.ts";
import type { Table } from "../table.ts";
import { toPriorModels } from "../table-prior.ts";
import { heightAt, toHull } from "./curve.ts";

export interface OperatingPoint {
  /** `tradeoff=0.35`: what an operator would set. */
  readonly name: string;
  /** n: index into the table's labels. */
  readonly chosen: Int32Array;
}

export interface Routed {
  /** The dial's. */
  readonly points: readonly OperatingPoint[];
  /** `fixed=<model>`: the fixed models that the training data found worth having. They belong to the
   * policies that an operator chooses from (a floor that only the model itself holds, its own group). */
  readonly fixed: readonly OperatingPoint[];
  /** n×m in the order of the table's labels. */
  readonly quality: Float32Array;
  readonly novelty: Float32Array;
  readonly abstained: number;
  /** Table labels that the router does not know. */
  readonly unknown: readonly string[];
}

export const operatingPoints = 97;

export async function routeTable(
  router: TrainedRouter,
  table: Table,
  progress: (share: number) => void = () => undefined,
): Promise<Routed> {
  const { n, labels } = table;
  const m = labels.length;
  const candidates = toCandidates(router, table);
  const indexOf = new Map(labels.map((label, j) => [label, j]));
  const points = toPoints(router).map(({ name, tradeoff }) => ({
    name,
    tradeoff,
    chosen: new Int32Array(n),
  }));
  const quality = new Float32Array(n * m);
  const novelty = new Float32Array(n);
  let abstained = 0;
  for (let row = 0; row < n; row++) {
    const features = table.features[row];
    if (!features) continue;
    const scores: QueryScores = await router.scoreFeatures(features, table.users?.[row]);
    novelty[row] = scores.novelty;
    if (scores.abstain) abstained++;
    for (const { tradeoff, chosen } of points) {
      const decided = decide({ router, scores, candidates, inputTokens: 0, dial: { tradeoff } });
      chosen[row] = indexOf.get(decided.chosen) ?? 0;
    }
    candidates.forEach(({ label }, j) => {
      quality[row * m + j] = label >= 0 ? (scores.quality[label] as number) : 0.5;
    });
    if (row % 64 === 0) progress(row / n);
  }
  const unknown = labels.filter((label) => !router.labels.includes(label));
  return { points, fixed: toFixed(router, table), quality, novelty, abstained, unknown };
}

/** As serving has them; what models cost is what the router predicts, or what rows like these did. */
function toCandidates(router: TrainedRouter, table: Table): CandidateInput[] {
  const capabilityOf = createCapabilities();
  const notes = toPriorModels(table);
  return table.labels.map((model, j): CandidateInput => {
    const note = notes[j] as PriorModel;
    const label = router.labels.indexOf(model);
    const known = { model, group: model, label, ability: capabilityOf(toNotes(note)).index };
    const costUsd = label < 0 ? note.meanCostUsd : undefined;
    return costUsd === undefined ? known : { ...known, costUsd };
  });
}

/**
 * By the router's own table, learnt in training: nothing of the rows at hand is looked at. Models that
 * training could not tell from those on its hull belong to it: which of them is better is chance.
 */
function toFixed(router: TrainedRouter, table: Table): OperatingPoint[] {
  const { labels, labelQuality, labelCostUsd } = router;
  if (router.dial.length < 2) return []; // a strategy without a dial is itself a fixed model
  const singles = labels.map((name, j) => ({
    name,
    cost: labelCostUsd[j] as number,
    quality: labelQuality[j] as number,
  }));
  const priced = singles.filter(({ cost }) => Number.isFinite(cost));
  const hull = toHull(priced);
  return priced
    .filter(({ name, cost, quality }) => {
      const lacks = heightAt(hull, cost) - quality;
      return lacks <= toError(quality, router.rows) && table.labels.includes(name);
    })
    .map(({ name }) => ({
      name: `fixed=${name}`,
      chosen: new Int32Array(table.n).fill(table.labels.indexOf(name)),
    }));
}

/** One standard error of a model's mean quality; 0 where it is not known what stands behind it. */
function toError(quality: number, rows = 0): number {
  return rows > 0 ? Math.sqrt((quality * (1 - quality)) / rows) : 1e-9;
}

/** Trade-offs from 0 to 1; those with the same λ as the one before are left out beyond the twentieth. */
function toPoints(router: TrainedRouter): { name: string; tradeoff: number }[] {
  const count = Math.max(21, Math.min(operatingPoints, router.dial.length));
  return Array.from({ length: count }, (_, i) => {
    const tradeoff = i / (count - 1);
    return {
      name: `tradeoff=${tradeoff.toFixed(4)}`,
      tradeoff,
      lambda: toLambda(router, tradeoff),
    };
  });
}
