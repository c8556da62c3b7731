/**
 * A release on its way into force: staged (verified and built, serving nobody), in the shadow
 * (scoring what the one in force decides), as canary (answering a share of the users). One at a
 * time; a newer release takes its place.
 */
import type { JsonObject } from "../../domain/json.ts";
import type { SwappableSlot } from "../../routing/slot.ts";
import type { ArtifactIdentity, TrainedRouter } from "../../routing/trained-router.ts";
import type { Clock } from "../../std/clock.ts";
import { type CanaryPlan, type RolloutPlan, standardCanary, standardShadow } from "./plan.ts";
import { isFailing, type ShadowReport, type ShadowRunner } from "./shadow-report.ts";
import { type CallSample, createTrial, type TrialReport, type Verdict } from "./trial.ts";

export type Stage = "staged" | "shadow" | "canary";

export interface Staged {
  readonly identity: ArtifactIdentity;
  readonly router: TrainedRouter;
  readonly freshUntilMs: number;
}

/** As admin routes and the CLI show it. */
export interface StagedStatus {
  readonly name: string;
  readonly version: number;
  readonly sha256: string;
  readonly stage: Stage;
  /** Of a canary. */
  readonly share?: number;
  /** Its place among the configured shares, from 1, and how many there are. */
  readonly step?: number;
  readonly steps?: number;
  readonly started_at: string;
  readonly stage_since: string;
  /** It has come through its steps and waits for `promote`. */
  readonly ready: boolean;
  /** Its time was over before its calls were enough; it waits for the operator. */
  readonly undecided: boolean;
  readonly shadow?: ShadowReport;
  readonly canary?: TrialReport;
}

export interface StagesOptions {
  /** As configured now; a change counts from the next step on. */
  readonly plan: () => RolloutPlan;
  readonly slot: SwappableSlot;
  readonly clock: Clock;
  /** Undefined: nothing can be scored in the shadow here, and why. */
  readonly shadow: ShadowRunner | undefined;
  /** `name@version` in force; "none" where routing is static. */
  readonly inForce: () => string;
  /** One after another with all else that changes what serves. */
  readonly enqueue: (work: () => Promise<void>) => void;
  /** The staged release has come through. */
  readonly promote: () => Promise<void>;
  /** It has come through one of its steps as canary. */
  readonly passed: (verdict: Verdict) => Promise<void>;
  /** It proved bad. */
  readonly drop: (verdict: Verdict) => Promise<void>;
  readonly save: (progress: JsonObject | undefined) => void;
  readonly report: StageReport;
}

export interface StageReport {
  /** Told of every change; `undefined` as stage: there is none any more. */
  moved(artifact: string, stage: Stage | undefined, share: number, because: string): void;
  waits(artifact: string, undecided: boolean): void;
}

export interface Stages {
  staged(): Staged | undefined;
  status(): StagedStatus | undefined;
  /** Since when it is on its way; undefined where none is. Milliseconds since the epoch. */
  startedMs(): number | undefined;
  /** Begins its first step; `hold`: waits as staged. `progress`: goes on from there, after a restart. */
  begin(
    staged: Staged,
    how: { readonly hold: boolean; readonly progress?: JsonObject | undefined },
  ): void;
  /** The operator's word: to that stage at once. */
  enter(stage: "shadow" | "canary", share?: number): void;
  /** Lets go of it: the slot holds its router until that is swapped in, or taken away. */
  take(because: string): Staged | undefined;
  /** Has what is noted written. */
  save(): void;
  /** Another release is in force: what was compared with the old one begins anew. */
  rebase(): void;
  observe(sample: CallSample): void;
  observeScore(arm: string, score: number, unit?: number): void;
  close(): void;
}

interface Held extends Staged {
  readonly label: string;
  readonly startedMs: number;
  stage: Stage;
  sinceMs: number;
  step: number;
  /** Of this step; the operator may have chosen it. */
  share: number;
  chosen: boolean;
  /** Staged by the operator, who says how it goes on. */
  hold: boolean;
  ready: boolean;
  undecided: boolean;
}

/** A canary's figures are saved this often, so that a restart loses little. */
const saveEveryMs = 30_000;

export function createStages(options: StagesOptions): Stages {
  const { slot, clock, shadow, report, enqueue } = options;
  let held: Held | undefined;
  let cancelTimer: () => void = () => undefined;
  let cancelSave: () => void = () => undefined;
  let lastShadow: ShadowReport | undefined;
  const trial = createTrial({
    clock,
    onVerdict: (verdict) => enqueue(() => judge(verdict)),
    onProgress: () => save(),
  });

  function stop(): void {
    cancelTimer();
    cancelSave();
    trial.cancel();
    shadow?.end();
  }

  function enter(stage: Stage, step: number, because: string): void {
    if (!held) return;
    const canary = options.plan().canary ?? standardCanary;
    Object.assign(held, { stage, step, sinceMs: clock.now(), ready: false, undecided: false });
    held.share = stage === "canary" ? (canary.shares[step] ?? 1) : 0;
    held.chosen = false;
    settle(because);
  }

  /** Makes what is so of what is noted: after a change, and after a restart. */
  function settle(because: string, elapsedMs = 0): void {
    if (!held) return;
    stop();
    slot.setCanary(held.router, held.share);
    if (held.stage === "shadow") beginShadow(held, elapsedMs);
    if (held.stage === "canary") beginCanary(held, elapsedMs);
    report.moved(held.label, held.stage, held.share, because);
    if (held.ready || held.undecided) report.waits(held.label, held.undecided);
    save();
  }

  function beginShadow(now: Held, elapsedMs: number): void {
    const { share, maxMs } = options.plan().shadow ?? standardShadow;
    lastShadow = undefined;
    shadow?.begin(now.identity, share, (figures) => {
      if (held !== now || now.stage !== "shadow") return;
      lastShadow = figures;
      onShadow(now, figures);
    });
    cancelTimer = clock.after(Math.max(0, maxMs - elapsedMs), () =>
      enqueue(async () => {
        if (held === now && now.stage === "shadow" && !now.ready)
          await next("its time in the shadow is over");
      }),
    );
  }

  function onShadow(now: Held, figures: ShadowReport): void {
    const { minCalls } = options.plan().shadow ?? standardShadow;
    if (isFailing(figures)) {
      const message = `errors: it failed on ${figures.failed} of ${figures.calls} queries in the shadow`;
      const verdict = { arm: now.label, healthy: false, regression: "errors", message } as const;
      enqueue(() => judge({ ...verdict, calls: figures.calls }));
      return;
    }
    if (figures.calls < minCalls || now.ready) return;
    enqueue(async () => {
      if (held === now && now.stage === "shadow" && !now.ready) {
        await next(`it scored ${figures.calls} decisions in the shadow`);
      }
    });
  }

  function beginCanary(now: Held, elapsedMs: number): void {
    const { health, canary = standardCanary } = options.plan();
    const waits = now.ready || now.undecided;
    trial.begin({
      arm: now.label,
      control: options.inForce(),
      concurrent: true,
      elapsedMs: waits ? 0 : elapsedMs,
      limits: {
        ...health,
        // Each step is a trial of its own, and so is the wait after the last: the chance is shared out.
        alpha: health.alpha / (canary.shares.length + 1),
        maxCalls: waits ? Number.POSITIVE_INFINITY : canary.minCalls,
        maxMs: waits ? Number.POSITIVE_INFINITY : canary.maxMs,
      },
    });
    saveLater();
  }

  function saveLater(): void {
    cancelSave = clock.after(saveEveryMs, () => {
      save();
      saveLater();
    });
  }

  async function judge(verdict: Verdict): Promise<void> {
    const judged = held;
    if (!judged || judged.label !== verdict.arm) return;
    if (!verdict.healthy) return await options.drop(verdict);
    await options.passed(verdict);
    const { undecided } = options.plan().canary ?? standardCanary;
    if (verdict.short && undecided === "roll_back") {
      const message = `it answered only ${verdict.calls} calls in its time as canary`;
      return await options.drop({ ...verdict, healthy: false, message });
    }
    if (verdict.short && undecided === "hold") {
      judged.undecided = true;
      settle(`too few calls (${verdict.calls}) in its time as canary`);
      return;
    }
    await next(verdict.message);
  }

  /** The step after the present one. */
  async function next(because: string): Promise<void> {
    if (!held) return;
    const { canary, auto, shadow: inShadow } = options.plan();
    if (held.stage !== "canary") {
      if (held.stage === "staged" && inShadow && shadow) return enter("shadow", 0, because);
      if (canary) return enter("canary", 0, because);
    } else if (!held.chosen && held.step + 1 < (canary ?? standardCanary).shares.length) {
      return enter("canary", held.step + 1, because);
    }
    if (auto) return await options.promote();
    held.ready = true;
    if (held.stage === "canary") return settle(because); // a trial without an end begins
    report.waits(held.label, false);
    save();
  }

  function save(): void {
    options.save(held ? toProgress(held, trial.save()) : undefined);
  }

  return {
    staged: () => held,
    startedMs: () => held?.startedMs,
    status: () =>
      held
        ? toStatus(held, options.plan().canary ?? standardCanary, trial.report(), lastShadow)
        : undefined,
    begin(staged, { hold, progress }) {
      const { name, version } = staged.identity;
      const nowMs = clock.now();
      const fresh = {
        stage: "staged",
        step: 0,
        share: 0,
        chosen: false,
        hold,
        ready: false,
        undecided: false,
      } as const;
      stop();
      held = { ...staged, ...fresh, label: `${name}@${version}`, startedMs: nowMs, sinceMs: nowMs };
      const resumed = progress && readProgress(progress, staged.identity, nowMs);
      if (resumed) {
        Object.assign(held, resumed);
        settle("the gateway was started again", nowMs - held.sinceMs);
        trial.restore(progress["trial"]);
      } else settle("a new release was verified");
      if (held.stage === "staged" && !held.hold && !held.ready)
        enqueue(() => next("a new release was verified"));
    },
    enter(stage, share) {
      if (!held) return;
      enter(stage, 0, "the operator asked for it");
      if (stage !== "canary" || share === undefined) return;
      held.share = share;
      held.chosen = true;
      slot.setCanary(held.router, share);
      report.moved(held.label, "canary", share, "the operator asked for it");
      save();
    },
    take(because) {
      const taken = held;
      if (!taken) return undefined;
      stop();
      held = undefined;
      report.moved(taken.label, undefined, 0, because);
      options.save(undefined);
      return taken;
    },
    save,
    rebase() {
      if (held?.stage === "canary") settle("another release is in force");
    },
    observe(sample) {
      if (held?.stage === "canary") trial.observe(sample);
    },
    observeScore(arm, score, unit) {
      if (held?.stage === "canary") trial.observeScore(arm, score, unit);
    },
    close() {
      save();
      stop();
      held = undefined;
      slot.setCanary(undefined);
    },
  };
}

const timeOf = (ms: number) => new Date(ms).toISOString();

function toStatus(
  held: Held,
  { shares }: CanaryPlan,
  canary: TrialReport | undefined,
  shadow: ShadowReport | undefined,
): StagedStatus {
  const { identity, stage, share, step, startedMs, sinceMs, ready, undecided } = held;
  return {
    ...identity,
    stage,
    ...(stage === "canary" && { share, step: step + 1, steps: held.chosen ? 1 : shares.length }),
    started_at: timeOf(startedMs),
    stage_since: timeOf(sinceMs),
    ready,
    undecided,
    ...(shadow && { shadow }),
    ...(canary && { canary }),
  };
}

function toProgress(held: Held, trial: JsonObject | undefined): JsonObject {
  const { identity, stage, step, share, chosen, hold, startedMs, sinceMs, ready, undecided } = held;
  return {
    version: identity.version,
    sha256: identity.sha256,
    stage,
    step,
    share,
    chosen,
    hold,
    started_at: timeOf(startedMs),
    stage_since: timeOf(sinceMs),
    ready,
    undecided,
    ...(trial && { trial }),
  };
}

/** Undefined where it is another release's, or makes no sense: it begins anew then. */
function readProgress(saved: JsonObject, { sha256 }: ArtifactIdentity, nowMs: number) {
  const { stage, step, share, chosen, hold, ready, undecided } = saved;
  if (saved["sha256"] !== sha256) return undefined;
  if (stage !== "staged" && stage !== "shadow" && stage !== "canary") return undefined;
  if (typeof share !== "number" || !(share >= 0 && share <= 1)) return undefined;
  if (stage === "canary" && share === 0) return undefined;
  if (typeof step !== "number" || !Number.isInteger(step) || step < 0) return undefined;
  const startedMs = Date.parse(String(saved["started_at"]));
  const sinceMs = Date.parse(String(saved["stage_since"]));
  if (!(startedMs <= nowMs && sinceMs <= nowMs)) return undefined;
  return {
    stage: stage as Stage,
    step,
    share,
    chosen: chosen === true,
    hold: hold === true,
    ready: ready === true,
    undecided: undecided === true,
    startedMs,
    sinceMs,
  };
}
