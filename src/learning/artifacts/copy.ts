/**
 * The last good copy on a gateway's disk: a repository of its own (`models verify` reads it), a
 * note of which release serves, and the counters. Nothing in it is believed without verification.
 */
import { mkdir, open, readdir, readFile, rm, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { isObject, type Json, type JsonObject } from "../../domain/json.ts";
import { hasCode, isAbandoned, writeFileAtomic } from "../../storage/file/atomic-write.ts";
import { createFileObjectStore } from "../../storage/file/object-store.ts";
import type { ObjectStore } from "../../storage/object-store.ts";
import { canonicalBytes } from "./canonical.ts";
import type { Release } from "./format.ts";
import { refuse } from "./refusal.ts";
import { createStateFile, type StateFile, type TrustState } from "./state.ts";
import type { RootChain } from "./verify.ts";

export interface ReleaseNote {
  readonly version: number;
  readonly sha256: string;
  /** Its blobs, so that what no kept release needs can go. */
  readonly blobs: readonly string[];
}

/** Which releases this gateway serves, served, and will not serve again. */
export interface InstalledNote {
  readonly active?: ReleaseNote;
  readonly previous?: ReleaseNote;
  /** Verified, and serving no call or a share of them. */
  readonly staged?: ReleaseNote;
  /** The newest release that was taken back here for its effects. */
  readonly rejected?: { readonly version: number; readonly sha256: string };
}

export interface CopyContent {
  readonly chain: RootChain;
  readonly timestampBytes: Uint8Array;
  readonly release: Release;
  readonly releaseBytes: Uint8Array;
  readonly files: ReadonlyMap<string, Uint8Array>;
}

export interface LocalCopy {
  readonly store: ObjectStore;
  readonly state: StateFile;
  /** Counters that hold from now on, before they are saved. */
  hold(state: TrustState): void;
  readNote(): Promise<InstalledNote>;
  /** Blobs, release, roots, timestamp, note: in this order, so that a crash leaves a whole. */
  write(content: CopyContent, note: InstalledNote): Promise<void>;
  writeTimestamp(bytes: Uint8Array, chain: RootChain): Promise<void>;
  writeNote(note: InstalledNote): Promise<void>;
  /** How far the staged release has come; undefined removes it. */
  writeProgress(progress: JsonObject | undefined): Promise<void>;
  /** Undefined where there is none that can be read. */
  readProgress(): Promise<JsonObject | undefined>;
  /** Adds a line to the verdicts of all processes that keep this copy; durable once it resolves. */
  addVerdict(verdict: JsonObject): Promise<void>;
  /** Oldest first; of the last `verdictBytes`, what can be read. */
  readVerdicts(): Promise<readonly JsonObject[]>;
  /** Removes what no noted release needs, and what a crash left half written. */
  sweep(note: InstalledNote): Promise<void>;
}

const noteName = "installed.json";
const progressName = "rollout.json";
const verdictsName = "verdicts.jsonl";
/** Some thousand verdicts; past that the older half goes. */
const verdictBytes = 1 << 20;

/** @param beforeWrite for tests of crashes: called before each write with its key */
export function createLocalCopy(folder: string, beforeWrite?: (key: string) => void): LocalCopy {
  const store = createFileObjectStore(folder);
  const file = createStateFile(join(folder, "state.json"));
  /** The counters of this process: they hold also where the disk does not. */
  let counters: TrustState | undefined;
  const put = async (key: string, bytes: Uint8Array) => {
    beforeWrite?.(key);
    // What is there already need not be written and flushed again; what was damaged must be.
    const held = await store.get(key, { maxBytes: bytes.length });
    const same = held && held !== "not-modified" && Buffer.compare(held.bytes, bytes) === 0;
    if (!same) await store.put(key, bytes);
  };
  const putRoots = async (chain: RootChain) => {
    for (const [version, bytes] of chain.files) await put(`root/${version}.root.json`, bytes);
  };
  const writeNote = async (note: InstalledNote) => {
    beforeWrite?.(noteName);
    await writeFileAtomic(join(folder, noteName), canonicalBytes(note as unknown as Json));
  };
  return {
    store,
    state: {
      async load() {
        counters ??= await file.load();
        return counters;
      },
      async save(next) {
        counters = next;
        beforeWrite?.("state.json");
        await file.save(next);
      },
    },
    hold(next) {
      counters = next;
    },
    readNote: () => readNote(join(folder, noteName)),
    async write({ chain, timestampBytes, release, releaseBytes, files }, note) {
      for (const { path, sha256 } of release.files) {
        const bytes = files.get(path);
        if (bytes) await put(`blobs/sha256/${sha256}`, bytes);
      }
      await put(`releases/${release.version}.json`, releaseBytes);
      await putRoots(chain);
      await put("timestamp.json", timestampBytes);
      await writeNote(note);
    },
    async writeTimestamp(bytes, chain) {
      await putRoots(chain);
      await put("timestamp.json", bytes);
    },
    writeNote,
    async writeProgress(progress) {
      const path = join(folder, progressName);
      if (!progress) return await rm(path, { force: true });
      await writeFileAtomic(path, new TextEncoder().encode(JSON.stringify(progress)));
    },
    readProgress: () => readProgress(join(folder, progressName)),
    async addVerdict(verdict) {
      beforeWrite?.(verdictsName);
      await appendLine(join(folder, verdictsName), JSON.stringify(verdict), verdictBytes);
    },
    readVerdicts: () => readLines(join(folder, verdictsName)),
    sweep: (note) => sweep(folder, store, note),
  };
}

/** Figures, no trust rests on them: what cannot be read is as if it were not there. */
async function readProgress(path: string): Promise<JsonObject | undefined> {
  try {
    const value: unknown = JSON.parse(await readFile(path, "utf8"));
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

/** Undefined lines are those that a crash cut short: they are left out. */
async function readLines(path: string): Promise<readonly JsonObject[]> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    if (hasCode(error, "ENOENT")) return [];
    throw error;
  }
  return text.split("\n").flatMap((line) => {
    try {
      const value: unknown = JSON.parse(line);
      return isObject(value) ? [value] : [];
    } catch {
      return [];
    }
  });
}

/** One write of one line at the end, which other processes' lines do not mix with; then an fsync. */
async function appendLine(path: string, line: string, maxBytes: number): Promise<void> {
  const size = await stat(path).then(
    (found) => found.size,
    () => 0,
  );
  if (size > maxBytes) {
    const lines = (await readFile(path, "utf8")).split("\n");
    const kept = `${lines.slice(lines.length >> 1).join("\n")}`;
    await writeFileAtomic(path, new TextEncoder().encode(kept));
  }
  await mkdir(dirname(path), { recursive: true });
  const file = await open(path, "a", 0o600);
  try {
    await file.appendFile(`${line}\n`);
    await file.sync();
  } finally {
    await file.close();
  }
}

async function readNote(path: string): Promise<InstalledNote> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    if (hasCode(error, "ENOENT")) return {};
    return refuse("state", `${path} cannot be read`, error);
  }
  try {
    return toNote(JSON.parse(text));
  } catch (error) {
    return refuse("state", `${path} is damaged`, error);
  }
}

function toNote(value: unknown): InstalledNote {
  if (!isObject(value)) throw new Error("no object");
  const { active, previous, staged, rejected } = value;
  return {
    ...(active === undefined ? {} : { active: toReleaseNote(active) }),
    ...(previous === undefined ? {} : { previous: toReleaseNote(previous) }),
    ...(staged === undefined ? {} : { staged: toReleaseNote(staged) }),
    ...(rejected === undefined ? {} : { rejected: toReleaseNote(rejected) }),
  };
}

function toReleaseNote(value: unknown): ReleaseNote {
  if (!isObject(value)) throw new Error("no object");
  const { version, sha256, blobs = [] } = value;
  if (typeof version !== "number" || typeof sha256 !== "string" || !Array.isArray(blobs)) {
    throw new Error("no release");
  }
  return { version, sha256, blobs: blobs.map(String) };
}

async function sweep(folder: string, store: ObjectStore, note: InstalledNote): Promise<void> {
  const kept = [note.active, note.previous, note.staged].filter((one) => one !== undefined);
  const wanted = new Set([
    ...kept.map(({ version }) => `releases/${version}.json`),
    ...kept.flatMap(({ blobs }) => blobs.map((sha256) => `blobs/sha256/${sha256}`)),
  ]);
  for (const prefix of ["releases/", "blobs/"]) {
    for (const key of await store.list(prefix)) {
      if (!wanted.has(key)) await rm(join(folder, key), { force: true });
    }
  }
  for (const part of ["", "releases", "blobs/sha256", "root"]) {
    const names = await readdir(join(folder, part)).catch((error: unknown) => {
      if (hasCode(error, "ENOENT")) return [];
      throw error;
    });
    for (const name of names.filter(isAbandoned)) {
      await rm(join(folder, part, name), { force: true });
    }
  }
}
