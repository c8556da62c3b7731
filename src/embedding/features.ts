/** Raw features of a query: embedding, hashed words, shape. The same code serves and trains. */
import type { RawFeatures, RoutingQuery } from "../domain/features.ts";
import { createKernels } from "../kernels/create.ts";
import type { Kernels } from "../kernels/kernels.ts";
import type { Embedder, FeatureExtractor } from "./embedder.ts";
import { toToolText } from "./lexical.ts";
import { createTextExtractor } from "./text-features.ts";

/** Number of this set of features, in every artifact: `runtime.feature_schema`. */
export const featureSchema = 1;

/** Answers at once where the embedder does. Cost: about 3 ns per unit of text, and the embedding. */
export function createFeatureExtractor(
  embedder: Embedder,
  create: (bytes: number) => Kernels = createKernels,
): FeatureExtractor {
  const extractText = createTextExtractor(create);
  return {
    embedder,
    extract(query: RoutingQuery): RawFeatures | Promise<RawFeatures> {
      const toolText = query.tools.length > 0 ? toToolText(query.tools) : "";
      const { buckets, counts, shape } = extractText(query.text, query.tools.length, toolText);
      const finish = (embedding: Float32Array): RawFeatures => ({
        embedderId: embedder.id,
        embedding,
        lexicalBuckets: buckets,
        lexicalCounts: counts,
        shape,
      });
      const embedding = embedder.embed(query.text);
      return embedding instanceof Promise ? embedding.then(finish) : finish(embedding);
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
