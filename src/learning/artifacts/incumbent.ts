/** The release in force in a repository, as its publisher sees it: what a new one must beat. */
import type { ArtifactIdentity } from "../../routing/trained-router.ts";
import type { ObjectStore } from "../../storage/object-store.ts";
import { artifactRuntime } from "./format.ts";
import { ArtifactRefusal } from "./refusal.ts";
import { readHead, rootsOf } from "./repository.ts";
import { verifyRepository } from "./verify.ts";

export interface IncumbentRelease {
  readonly identity: ArtifactIdentity;
  readonly files: ReadonlyMap<string, Uint8Array>;
}

/**
 * Verified under the publisher's own roots. Undefined where nothing is published yet.
 * @throws ArtifactRefusal, where what is in force cannot be used for a comparison
 */
export async function readIncumbent(
  store: ObjectStore,
  roots: ReadonlyMap<number, Uint8Array>,
  options: { readonly name: string; readonly nowMs: number },
): Promise<IncumbentRelease | undefined> {
  if (!(await readHead(store))) return undefined;
  const chain = await rootsOf(store, roots);
  const pinned = chain.get(Math.min(...chain.keys()));
  if (!pinned) throw new ArtifactRefusal("fetch", `${store.url} has no root`);
  const { release, releaseSha256, files } = await verifyRepository({
    store,
    pin: { bytes: pinned },
    name: options.name,
    runtime: artifactRuntime,
    state: undefined,
    nowMs: options.nowMs,
    strictContent: true,
    // A repository whose pointer ran out still says what was in force.
    graceMs: 3650 * 86_400_000,
  });
  const { name, version } = release;
  return { identity: { name, version, sha256: releaseSha256 }, files };
}
