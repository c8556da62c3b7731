/** An artifact's files to a router that scores. The files are data from outside: everything is checked. */
import { GatewayError } from "../domain/errors.ts";
import { PackedFeatures, type RawFeatures } from "../domain/features.ts";
import type { Embedder, FeatureExtractor } from "../embedding/embedder.ts";
import { createFeatureExtractor, featureSchema } from "../embedding/features.ts";
import { mostBuckets } from "../embedding/lexical.ts";
import { shapeNames } from "../embedding/shape.ts";
import type { Kernels } from "../kernels/kernels.ts";
import { shareKernels } from "../kernels/store.ts";
import { noPause, type Pause } from "../std/pause.ts";
import { blendRow } from "./blend.ts";
import { loadFeaturizer } from "./load-featurizer.ts";
import { otherEmbedder } from "./other-embedder.ts";
import { loadOutlook, type Outlook } from "./outlook.ts";
import { createPlainFeaturizer, createPlainOutlook } from "./plain-input.ts";
import { parseRouterFile, type RouterFile, routerPaths } from "./router-format.ts";
import { decodeSafetensors, type Tensors, takeF32 } from "./safetensors.ts";
import { findServed, strategyNames } from "./strategies/registry.ts";
import type { OpenOnnx, Scores } from "./strategies/strategy.ts";
import type {
  ArtifactFiles,
  ArtifactIdentity,
  QueryScores,
  TrainedRouter,
} from "./trained-router.ts";

export interface LoadRouterOptions {
  readonly identity: ArtifactIdentity;
  /** The embedder in force; another one than the artifact's is a refusal. */
  readonly embedder: Embedder;
  readonly kernels: (bytes: number) => Kernels;
  /** Told of an instance that the router has done with. */
  readonly release?: (kernels: Kernels) => void;
  /** Of that embedder, where there is one already. */
  readonly extractor?: FeatureExtractor;
  /** For networks that our kernels do not run; without it they are refused. */
  readonly openOnnx?: OpenOnnx;
  /** Where others share the thread: a router is some ten milliseconds of work. */
  readonly pause?: Pause;
}

/**
 * Builds the router whole; nothing is shared with another one but the embedder.
 * @throws GatewayError artifact_refused when a file is missing, malformed, or does not fit.
 */
export async function loadRouter(
  files: ArtifactFiles,
  options: LoadRouterOptions,
): Promise<TrainedRouter> {
  const { create, shared } = shareKernels(options.kernels, roomFor(files));
  const release = once(() => {
    const kernels = shared();
    if (kernels) options.release?.(kernels);
  });
  try {
    const router = await load(files, { ...options, kernels: create });
    return {
      ...router,
      close() {
        router.close();
        release();
      },
    };
  } catch (error) {
    release();
    throw error;
  }
}

/** Bytes for all of a router's parts: what they learnt, laid out, and room to work in. */
function roomFor(files: ArtifactFiles): number {
  let bytes = 512 * 1024;
  for (const { length } of files.values()) bytes += length * 1.5;
  return Math.ceil(bytes);
}

function once(work: () => void): () => void {
  let done = false;
  return () => {
    if (!done) work();
    done = true;
  };
}

async function load(files: ArtifactFiles, options: LoadRouterOptions): Promise<TrainedRouter> {
  const file = parseRouterFile(getFile(files, routerPaths.router));
  checkFits(file, options.embedder);
  const { kernels, pause = noPause } = options;
  await pause();
  const weights = getFile(files, routerPaths.weights);
  const tensors = await decodeSafetensors(weights, routerPaths.weights, pause);
  const plain = file.input === "embedding";
  const { dimensions } = file.embedder;
  const featurizer = plain
    ? createPlainFeaturizer(dimensions)
    : await loadFeaturizer(tensors, dimensions, kernels, pause);
  await pause();
  const m = file.labels.length;
  const shape = { d: featurizer.dimensions, m };
  const strategy = findServed(file.strategy);
  if (!strategy) throw unknownStrategy(file.strategy);
  const fitted = { tensors, json: file.learned, files: Object.fromEntries(files) };
  const scorer = await strategy.load(fitted, shape, kernels, options.openOnnx, pause);
  await pause();
  const outlook = plain
    ? createPlainOutlook(m)
    : loadOutlook(tensors, shape, file.novelty, kernels);
  await pause();
  const labelQuality = takeF32(tensors, "router.quality", [m]);
  const blend = tensors["router.blend"] ? takeF32(tensors, "router.blend", [m, m]) : undefined;
  const extractor = options.extractor ?? createFeatureExtractor(options.embedder);
  const x = new Float32Array(shape.d);
  const tempered = new Float32Array(m);
  let closed = false;
  const sync = scorer.sync && options.embedder.sync;

  function scoreFeatures(features: RawFeatures, user?: string): QueryScores | Promise<QueryScores> {
    // An embedding may come later than anybody waited for it; the memory is another router's by then.
    if (closed) throw new Error("the router has been closed");
    checkFeatures(features, file);
    const predicted = outlook(x, featurizer.apply(features, x));
    const scores = scorer.score(x, user);
    if (sync) return toScores({ features, x }, predicted, scores as Scores, tempered);
    // The next query may come before this one is read: it gets arrays of its own.
    const kept = copyOutlook(predicted);
    const own = { features, x: x.slice() };
    const finish = (late: Scores) => {
      const copied = { ...late, uncertainty: late.uncertainty.slice() };
      return toScores(own, kept, copied, new Float32Array(m));
    };
    return scores instanceof Promise ? scores.then(finish) : finish(scores);
  }

  /**
   * Draws predictions to the global table: by what validation believes of them (a matrix and a
   * factor), and further the less the query is like the training data. A novel query is so routed as
   * if nothing had been learnt of it.
   */
  function toScores(
    { features, x }: { readonly features: RawFeatures; readonly x: Float32Array },
    { outputTokens, costUsd, latencyMs, novelty }: Outlook,
    { quality, uncertainty, neighbours }: Scores,
    to: Float32Array,
  ): QueryScores {
    if (scorer.constant) to.set(quality);
    else {
      const factor = file.shrink * (1 - novelty);
      blendRow(blend, factor, {
        predicted: quality,
        table: labelQuality,
        out: to,
        at: 0,
        tableAt: 0,
        m,
      });
    }
    return {
      features,
      x,
      quality: to,
      uncertainty,
      outputTokens,
      costUsd,
      latencyMs,
      novelty,
      abstain: novelty >= 1,
      ...(neighbours && { neighbours }),
    };
  }

  return {
    identity: options.identity,
    strategy: file.strategy,
    embedderId: file.embedder.id,
    labels: file.labels,
    labelQuality,
    labelCostUsd: unknownAsNaN(takeF32(tensors, "router.cost_usd", [m])),
    costRefUsd: file.cost_ref_usd,
    rows: file.rows,
    ...(file.floors ? { floors: toFloors(file.floors, tensors, m) } : {}),
    ...(file.latency_ref_ms ? { latencyRefMs: file.latency_ref_ms } : {}),
    dial: file.dial
      .map((point) => ({
        lambda: point.lambda,
        meanQuality: point.mean_quality,
        meanCostUsd: point.mean_cost_usd,
        ...(point.fixed === undefined ? {} : { fixed: point.fixed }),
      }))
      .sort((a, b) => a.lambda - b.lambda),
    sync,
    learned: file.learned,
    ...(scorer.personal ? { personal: true } : {}),
    ...(scorer.constant ? { constant: true } : {}),
    score(query, user) {
      const features = extractor.extract(query);
      if (!(features instanceof Promise)) return scoreFeatures(features, user);
      return features.then((late) => scoreFeatures(late, user));
    },
    scoreFeatures,
    close() {
      closed = true;
      scorer.close();
    },
  };
}

function copyOutlook({ outputTokens, costUsd, latencyMs, novelty }: Outlook): Outlook {
  return {
    outputTokens: outputTokens.slice(),
    costUsd: costUsd.slice(),
    latencyMs: latencyMs.slice(),
    novelty,
  };
}

function toFloors(file: NonNullable<RouterFile["floors"]>, tensors: Tensors, m: number) {
  const { shares, rates } = file;
  return { ...file, lambdas: takeF32(tensors, "router.floors", [m, shares.length, rates.length]) };
}

function unknownAsNaN(values: Float32Array): Float32Array {
  return values.map((value) => (value < 0 ? Number.NaN : value));
}

function getFile(files: ArtifactFiles, path: string): Uint8Array {
  const bytes = files.get(path);
  if (!bytes) throw new GatewayError("artifact_refused", `the artifact has no ${path}`);
  return bytes;
}

function checkFits(file: RouterFile, embedder: Embedder): void {
  if (file.feature_schema !== featureSchema) {
    throw new GatewayError(
      "artifact_refused",
      `the router was trained on feature schema ${file.feature_schema}, this version computes ` +
        `${featureSchema}: train it again`,
    );
  }
  const { id, sha256, dimensions } = file.embedder;
  if (id === embedder.id && sha256 === embedder.sha256 && dimensions === embedder.dimensions)
    return;
  throw new GatewayError("artifact_refused", otherEmbedder(file.embedder, embedder));
}

/** Features out of a log may be of another embedder or an older schema. */
function checkFeatures(features: RawFeatures, file: RouterFile): void {
  const { id, dimensions } = file.embedder;
  const fits =
    features.embedderId === id &&
    (features instanceof PackedFeatures
      ? features.dimensions === dimensions && features.shapeSize === shapeNames.length
      : features.embedding.length === dimensions &&
        features.shape.length === shapeNames.length &&
        features.lexicalBuckets.length === features.lexicalCounts.length &&
        features.lexicalBuckets.length <= mostBuckets);
  if (!fits) {
    throw new GatewayError(
      "artifact_refused",
      `features of embedder ${features.embedderId} do not fit a router for ${file.embedder.id}`,
    );
  }
}

function unknownStrategy(name: string): GatewayError {
  return new GatewayError(
    "artifact_refused",
    `strategy ${name} is not one of this version's: ${strategyNames.join(", ")}`,
  );
}

export type { Tensors };
