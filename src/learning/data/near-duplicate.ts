/**
 * Keys that queries of nearly the same words share, from their hashed words alone: the event log has
 * no text. Two bands of six minima each: queries that share 90 % of their words and pairs meet with a
 * chance of 78 %, those that share half with 3 %.
 * Source: Broder, "On the resemblance and containment of documents", 1997.
 */
import type { RawFeatures } from "../../domain/features.ts";
import { lexicalFields } from "../../embedding/lexical.ts";

const bands = 2;
const perBand = 6;
const wordsEnd = lexicalFields.words.start + 2 ** lexicalFields.words.bits;

/** No key for a query of fewer than four words: what is short is alike by chance. */
export function nearDuplicateKeys({ lexicalBuckets }: RawFeatures): string[] {
  const minima = new Uint32Array(bands * perBand).fill(0xffffffff);
  let words = 0;
  for (const bucket of lexicalBuckets) {
    if (bucket >= wordsEnd) break; // ascending, words first
    words++;
    for (let i = 0; i < minima.length; i++) {
      const hash = mix(bucket, i);
      if (hash < (minima[i] as number)) minima[i] = hash;
    }
  }
  if (words < leastWords) return [];
  return Array.from({ length: bands }, (_, band) => {
    return `n${band}:${minima.subarray(band * perBand, (band + 1) * perBand).join(",")}`;
  });
}

/** Words and pairs: four words have three pairs. */
const leastWords = 7;

function mix(value: number, seed: number): number {
  let h = Math.imul(value + 1, 0x9e3779b1) ^ Math.imul(seed + 1, 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 16), 0x21f0aaad);
  h = Math.imul(h ^ (h >>> 15), 0x735a2d97);
  return (h ^ (h >>> 15)) >>> 0;
}
