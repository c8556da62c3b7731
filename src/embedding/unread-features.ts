/**
 * Features of a query that comes as text and its tools' words: what `features.ts` makes of the query
 * itself, for the thread that has only these. A test holds the two alike.
 */
import type { UnreadQuery } from "../domain/event.ts";
import type { RawFeatures } from "../domain/features.ts";
import { createKernels } from "../kernels/create.ts";
import { createStaticEmbedder } from "./static.ts";
import { createTextExtractor } from "./text-features.ts";

/** With the embedder that ships. Cost: 10 ms and 6 MB once; microseconds a query. */
export function createUnreadExtractor(): (query: UnreadQuery) => RawFeatures {
  const embedder = createStaticEmbedder();
  const extractText = createTextExtractor(createKernels);
  return ({ text, toolCount, toolText }) => {
    const { buckets, counts, shape } = extractText(text, toolCount, toolText);
    return {
      embedderId: embedder.id,
      embedding: embedder.embed(text),
      lexicalBuckets: buckets,
      lexicalCounts: counts,
      shape,
    };
  };
}
