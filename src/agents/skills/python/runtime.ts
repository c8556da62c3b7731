/**
 * Python's runtime for skills: found, checked file by file against the digests that the gateway was
 * built with, and unpacked where it came packed. Any archive that holds the right files will do: ours,
 * or npm's own.
 */
import { existsSync } from "node:fs";
import { mkdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { sha256Hex } from "../../../security/hashing.ts";
import { RpcError } from "../../../std/rpc.ts";
import { archiveName, runtimeFiles, runtimeVersion } from "./manifest.ts";
import type { PythonPlaces } from "./places.ts";

export interface PythonRuntime {
  /** Its files, checked. */
  readonly folder: string;
  /** An interpreter that has started, as it lay in memory; made by the first one that starts. */
  readonly snapshot: string;
}

const archiveBytes = 64 * 1024 * 1024;

export const installedFolder = (dataDir: string): string =>
  join(dataDir, "runtimes", `pyodide-${runtimeVersion}`);

/** Checks all of it, some 13 MB: once per thread. @throws RpcError skill_runtime_missing */
export async function openRuntime(places: PythonPlaces): Promise<PythonRuntime> {
  const { dataDir, configured } = places;
  const found = candidates(places).find(existsSync);
  if (found === undefined) {
    const named = configured === undefined ? "" : ` (nothing is at ${configured})`;
    throw missing(
      `Skills in Python need Pyodide ${runtimeVersion}, which is not installed${named}. Run \`routeiq skills install-python\`, or put ${archiveName} beside the executable.`,
    );
  }
  const isFolder = (await stat(found)).isDirectory();
  const folder = isFolder ? found : await installRuntime(found, dataDir);
  if (isFolder) await checkFolder(folder);
  return { folder, snapshot: join(dataDir, "runtimes", `python-${runtimeVersion}.snapshot`) };
}

function candidates({ configured, dataDir, besideDir, sourceDir }: PythonPlaces): string[] {
  if (configured !== undefined) return [configured];
  const beside = besideDir === undefined ? [] : [join(besideDir, archiveName)];
  const source = sourceDir === undefined ? [] : [sourceDir];
  return [installedFolder(dataDir), ...beside, ...source];
}

/** Unpacks it into the data folder, whole or not at all; gives the folder. @throws RpcError skill_runtime_missing */
export async function installRuntime(from: string | Uint8Array, dataDir: string): Promise<string> {
  const files = typeof from === "string" ? await readPlace(from) : await unpack(from);
  for (const name of Object.keys(runtimeFiles)) check(name, files.get(name));
  const folder = installedFolder(dataDir);
  const aside = `${folder}.${process.pid}.${crypto.randomUUID().slice(0, 8)}`;
  try {
    await mkdir(aside, { recursive: true });
    for (const [name, bytes] of files) await writeFile(join(aside, name), bytes);
    await rm(folder, { recursive: true, force: true });
    await rename(aside, folder);
  } catch (cause) {
    // Somebody else may have put it there meanwhile; then that one is checked and is as good.
    if (!existsSync(folder)) throw missing(`It cannot be unpacked: ${String(cause)}`);
  } finally {
    await rm(aside, { recursive: true, force: true });
  }
  await checkFolder(folder);
  return folder;
}

async function readPlace(from: string): Promise<Map<string, Uint8Array>> {
  const found = await stat(from);
  if (!found.isDirectory()) {
    if (found.size > archiveBytes) throw missing(`${from} is over ${archiveBytes} bytes.`);
    return unpack(new Uint8Array(await readFile(from)));
  }
  const files = new Map<string, Uint8Array>();
  for (const name of Object.keys(runtimeFiles)) {
    const path = join(from, name);
    if (existsSync(path)) files.set(name, new Uint8Array(await readFile(path)));
  }
  return files;
}

async function checkFolder(folder: string): Promise<void> {
  const files = await readPlace(folder);
  for (const name of Object.keys(runtimeFiles)) check(name, files.get(name), folder);
}

function check(name: string, bytes: Uint8Array | undefined, where = "the archive"): void {
  const wanted = runtimeFiles[name];
  if (!bytes) throw missing(`${name} is missing in ${where}. ${remedy}`);
  if (bytes.length !== wanted?.bytes || sha256Hex(bytes) !== wanted.sha256) {
    throw missing(
      `${name} in ${where} is not that of Pyodide ${runtimeVersion}: its digest differs. ${remedy}`,
    );
  }
}

const remedy = "Run `routeiq skills install-python` to have it anew.";

/** Only what is ours by name is taken out of it. */
async function unpack(packed: Uint8Array): Promise<Map<string, Uint8Array>> {
  const isZstd = packed[0] === 0x28 && packed[1] === 0xb5;
  try {
    const tar = isZstd ? Bun.zstdDecompressSync(packed) : packed;
    const files = new Map<string, Uint8Array>();
    for (const [path, file] of await new Bun.Archive(tar).files()) {
      const name = basename(path);
      const depth = path.split("/").length;
      if (Object.hasOwn(runtimeFiles, name) && depth <= 2) files.set(name, await file.bytes());
    }
    return files;
  } catch (cause) {
    throw missing(`The archive cannot be read: ${String(cause).slice(0, 200)}`);
  }
}

const missing = (message: string) => new RpcError("skill_runtime_missing", message);
