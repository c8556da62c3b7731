/**
 * RouteLLM's measures for a strong and a weak model: queries in the order of the router's score for
 * the strong one. PGR(f) = (quality with a share f sent to the strong model − weak) / (strong − weak).
 * Source: Ong et al., arXiv 2406.18665.
 */
import type { TrainedRouter } from "../routing/trained-router.ts";
import type { Routed } from "./route-table.ts";
import type { Table } from "./table.ts";

export interface PairStats {
  readonly strong: string;
  readonly weak: string;
  /** Mean PGR over all shares; chance gives 0.5. */
  readonly apgr: number;
  /** Least share of strong calls that recovers 50 and 80 % of the gap. */
  readonly cpt50: number;
  readonly cpt80: number;
}

/** The model that was better in training; in the order of the table's labels. */
export function strongOf(router: TrainedRouter, table: Table): 0 | 1 {
  const [first = 0, second = 0] = table.labels.map((label) => {
    const at = router.labels.indexOf(label);
    return at >= 0 ? (router.labelQuality[at] as number) : 0;
  });
  return second > first ? 1 : 0;
}

/** n: higher means that the strong model is needed more. */
export function strongScores(routed: Routed, strong: 0 | 1): Float32Array {
  const weak = 1 - strong;
  return Float32Array.from(
    { length: routed.novelty.length },
    (_, row) =>
      (routed.quality[row * 2 + strong] as number) - (routed.quality[row * 2 + weak] as number),
  );
}

export function measurePair(router: TrainedRouter, table: Table, routed: Routed): PairStats {
  const strong = strongOf(router, table);
  const weak = 1 - strong;
  const scores = strongScores(routed, strong);
  const order = Array.from({ length: table.n }, (_, row) => row);
  order.sort((a, b) => (scores[b] as number) - (scores[a] as number) || a - b);
  const gapOf = (row: number) =>
    (table.quality[row * 2 + strong] as number) - (table.quality[row * 2 + weak] as number);
  const gap = order.reduce((sum, row) => sum + gapOf(row), 0);
  const recovered = [0];
  let gained = 0;
  for (const row of order) {
    gained += gapOf(row);
    recovered.push(gap === 0 ? Number.NaN : gained / gap);
  }
  const least = (share: number) => recovered.findIndex((pgr) => pgr >= share) / table.n;
  return {
    strong: table.labels[strong] as string,
    weak: table.labels[weak] as string,
    apgr: recovered.reduce((sum, pgr) => sum + pgr, 0) / recovered.length,
    cpt50: least(0.5),
    cpt80: least(0.8),
  };
}
