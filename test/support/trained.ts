/** A small router that was really trained, in a folder as `routeiq train --out` writes it. */
import { createFeatureExtractor } from "../../src/embedding/features.ts";
import { createStaticEmbedder } from "../../src/embedding/static.ts";
import { createKernels } from "../../src/kernels/create.ts";
import type { ArtifactFolder } from "../../src/learning/artifacts/folder.ts";
import { toUnsignedRelease } from "../../src/learning/artifacts/folder.ts";
import { createTableBuilder } from "../../src/learning/table.ts";
import { trainRouter } from "../../src/learning/train.ts";
import { loadRouter } from "../../src/routing/load-router.ts";
import { routerPaths } from "../../src/routing/router-format.ts";
import { createSelfTest } from "../../src/routing/self-test.ts";

const topics = ["sum the numbers", "write a poem", "fix this python code", "translate to French"];

/** `models[i]` answers topic i best, so there is something to learn. */
export async function trainFolder(models: readonly string[]): Promise<ArtifactFolder> {
  const embedder = createStaticEmbedder();
  const extractor = createFeatureExtractor(embedder);
  const builder = createTableBuilder();
  for (let row = 0; row < 120; row++) {
    const topic = row % topics.length;
    const text = `${topics[topic]}, please: item ${row} of ${row * 7}`;
    builder.add({
      id: String(row),
      features: await extractor.extract({ text, tools: [] }),
      outcomes: new Map(
        models.map((model, j) => [
          model,
          { score: topic % models.length === j ? 0.9 : 0.3, costUsd: 0.001, outputTokens: 100 },
        ]),
      ) as never,
      weight: 1,
      groupKeys: [text],
    });
  }
  const parts = { embedder, kernels: createKernels };
  const trained = await trainRouter(builder.finish(new Map(), "all"), {
    ...parts,
    strategy: "llmrouter-linear",
    seed: 1,
  });
  const identity = { name: "router", version: 0, sha256: "" };
  const router = await loadRouter(trained.files, { identity, ...parts });
  const files = new Map([...trained.files, ...(await createSelfTest(router))]);
  router.close();
  embedder.close();
  const release = toUnsignedRelease({
    name: "router",
    files,
    selfTest: { input: routerPaths.queries, output: routerPaths.scores },
    provenance: { strategy: trained.strategy },
  });
  return { release, files };
}
