/**
 * Where a gateway's router comes from: the contract between the part that downloads and verifies
 * (in the background thread) and the part that builds, tests and swaps (in the serving one).
 * Everything that crosses is plain data, so a message port may lie between the two.
 */
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
  /** What is in force is what the repository says, or what it says is held back here. */
  | { readonly kind: "unchanged"; readonly freshUntilMs: number }
  | { readonly kind: "candidate"; readonly candidate: Candidate }
  /** Nothing was published yet, or nothing was kept. */
  | { readonly kind: "empty"; readonly message: string }
  | {
      readonly kind: "refused";
      readonly code: RefusalCode;
      readonly message: string;
      /** The router in force may not serve any more: a newer root retired it. */
      readonly retired: boolean;
    };

export interface ArtifactSource {
  /** The copy kept from last time, verified anew: what serves when the repository is out of reach. */
  restore(nowMs: number): Promise<Found>;
  /** Asks the repository; `inForce` is what serves at present. A refusal changes nothing. */
  check(nowMs: number, inForce: ArtifactIdentity | undefined): Promise<Found>;
  /** The release in force before the present one, from the copy; "empty" where none is kept. */
  previous(nowMs: number): Promise<Found>;
  /**
   * What was offered last is in force: keeps its copy, then the counters.
   * @throws GatewayError storage_failed: it serves all the same, but would not survive a restart
   */
  commit(): Promise<void>;
  /**
   * The release in force proved bad here, and the previous one (offered last by `previous`, or
   * none) is back: it is not offered again until a newer one is published.
   */
  rollBack(bad: ArtifactIdentity): Promise<void>;
  close(): void;
}
