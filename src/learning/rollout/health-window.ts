/**
 * The health window: a release that has just come into force, against what served before it. What its
 * calls have shown is kept beside the copy, so that a gateway that is started again goes on watching.
 * Outside of a window the figures of what serves are kept as well: the next release is held against them.
 */
import { isObject, type JsonObject } from "../../domain/json.ts";
import type { ArtifactIdentity } from "../../routing/trained-router.ts";
import type { Clock } from "../../std/clock.ts";
import {
  type CallSample,
  createTrial,
  type Trial,
  type TrialLimits,
  type Verdict,
} from "./trial.ts";

export interface HealthWindow extends Pick<Trial, "observe" | "observeScore" | "report"> {
  /** @param control label of what served before */
  begin(inForce: ArtifactIdentity, control: string, limits: Partial<TrialLimits>): void;
  /**
   * After a restart, with what `save` gave: watches on where a window was open, and gives since when
   * (ms since the epoch). Its time counts only while a gateway watches.
   */
  resume(
    saved: unknown,
    inForce: ArtifactIdentity,
    limits: Partial<TrialLimits>,
  ): number | undefined;
  /** Another one serves, or none, and nothing is to be judged of it. */
  settle(inForce: ArtifactIdentity | undefined): void;
  /** No verdict comes any more; what is saved stays as it is until `settle`. */
  cancel(): void;
  save(): JsonObject | undefined;
  close(): void;
}

export interface HealthWindowOptions {
  readonly clock: Clock;
  /** Told once per window. */
  readonly onVerdict: (verdict: Verdict) => void;
  /** Has what `save` gives written. */
  readonly keep: () => void;
}

/** Saved this often while a window is open, beside what the calls themselves make worth saving. */
const saveEveryMs = 30_000;
/** Of what has served for long little is lost by a restart. */
const saveSettledEveryMs = 300_000;

interface Window {
  readonly control: string;
  /** When it was opened. */
  readonly sinceMs: number;
  /** How long it was watched before the process began, and when this one began to watch. */
  readonly beforeMs: number;
  readonly resumedMs: number;
}

interface Watched {
  readonly identity: ArtifactIdentity;
  readonly label: string;
  /** Undefined once it is judged. */
  window: Window | undefined;
}

export function createHealthWindow({ clock, onVerdict, keep }: HealthWindowOptions): HealthWindow {
  let watched: Watched | undefined;
  let unsaved = false;
  let cancelSave: () => void = () => undefined;
  const trial = createTrial({
    clock,
    onVerdict(verdict) {
      // One that is worse stays open in what is saved until it is taken back, whatever happens meanwhile.
      if (verdict.healthy && watched) watched.window = undefined;
      onVerdict(verdict);
    },
    onProgress: keep,
  });

  function watch(identity: ArtifactIdentity | undefined, window: Window | undefined): void {
    const label = identity && `${identity.name}@${identity.version}`;
    watched = identity && label ? { identity, label, window } : undefined;
    cancelSave();
    if (watched) saveLater();
  }

  function saveLater(): void {
    cancelSave = clock.after(watched?.window ? saveEveryMs : saveSettledEveryMs, () => {
      if (unsaved || watched?.window) keep(); // of a window its time as well
      unsaved = false;
      saveLater();
    });
  }

  return {
    observe(sample: CallSample) {
      unsaved = true;
      trial.observe(sample);
    },
    observeScore(arm, score, unit) {
      unsaved = true;
      trial.observeScore(arm, score, unit);
    },
    report: trial.report,
    begin(inForce, control, limits) {
      const nowMs = clock.now();
      watch(inForce, { control, sinceMs: nowMs, beforeMs: 0, resumedMs: nowMs });
      if (watched) trial.begin({ arm: watched.label, control, limits });
      keep();
    },
    resume(saved, inForce, limits) {
      const known = isObject(saved) && saved["sha256"] === inForce.sha256 ? saved : {};
      const window = readWindow(known["window"], clock.now());
      watch(inForce, window);
      if (!watched) return undefined;
      if (!window) {
        trial.restoreArm(watched.label, known["figures"]);
        return undefined;
      }
      const { control, beforeMs, sinceMs } = window;
      trial.begin({ arm: watched.label, control, limits, elapsedMs: beforeMs });
      trial.restore(known["trial"]);
      return sinceMs;
    },
    settle(inForce) {
      trial.cancel();
      watch(inForce, undefined);
      keep();
    },
    save() {
      if (!watched) return undefined;
      const { identity, label, window } = watched;
      const { version, sha256 } = identity;
      if (!window) return { version, sha256, figures: trial.saveArm(label) };
      const { control, sinceMs, beforeMs, resumedMs } = window;
      const watchedMs = beforeMs + Math.max(0, clock.now() - resumedMs);
      const shown = trial.save();
      const kept = { control, since: sinceMs, watched_ms: watchedMs };
      return { version, sha256, window: kept, ...(shown && { trial: shown }) };
    },
    cancel: trial.cancel,
    close() {
      cancelSave();
      trial.cancel();
      watched = undefined;
    },
  };
}

function readWindow(saved: unknown, nowMs: number): Window | undefined {
  if (!isObject(saved)) return undefined;
  const { control, since, watched_ms: before } = saved;
  if (typeof control !== "string" || typeof since !== "number") return undefined;
  const beforeMs = typeof before === "number" && before >= 0 ? before : 0;
  return { control, sinceMs: since, beforeMs, resumedMs: nowMs };
}
