/** One observed query, whatever it was read from. */
import type { RoutingTool } from "../../domain/features.ts";

export interface Outcome {
  /** In [0, 1]. */
  readonly score: number;
  readonly inputTokens?: number;
  readonly outputTokens?: number;
  readonly costUsd?: number;
  readonly latencyMs?: number;
  /** Share of a verifier's verdicts in favour of this answer, for llmrouter-automix. */
  readonly verification?: number;
}

/**
 * Where a score is from. `full`: graded outcomes of several models side by side. `given`: a file's
 * word on one model. `feedback`: people. `judge`: a model's verdict. `implicit`: signs in the traffic. `shadow`: replayed off the request
 * path. `outcome`: the call failed, so it was worth nothing.
 */
export const labelSources = [
  "full",
  "given",
  "feedback",
  "judge",
  "implicit",
  "shadow",
  "outcome",
] as const;
export type LabelSource = (typeof labelSources)[number];

export interface DataRow {
  readonly id: string;
  readonly query: string;
  readonly tools: readonly RoutingTool[];
  /** For reports; never a feature. */
  readonly category?: string;
  readonly outcomes: ReadonlyMap<string, Outcome>;
  /** Missing: `full` where there are several outcomes, else `given`. */
  readonly label?: LabelSource;
  /** A conversation or a trace: its rows are never on both sides of a split. */
  readonly session?: string;
  /** Who asked, where the data says so. */
  readonly user?: string;
}

/** Which label a feedback's own word for its source means. */
export function toLabelSource(source: string): LabelSource {
  if (/^implicit/i.test(source)) return "implicit";
  if (/^(llm[-_ ]?)?judge/i.test(source)) return "judge";
  if (/^shadow/i.test(source)) return "shadow";
  return "feedback";
}
