/**
 * A predecessor's file as the source of a gateway's router: read, checked and converted in the
 * background thread whenever it changes, where `LLMROUTER_ALLOW_PICKLE_MODELS` lets it.
 */
import { GatewayError } from "../../domain/errors.ts";
import { createKernels } from "../../kernels/create.ts";
import type { ObjectStore } from "../../storage/object-store.ts";
import { sha256Hex } from "../artifacts/canonical.ts";
import { ArtifactRefusal } from "../artifacts/refusal.ts";
import type { ArtifactSource, Candidate, Found, HeldReleases } from "../artifacts/source.ts";
import { checkTrust, type ImportTrust } from "./trust.ts";
import { importLimits } from "./values.ts";
import type { EmbedderIdentity } from "./write-artifact.ts";

export interface ForeignSourceOptions {
  readonly store: ObjectStore;
  /** The file in it. */
  readonly key: string;
  readonly name: string;
  readonly embedder: EmbedderIdentity;
  readonly trust: ImportTrust;
}

export function createForeignSource(options: ForeignSourceOptions): ArtifactSource {
  const { store, key, name } = options;
  /** Of the file that was converted last. */
  let seen: { readonly etag: string; readonly found: Found } | undefined;
  let rejected: string | undefined;
  const freshUntilMs = Number.POSITIVE_INFINITY;

  async function look({ inForce, staged }: HeldReleases): Promise<Found> {
    const { found } = await read();
    if (found.kind !== "candidate") return found;
    const { sha256 } = found.candidate.identity;
    const known = [inForce?.sha256, staged?.sha256, rejected].includes(sha256);
    return known ? { kind: "unchanged", freshUntilMs } : found;
  }

  async function read(): Promise<{ readonly found: Found }> {
    try {
      const object = await store.get(key, {
        maxBytes: importLimits.fileBytes,
        ...(seen ? { ifNoneMatch: seen.etag } : {}),
      });
      if (object === "not-modified" && seen) return seen;
      if (!object || object === "not-modified") {
        return { found: { kind: "empty", message: `there is no ${key} in ${store.url}` } };
      }
      seen = { etag: object.etag, found: await convert(object.bytes) };
      return seen;
    } catch (error) {
      if (!(error instanceof GatewayError)) throw error;
      const { message } = error;
      return { found: { kind: "refused", code: "fetch", message, retired: false } };
    }
  }

  async function convert(bytes: Uint8Array): Promise<Found> {
    try {
      checkTrust(key, bytes, options.trust);
      return { kind: "candidate", candidate: await toCandidate(bytes, options) };
    } catch (error) {
      if (!(error instanceof GatewayError)) throw error;
      const code = error instanceof ArtifactRefusal ? error.refusal : "format";
      return { kind: "refused", code, message: `${key}: ${error.message}`, retired: false };
    }
  }

  const noCopy = async (): Promise<Found> => ({
    kind: "empty",
    message: "a predecessor's file has no copy",
  });
  return {
    // It lies here (or a bucket away): the start waits for it as for a copy.
    restore: () => look({ inForce: undefined, staged: undefined }),
    restoreStaged: noCopy,
    readStaged: async () => undefined,
    check: (_nowMs, held) => look(held),
    previous: async () => ({ kind: "empty", message: "a predecessor's file has no history" }),
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
    close: () => store.close(),
  };

  async function toCandidate(
    bytes: Uint8Array,
    { embedder }: ForeignSourceOptions,
  ): Promise<Candidate> {
    const [{ importRouter }, { toArtifact }] = await Promise.all([
      import("./import-router.ts"),
      import("./write-artifact.ts"),
    ]);
    const source = sha256Hex(bytes);
    const kernels = createKernels;
    const content = await toArtifact(importRouter(bytes, {}), { name, embedder, kernels, source });
    const hashOf = (path: string) => sha256Hex(content.files.get(path) ?? new Uint8Array());
    return {
      identity: { name, version: 0, sha256: source },
      files: [...content.files],
      selfTest: {
        inputSha256: hashOf(content.selfTest.input),
        outputSha256: hashOf(content.selfTest.output),
      },
      freshUntilMs,
    };
  }
}
