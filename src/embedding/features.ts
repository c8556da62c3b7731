/** Raw features of a query: embedding, hashed words, shape. The same code serves and trains. */
import type { RawFeatures, RoutingQuery } from "../domain/features.ts";
import type { Embedder, FeatureExtractor } from "./embedder.ts";
import { createLexicalExtractor, toToolText, toWindow } from "./lexical.ts";
import { toShape } from "./shape.ts";

/** Number of this set of features, in every artifact: `runtime.feature_schema`. */
export const featureSchema = 1;

/** Answers at once where the embedder does. Cost: about 10 ns per unit of text, and the embedding. */
export function createFeatureExtractor(embedder: Embedder): FeatureExtractor {
  const extractLexical = createLexicalExtractor();
  return {
    embedder,
    extract(query: RoutingQuery): RawFeatures | Promise<RawFeatures> {
      const toolText = query.tools.length > 0 ? toToolText(query.tools) : "";
      const window = toWindow(query.text);
      const { buckets, counts } = extractLexical(query.text, toolText);
      const shape = toShape(query.text, window, query.tools.length, toolText.length);
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
