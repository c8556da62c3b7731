/**
 * A trained router, loaded from an artifact's files and ready to score: the one thing that is
 * swapped when a new artifact comes. Immutable; a call keeps the one it began with.
 */
import type { RawFeatures, RoutingQuery } from "../domain/features.ts";
import type { FloorTable } from "./floors.ts";

/** An artifact's files by path, already verified (or local and unsigned, where allowed). */
export type ArtifactFiles = ReadonlyMap<string, Uint8Array>;

export interface ArtifactIdentity {
  readonly name: string;
  /** 0 for an unsigned local folder. */
  readonly version: number;
  /** sha256 of the release, hex. */
  readonly sha256: string;
}

/** The arrays of a router that answers at once are its own: its next answer overwrites them. */
export interface QueryScores {
  /** Missing where they were not needed: the prior looks at a query's shape alone. */
  readonly features?: RawFeatures;
  /** The feature vector that was scored, where there is one. */
  readonly x?: Float32Array;
  /** Per label, in the order of `labels`. */
  readonly quality: Float32Array;
  readonly uncertainty: Float32Array;
  /** Predicted output tokens per label; NaN where unknown. */
  readonly outputTokens: Float32Array;
  /** Predicted USD per label at the prices of the training data; NaN where unknown. */
  readonly costUsd: Float32Array;
  /** Predicted whole-call latency per label, ms; NaN where unknown. */
  readonly latencyMs: Float32Array;
  /** 0: like the training data; 1: unlike anything in it. */
  readonly novelty: number;
  /** True where the query is so far from the training data that the default candidate answers. */
  readonly abstain: boolean;
  readonly neighbours?: readonly { readonly row: number; readonly similarity: number }[];
}

/** One point of the dial, measured on validation rows when the router was trained. */
export interface DialPoint {
  /** λ of DESIGN §3: utility = quality − λ·cost/costRef. */
  readonly lambda: number;
  readonly meanQuality: number;
  readonly meanCostUsd: number;
  /** Label that answers every query here: a fixed model that no routing was measured to beat. */
  readonly fixed?: number;
}

export interface TrainedRouter {
  readonly identity: ArtifactIdentity;
  readonly strategy: string;
  readonly embedderId: string;
  readonly labels: readonly string[];
  /** Mean quality per label on the training data: the prior of the decision and of the floor. */
  readonly labelQuality: Float32Array;
  /** Mean USD per call and label on the training data; NaN where unknown. */
  readonly labelCostUsd: Float32Array;
  readonly costRefUsd: number;
  /** Training rows behind it; undefined where nobody said. */
  readonly rows?: number;
  /** What a latency is measured by; undefined where the training data had none. */
  readonly latencyRefMs?: number;
  /** Quality floors that training could show to hold; undefined where it could not try. */
  readonly floors?: FloorTable;
  /** By ascending λ. */
  readonly dial: readonly DialPoint[];
  /** True where the choice depends on neither query nor dial: there is nothing to explore. */
  readonly constant?: boolean;
  /** True where nothing was learnt: it decides by the catalog (`prior/prior-router.ts`). */
  readonly prior?: boolean;
  /** True when `score` answers at once, on the calling thread. */
  readonly sync: boolean;
  /** What a strategy that asks models learnt of its own: JSON of the artifact. */
  readonly learned?: Readonly<Record<string, unknown>>;
  /** True where scores depend on who asks: then, and only then, `user` (`userOf`) is of use. */
  readonly personal?: boolean;
  score(query: RoutingQuery, user?: string): QueryScores | Promise<QueryScores>;
  /** The same from features that were computed before: the event log's. */
  scoreFeatures(features: RawFeatures, user?: string): QueryScores | Promise<QueryScores>;
  close(): void;
}
