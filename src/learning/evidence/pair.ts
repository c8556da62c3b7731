/**
 * RouteLLM's measures for a strong and a weak model: queries in the order of the router's score for
 * the strong one. PGR(f) = (quality with a share f sent to the strong model − weak) / (strong − weak).
 * Source: Ong et al., arXiv 2406.18665.
 */
import type { TrainedRouter } from "../../routing/trained-router.ts";
import type { Random } from "../../std/random.ts";
import type { Table } from "../table.ts";
import { drawWeights, type Interval, toInterval } from "./bootstrap.ts";
import type { Routed } from "./route-table.ts";

export interface PairStats {
  readonly strong: string;
  readonly weak: string;
  /** Mean PGR over all shares; chance gives 0.5. */
  readonly apgr: number;
  /** Least share of strong calls that recovers 50 and 80 % of the gap. */
  readonly cpt50: number;
  readonly cpt80: number;
  /** 95 %, by bootstrap over queries. */
  readonly intervals: Readonly<Record<"apgr" | "cpt50" | "cpt80", Interval>>;
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

/** @param rounds of the bootstrap over queries; 0 leaves the intervals empty (NaN) */
export function measurePair(
  router: TrainedRouter,
  table: Table,
  routed: Routed,
  { rounds, random }: { readonly rounds: number; readonly random: Random },
): PairStats {
  const strong = strongOf(router, table);
  const weak = 1 - strong;
  const scores = strongScores(routed, strong);
  const order = Array.from({ length: table.n }, (_, row) => row);
  order.sort((a, b) => (scores[b] as number) - (scores[a] as number) || a - b);
  const gaps = Float64Array.from(
    order,
    (row) =>
      (table.quality[row * 2 + strong] as number) - (table.quality[row * 2 + weak] as number),
  );
  const once = new Float64Array(table.n).fill(1);
  const value = recover(gaps, once);
  const drawn = Array.from({ length: rounds }, () => recover(gaps, drawWeights(table.n, random)));
  const intervalOf = (name: keyof Recovery) =>
    toInterval(
      value[name],
      drawn.map((round) => round[name]),
    );
  return {
    strong: table.labels[strong] as string,
    weak: table.labels[weak] as string,
    ...value,
    intervals: {
      apgr: intervalOf("apgr"),
      cpt50: intervalOf("cpt50"),
      cpt80: intervalOf("cpt80"),
    },
  };
}

interface Recovery {
  readonly apgr: number;
  readonly cpt50: number;
  readonly cpt80: number;
}

/** @param gaps strong minus weak, in the order in which calls go to the strong model */
function recover(gaps: Float64Array, weight: Float64Array): Recovery {
  const n = gaps.length;
  let gap = 0;
  for (let i = 0; i < n; i++) gap += (weight[i] as number) * (gaps[i] as number);
  let gained = 0;
  let sum = 0;
  let calls = 0;
  let cpt50 = Number.NaN;
  let cpt80 = Number.NaN;
  for (let i = 0; i < n; i++) {
    const w = weight[i] as number;
    gained += w * (gaps[i] as number);
    calls += w;
    const pgr = gap === 0 ? Number.NaN : gained / gap;
    sum += w * pgr;
    if (Number.isNaN(cpt50) && pgr >= 0.5) cpt50 = calls / n;
    if (Number.isNaN(cpt80) && pgr >= 0.8) cpt80 = calls / n;
  }
  return { apgr: sum / (n + 1), cpt50, cpt80 };
}
