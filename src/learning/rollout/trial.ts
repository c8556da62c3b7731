/**
 * One arm on trial: its calls against those of another, in errors, latency, cost and quality. The
 * other is what served before it (the health window after a swap), or what serves beside it at the
 * same time (a canary). An arm is anything with a cost and an outcome. Looked at while calls come,
 * by tests that may be looked at as often as one likes (sequential.ts).
 */
import { isObject, type JsonObject } from "../../domain/json.ts";
import type { Clock } from "../../std/clock.ts";
import {
  type Difference,
  findRegression,
  standardThresholds,
  type Thresholds,
  toDifferences,
} from "./compare.ts";
import {
  type Figures,
  type Metric,
  metrics,
  newFigures,
  restoreFigures,
  saveFigures,
} from "./figures.ts";

export interface CallSample {
  /** Of a router: `name@version`, or "none". */
  readonly arm: string;
  /** What all calls of one user have in common (`Assignment.bucket`); undefined: stands alone. */
  readonly unit?: number | undefined;
  /** False for a failure of ours or upstream's; a caller's own error or hang-up is no sample. */
  readonly ok: boolean;
  readonly latencyMs: number;
  readonly costUsd?: number | undefined;
}

export interface TrialLimits extends Thresholds {
  /** Calls of the arm after which the trial ends, and the arm counts as good. */
  readonly maxCalls: number;
  /** It ends after this time as well, however few calls there were. */
  readonly maxMs: number;
}

export const healthLimits: TrialLimits = {
  ...standardThresholds,
  maxCalls: 2_000,
  maxMs: 6 * 3_600_000,
};

export interface Verdict {
  readonly arm: string;
  readonly healthy: boolean;
  /** Of a healthy one: the time was over before its calls were enough. */
  readonly short?: true;
  /** Of an unhealthy one: what. */
  readonly regression?: Metric;
  /** What, and the two figures. */
  readonly message: string;
  readonly calls: number;
}

export interface TrialStart {
  readonly arm: string;
  /** `staticArm`: from there on it is a change of policy, so only errors and quality count. */
  readonly control: string;
  /** Both serve at once: neither's past counts. Else the control is what served before. */
  readonly concurrent?: boolean;
  readonly limits?: Partial<TrialLimits>;
  /** How long it has been under way already, before a restart of the gateway. */
  readonly elapsedMs?: number;
}

export interface Trial {
  observe(sample: CallSample): void;
  /** A caller's or judge's score of a call that was observed, in [0, 1]. */
  observeScore(arm: string, score: number, unit?: number): void;
  begin(start: TrialStart): void;
  /** Ends without a verdict: the arm is gone. */
  cancel(): void;
  /** The arm on trial, if any. */
  watching(): string | undefined;
  /** How the arm on trial does beside its control; undefined where none is. */
  report(): TrialReport | undefined;
  /** Of the trial under way, for `restore` after a restart; undefined where none is. */
  save(): JsonObject | undefined;
  /** Figures of a trial that goes on; after `begin`. False where they are of another one. */
  restore(saved: unknown): boolean;
  /** Of one arm, whether on trial or not: what a later one is held against. */
  saveArm(arm: string): JsonObject;
  /** False where it is not what `saveArm` gave. */
  restoreArm(arm: string, saved: unknown): boolean;
}

export interface TrialReport {
  readonly arm: string;
  readonly control: string;
  readonly calls: number;
  readonly control_calls: number;
  readonly differences: readonly Difference[];
}

export interface TrialOptions {
  readonly clock: Clock;
  /** Told once per trial. */
  readonly onVerdict: (verdict: Verdict) => void;
  /** What the arm's calls have shown is worth saving again: see `savedGrowth`. */
  readonly onProgress?: () => void;
  readonly limits?: Partial<TrialLimits>;
}

/** Routing without a trained router. More money for better answers may be what is asked for after it. */
export const staticArm = "none";
const judgedOfStatic: readonly Metric[] = ["errors", "quality"];
/** Arms whose figures are kept. */
const keptArms = 4;
/** Errors are looked at from here on: the test is exact, so there is nothing to wait for. */
const firstLook = 5;
/** A look, then the next when there are so many times the calls. */
const lookGrowth = 1.05;
/**
 * Its figures are saved after five more calls, or a tenth more: a kill costs the arm at most so many
 * calls on top of those that a verdict takes.
 */
const savedCalls = 5;
const savedGrowth = 0.1;

interface Open {
  readonly arm: string;
  readonly control: string;
  readonly judged: readonly Metric[];
  readonly limits: TrialLimits;
  nextLook: number;
  nextSave: number;
}

export function createTrial({ clock, onVerdict, onProgress, ...options }: TrialOptions): Trial {
  const standard = { ...healthLimits, ...options.limits };
  const figures = new Map<string, Figures>();
  let open: Open | undefined;
  let cancelTimer: () => void = () => undefined;

  function figuresOf(arm: string): Figures {
    const held = figures.get(arm);
    if (held) return held;
    const fresh = newFigures();
    figures.set(arm, fresh);
    for (const name of figures.keys()) {
      if (figures.size <= keptArms) break;
      if (name !== open?.arm && name !== open?.control && name !== arm) figures.delete(name);
    }
    return fresh;
  }

  function close(verdict: Omit<Verdict, "arm" | "calls">): void {
    if (!open) return;
    const { arm } = open;
    const calls = figuresOf(arm).failed.seen;
    open = undefined;
    cancelTimer();
    onVerdict({ arm, calls, ...verdict });
  }

  function look(): void {
    if (!open) return;
    const { arm, control, limits, judged } = open;
    const after = figuresOf(arm);
    const found = findRegression(figuresOf(control), after, limits, judged);
    if (found) close({ healthy: false, ...found });
    else if (after.failed.seen >= limits.maxCalls) {
      close({ healthy: true, message: `no regression in ${after.failed.seen} calls` });
    }
  }

  return {
    observe({ arm, unit, ok, latencyMs, costUsd }) {
      const to = figuresOf(arm);
      to.failed.add(ok ? 0 : 1, unit);
      if (ok) to.logLatency.add(Math.log(Math.max(latencyMs, 0.1)), unit);
      if (ok && costUsd !== undefined) to.cost.add(costUsd, unit);
      if (arm !== open?.arm) return;
      if (to.failed.seen >= open.nextSave) {
        open.nextSave = afterSave(to.failed.seen);
        onProgress?.();
      }
      if (to.failed.seen < open.nextLook) return;
      open.nextLook = Math.min(open.limits.maxCalls, Math.ceil(to.failed.seen * lookGrowth + 1));
      look();
    },
    observeScore(arm, score, unit) {
      figuresOf(arm).loss.add(1 - score, unit);
      if (arm === open?.arm) look();
    },
    begin(start) {
      cancelTimer();
      const { arm, control, elapsedMs = 0 } = start;
      const judged = control === staticArm ? judgedOfStatic : metrics;
      const limits = { ...standard, ...start.limits };
      // An arm that was in force before starts anew: what it did then is not what it does now.
      figures.set(arm, newFigures());
      if (start.concurrent) figures.set(control, newFigures());
      const nextLook = Math.min(firstLook, limits.maxCalls);
      open = { arm, control, judged, limits, nextLook, nextSave: savedCalls };
      cancelTimer = () => undefined;
      if (!Number.isFinite(limits.maxMs)) return;
      cancelTimer = clock.after(Math.max(0, limits.maxMs - elapsedMs), () => {
        look();
        const message = "no regression in the time of the trial";
        close({ healthy: true, short: true, message });
      });
    },
    cancel() {
      open = undefined;
      cancelTimer();
    },
    watching: () => open?.arm,
    report() {
      if (!open) return undefined;
      const { arm, control, limits } = open;
      const [now, before] = [figuresOf(arm), figuresOf(control)];
      return {
        arm,
        control,
        calls: now.failed.seen,
        control_calls: before.failed.seen,
        differences: toDifferences(before, now, limits),
      };
    },
    save() {
      if (!open) return undefined;
      const { arm, control } = open;
      const saved = { arm: saveFigures(figuresOf(arm)), control: saveFigures(figuresOf(control)) };
      return { of: arm, beside: control, ...saved };
    },
    restore(saved) {
      if (!open || !isObject(saved)) return false;
      if (saved["of"] !== open.arm || saved["beside"] !== open.control) return false;
      const arm = restoreFigures(saved["arm"]);
      const control = restoreFigures(saved["control"]);
      if (!arm || !control) return false;
      figures.set(open.arm, arm);
      figures.set(open.control, control);
      // What was seen before may be verdict enough: it is looked at with the next call.
      open.nextLook = arm.failed.seen + 1;
      open.nextSave = afterSave(arm.failed.seen);
      return true;
    },
    saveArm: (arm) => saveFigures(figuresOf(arm)),
    restoreArm(arm, saved) {
      const held = restoreFigures(saved);
      if (held) figures.set(arm, held);
      return held !== undefined;
    },
  };
}

const afterSave = (calls: number) => calls + Math.max(savedCalls, Math.floor(calls * savedGrowth));
