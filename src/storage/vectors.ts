/**
 * Passages of text with their vectors, found by meaning, by words, or by both: the contract of every
 * backend. A collection has vectors of one length; a document's passages come and go as one.
 */
import type { Json, JsonObject } from "../domain/json.ts";

export interface Passage {
  readonly text: string;
  /** Of the collection's length; need not be of unit length. */
  readonly vector: Float32Array;
}

export interface VectorDocument {
  readonly id: string;
  /** Up to 16 pairs of a name and a text, number or boolean, to filter by. */
  readonly attributes: JsonObject;
  readonly passages: readonly Passage[];
}

export interface VectorQuery {
  /** Missing: by words alone. */
  readonly vector?: Float32Array;
  /** Missing: by meaning alone. */
  readonly words?: string;
  readonly filter?: VectorFilter;
  /** At most `vectorLimits.results`. */
  readonly limit: number;
  /** Shares of the two in the score; they need not add up to 1. Default: .7 and .3. */
  readonly weights?: { readonly vector: number; readonly words: number };
}

/** OpenAI's filters, as they stand in a request. */
export type VectorFilter =
  | {
      readonly type: "eq" | "ne" | "gt" | "gte" | "lt" | "lte" | "in" | "nin";
      readonly key: string;
      readonly value: Json;
    }
  | { readonly type: "and"; readonly filters: readonly VectorFilter[] }
  | { readonly type: "or"; readonly filters: readonly VectorFilter[] };

export interface VectorHit {
  readonly document: string;
  /** Which passage of the document, from 0. */
  readonly passage: number;
  readonly text: string;
  /** 0..1, the better the higher; comparable within one answer. */
  readonly score: number;
  readonly attributes: JsonObject;
}

export interface CollectionFacts {
  readonly documents: number;
  readonly passages: number;
  readonly bytes: number;
}

/** @throws GatewayError storage_failed from every method */
export interface VectorStore {
  /**
   * Whether a document is found as a whole or not at all, also through a crash. Where it is not, who
   * searches leaves out documents whose `put` has not resolved.
   */
  readonly isWhole: boolean;
  /**
   * What the document was before is replaced; cut off, it can be done again. The facts are the
   * collection's, as far as the backend knows them without counting.
   */
  put(collection: string, document: VectorDocument): Promise<Partial<CollectionFacts>>;
  setAttributes(collection: string, document: string, attributes: JsonObject): Promise<void>;
  /** Says how many passages there were. */
  remove(collection: string, document: string): Promise<number>;
  drop(collection: string): Promise<void>;
  /** Best first. */
  search(collection: string, query: VectorQuery): Promise<readonly VectorHit[]>;
  /** A document's passages in their order. */
  read(collection: string, document: string): Promise<readonly string[]>;
  close(): Promise<void>;
}

export const vectorLimits = {
  dimensions: 8_192,
  results: 100,
  /** Of one document. */
  passages: 100_000,
  passageChars: 64_000,
  /** Collections whose vectors lie in memory, all together; the one that was asked least lately goes. */
  memoryBytes: 1024 ** 3,
} as const;

export const vectorFileName = "vectors.db";

/** Whether a document's attributes meet a filter. What a document does not have meets only `ne` and `nin`. */
export function meets(attributes: JsonObject, filter: VectorFilter): boolean {
  if (filter.type === "and" || filter.type === "or") {
    const met = (each: VectorFilter) => meets(attributes, each);
    return filter.type === "and" ? filter.filters.every(met) : filter.filters.some(met);
  }
  const held = attributes[filter.key];
  const { type, value } = filter;
  if (type === "eq") return held === value;
  if (type === "ne") return held !== value;
  if (type === "in" || type === "nin") {
    const listed = Array.isArray(value) && value.some((each) => each === held);
    return listed === (type === "in");
  }
  if (typeof held !== typeof value || held === undefined || held === null || value === null) {
    return false;
  }
  const compared = held < value ? -1 : held > value ? 1 : 0;
  if (type === "gt") return compared > 0;
  if (type === "gte") return compared >= 0;
  return type === "lt" ? compared < 0 : compared <= 0;
}
