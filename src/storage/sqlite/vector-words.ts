/**
 * Passages by their words, over the doclists of SQLite's FTS5 (https://www.sqlite.org/fts5.html). A
 * passage scores the sum of its words' weights by rarity: BM25 with each word counted once, which in
 * passages of one size is nearly all of it (Robertson and Zaragoza, The Probabilistic Relevance
 * Framework, 2009, §3.4), and costs a look at the doclists alone.
 */
import type { Database, SQLQueryBindings } from "bun:sqlite";
import { wordsOf } from "../vector-backends/word-set.ts";
import type { Scored } from "./vector-matrix.ts";

export interface WordSearch {
  readonly text: string;
  readonly most: number;
  /** Passages of the collection. */
  readonly size: number;
  /** Whether a passage is of the collection, and meets the filter. */
  readonly isAllowed: (passage: number) => boolean;
  readonly counts: WordCounts;
}

/**
 * In how many passages a word is. To count a common one reads its whole doclist, a millisecond per
 * 30,000; it is remembered, as a common word stays one whatever else is written.
 */
export interface WordCounts {
  of(word: string): number;
  /** To be told of every document that is written. */
  changed(): void;
}

/** From so many passages on a count is remembered, for so many writes of documents, of so many words. */
const common = { from: 500, writes: 500, words: 10_000 } as const;

export function createWordCounts(db: Database): WordCounts {
  const count = db.query<{ doc: number }, SQLQueryBindings[]>(
    "SELECT doc FROM word_counts WHERE term = ?",
  );
  const known = new Map<string, number>();
  let writes = 0;
  return {
    of(word) {
      const held = known.get(word);
      if (held !== undefined) return held;
      const found = count.get(word)?.doc ?? 0;
      if (found >= common.from && known.size < common.words) known.set(word, found);
      return found;
    },
    changed() {
      writes++;
      if (writes % common.writes === 0) known.clear();
    },
  };
}

/** Entries of doclists that are looked at for one question, about: the rarest words come first. */
const workLimit = 5_000;

/**
 * Best first. Scores are shares of all that the question's words weigh, those that no passage has
 * among them: 1 where a passage has every word, little where it has the common ones alone.
 */
export function searchWords(db: Database, search: WordSearch): readonly Scored[] {
  const { most, size, isAllowed } = search;
  const doclist = db.query<{ id: number }, SQLQueryBindings[]>(
    "SELECT rowid AS id FROM words WHERE words MATCH ? LIMIT ?",
  );
  const scores = new Map<number, number>();
  const weigh = (count: number) => Math.log(1 + (size - count + 0.5) / (count + 0.5));
  let work = 0;
  let whole = 0;
  for (const { word, doc } of byRarity(search.counts, wordsOf(search.text))) {
    if (doc === 0) whole += weigh(0);
    if (doc === 0 || (work > 0 && work + doc > workLimit)) continue;
    work += doc;
    const ids = doclist
      .all(`"${word}"`, workLimit)
      .map(({ id }) => id)
      .filter(isAllowed);
    const weight = weigh(ids.length);
    whole += weight;
    for (const id of ids) scores.set(id, (scores.get(id) ?? 0) + weight);
  }
  return [...scores]
    .map(([passage, score]) => ({ passage, score: score / whole }))
    .sort((a, b) => b.score - a.score || a.passage - b.passage)
    .slice(0, most);
}

function byRarity(counts: WordCounts, words: readonly string[]) {
  return words.map((word) => ({ word, doc: counts.of(word) })).sort((a, b) => a.doc - b.doc);
}
