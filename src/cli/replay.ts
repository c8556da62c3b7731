/** A decision executed again: the event's logged features through the artifact that decided. */
import type { Decision } from "../domain/decision.ts";
import { GatewayError } from "../domain/errors.ts";
import type { CallEvent } from "../domain/event.ts";
import { withoutPrefix } from "../domain/model.ts";
import { noEmbedder } from "../embedding/features.ts";
import { createKernels } from "../kernels/create.ts";
import { readArtifactFolder } from "../learning/artifacts/folder.ts";
import { loadRouter } from "../routing/load-router.ts";
import { parseRouterFile, routerPaths } from "../routing/router-format.ts";
import type { TrainedRouter } from "../routing/trained-router.ts";
import { userOf } from "../routing/user.ts";

export interface Replay {
  /** Candidates whose scores were compared; those that the artifact does not know are not. */
  readonly compared: number;
  /** The largest difference of quality, uncertainty, output tokens and novelty. */
  readonly largestDifference: number;
  readonly same: boolean;
}

/** Two processor families may round differently in the last bits; more is another artifact. */
export const replayTolerance = 1e-6;

/** @throws GatewayError where the event or the folder has not what it takes */
export async function replay(event: CallEvent, folder: string): Promise<Replay> {
  const { features, receipt } = event;
  const { decision } = receipt;
  if (!decision?.candidates.some((one) => one.quality !== undefined) || !features) {
    throw new GatewayError("invalid_request", "No learned router scored this call.");
  }
  const router = await loadFolder(folder);
  try {
    if (router.strategy !== decision.strategy) {
      throw new GatewayError(
        "invalid_request",
        `The call was decided by ${decision.strategy}; ${folder} is a ${router.strategy}.`,
      );
    }
    const user = userOf({ ...event, caller: receipt.caller });
    return compare(decision, router, await router.scoreFeatures(features, user));
  } finally {
    router.close();
  }
}

/** Nothing is embedded here, so the embedder need only be the right one by name. */
async function loadFolder(folder: string): Promise<TrainedRouter> {
  const { files, release } = await readArtifactFolder(folder);
  const bytes = files.get(routerPaths.router);
  if (!bytes) throw new GatewayError("artifact_refused", `${folder} holds no router.`);
  return loadRouter(files, {
    identity: { name: String(release["name"]), version: 0, sha256: "" },
    embedder: { ...noEmbedder, ...parseRouterFile(bytes).embedder },
    kernels: createKernels,
  });
}

type Scores = Awaited<ReturnType<TrainedRouter["scoreFeatures"]>>;

function compare(decision: Decision, router: TrainedRouter, scores: Scores): Replay {
  const differences: number[] = [differ(decision.novelty, scores.novelty)];
  let compared = 0;
  for (const one of decision.candidates) {
    const label = router.labels.findIndex(
      (name) => name === one.model || name === withoutPrefix(one.model),
    );
    if (label < 0 || one.quality === undefined) continue;
    compared++;
    differences.push(
      differ(one.quality, scores.quality[label]),
      differ(one.uncertainty, scores.uncertainty[label]),
      differ(one.outputTokens, scores.outputTokens[label]),
    );
  }
  const largestDifference = Math.max(...differences);
  return { compared, largestDifference, same: largestDifference <= replayTolerance };
}

/** What is unknown was not logged, so it differs by nothing. */
function differ(logged: number | undefined, now: number | undefined): number {
  if (logged === undefined || now === undefined || Number.isNaN(now)) return 0;
  return Math.abs(logged - now) / Math.max(1, Math.abs(logged));
}
