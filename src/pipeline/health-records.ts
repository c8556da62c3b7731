/** What deployments answered when they were asked for their health. */
import type { GatewayError } from "../domain/errors.ts";
import type { Deployment } from "../domain/model.ts";

export interface ProbeResult {
  readonly deployment: Deployment;
  readonly durationMs: number;
  /** Undefined where it is well. */
  readonly error?: GatewayError;
}

export interface HealthRecord extends ProbeResult {
  /** Milliseconds since the epoch. */
  readonly atMs: number;
  readonly by: "background" | "request";
}

export interface HealthRecords {
  record(results: readonly ProbeResult[], by: HealthRecord["by"]): void;
  /** The last answer of each deployment that is served now. */
  latest(): readonly HealthRecord[];
  /** Newest first. */
  history(): readonly HealthRecord[];
}
