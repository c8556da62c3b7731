/** A router that answers nothing of use, and complains when it is asked after its end. */
import { ArtifactRefusal } from "../../src/learning/artifacts/refusal.ts";
import type { Candidate } from "../../src/learning/artifacts/source.ts";
import type { QueryScores, TrainedRouter } from "../../src/routing/trained-router.ts";

export function buildStubRouter({ identity, files }: Candidate): Promise<TrainedRouter> {
  const text = (path: string) =>
    new TextDecoder().decode(files.find(([name]) => name === path)?.[1] ?? new Uint8Array());
  if (text("router.json").includes("broken")) {
    return Promise.reject(new ArtifactRefusal("self_test", "the scores differ by 0.5"));
  }
  let closed = false;
  const score = (): QueryScores => {
    if (closed) throw new Error("a closed router was asked");
    return {
      features: {
        embedderId: "stub@0",
        embedding: new Float32Array(),
        lexicalBuckets: new Uint16Array(),
        lexicalCounts: new Uint8Array(),
        shape: new Float32Array(),
      },
      quality: Float32Array.of(0.5),
      uncertainty: Float32Array.of(0.1),
      outputTokens: Float32Array.of(10),
      costUsd: Float32Array.of(0.001),
      latencyMs: Float32Array.of(100),
      novelty: 0,
      abstain: false,
    };
  };
  return Promise.resolve({
    identity,
    strategy: "llmrouter-knn",
    embedderId: "stub@0",
    labels: ["a"],
    labelQuality: Float32Array.of(0.5),
    labelCostUsd: Float32Array.of(0.001),
    costRefUsd: 0.001,
    dial: [],
    sync: true,
    score,
    scoreFeatures: score,
    close() {
      closed = true;
    },
  });
}
