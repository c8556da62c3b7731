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

/**
 * Raw features as one run of bytes, as the kernels write and read them, the log keeps them, and a call
 * carries them: embedding, shape (f32 each), buckets (u16), counts (u8), nothing between them. The
 * arrays are views, made when they are first asked for.
 */
export class PackedFeatures implements RawFeatures {
  readonly embedderId: string;
  readonly packed: Uint8Array;
  readonly dimensions: number;
  readonly shapeSize: number;
  private views: Omit<RawFeatures, "embedderId"> | undefined;

  /** @param packed at a multiple of four within its buffer */
  constructor(embedderId: string, packed: Uint8Array, dimensions: number, shapeSize: number) {
    this.embedderId = embedderId;
    this.packed = packed;
    this.dimensions = dimensions;
    this.shapeSize = shapeSize;
  }

  /** How many distinct buckets there are. */
  get buckets(): number {
    return (this.packed.length - 4 * (this.dimensions + this.shapeSize)) / 3;
  }
  get embedding(): Float32Array {
    return this.open().embedding;
  }
  get shape(): Float32Array {
    return this.open().shape;
  }
  get lexicalBuckets(): Uint16Array {
    return this.open().lexicalBuckets;
  }
  get lexicalCounts(): Uint8Array {
    return this.open().lexicalCounts;
  }

  private open(): Omit<RawFeatures, "embedderId"> {
    if (this.views) return this.views;
    const { dimensions, shapeSize, buckets } = this;
    const { buffer, byteOffset } = this.packed;
    const shapeAt = byteOffset + dimensions * 4;
    const bucketsAt = shapeAt + shapeSize * 4;
    this.views = {
      embedding: new Float32Array(buffer, byteOffset, dimensions),
      shape: new Float32Array(buffer, shapeAt, shapeSize),
      lexicalBuckets: new Uint16Array(buffer, bucketsAt, buckets),
      lexicalCounts: new Uint8Array(buffer, bucketsAt + 2 * buckets, buckets),
    };
    return this.views;
  }
}
