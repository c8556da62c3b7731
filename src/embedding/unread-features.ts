/**
 * Features of a query that comes as text and its tools' words: what `features.ts` makes of the query
 * itself, for the thread that has only these. A test holds the two alike.
 */
import type { UnreadQuery } from "../domain/event.ts";
import { PackedFeatures, type RawFeatures } from "../domain/features.ts";
import { createKernels } from "../kernels/create.ts";
import { shapeNames } from "./shape.ts";
import { createStaticEmbedder } from "./static.ts";
import { createTextExtractor } from "./text-features.ts";

/** With the embedder that ships. Cost: 10 ms and 6 MB once; microseconds a query. */
export function createUnreadExtractor(): (query: UnreadQuery) => RawFeatures {
  const embedder = createStaticEmbedder();
  const { embedding, read } = createTextExtractor(createKernels, embedder.dimensions);
  return ({ text, toolCount, toolText }) => {
    embedder.embedInto(text, embedding);
    const packed = read(text, toolCount, toolText);
    return new PackedFeatures(embedder.id, packed, embedder.dimensions, shapeNames.length);
  };
}
