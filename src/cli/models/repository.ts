/** What the `models` commands have in common: repositories, keys, dates, and the words of a refusal. */
import { stat } from "node:fs/promises";
import { dirname } from "node:path";
import { type RoleKey, readKeys, readRoots } from "../../learning/artifacts/keys.ts";
import { openRepository, toS3Settings } from "../../learning/artifacts/open-repository.ts";
import { ArtifactRefusal } from "../../learning/artifacts/refusal.ts";
import { formatTime, parseDuration, parseTime } from "../../learning/artifacts/time.ts";
import { createOutbound } from "../../security/outbound.ts";
import { systemClock } from "../../std/clock.ts";
import type { ObjectStore } from "../../storage/object-store.ts";
import type { CommandContext, Flag } from "../command.ts";
import { UsageError } from "../parse.ts";

export const keyFlag: Flag = {
  description: "Private key files, or folders of them. Keys beside a named one are found as well.",
  value: "FILE",
  many: true,
  repeat: true,
};
export const rootFlag: Flag = {
  description: "Root files the repository may not have yet. Default: those beside the keys.",
  value: "FILE",
  many: true,
  repeat: true,
};
export const expiresFlag: Flag = {
  description: "When the release ends to be valid: 180d, 12h, or a time. Default 365d.",
  value: "WHEN",
};
export const timestampExpiresFlag: Flag = {
  description: "When gateways begin to call the repository stale; refresh before. Default 30d.",
  value: "WHEN",
};

export const releaseExpires = "365d";
export const timestampExpires = "30d";

export async function withRepository<T>(
  address: string,
  { env }: CommandContext,
  work: (store: ObjectStore) => Promise<T>,
): Promise<T> {
  const outbound = createOutbound();
  const store = openRepository(address, { outbound, clock: systemClock, s3: toS3Settings(env) });
  try {
    return await work(store);
  } finally {
    store.close();
  }
}

/** Prints a refusal with its code and remedy; exit code 1. Other failures pass on. */
export async function reportRefusal(
  { out }: CommandContext,
  work: () => Promise<number>,
): Promise<number> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof ArtifactRefusal)) throw error;
    out.note(`refused (${error.refusal}): ${error.message}\n${error.remedy}`);
    out.json({ ok: false, code: error.refusal, message: error.message, remedy: error.remedy });
    return 1;
  }
}

/** @throws UsageError */
export async function keysFrom({ flags }: CommandContext): Promise<readonly RoleKey[]> {
  const paths = listOf(flags["key"]);
  if (paths.length === 0) {
    throw new UsageError("--key is missing: a key file, or the folder that keygen made.");
  }
  // Keys beside the named ones serve other roles; which may sign what is for the root to say.
  return await readKeys([...paths, ...(await foldersOf(paths))]);
}

export async function rootsFrom({ flags }: CommandContext) {
  const named = listOf(flags["root"]);
  return await readRoots(named.length > 0 ? named : await foldersOf(listOf(flags["key"])));
}

async function foldersOf(paths: readonly string[]): Promise<readonly string[]> {
  const folders = paths.map(async (path) => {
    const found = await stat(path).catch(() => undefined); // readKeys says what is wrong with it
    return found?.isDirectory() ? path : dirname(path);
  });
  return [...new Set(await Promise.all(folders))];
}

/** Milliseconds since the epoch, of a time or a span from now on. @throws UsageError */
export function whenFrom(value: unknown, standard: string, nowMs: number, flag: string): number {
  const text = typeof value === "string" ? value : standard;
  const span = parseDuration(text);
  const ms = span === undefined ? parseTime(text) : nowMs + span;
  if (ms === undefined) {
    throw new UsageError(
      `--${flag} ${text}: a span like 30d, or a time like ${formatTime(nowMs)}.`,
    );
  }
  return ms;
}

/** @throws UsageError */
export function countFrom(value: unknown, standard: number, flag: string, least = 1): number {
  if (value === undefined) return standard;
  const number = typeof value === "string" && /^\d{1,15}$/.test(value) ? Number(value) : Number.NaN;
  if (!(number >= least)) throw new UsageError(`--${flag} takes a whole number from ${least} on.`);
  return number;
}

export function textFrom(value: unknown): string | undefined {
  return typeof value === "string" ? value : undefined;
}

export function listOf(value: unknown): readonly string[] {
  if (typeof value === "string") return [value];
  return Array.isArray(value) ? value.filter((one) => typeof one === "string") : [];
}
