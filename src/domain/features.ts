/** What routing knows of a query: computed once per call, logged, and learnt from. */

export interface RoutingTool {
  readonly name: string;
  readonly description?: string;
  readonly parameters?: unknown;
}

/** The text a strategy sees: the last user turn with a bounded part of the conversation before it. */
export interface RoutingQuery {
  readonly text: string;
  readonly tools: readonly RoutingTool[];
}

/**
 * The raw features of a query: all that training needs, without its text.
 * The same numbers are computed when serving and when training from text.
 */
export interface RawFeatures {
  /** Id of the embedder: `<name>@<first 16 hex of its sha256>`. */
  readonly embedderId: string;
  /** d, unit length (all zero for an empty text). */
  readonly embedding: Float32Array;
  /** Hashed word and character n-grams: bucket numbers, ascending, and their counts. */
  readonly lexicalBuckets: Uint16Array;
  readonly lexicalCounts: Uint8Array;
  /** Shape features, in the order of `embedding/shape.ts`. */
  readonly shape: Float32Array;
}
