/**
 * Artifact sources in the background thread: downloads, hashes, signatures, the local copy. Every
 * call says which source it means, so that a thread that was started anew needs no memory.
 */
import type { JsonObject } from "../../domain/json.ts";
import type { ArtifactIdentity } from "../../routing/trained-router.ts";
import { assert } from "../../std/assert.ts";
import { Moved } from "../../std/rpc.ts";
import { createForeignSource } from "../import/foreign-source.ts";
import type { ImportTrust } from "../import/trust.ts";
import type { EmbedderIdentity } from "../import/write-artifact.ts";
import { createLocalCopy } from "./copy.ts";
import { createFolderSource } from "./folder-source.ts";
import { artifactRuntime } from "./format.ts";
import { openRepository, type S3Settings, type StoreAccess } from "./open-repository.ts";
import { createRepositorySource } from "./repository-source.ts";
import type { ArtifactSource, Candidate, Elsewhere, Found, HeldReleases, Place } from "./source.ts";
import type { RootPin } from "./verify.ts";

/** Where routers come from; plain data. */
export type SourceConfig =
  | {
      readonly kind: "repository";
      readonly address: string;
      readonly pin: RootPin;
      readonly name: string;
      /** Of the local copy and the counters. */
      readonly copyFolder: string;
      readonly maxStaleMs: number;
      readonly s3: S3Settings;
    }
  | { readonly kind: "folder"; readonly path: string; readonly name: string }
  /** A file of the predecessor's, converted there. */
  | {
      readonly kind: "foreign";
      /** The folder or prefix, and the file in it. */
      readonly address: string;
      readonly key: string;
      readonly name: string;
      readonly trust: ImportTrust;
      readonly s3: S3Settings;
      /** In force here; filled in before the file is read. */
      readonly embedder?: EmbedderIdentity;
    };

interface Of {
  readonly config: SourceConfig;
}

/** The service `artifacts` of the background thread. */
export interface ArtifactService {
  restore(params: Of & { readonly nowMs: number }): Promise<Moved<Found>>;
  restoreStaged(params: Of & { readonly nowMs: number }): Promise<Moved<Found>>;
  check(
    params: Of & { readonly nowMs: number; readonly held: HeldReleases },
  ): Promise<Moved<Found>>;
  previous(params: Of & { readonly nowMs: number }): Promise<Moved<Found>>;
  commit(params: Of & { readonly as: Place }): Promise<void>;
  promote(params: Of): Promise<void>;
  dropStaged(params: Of & { readonly bad: ArtifactIdentity | undefined }): Promise<void>;
  forgive(params: Of): Promise<void>;
  decided(params: Of & { readonly held: HeldReleases }): Promise<Elsewhere | undefined>;
  addVerdict(params: Of & { readonly verdict: JsonObject }): Promise<void>;
  loadVerdicts(params: Of): Promise<readonly JsonObject[]>;
  saveProgress(params: Of & { readonly progress: JsonObject | undefined }): Promise<void>;
  loadProgress(params: Of): Promise<JsonObject | undefined>;
  rollBack(params: Of & { readonly bad: ArtifactIdentity }): Promise<void>;
  close(params: Of): Promise<void>;
}

export interface ArtifactThread extends ArtifactService {
  /** For whoever looks at it in this thread. @throws ArtifactRefusal */
  readStaged(config: SourceConfig, nowMs: number): Promise<Candidate | undefined>;
}

export function createArtifactThread(access: Omit<StoreAccess, "s3">): ArtifactThread {
  const open = new Map<string, ArtifactSource>();
  const keyOf = (config: SourceConfig) => {
    if (config.kind === "folder") return `folder ${config.path}`;
    if (config.kind === "foreign") return `foreign ${config.address} ${config.key}`;
    return `${config.address} ${config.copyFolder}`;
  };
  const sourceOf = (config: SourceConfig): ArtifactSource => {
    const held = open.get(keyOf(config));
    if (held) return held;
    const made = createSource(config, access);
    open.set(keyOf(config), made);
    return made;
  };
  return {
    restore: async ({ config, nowMs }) => moved(await sourceOf(config).restore(nowMs)),
    restoreStaged: async ({ config, nowMs }) => moved(await sourceOf(config).restoreStaged(nowMs)),
    readStaged: (config, nowMs) => sourceOf(config).readStaged(nowMs),
    check: async ({ config, nowMs, held }) => moved(await sourceOf(config).check(nowMs, held)),
    previous: async ({ config, nowMs }) => moved(await sourceOf(config).previous(nowMs)),
    commit: ({ config, as }) => sourceOf(config).commit(as),
    promote: ({ config }) => sourceOf(config).promote(),
    dropStaged: ({ config, bad }) => sourceOf(config).dropStaged(bad),
    forgive: ({ config }) => sourceOf(config).forgive(),
    decided: ({ config, held }) => sourceOf(config).decided(held),
    addVerdict: ({ config, verdict }) => sourceOf(config).addVerdict(verdict),
    loadVerdicts: ({ config }) => sourceOf(config).loadVerdicts(),
    saveProgress: ({ config, progress }) => sourceOf(config).saveProgress(progress),
    loadProgress: ({ config }) => sourceOf(config).loadProgress(),
    rollBack: ({ config, bad }) => sourceOf(config).rollBack(bad),
    async close({ config }) {
      open.get(keyOf(config))?.close();
      open.delete(keyOf(config));
    },
  };
}

export function createSource(
  config: SourceConfig,
  access: Omit<StoreAccess, "s3">,
): ArtifactSource {
  if (config.kind === "folder") {
    return createFolderSource(config.path, config.name, artifactRuntime);
  }
  if (config.kind === "foreign") {
    const { address, embedder, s3, ...rest } = config;
    assert(embedder, "the embedder is known before a file is read");
    return createForeignSource({
      ...rest,
      embedder,
      store: openRepository(address, { ...access, s3 }),
    });
  }
  const { address, pin, name, copyFolder, maxStaleMs, s3 } = config;
  return createRepositorySource({
    store: openRepository(address, { ...access, s3 }),
    pin,
    name,
    runtime: artifactRuntime,
    copy: createLocalCopy(copyFolder),
    maxStaleMs,
  });
}

/** Copies the files once, here, and hands the copies over: the serving thread only takes them. */
function moved(found: Found): Moved<Found> {
  if (found.kind !== "candidate") return new Moved(found, []);
  const files = found.candidate.files.map(([path, bytes]) => [path, bytes.slice()] as const);
  const buffers = files.map(([, bytes]) => bytes.buffer);
  return new Moved({ ...found, candidate: { ...found.candidate, files } }, buffers);
}
