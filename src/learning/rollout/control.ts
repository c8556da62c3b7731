/** What an operator may say to a rollout, and what is shown of it: admin routes and the CLI speak to this. */
import type { JsonObject } from "../../domain/json.ts";
import type { ArtifactIdentity } from "../../routing/trained-router.ts";
import type { Clock } from "../../std/clock.ts";
import type { RefusalCode } from "../artifacts/refusal.ts";
import type { StagedStatus, Stages } from "./stages.ts";
import type { CallSample, Trial, TrialReport, Verdict } from "./trial.ts";

/** What calls tell of routers, and what an operator may say. Each order resolves when it is done. */
export interface RolloutControl {
  observe(sample: CallSample): void;
  observeScore(arm: string, score: number, unit?: number): void;
  status(): RolloutStatus;
  /**
   * Holds what the repository offers beside the router in force, instead of putting it there.
   * @param again also a release that was taken back here before
   */
  stage(again: boolean): Promise<Answer>;
  shadow(): Promise<Answer>;
  /** @param share in (0, 1]; undefined: as configured, its steps one after the other */
  canary(share: number | undefined): Promise<Answer>;
  promote(): Promise<Answer>;
  /** Of the staged release; where there is none, of the one in force to the one before it. */
  rollBack(reason: string): Promise<Answer>;
}

/** Of an order: what is wrong, where it could not be followed. */
export type Answer =
  | { readonly done: true }
  | {
      readonly done: false;
      readonly code: "nothing_staged" | "nothing_in_force" | RefusalCode;
      readonly message: string;
    };

export interface RolloutStatus {
  readonly active: (ArtifactIdentity & { readonly health: TrialReport | null }) | null;
  readonly staged: StagedStatus | null;
  /** The last verdicts, newest first. */
  readonly verdicts: readonly JudgedVerdict[];
}

export interface JudgedVerdict extends Verdict {
  readonly at: string;
  readonly stage: "canary" | "health";
}

export interface ControlParts {
  readonly enqueue: <T>(work: () => Promise<T>) => Promise<T>;
  readonly stages: Stages;
  readonly health: Pick<Trial, "observe" | "observeScore" | "report">;
  readonly inForce: () => ArtifactIdentity | undefined;
  readonly verdicts: readonly JudgedVerdict[];
  readonly forgive: () => Promise<void>;
  /** A look at the repository; what it offers is staged. */
  readonly lookAndHold: () => Promise<{
    readonly status: "swapped" | "staged" | "unchanged" | "empty" | "refused";
    readonly code?: RefusalCode;
    readonly message?: string;
  }>;
  readonly promote: (because: string) => Promise<void>;
  readonly drop: (verdict: Verdict) => Promise<void>;
  /** To the release before the one in force. */
  readonly goBack: (verdict: Verdict) => Promise<void>;
}

const done: Answer = { done: true };
const refuse = (code: Extract<Answer, { done: false }>["code"], message: string): Answer => ({
  done: false,
  code,
  message,
});

export function createControl(parts: ControlParts): RolloutControl {
  const { enqueue, stages, health, inForce, verdicts } = parts;

  async function stage(again: boolean): Promise<Answer> {
    if (again) await parts.forgive();
    const { status, code, message } = await parts.lookAndHold();
    if (stages.staged()) return done;
    if (status === "refused" && code) return refuse(code, message ?? code);
    return refuse(
      "nothing_staged",
      status === "swapped"
        ? "the release that was found is in force now: there was none before, or it has no number of its own (an unsigned folder)"
        : "the repository offers nothing but what serves here or was taken back here; --again (in a request: `again: true`) takes one of these",
    );
  }

  async function enter(to: "shadow" | "canary", share?: number): Promise<Answer> {
    if (!stages.staged()) {
      const answer = await stage(false);
      if (!answer.done) return answer;
    }
    stages.enter(to, share);
    return done;
  }

  async function rollBack(message: string): Promise<Answer> {
    const verdict = { healthy: false, message, calls: 0 };
    const staged = stages.staged();
    const active = inForce();
    if (staged) await parts.drop({ arm: labelOf(staged.identity), ...verdict });
    else if (active) await parts.goBack({ arm: labelOf(active), ...verdict });
    else return refuse("nothing_in_force", "no release is in force; routing is static");
    return done;
  }

  return {
    observe(sample) {
      health.observe(sample);
      stages.observe(sample);
    },
    observeScore(arm, score, unit) {
      health.observeScore(arm, score, unit);
      stages.observeScore(arm, score, unit);
    },
    status() {
      const active = inForce();
      return {
        active: active ? { ...active, health: health.report() ?? null } : null,
        staged: stages.status() ?? null,
        verdicts,
      };
    },
    stage: (again) => enqueue(() => stage(again)),
    shadow: () => enqueue(() => enter("shadow")),
    canary: (share) => enqueue(() => enter("canary", share)),
    promote: () =>
      enqueue(async () => {
        if (!stages.staged()) return refuse("nothing_staged", "no release is staged here");
        await parts.promote("the operator asked for it");
        return done;
      }),
    rollBack: (reason) => enqueue(() => rollBack(reason)),
  };
}

export function labelOf(identity: ArtifactIdentity | undefined): string {
  return identity ? `${identity.name}@${identity.version}` : "none";
}

/** Of these an operator and the loop are told. */
const keptVerdicts = 50;

/**
 * The last verdicts, newest first. Each is written down before anything is done about it, so that a
 * loop that asks after a restart hears of it, whichever of a gateway's processes it asks.
 */
export function createVerdictLog(clock: Clock, keep: (line: JsonObject) => Promise<void>) {
  const all: JudgedVerdict[] = [];
  return {
    all: all as readonly JudgedVerdict[],
    async add(verdict: Verdict, stage: JudgedVerdict["stage"]): Promise<void> {
      const judged = { ...verdict, stage, at: new Date(clock.now()).toISOString() };
      all.unshift(judged);
      all.length = Math.min(all.length, keptVerdicts);
      await keep({ ...judged });
    },
    /** @param saved oldest first; what is no verdict is left out: they are told, and nothing rests on them. */
    restore(saved: readonly JsonObject[]): void {
      const found = saved.filter(isJudged).slice(-keptVerdicts).reverse();
      all.splice(0, all.length, ...found);
    },
    /** What was found of a release since then, where that was bad. */
    against(arm: string, sinceMs: number): JudgedVerdict | undefined {
      const last = all.find((verdict) => verdict.arm === arm);
      return last && !last.healthy && Date.parse(last.at) >= sinceMs ? last : undefined;
    },
  };
}

function isJudged(value: JsonObject): value is JudgedVerdict & JsonObject {
  const { arm, healthy, message, calls, at, stage } = value;
  const texts = [arm, message, at].every((one) => typeof one === "string");
  const known = stage === "canary" || stage === "health";
  return texts && known && typeof healthy === "boolean" && typeof calls === "number";
}
