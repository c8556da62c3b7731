/**
 * The artifact that decided a call: a folder that is named, or the gateway's own copy in the data
 * folder. What comes from the copy was verified when it was written; hashes are checked again.
 */
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { GatewayError } from "../domain/errors.ts";
import { noEmbedder } from "../embedding/features.ts";
import { createKernels } from "../kernels/create.ts";
import { canonicalBytes, sha256Hex } from "../learning/artifacts/canonical.ts";
import { readArtifactFolder } from "../learning/artifacts/folder.ts";
import { parseEnvelope, type Release, toRelease } from "../learning/artifacts/format.ts";
import { loadRouter } from "../routing/load-router.ts";
import { parseRouterFile, routerPaths } from "../routing/router-format.ts";
import type { ArtifactFiles, ArtifactIdentity, TrainedRouter } from "../routing/trained-router.ts";
import { hasCode } from "../storage/file/atomic-write.ts";

/** @throws GatewayError config_invalid, artifact_refused */
export async function openFolder(folder: string): Promise<TrainedRouter> {
  const { files, release } = await readArtifactFolder(folder);
  const sha256 = sha256Hex(canonicalBytes(release));
  return load(files, { name: String(release["name"]), version: 0, sha256 }, folder);
}

/**
 * @param artifact `name@version`, as the receipt has it
 * @throws GatewayError not_found where no copy of it is kept
 */
export async function openCopy(dataDir: string, artifact: string): Promise<TrainedRouter> {
  const at = artifact.lastIndexOf("@");
  const wanted = { name: artifact.slice(0, at), version: Number(artifact.slice(at + 1)) };
  const root = join(dataDir, "artifacts");
  for (const folder of await namesIn(root)) {
    const found = await readCopy(join(root, folder), wanted);
    if (found) return load(found.files, found.identity, join(root, folder));
  }
  throw new GatewayError(
    "not_found",
    `${root} holds no copy of ${artifact}: it keeps the release in force and the one before. ` +
      "Name the router's folder, as `routeiq train --out` wrote it: --artifact FOLDER.",
  );
}

async function readCopy(
  folder: string,
  { name, version }: Pick<ArtifactIdentity, "name" | "version">,
): Promise<{ files: ArtifactFiles; identity: ArtifactIdentity } | undefined> {
  const path = join(folder, "releases", `${version}.json`);
  let bytes: Uint8Array;
  try {
    bytes = await readFile(path);
  } catch (error) {
    if (hasCode(error, "ENOENT")) return undefined;
    throw error;
  }
  const release: Release = toRelease(parseEnvelope(bytes, "release", path));
  if (release.name !== name) return undefined;
  const files = new Map<string, Uint8Array>();
  for (const { path: file, sha256 } of release.files) {
    const blob = await readFile(join(folder, "blobs", "sha256", sha256));
    if (sha256Hex(blob) !== sha256) {
      throw new GatewayError("artifact_refused", `${folder}: ${file} is damaged`);
    }
    files.set(file, new Uint8Array(blob));
  }
  return { files, identity: { name, version, sha256: sha256Hex(bytes) } };
}

/** Nothing is embedded here, so the embedder need only be the right one by name. */
function load(
  files: ArtifactFiles,
  identity: ArtifactIdentity,
  where: string,
): Promise<TrainedRouter> {
  const bytes = files.get(routerPaths.router);
  if (!bytes) throw new GatewayError("artifact_refused", `${where} holds no router.`);
  const embedder = { ...noEmbedder, ...parseRouterFile(bytes).embedder };
  return loadRouter(files, { identity, embedder, kernels: createKernels });
}

async function namesIn(folder: string): Promise<string[]> {
  try {
    return (await readdir(folder)).sort();
  } catch (error) {
    if (hasCode(error, "ENOENT")) return [];
    throw error;
  }
}
