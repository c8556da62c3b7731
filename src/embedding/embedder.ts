/** The contract of text to vector. Two families: static (in WASM, microseconds) and ONNX (a worker). */
import type { RawFeatures, RoutingQuery } from "../domain/features.ts";

export interface Embedder {
  /** `<name>@<first 16 hex of the sha256 of what it is made of>`; part of every artifact. */
  readonly id: string;
  readonly sha256: string;
  readonly dimensions: number;
  /**
   * Unit vector of a text (zero for an empty one). `sync` embedders answer at once, on the calling
   * thread; the others answer with a promise from their worker. Text beyond `maxChars` is cut.
   */
  readonly sync: boolean;
  readonly maxChars: number;
  embed(text: string): Float32Array | Promise<Float32Array>;
  /** `embed` of a `sync` one without a new array: to `out`, `dimensions` long. */
  embedInto?(text: string, out: Float32Array): void;
  close(): void;
}

/** Raw features of a query: the embedding and the hashed lexical and shape features beside it. */
export interface FeatureExtractor {
  readonly embedder: Embedder;
  extract(query: RoutingQuery): RawFeatures | Promise<RawFeatures>;
}
