/** Routes a table of full-information rows with a trained router, at every operating point of its dial. */
import { decide, toLambda } from "../routing/decide.ts";
import type { QueryScores, TrainedRouter } from "../routing/trained-router.ts";
import type { Table } from "./table.ts";

export interface OperatingPoint {
  /** `tradeoff=0.35`: what an operator would set. */
  readonly name: string;
  readonly tradeoff: number;
  /** n: index into the table's labels. */
  readonly chosen: Int32Array;
}

export interface Routed {
  readonly points: readonly OperatingPoint[];
  /** n×m in the order of the table's labels. */
  readonly quality: Float32Array;
  readonly novelty: Float32Array;
  readonly abstained: number;
  /** Table labels that the router does not know. */
  readonly unknown: readonly string[];
}

export const operatingPoints = 49;

export async function routeTable(
  router: TrainedRouter,
  table: Table,
  progress: (share: number) => void = () => undefined,
): Promise<Routed> {
  const { n, labels } = table;
  const m = labels.length;
  const candidates = labels.map((model) => ({
    model,
    group: model,
    label: router.labels.indexOf(model),
  }));
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
    const scores: QueryScores = await router.scoreFeatures(features);
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
  return { points, quality, novelty, abstained, unknown };
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
