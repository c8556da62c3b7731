/** An imported router as an artifact of ours: the same folder that `train` writes. */
import type { Embedder } from "../../embedding/embedder.ts";
import { featureSchema } from "../../embedding/features.ts";
import type { Kernels } from "../../kernels/kernels.ts";
import { loadRouter } from "../../routing/load-router.ts";
import { type RouterFile, routerFormat, routerPaths } from "../../routing/router-format.ts";
import { encodeSafetensors, f32 } from "../../routing/safetensors.ts";
import { createSelfTest } from "../../routing/self-test.ts";
import type { TrainedRouter } from "../../routing/trained-router.ts";
import { createRandom, nextNormal } from "../../std/random.ts";
import type { ArtifactContent } from "../artifacts/folder.ts";
import type { ImportedRouter } from "./imported-router.ts";
import { refuseImport } from "./values.ts";

/** The embedder that the original's vectors came from: all of it that an artifact names. */
export type EmbedderIdentity = Pick<Embedder, "id" | "sha256" | "dimensions">;

/** In the place of an embedder that nobody has named: what names it is refused everywhere. */
export function identifyUnnamed(dimensions: number): EmbedderIdentity {
  return { id: `unnamed-${dimensions}@${"0".repeat(16)}`, sha256: "0".repeat(64), dimensions };
}

export interface WriteOptions {
  readonly name: string;
  readonly embedder: EmbedderIdentity;
  readonly kernels: (bytes: number) => Kernels;
  /** sha256 of the file that was read, hex. */
  readonly source: string;
}

/**
 * @throws GatewayError artifact_refused when the embedder's vectors are of another length than the
 * original was trained on
 */
export async function toArtifact(
  imported: ImportedRouter,
  options: WriteOptions,
): Promise<ArtifactContent> {
  const { embedder, name, source } = options;
  const inputs = imported.inputs || embedder.dimensions;
  if (embedder.dimensions !== inputs) {
    refuseImport(
      `it was trained on embeddings of ${inputs} numbers, and ${embedder.id} gives ` +
        `${embedder.dimensions}: name the embedder that it was trained with`,
    );
  }
  const files = new Map([
    [routerPaths.router, toJson(toRouterFile(imported, embedder))],
    [routerPaths.weights, encodeSafetensors({ ...imported.tensors, ...commonTensors(imported) })],
  ]);
  const router = await openImported(files, options);
  try {
    const selfTest = await createSelfTest(router, goldenEmbeddings(inputs));
    return {
      name,
      files: new Map([...files, ...selfTest]),
      selfTest: { input: routerPaths.queries, output: routerPaths.scores },
      provenance: {
        strategy: imported.strategy,
        imported: { origin: imported.origin, sha256: source },
      },
    };
  } finally {
    router.close();
  }
}

/** Built from an artifact's files, for its scores: it can embed nothing. */
export async function openImported(
  files: ReadonlyMap<string, Uint8Array>,
  { embedder, kernels }: Pick<WriteOptions, "embedder" | "kernels">,
): Promise<TrainedRouter> {
  const identity = { name: "router", version: 0, sha256: "" };
  return await loadRouter(files, { identity, embedder: silent(embedder), kernels });
}

const toJson = (value: unknown) => new TextEncoder().encode(JSON.stringify(value));

function toRouterFile(imported: ImportedRouter, embedder: EmbedderIdentity): RouterFile {
  const { id, sha256, dimensions } = embedder;
  return {
    format: routerFormat,
    feature_schema: featureSchema,
    strategy: imported.strategy,
    input: "embedding",
    options: { imported_from: imported.origin },
    embedder: { id, sha256, dimensions },
    labels: [...imported.labels],
    learned: { ...imported.learned },
    shrink: 1,
    novelty: { near: 0, far: 0 },
    cost_ref_usd: 0,
    // One point: the original knew nothing of costs, and chooses as it always did.
    dial: [{ lambda: 0, mean_quality: 0, mean_cost_usd: 0 }],
    rows: 0,
  };
}

function commonTensors({ labels, shares }: ImportedRouter) {
  const m = labels.length;
  const quality = Float32Array.from(labels, (_, j) => shares?.[j] ?? 1 / m);
  return {
    "router.quality": f32(quality, m),
    "router.cost_usd": f32(new Float32Array(m).fill(-1), m),
  };
}

/** It is named, and never asked: the self-test brings embeddings of its own. */
function silent(embedder: EmbedderIdentity): Embedder {
  return {
    ...embedder,
    sync: true,
    maxChars: 0,
    embed: () => new Float32Array(embedder.dimensions),
    close: () => undefined,
  };
}

const goldenCount = 12;

/** Of unit length, but for the first, which is zero; rounded, so that JSON keeps them short. */
function goldenEmbeddings(d: number): readonly { readonly embedding: readonly number[] }[] {
  const random = createRandom(d);
  return Array.from({ length: goldenCount }, (_, i) => {
    const raw = Array.from({ length: d }, () => (i === 0 ? 0 : nextNormal(random)));
    const length = Math.hypot(...raw) || 1;
    return { embedding: raw.map((value) => Math.round((value / length) * 1e6) / 1e6) };
  });
}
