/** The contract of a poller: what it is given, what it may be asked. */
import type { SwappableSlot } from "../../routing/slot.ts";
import type { TrainedRouter } from "../../routing/trained-router.ts";
import type { Clock } from "../../std/clock.ts";
import type { Random } from "../../std/random.ts";
import type { Telemetry } from "../../telemetry/telemetry.ts";
import type { RolloutControl } from "../rollout/control.ts";
import type { RolloutPlan } from "../rollout/plan.ts";
import type { ShadowRunner } from "../rollout/shadow-report.ts";
import type { TrialLimits } from "../rollout/trial.ts";
import type { RefusalCode } from "./refusal.ts";
import type { ArtifactSource, Candidate } from "./source.ts";

export interface PollerOptions {
  readonly source: Omit<ArtifactSource, "readStaged">;
  readonly slot: SwappableSlot;
  /** Loads a candidate and runs its self-test. @throws whatever is wrong with it; nothing is kept then */
  readonly build: (candidate: Candidate) => Promise<TrainedRouter>;
  readonly intervalMs: number;
  readonly maxStaleMs: number;
  /** False: one look at the start, then only on demand. */
  readonly hotReload: boolean;
  readonly clock: Clock;
  readonly random: Random;
  readonly telemetry: Telemetry;
  readonly health?: Partial<TrialLimits>;
  /** The steps of a new release. Default: none; it is put in force at once. */
  readonly rollout?: () => RolloutPlan;
  /** Other processes keep the same copy: what one decides, all do within `followEveryMs`. */
  readonly follows?: boolean;
  /** Where decisions can be scored in the shadow. */
  readonly shadow?: ShadowRunner | undefined;
  /** What to do while there is no router: how to train and publish one. */
  readonly emptyRemedy: string;
}

export interface PollOutcome {
  readonly status: "swapped" | "staged" | "unchanged" | "empty" | "refused";
  readonly code?: RefusalCode;
  readonly message?: string;
  /** In force after it; 0 where nothing is. */
  readonly version: number;
}

export interface Poller {
  /** Resolves when the local copy (if any) is in force; the repository is asked after that. */
  start(): Promise<void>;
  /** One look, now. Calls during one share the next. */
  pollNow(): Promise<PollOutcome>;
  readonly rollout: RolloutControl;
  /** Resolves when no look and no return is under way. */
  settled(): Promise<void>;
  /** Resolves when what was decided is on the disk, or after `closeWaitMs`. */
  close(): Promise<void>;
}
