/** Hits by meaning and hits by words as one list: a weighted sum of scores that are from 0 to 1. */
import type { VectorHit, VectorQuery } from "../vectors.ts";

export const defaultWeights = { vector: 0.7, words: 0.3 } as const;

/** How many of each kind are looked at for one result of both. */
export const widening = 8;
export const leastCandidates = 64;

export const candidatesFor = ({ limit }: Pick<VectorQuery, "limit">) =>
  Math.max(leastCandidates, limit * widening);

/** Best first; what one of the two missed has 0 there. */
export function blendHits(
  near: readonly VectorHit[],
  worded: readonly VectorHit[],
  { vector, words, weights = defaultWeights, limit }: VectorQuery,
): readonly VectorHit[] {
  const share = {
    vector: vector ? weights.vector : 0,
    words: words === undefined ? 0 : weights.words,
  };
  const whole = share.vector + share.words || 1;
  const found = new Map<string, VectorHit>();
  const add = (hit: VectorHit, weight: number) => {
    const key = `${hit.passage} ${hit.document}`;
    const score = (weight * Math.max(0, Math.min(1, hit.score))) / whole;
    found.set(key, { ...hit, score: score + (found.get(key)?.score ?? 0) });
  };
  for (const hit of near) add(hit, share.vector);
  for (const hit of worded) add(hit, share.words);
  return [...found.values()]
    .sort(
      (a, b) => b.score - a.score || a.document.localeCompare(b.document) || a.passage - b.passage,
    )
    .slice(0, limit);
}

/** Scores of no known scale, by the best of them. */
export function relativeToBest(hits: readonly VectorHit[]): readonly VectorHit[] {
  const best = hits.reduce((most, { score }) => Math.max(most, score), 0);
  return best > 0 ? hits.map((hit) => ({ ...hit, score: hit.score / best })) : hits;
}
