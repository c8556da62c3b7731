/** Raw features of a query: embedding, hashed words, shape. The same code serves and trains. */
import { PackedFeatures, type RawFeatures, type RoutingQuery } from "../domain/features.ts";
import { createKernels } from "../kernels/create.ts";
import type { Kernels } from "../kernels/kernels.ts";
import type { Embedder, FeatureExtractor } from "./embedder.ts";
import { toToolText } from "./lexical.ts";
import { shapeNames } from "./shape.ts";
import { createTextExtractor } from "./text-features.ts";

/** Number of this set of features, in every artifact: `runtime.feature_schema`. */
export const featureSchema = 1;

/** Answers at once where the embedder does. Cost: about 3 ns per unit of text, and the embedding. */
export function createFeatureExtractor(
  embedder: Embedder,
  create: (bytes: number) => Kernels = createKernels,
): FeatureExtractor {
  const { embedding, read } = createTextExtractor(create, embedder.dimensions);
  const pack = (packed: Uint8Array) =>
    new PackedFeatures(embedder.id, packed, embedder.dimensions, shapeNames.length);
  return {
    embedder,
    extract(query: RoutingQuery): RawFeatures | Promise<RawFeatures> {
      const { text, tools } = query;
      const toolText = tools.length > 0 ? toToolText(tools) : "";
      if (embedder.embedInto) {
        embedder.embedInto(text, embedding);
        return pack(read(text, tools.length, toolText));
      }
      const packed = read(text, tools.length, toolText);
      const finish = (vector: Float32Array): RawFeatures => {
        new Float32Array(packed.buffer, 0, vector.length).set(vector);
        return pack(packed);
      };
      const embedded = embedder.embed(text);
      return embedded instanceof Promise ? embedded.then(finish) : finish(embedded);
    },
  };
}

/** No embedding at all: routing by words and shape alone. */
export const noEmbedder: Embedder = {
  id: "none@0000000000000000",
  sha256: "0".repeat(64),
  dimensions: 0,
  sync: true,
  maxChars: 0,
  embed: () => new Float32Array(0),
  close: () => undefined,
};
