/**
 * A verified repository as a source: conditional looks at its timestamp, verification, and the
 * local copy. Runs in the background thread; one at a time, for whoever calls waits.
 */
import { GatewayError } from "../../domain/errors.ts";
import type { ArtifactIdentity } from "../../routing/trained-router.ts";
import type { ObjectStore } from "../../storage/object-store.ts";
import { sha256Hex } from "./canonical.ts";
import type { InstalledNote, LocalCopy, ReleaseNote } from "./copy.ts";
import { type ArtifactRuntime, limits, type Release, type Timestamp } from "./format.ts";
import { ArtifactRefusal, type RefusalCode, refuse } from "./refusal.ts";
import type { ArtifactSource, Candidate, Elsewhere, Found, HeldReleases, Place } from "./source.ts";
import type { TrustState } from "./state.ts";
import { stillServed } from "./still-served.ts";
import {
  checkClock,
  checkRelease,
  checkRetired,
  checkTimestamp,
  fetchFiles,
  type RootChain,
  type RootPin,
  type Verified,
  type VerifyInput,
  verifyDescription,
  verifyRelease,
  walkRoots,
} from "./verify.ts";

export interface RepositorySourceOptions {
  readonly store: ObjectStore;
  readonly pin: RootPin;
  readonly name: string;
  readonly runtime: ArtifactRuntime;
  readonly copy: LocalCopy;
  /** How long past its expiry a copy may serve. */
  readonly maxStaleMs: number;
  readonly signal?: AbortSignal;
}

/** The timestamp that was accepted last, to ask whether it still stands. */
interface Seen {
  readonly etag: string;
  readonly timestamp: Timestamp;
  readonly sha256: string;
  readonly rootVersion: number;
  /** Its release is not wanted here. */
  readonly heldBack: boolean;
}

export function createRepositorySource(options: RepositorySourceOptions): ArtifactSource {
  const { store, copy, name, maxStaleMs } = options;
  /** Offered and not yet committed. */
  let offered: Verified | undefined;
  let offeredEtag: string | undefined;
  let seen: Seen | undefined;

  const inputFor = (
    from: ObjectStore,
    state: TrustState | undefined,
    nowMs: number,
  ): VerifyInput => ({
    store: from,
    pin: options.pin,
    name,
    runtime: options.runtime,
    state,
    nowMs,
    strictContent: true,
    ...(options.signal ? { signal: options.signal } : {}),
  });

  async function lookAtCopy(nowMs: number, place: Place): Promise<Found> {
    await copy.sweep(await copy.readNote());
    const kept = await readCopy(nowMs, place);
    if (!kept) return { kind: "empty", message: "no copy of a router is kept yet" };
    return offer(kept, undefined);
  }

  async function readCopy(nowMs: number, place: Place): Promise<Verified | undefined> {
    const kept = (await copy.readNote())[place];
    if (!kept) return undefined;
    const state = await copy.state.load();
    const input = { ...inputFor(copy.store, state, nowMs), graceMs: maxStaleMs };
    checkClock(input);
    return await readKept(kept, await walkRoots(input), input);
  }

  /** A kept release: signed, not retired, its files whole. Which one is kept is this gateway's word. */
  async function readKept(
    kept: ReleaseNote,
    chain: RootChain,
    input: VerifyInput,
  ): Promise<Verified> {
    const bytes = await read(copy.store, "timestamp.json", limits.timestampBytes);
    const timestamp = checkTimestamp(bytes, chain, input);
    checkRetired(chain.root, kept.version, kept.sha256);
    if (kept.sha256 === timestamp.release.sha256) {
      return await verifyRelease(input, chain, { timestamp, timestampBytes: bytes });
    }
    const key = `releases/${kept.version}.json`;
    const releaseBytes = await read(copy.store, key, limits.releaseBytes);
    const release = checkRelease(releaseBytes, chain.root, kept.version, input);
    const files = await fetchFiles(input, release);
    const state = input.state;
    if (!state) refuse("state", "the counters are gone, the copy remains");
    return {
      chain,
      timestamp,
      timestampBytes: bytes,
      release,
      releaseBytes,
      releaseSha256: kept.sha256,
      files,
      state,
    };
  }

  function offer(verified: Verified, etag: string | undefined): Found {
    offered = verified;
    offeredEtag = etag;
    return { kind: "candidate", candidate: toCandidate(verified) };
  }

  async function lookAtRepository(
    input: VerifyInput,
    note: InstalledNote,
    held: HeldReleases,
  ): Promise<Found> {
    checkClock(input);
    const chain = await walkRoots(input);
    const known = stillOpen(seen, chain, held);
    const elsewhere = decidedElsewhere(note, held);
    const found = await get(store, known?.etag, input.signal);
    if (found === undefined) {
      return { kind: "empty", message: `nothing is published at ${store.url} yet` };
    }
    if (found === "not-modified") {
      if (!known) refuse("fetch", `${store.url} answered "not modified" to an open question`);
      checkStillFresh(known.timestamp, input.nowMs);
      return unchanged(known.timestamp.expiresMs, elsewhere);
    }
    const timestamp = checkTimestamp(found.bytes, chain, input);
    const sha256 = sha256Hex(found.bytes);
    const twin = seen?.rootVersion === chain.root.version && seen.timestamp.version;
    if (twin === timestamp.version && seen?.sha256 !== sha256) {
      refuse("equivocation", `there are two timestamps ${timestamp.version}`);
    }
    const pointer = { timestamp, timestampBytes: found.bytes };
    const described = await verifyDescription(input, chain, pointer);
    const heldBack = isHeldBack(note, described.release);
    const isStaged = elsewhere === "staged" && note.staged?.sha256 === described.releaseSha256;
    if (!holds(held, described.releaseSha256) && !heldBack && !isStaged) {
      const files = await fetchFiles(input, described.release);
      return offer({ ...described, files }, found.etag);
    }
    // Renewed, not replaced: the counters and the copy's timestamp follow.
    await copy.writeTimestamp(found.bytes, chain);
    await copy.state.save(described.state);
    seen = { etag: found.etag, timestamp, sha256, rootVersion: chain.root.version, heldBack };
    return unchanged(freshUntil(described), elsewhere);
  }

  /** Turns what is thrown into an answer. */
  async function answer(
    work: () => Promise<Found>,
    isRetired: (code: RefusalCode) => Promise<Retired>,
  ): Promise<Found> {
    offered = undefined;
    try {
      return await work();
    } catch (error) {
      const { refusal: code, message } = toRefusal(error);
      return { kind: "refused", code, message, ...(await isRetired(code)) };
    }
  }

  const neverRetired = async (): Promise<Retired> => ({ retired: false });

  /** Whatever else is wrong, a newer root may have ended what is in force. */
  async function isEnded(
    inForce: ArtifactIdentity | undefined,
    code: RefusalCode,
    nowMs: number,
  ): Promise<boolean> {
    if (!inForce || code === "state") return false;
    const input = inputFor(store, await copy.state.load(), nowMs);
    const none = { rootVersion: 0, timestampVersion: 0, lastTimeMs: 0 };
    const { version: releaseVersion, sha256: releaseSha256 } = inForce;
    const state = { ...none, ...input.state, releaseVersion, releaseSha256 };
    return (await stillServed({ ...input, state })) === 0;
  }

  return {
    async restore(nowMs) {
      return await answer(() => lookAtCopy(nowMs, "active"), neverRetired);
    },
    async restoreStaged(nowMs) {
      return await answer(() => lookAtCopy(nowMs, "staged"), neverRetired);
    },
    async readStaged(nowMs) {
      const kept = await readCopy(nowMs, "staged");
      return kept && toCandidate(kept);
    },
    async check(nowMs, held) {
      return await answer(
        async () => {
          const note = await copy.readNote();
          const input = inputFor(store, await copy.state.load(), nowMs);
          return await lookAtRepository(input, note, held);
        },
        async (code) => ({
          retired: await isEnded(held.inForce, code, nowMs),
          stagedRetired: await isEnded(held.staged, code, nowMs),
        }),
      );
    },
    async previous(nowMs) {
      return await answer(async () => {
        const { previous } = await copy.readNote();
        if (!previous) return { kind: "empty", message: "no earlier release is kept" };
        const state = await copy.state.load();
        const input = { ...inputFor(copy.store, state, nowMs), graceMs: maxStaleMs };
        return offer(await readKept(previous, await walkRoots(input), input), undefined);
      }, neverRetired);
    },
    async commit(as) {
      if (!offered) throw new GatewayError("internal", "there is nothing to commit");
      const verified = offered;
      const etag = offeredEtag;
      offered = undefined;
      copy.hold(verified.state);
      const before = await copy.readNote();
      const { timestamp, timestampBytes, chain } = verified;
      if (etag === undefined) return await copy.state.save(verified.state); // it came from the copy
      const sha256 = sha256Hex(timestampBytes);
      seen = { etag, timestamp, sha256, rootVersion: chain.root.version, heldBack: false };
      const note = as === "staged" ? withStaged(before, verified) : successor(before, verified);
      await copy.write(verified, note);
      await copy.state.save(verified.state);
      await copy.sweep(note);
    },
    async promote() {
      const { staged, active, ...rest } = await copy.readNote();
      if (!staged) return; // another process that keeps the same copy has done it
      const note = { ...rest, active: staged, ...(active ? { previous: active } : {}) };
      await copy.writeNote(note);
      await copy.sweep(note);
    },
    async dropStaged(bad) {
      const { staged: _gone, ...rest } = await copy.readNote();
      const note = bad ? { ...rest, rejected: { version: bad.version, sha256: bad.sha256 } } : rest;
      await copy.writeNote(note);
      await copy.sweep(note);
    },
    async forgive() {
      const { rejected: _forgiven, ...note } = await copy.readNote();
      seen = undefined;
      await copy.writeNote(note);
    },
    decided: async (held) => decidedElsewhere(await copy.readNote(), held),
    addVerdict: (verdict) => copy.addVerdict(verdict),
    loadVerdicts: () => copy.readVerdicts(),
    saveProgress: (progress) => copy.writeProgress(progress),
    loadProgress: () => copy.readProgress(),
    async rollBack(bad) {
      const { previous, ...rest } = await copy.readNote();
      const back = offered;
      offered = undefined;
      const { active: _bad, ...others } = rest;
      const rejected = { version: bad.version, sha256: bad.sha256 };
      const note = { ...others, rejected, ...(back && previous ? { active: previous } : {}) };
      await copy.writeNote(note);
      await copy.sweep(note);
    },
    close: () => store.close(),
  };
}

interface Retired {
  readonly retired: boolean;
  readonly stagedRetired?: boolean;
}

const holds = ({ inForce, staged }: HeldReleases, sha256: string): boolean =>
  inForce?.sha256 === sha256 || staged?.sha256 === sha256;

function unchanged(freshUntilMs: number, elsewhere: Elsewhere | undefined): Found {
  return { kind: "unchanged", freshUntilMs, ...(elsewhere && { elsewhere }) };
}

/** The note is the word of all processes that keep the same copy: they follow what one decided. */
function decidedElsewhere(note: InstalledNote, held: HeldReleases): Elsewhere | undefined {
  const { inForce, staged } = held;
  if (!staged && note.staged && note.staged.sha256 !== inForce?.sha256) return "staged";
  if (staged && note.active?.sha256 === staged.sha256) return "promoted";
  if (staged && note.rejected?.sha256 === staged.sha256) return "rejected";
  if (!inForce || note.rejected?.sha256 !== inForce.sha256) return undefined;
  return note.active?.sha256 === inForce.sha256 ? undefined : "rolled_back";
}

/** What was seen may be asked about by its tag while nothing else has changed. */
function stillOpen(seen: Seen | undefined, chain: RootChain, held: HeldReleases): Seen | undefined {
  if (!seen || seen.rootVersion !== chain.root.version) return undefined;
  return holds(held, seen.timestamp.release.sha256) || seen.heldBack ? seen : undefined;
}

/** Taken back here, and nothing newer was published since. */
function isHeldBack({ rejected }: InstalledNote, release: Release): boolean {
  return rejected !== undefined && release.version <= rejected.version;
}

function toReleaseNote({ release, releaseSha256: sha256 }: Verified): ReleaseNote {
  const blobs = [...new Set(release.files.map((file) => file.sha256))];
  return { version: release.version, sha256, blobs };
}

function withStaged(before: InstalledNote, verified: Verified): InstalledNote {
  return { ...before, staged: toReleaseNote(verified) };
}

function successor(before: InstalledNote, verified: Verified): InstalledNote {
  const active = toReleaseNote(verified);
  const same = before.active?.sha256 === active.sha256;
  const previous = same ? before.previous : before.active;
  return {
    active,
    ...(previous ? { previous } : {}),
    ...(before.rejected ? { rejected: before.rejected } : {}),
  };
}

export function toCandidate(verified: Verified): Candidate {
  const { release, releaseSha256, files } = verified;
  return {
    identity: { name: release.name, version: release.version, sha256: releaseSha256 },
    files: [...files],
    selfTest: release.selfTest,
    freshUntilMs: freshUntil(verified),
  };
}

function freshUntil({ timestamp, release }: Pick<Verified, "timestamp" | "release">): number {
  return Math.min(timestamp.expiresMs, release.expiresMs);
}

function checkStillFresh({ expiresMs }: Timestamp, nowMs: number): void {
  if (nowMs < expiresMs) return;
  refuse("expired", `timestamp.json expired at ${new Date(expiresMs).toISOString()}`);
}

async function get(store: ObjectStore, etag: string | undefined, signal: AbortSignal | undefined) {
  const found = await store.get("timestamp.json", {
    maxBytes: limits.timestampBytes,
    ...(etag === undefined ? {} : { ifNoneMatch: etag }),
    ...(signal ? { signal } : {}),
  });
  if (found && found !== "not-modified" && found.bytes.length > limits.timestampBytes) {
    refuse("too_large", `timestamp.json has over ${limits.timestampBytes} bytes`);
  }
  return found;
}

async function read(store: ObjectStore, key: string, maxBytes: number): Promise<Uint8Array> {
  const found = await store.get(key, { maxBytes });
  if (!found || found === "not-modified") refuse("fetch", `${key} of ${store.url} is missing`);
  return found.bytes;
}

function toRefusal(error: unknown): ArtifactRefusal {
  if (error instanceof ArtifactRefusal) return error;
  if (error instanceof GatewayError)
    return new ArtifactRefusal("fetch", error.message, { cause: error });
  throw error;
}
