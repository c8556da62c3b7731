/**
 * Where a gateway's router comes from: the contract between the part that downloads and verifies
 * (in the background thread) and the part that builds, tests and swaps (in the serving one).
 * Everything that crosses is plain data, so a message port may lie between the two.
 */
import type { JsonObject } from "../../domain/json.ts";
import type { ArtifactIdentity } from "../../routing/trained-router.ts";
import type { RefusalCode } from "./refusal.ts";

/** A verified router, not yet built. */
export interface Candidate {
  readonly identity: ArtifactIdentity;
  /** Path → bytes: the very ones that were hashed. */
  readonly files: readonly (readonly [path: string, bytes: Uint8Array])[];
  /** sha256 of the self-test's two files; undefined for an unsigned folder without one. */
  readonly selfTest: { readonly inputSha256: string; readonly outputSha256: string } | undefined;
  /** Until then the repository's word counts; infinity for an unsigned folder. */
  readonly freshUntilMs: number;
}

export type Found =
  /** What is in force, or staged, is what the repository says, or what it says is held back here. */
  | { readonly kind: "unchanged"; readonly freshUntilMs: number; readonly elsewhere?: Elsewhere }
  | { readonly kind: "candidate"; readonly candidate: Candidate }
  /** Nothing was published yet, or nothing was kept. */
  | { readonly kind: "empty"; readonly message: string }
  | {
      readonly kind: "refused";
      readonly code: RefusalCode;
      readonly message: string;
      /** The router in force may not serve any more: a newer root retired it. */
      readonly retired: boolean;
      /** The same of the staged one. */
      readonly stagedRetired?: boolean;
    };

/**
 * What another process that keeps the same copy has decided meanwhile: that a release is staged; of
 * the staged one, that it serves or that it is bad; of the one in force, that it is taken back.
 */
export type Elsewhere = "staged" | "promoted" | "rejected" | "rolled_back";

/** Where a copy is kept as. */
export type Place = "active" | "staged";

export interface HeldReleases {
  readonly inForce: ArtifactIdentity | undefined;
  readonly staged?: ArtifactIdentity | undefined;
}

export interface ArtifactSource {
  /** The copy kept from last time, verified anew: what serves when the repository is out of reach. */
  restore(nowMs: number): Promise<Found>;
  /** The staged release of last time, verified anew; "empty" where none was. */
  restoreStaged(nowMs: number): Promise<Found>;
  /**
   * The staged release's copy, verified, to be looked at only: nothing is offered by it.
   * @throws ArtifactRefusal
   */
  readStaged(nowMs: number): Promise<Candidate | undefined>;
  /** Asks the repository; what serves and what is staged are not offered. A refusal changes nothing. */
  check(nowMs: number, held: HeldReleases): Promise<Found>;
  /** What others have decided, without a look at the repository. */
  decided(held: HeldReleases): Promise<Elsewhere | undefined>;
  /** The release in force before the present one, from the copy; "empty" where none is kept. */
  previous(nowMs: number): Promise<Found>;
  /**
   * What was offered last is in force, or staged beside it: keeps its copy, then the counters.
   * @throws GatewayError storage_failed: it serves all the same, but would not survive a restart
   */
  commit(as: Place): Promise<void>;
  /** The staged release is in force now; what was, is the previous one. */
  promote(): Promise<void>;
  /** The staged release is gone; with `bad`, not to be offered again until a newer one is published. */
  dropStaged(bad: ArtifactIdentity | undefined): Promise<void>;
  /** A release that was taken back may be offered again: the operator says so. */
  forgive(): Promise<void>;
  /** Of a release that was judged here, by any process of this gateway; durable once it resolves. */
  addVerdict(verdict: JsonObject): Promise<void>;
  /** Oldest first. */
  loadVerdicts(): Promise<readonly JsonObject[]>;
  /** How far the staged release has come, and what the one in force has shown: what `loadProgress` gives after a restart. */
  saveProgress(progress: JsonObject | undefined): Promise<void>;
  /** Undefined where there is none, or none that can be read: then it begins anew. */
  loadProgress(): Promise<JsonObject | undefined>;
  /**
   * The release in force proved bad here, and the previous one (offered last by `previous`, or
   * none) is back: it is not offered again until a newer one is published.
   */
  rollBack(bad: ArtifactIdentity): Promise<void>;
  close(): void;
}
