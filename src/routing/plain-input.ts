/** A router that takes the embedding as it is, and knows nothing beside it: an imported one. */
import type { RawFeatures } from "../domain/features.ts";
import type { Featurizer } from "./load-featurizer.ts";
import type { Outlook } from "./outlook.ts";

export function createPlainFeaturizer(dimensions: number): Featurizer {
  return {
    dimensions,
    apply(raw: RawFeatures, out: Float32Array) {
      out.set(raw.embedding);
      return 1;
    },
  };
}

/** The original never learnt what an answer costs, nor which queries are unlike its own. */
export function createPlainOutlook(m: number): (x: Float32Array, kept: number) => Outlook {
  const unknown = () => new Float32Array(m).fill(Number.NaN);
  const outlook = {
    outputTokens: unknown(),
    costUsd: unknown(),
    latencyMs: unknown(),
    novelty: 0,
  };
  return () => outlook;
}
