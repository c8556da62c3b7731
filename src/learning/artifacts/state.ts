/**
 * The counters that make an old release unacceptable for ever. Kept by each gateway, and by
 * `routeiq models verify --state`. Missing means first install; unreadable means refuse.
 */
import { readFile } from "node:fs/promises";
import { isObject } from "../../domain/json.ts";
import { writeFileAtomic } from "../../storage/file/atomic-write.ts";
import { canonicalBytes } from "./canonical.ts";
import { ArtifactRefusal, refuse } from "./refusal.ts";
import { parseTime } from "./time.ts";

export interface TrustState {
  readonly rootVersion: number;
  readonly timestampVersion: number;
  readonly releaseVersion: number;
  /** Hex; empty where no release was taken yet. */
  readonly releaseSha256: string;
  /** The latest time at which an update was accepted, ms since the epoch. */
  readonly lastTimeMs: number;
}

export interface StateFile {
  /** @throws ArtifactRefusal state */
  load(): Promise<TrustState | undefined>;
  /** Temp file, fsync, rename, fsync of the folder; mode 0600. @throws GatewayError storage_failed */
  save(state: TrustState): Promise<void>;
}

export function createStateFile(path: string): StateFile {
  return {
    async load() {
      try {
        return parseState(await readFile(path, "utf8"));
      } catch (error) {
        if (error instanceof ArtifactRefusal) throw error;
        if (isObject(error) && error["code"] === "ENOENT") return undefined;
        return refuse("state", `the state file ${path} cannot be read`, error);
      }
    },
    async save(state) {
      await writeFileAtomic(path, encodeState(state), { mode: 0o600 });
    },
  };
}

export function encodeState(state: TrustState): Uint8Array {
  return canonicalBytes({
    root_version: state.rootVersion,
    timestamp_version: state.timestampVersion,
    release_version: state.releaseVersion,
    release_sha256: state.releaseSha256,
    last_time: new Date(state.lastTimeMs).toISOString(),
  });
}

/** @throws ArtifactRefusal state */
export function parseState(text: string): TrustState {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    refuse("state", "the state file is not JSON", error);
  }
  if (!isObject(value)) refuse("state", "the state file holds no object");
  const sha256 = value["release_sha256"];
  if (typeof sha256 !== "string" || !/^([0-9a-f]{64})?$/.test(sha256)) {
    refuse("state", "the state file has no release_sha256");
  }
  return {
    rootVersion: count(value["root_version"], "root_version"),
    timestampVersion: count(value["timestamp_version"], "timestamp_version"),
    releaseVersion: count(value["release_version"], "release_version"),
    releaseSha256: sha256,
    lastTimeMs: toTime(value["last_time"]),
  };
}

function count(value: unknown, name: string): number {
  if (typeof value !== "number" || !Number.isSafeInteger(value) || value < 0) {
    refuse("state", `the state file has no ${name}`);
  }
  return value;
}

/** A time as we write it, or as seconds or milliseconds since the epoch, as other tools would. */
function toTime(value: unknown): number {
  const ms = parseTime(value);
  if (ms !== undefined) return ms;
  const number = count(value, "last_time");
  return number < 100_000_000_000 ? number * 1000 : number;
}
