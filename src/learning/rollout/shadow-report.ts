/** What scoring in the shadow has shown: plain data, as it comes out of the background thread. */
import type { ArtifactIdentity } from "../../routing/trained-router.ts";

export interface ShadowReport {
  readonly version: number;
  /** Decisions that it scored. */
  readonly calls: number;
  /** Decisions that it passed over: beyond its share, or when more came than it could score. */
  readonly skipped: number;
  /** Queries on which it failed, and the last failure. */
  readonly failed: number;
  readonly failure?: string;
  /** Share of the decisions in which both choose the same model; null before the first. */
  readonly agreement: number | null;
  /**
   * Mean predicted quality, and USD, of what it would choose less that of what was chosen: in its
   * own eyes, and in those of the router in force. Each flatters itself; the truth tends to lie between.
   */
  readonly predicted: {
    readonly quality_gain: number | null;
    readonly cost_change_usd: number | null;
    readonly quality_gain_by_active: number | null;
  };
  /** Share that it finds unlike all its training data. */
  readonly abstained: number | null;
  /** Time to score and choose, in the background, µs. */
  readonly score_us: { readonly p50: number | null; readonly p99: number | null };
  /** How often it would choose each model, and how often each was chosen: the 20 most frequent. */
  readonly choices: Readonly<Record<string, { readonly shadow: number; readonly active: number }>>;
}

/** Scores decisions beside the router in force, off the serving thread. */
export interface ShadowRunner {
  begin(identity: ArtifactIdentity, share: number, onReport: (report: ShadowReport) => void): void;
  end(): void;
}

/** Failures before it counts as broken, and their share. */
const leastFailures = 3;
const failingShare = 0.01;

export function isFailing({ failed, calls }: ShadowReport): boolean {
  return failed >= leastFailures && failed > failingShare * (calls + failed);
}
