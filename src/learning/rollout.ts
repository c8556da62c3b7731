/**
 * The health window after a swap: calls under the new router against calls under the old one, in
 * errors, latency, cost and quality. A regression that is both large and beyond chance ends it.
 *
 * Each look is a one-sided z-test at `zScore`; looks happen at sample sizes that grow by half, so
 * that ten of them cost little confidence. Samples are kept as moments: constant memory, O(1) a call.
 */
import type { Clock } from "../std/clock.ts";

export interface CallSample {
  /** `name@version` of the router that decided the call, or "none". */
  readonly artifact: string;
  /** False for a failure of ours or upstream's; a caller's own error or hang-up is no sample. */
  readonly ok: boolean;
  readonly latencyMs: number;
  readonly costUsd?: number;
}

export interface HealthThresholds {
  /** Calls under the new router before the first look, and under the old one for a comparison. */
  readonly minCalls: number;
  /** Feedback on either before quality is compared. */
  readonly minFeedback: number;
  /** Calls after which the window closes, and the new router counts as good. */
  readonly maxCalls: number;
  /** It closes after this time as well, however few calls there were. */
  readonly maxMs: number;
  /** Standard errors that a difference must exceed. */
  readonly zScore: number;
  /** Share of calls that may fail more than before. */
  readonly errorRise: number;
  /** Factor on the geometric mean of latency, and on the mean cost. */
  readonly latencyFactor: number;
  readonly costFactor: number;
  /** Mean feedback score that may be lost. */
  readonly qualityDrop: number;
}

export const healthThresholds: HealthThresholds = {
  minCalls: 50,
  minFeedback: 20,
  maxCalls: 2_000,
  maxMs: 6 * 3_600_000,
  zScore: 3,
  errorRise: 0.02,
  latencyFactor: 1.5,
  costFactor: 1.5,
  qualityDrop: 0.05,
};

export type Regression = "errors" | "latency" | "cost" | "quality";

export interface HealthVerdict {
  readonly healthy: boolean;
  readonly artifact: string;
  /** Of an unhealthy one: what, and the two figures. */
  readonly regression?: Regression;
  readonly message: string;
}

export interface Rollout {
  observe(sample: CallSample): void;
  /** A caller's or judge's score of a call that was observed, in [0, 1]. */
  observeScore(artifact: string, score: number): void;
  /** A new router is in force: the window opens. `before` is what it took the place of. */
  begin(artifact: string, before: string): void;
  /** The window closes without a verdict: the router is gone. */
  cancel(): void;
  /** The artifact under observation, if any. */
  watching(): string | undefined;
}

export interface RolloutOptions {
  readonly clock: Clock;
  /** Told once per window. */
  readonly onVerdict: (verdict: HealthVerdict) => void;
  readonly thresholds?: Partial<HealthThresholds>;
}

/** Past this many samples the old ones begin to fade, so that "before" means lately. */
const fadeAfter = 5_000;
/** Artifacts whose figures are kept. */
const keptArtifacts = 4;

export function createRollout({ clock, onVerdict, ...options }: RolloutOptions): Rollout {
  const limits = { ...healthThresholds, ...options.thresholds };
  const figures = new Map<string, Figures>();
  let open: { readonly artifact: string; readonly before: string; nextLook: number } | undefined;
  let cancelTimer: () => void = () => undefined;

  function figuresOf(artifact: string): Figures {
    const held = figures.get(artifact);
    if (held) return held;
    const fresh = newFigures();
    figures.set(artifact, fresh);
    for (const name of figures.keys()) {
      if (figures.size <= keptArtifacts) break;
      if (name !== open?.artifact && name !== open?.before && name !== artifact) {
        figures.delete(name);
      }
    }
    return fresh;
  }

  function close(verdict: Omit<HealthVerdict, "artifact">): void {
    if (!open) return;
    const { artifact } = open;
    open = undefined;
    cancelTimer();
    onVerdict({ artifact, ...verdict });
  }

  function look(): void {
    if (!open) return;
    const after = figuresOf(open.artifact);
    const found = findRegression(figuresOf(open.before), after, limits, open.before === "none");
    if (found) close({ healthy: false, ...found });
    else if (after.failed.n >= limits.maxCalls) {
      close({ healthy: true, message: `no regression in ${Math.round(after.failed.n)} calls` });
    }
  }

  return {
    observe({ artifact, ok, latencyMs, costUsd }) {
      const to = figuresOf(artifact);
      to.failed.add(ok ? 0 : 1);
      if (ok) to.logLatency.add(Math.log(Math.max(latencyMs, 0.1)));
      if (ok && costUsd !== undefined) to.cost.add(costUsd);
      if (artifact !== open?.artifact || to.failed.n < open.nextLook) return;
      open.nextLook = Math.min(limits.maxCalls, Math.ceil(to.failed.n * 1.5));
      look();
    },
    observeScore(artifact, score) {
      const { loss } = figuresOf(artifact);
      loss.add(1 - score);
      if (artifact === open?.artifact && loss.n % limits.minFeedback === 0) look();
    },
    begin(artifact, before) {
      cancelTimer();
      // A router that was in force before starts anew: what it did then is not what it does now.
      figures.set(artifact, newFigures());
      open = { artifact, before, nextLook: limits.minCalls };
      cancelTimer = clock.after(limits.maxMs, () => {
        look();
        close({ healthy: true, message: "no regression in the time of the health window" });
      });
    },
    cancel() {
      open = undefined;
      cancelTimer();
    },
    watching: () => open?.artifact,
  };
}

interface Figures {
  readonly failed: Moments;
  readonly logLatency: Moments;
  readonly cost: Moments;
  readonly loss: Moments;
}

/** Welford, "Note on a method for calculating corrected sums of squares", Technometrics 4(3), 1962. */
class Moments {
  n = 0;
  mean = 0;
  private squares = 0;
  private readonly isShare: boolean;

  /** @param isShare of zeros and ones: where no spread was seen yet there still may be some */
  constructor(isShare = false) {
    this.isShare = isShare;
  }

  add(value: number): void {
    if (this.n >= fadeAfter) {
      this.n /= 2;
      this.squares /= 2;
    }
    this.n++;
    const delta = value - this.mean;
    this.mean += delta / this.n;
    this.squares += delta * (value - this.mean);
  }

  /** Of the mean. A share's is that of Laplace's rule of succession, which is never zero. */
  variance(): number {
    const share = (this.mean * this.n + 1) / (this.n + 2);
    const one = this.isShare ? share * (1 - share) : this.squares / Math.max(1, this.n - 1);
    return one / Math.max(1, this.n);
  }
}

function newFigures(): Figures {
  return {
    failed: new Moments(true),
    logLatency: new Moments(),
    cost: new Moments(),
    /** The score that was lost: 1 − score, so that more is worse, as everywhere here. */
    loss: new Moments(),
  };
}

/**
 * A swap from static routing is a change of policy: more money for better answers may be what was
 * asked for, so only errors and quality are held against it.
 */
function findRegression(
  before: Figures,
  after: Figures,
  limits: HealthThresholds,
  wasStatic: boolean,
): { readonly regression: Regression; readonly message: string } | undefined {
  const { minCalls, minFeedback, zScore } = limits;
  const worse = (old: Moments, now: Moments, least: number, tolerated: number) =>
    old.n >= least &&
    now.n >= least &&
    now.mean - old.mean > tolerated + zScore * Math.sqrt(old.variance() + now.variance());
  const percent = (share: number) => `${(share * 100).toFixed(1)} %`;
  const say = (regression: Regression, old: string, now: string) => ({
    regression,
    message: `${regression}: ${now}, before ${old}`,
  });
  if (worse(before.failed, after.failed, minCalls, limits.errorRise)) {
    return say("errors", percent(before.failed.mean), percent(after.failed.mean));
  }
  if (worse(before.loss, after.loss, minFeedback, limits.qualityDrop)) {
    const quality = ({ mean }: Moments) => (1 - mean).toFixed(3);
    return say("quality", quality(before.loss), quality(after.loss));
  }
  if (wasStatic) return undefined;
  const logFactor = Math.log(limits.latencyFactor);
  if (worse(before.logLatency, after.logLatency, minCalls, logFactor)) {
    const ms = (moments: Moments) => `${Math.exp(moments.mean).toFixed(0)} ms`;
    return say("latency", ms(before.logLatency), ms(after.logLatency));
  }
  const dearer = before.cost.mean * (limits.costFactor - 1);
  if (worse(before.cost, after.cost, minCalls, dearer)) {
    const usd = (moments: Moments) => `${moments.mean.toPrecision(3)} USD a call`;
    return say("cost", usd(before.cost), usd(after.cost));
  }
  return undefined;
}
