/** A verified candidate to a router that may serve: load, then the self-test. Beside the old one. */
import type { Embedder, FeatureExtractor } from "../../embedding/embedder.ts";
import type { Kernels } from "../../kernels/kernels.ts";
import { loadRouter } from "../../routing/load-router.ts";
import { otherEmbedder } from "../../routing/other-embedder.ts";
import { parseRouterFile, routerPaths } from "../../routing/router-format.ts";
import { runSelfTest } from "../../routing/self-test.ts";
import { findServed } from "../../routing/strategies/registry.ts";
import type { OpenOnnx } from "../../routing/strategies/strategy.ts";
import type { TrainedRouter } from "../../routing/trained-router.ts";
import type { Clock } from "../../std/clock.ts";
import { noPause, type Pause } from "../../std/pause.ts";
import { sha256Hex } from "./canonical.ts";
import { artifactRuntime } from "./format.ts";
import { messageOf } from "./poll-report.ts";
import { ArtifactRefusal, refuse } from "./refusal.ts";
import type { Candidate } from "./source.ts";

export interface BuildParts {
  readonly embedder: Embedder;
  readonly kernels: (bytes: number) => Kernels;
  /** Told of an instance that a router has done with. */
  readonly release?: (kernels: Kernels) => void;
  readonly clock: Clock;
  /** For a network that is more than our kernels run; without it such a router is refused. */
  readonly openOnnx?: OpenOnnx;
  /** Of that embedder, where there is one already. */
  readonly extractor?: FeatureExtractor;
  /** Where calls are served meanwhile. */
  readonly pause?: Pause;
}

/**
 * @throws ArtifactRefusal format (a file does not parse), runtime (made for another embedder, schema
 *         or set of strategies), self_test
 */
export async function buildRouter(candidate: Candidate, parts: BuildParts): Promise<TrainedRouter> {
  const files = new Map(candidate.files);
  const { identity } = candidate;
  const { pause = noPause } = parts;
  checkRuntime(files, parts.embedder);
  await pause();
  const options = { identity, ...parts };
  const router = await loadRouter(files, options).catch((error: unknown) =>
    refuse("format", messageOf(error), error),
  );
  try {
    await pause();
    await test(router, candidate, parts.clock, pause);
    return router;
  } catch (error) {
    router.close();
    if (error instanceof ArtifactRefusal) throw error;
    return refuse("self_test", messageOf(error), error);
  }
}

function checkRuntime(files: ReadonlyMap<string, Uint8Array>, embedder: Embedder): void {
  const bytes = files.get(routerPaths.router);
  if (!bytes) refuse("format", `the artifact has no ${routerPaths.router}`);
  let file: ReturnType<typeof parseRouterFile>;
  try {
    file = parseRouterFile(bytes);
  } catch (error) {
    refuse("format", messageOf(error), error);
  }
  if (file.feature_schema !== artifactRuntime.featureSchema) {
    refuse("runtime", `trained on feature schema ${file.feature_schema}`);
  }
  if (file.embedder.id !== embedder.id || file.embedder.sha256 !== embedder.sha256) {
    refuse("runtime", otherEmbedder(file.embedder, embedder));
  }
  if (!findServed(file.strategy)) {
    refuse("runtime", `this version has no strategy "${file.strategy}"`);
  }
}

async function test(
  router: TrainedRouter,
  { selfTest, files }: Candidate,
  clock: Clock,
  pause: Pause,
): Promise<void> {
  if (!selfTest) refuse("self_test", "there is no self-test");
  // It is small: the weights, which are not, need no digest here.
  const bySize = [...files].sort(([, a], [, b]) => a.length - b.length);
  const find = (sha256: string) =>
    bySize.find(([, bytes]) => sha256Hex(bytes) === sha256)?.[1] ??
    refuse("self_test", "a file of the self-test is missing");
  const golden = new Map([
    [routerPaths.queries, find(selfTest.inputSha256)],
    [routerPaths.scores, find(selfTest.outputSha256)],
  ]);
  await pause();
  await runSelfTest(router, golden, clock, pause);
}
