/**
 * A query in 64 numbers, for finding queries alike before any projection is learnt: half of them a
 * random projection of its embedding, half one of its hashed words by TF-IDF, each half of unit
 * length. Distances are kept to some 20 %, which is enough to tell what is near.
 * Source: Charikar, Chen & Farach-Colton, "Finding frequent items in data streams", 2002.
 */
import type { RawFeatures } from "../../domain/features.ts";
import { lexicalBuckets } from "../../embedding/lexical.ts";

export const sketchSize = 64;
const half = sketchSize / 2;

export interface Sketcher {
  /** Writes `sketchSize` numbers at `at`; counts the query's words towards what is rare. */
  write(features: RawFeatures, out: Float32Array, at: number): void;
}

export function createSketcher(): Sketcher {
  const frequency = new Uint32Array(lexicalBuckets);
  let queries = 0;
  return {
    write({ embedding, lexicalBuckets: buckets, lexicalCounts }, out, at) {
      queries++;
      out.fill(0, at, at + sketchSize);
      for (let i = 0; i < embedding.length; i++) {
        add(out, at, mix(i + 0x10000), embedding[i] as number);
      }
      for (let i = 0; i < buckets.length; i++) {
        const bucket = buckets[i] as number;
        const seen = (frequency[bucket] as number) + 1;
        frequency[bucket] = seen;
        const weight = 1 + Math.log(lexicalCounts[i] as number);
        add(out, at + half, mix(bucket), weight * Math.log((1 + queries) / seen + 1));
      }
      normalize(out, at);
      normalize(out, at + half);
    },
  };
}

/** One of 32 places, and a sign. */
function add(out: Float32Array, at: number, hash: number, value: number): void {
  const place = at + (hash & (half - 1));
  out[place] = (out[place] as number) + (hash & 0x100 ? value : -value);
}

function normalize(out: Float32Array, at: number): void {
  let squares = 0;
  for (let i = at; i < at + half; i++) squares += (out[i] as number) ** 2;
  if (squares === 0) return;
  const factor = Math.SQRT1_2 / Math.sqrt(squares);
  for (let i = at; i < at + half; i++) out[i] = (out[i] as number) * factor;
}

function mix(value: number): number {
  let h = Math.imul(value + 1, 0x9e3779b1);
  h = Math.imul(h ^ (h >>> 16), 0x21f0aaad);
  h = Math.imul(h ^ (h >>> 15), 0x735a2d97);
  return (h ^ (h >>> 15)) >>> 0;
}
