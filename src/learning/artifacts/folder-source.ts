/** An unsigned local folder as a source, where the operator wrote `allow_unsigned_local: true`. */
import { GatewayError } from "../../domain/errors.ts";
import { canonicalBytes, sha256Hex } from "./canonical.ts";
import { readArtifactFolder } from "./folder.ts";
import { type ArtifactRuntime, toRelease } from "./format.ts";
import { ArtifactRefusal, refuse } from "./refusal.ts";
import type { ArtifactSource, Candidate, Found, HeldReleases } from "./source.ts";

export function createFolderSource(
  path: string,
  name: string,
  runtime: ArtifactRuntime,
): ArtifactSource {
  let rejected: string | undefined;

  async function look({ inForce, staged }: HeldReleases): Promise<Found> {
    try {
      const candidate = await readCandidate(path, name, runtime);
      const { sha256 } = candidate.identity;
      if ([inForce?.sha256, staged?.sha256, rejected].includes(sha256)) {
        return { kind: "unchanged", freshUntilMs: Number.POSITIVE_INFINITY };
      }
      return { kind: "candidate", candidate };
    } catch (error) {
      if (error instanceof ArtifactRefusal) {
        return { kind: "refused", code: error.refusal, message: error.message, retired: false };
      }
      if (error instanceof GatewayError) return { kind: "empty", message: error.message };
      throw error;
    }
  }

  const noCopy = async (): Promise<Found> => ({
    kind: "empty",
    message: "an unsigned folder has no copy",
  });
  return {
    restore: noCopy,
    restoreStaged: noCopy,
    readStaged: async () => undefined,
    check: (_nowMs, held) => look(held),
    previous: async () => ({ kind: "empty", message: "an unsigned folder has no history" }),
    commit: async () => undefined,
    promote: async () => undefined,
    async dropStaged(bad) {
      rejected = bad?.sha256 ?? rejected;
    },
    async forgive() {
      rejected = undefined;
    },
    decided: async () => undefined,
    addVerdict: async () => undefined,
    loadVerdicts: async () => [],
    saveProgress: async () => undefined,
    loadProgress: async () => undefined,
    async rollBack(bad) {
      rejected = bad.sha256;
    },
    close: () => undefined,
  };
}

async function readCandidate(
  path: string,
  name: string,
  runtime: ArtifactRuntime,
): Promise<Candidate> {
  const folder = await readArtifactFolder(path);
  // Fields that signing would add, so that the others are read by the same rules.
  const times = { created: "1970-01-01T00:00:00Z", expires: "9999-12-31T00:00:00Z" };
  const signed = { ...folder.release, version: 1, ...times };
  const bytes = canonicalBytes(folder.release);
  const sha256 = sha256Hex(bytes);
  const release = toRelease({ signed, signatures: [], message: bytes, sha256 });
  if (release.name !== name) refuse("name", `the folder's router is called "${release.name}"`);
  const { format, featureSchema } = release.runtime;
  if (format !== runtime.format || featureSchema !== runtime.featureSchema) {
    refuse("runtime", `made for ${format}, schema ${featureSchema}`);
  }
  return {
    identity: { name, version: 0, sha256 },
    files: [...folder.files],
    selfTest: release.selfTest,
    freshUntilMs: Number.POSITIVE_INFINITY,
  };
}
