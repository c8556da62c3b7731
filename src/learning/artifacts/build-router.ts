/** A verified candidate to a router that may serve: load, then the self-test. Beside the old one. */
import type { Embedder } from "../../embedding/embedder.ts";
import type { Kernels } from "../../kernels/kernels.ts";
import { loadRouter } from "../../routing/load-router.ts";
import { parseRouterFile, routerPaths } from "../../routing/router-format.ts";
import { runSelfTest } from "../../routing/self-test.ts";
import { strategyNames } from "../../routing/strategies/registry.ts";
import type { OpenOnnx } from "../../routing/strategies/strategy.ts";
import type { TrainedRouter } from "../../routing/trained-router.ts";
import type { Clock } from "../../std/clock.ts";
import { sha256Hex } from "./canonical.ts";
import { artifactRuntime } from "./format.ts";
import { messageOf } from "./poll-report.ts";
import { ArtifactRefusal, refuse } from "./refusal.ts";
import type { Candidate } from "./source.ts";

export interface BuildParts {
  readonly embedder: Embedder;
  readonly kernels: (bytes: number) => Kernels;
  readonly clock: Clock;
  /** For a network that is more than our kernels run; without it such a router is refused. */
  readonly openOnnx?: OpenOnnx;
}

/**
 * @throws ArtifactRefusal format (a file does not parse), runtime (made for another embedder, schema
 *         or set of strategies), self_test
 */
export async function buildRouter(candidate: Candidate, parts: BuildParts): Promise<TrainedRouter> {
  const files = new Map(candidate.files);
  const { identity } = candidate;
  checkRuntime(files, parts.embedder);
  const options = { identity, ...parts };
  const router = await loadRouter(files, options).catch((error: unknown) =>
    refuse("format", messageOf(error), error),
  );
  try {
    await test(router, candidate, parts.clock);
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
    refuse("runtime", `trained with embedder ${file.embedder.id}, in force is ${embedder.id}`);
  }
  if (!strategyNames.includes(file.strategy)) {
    refuse("runtime", `this version has no strategy "${file.strategy}"`);
  }
}

async function test(router: TrainedRouter, candidate: Candidate, clock: Clock): Promise<void> {
  const { selfTest } = candidate;
  if (!selfTest) refuse("self_test", "there is no self-test");
  const find = (sha256: string) =>
    candidate.files.find(([, bytes]) => sha256Hex(bytes) === sha256)?.[1] ??
    refuse("self_test", "a file of the self-test is missing");
  const files = new Map([
    [routerPaths.queries, find(selfTest.inputSha256)],
    [routerPaths.scores, find(selfTest.outputSha256)],
  ]);
  await runSelfTest(router, files, clock);
}
