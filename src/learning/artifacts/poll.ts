/**
 * The router in force, kept up to date: the local copy at start, then a look at the repository at
 * every interval. Builds and tests a new router beside the old one, swaps in one assignment, and
 * takes it back when the health window says so. Downloading and verifying are the source's.
 */
import type { ArtifactStatus, SwappableSlot } from "../../routing/slot.ts";
import type { ArtifactIdentity, TrainedRouter } from "../../routing/trained-router.ts";
import type { Clock } from "../../std/clock.ts";
import type { Random } from "../../std/random.ts";
import type { Telemetry } from "../../telemetry/telemetry.ts";
import { createTrial, type Trial, type TrialLimits, type Verdict } from "../rollout/trial.ts";
import { createPollReport, messageOf } from "./poll-report.ts";
import { ArtifactRefusal, type RefusalCode, refusalRemedies } from "./refusal.ts";
import type { ArtifactSource, Candidate, Found } from "./source.ts";

export interface PollerOptions {
  readonly source: ArtifactSource;
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
  /** What to do while there is no router: how to train and publish one. */
  readonly emptyRemedy: string;
}

export interface PollOutcome {
  readonly status: "swapped" | "unchanged" | "empty" | "refused";
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
  readonly rollout: Pick<Trial, "observe" | "observeScore" | "watching">;
  /** Resolves when no look and no return is under way. */
  settled(): Promise<void>;
  close(): void;
}

export const longestPauseMs = 15 * 60_000;
/** Freshness is looked at when it is due to end, and this often at least: clocks are set, too. */
const freshnessCheckMs = 60 * 60_000;

export function createPoller(options: PollerOptions): Poller {
  const { source, slot, clock, random } = options;
  const report = createPollReport(options.telemetry);
  const rollout = createTrial({
    clock,
    ...(options.health ? { limits: options.health } : {}),
    onVerdict: (verdict) => {
      enqueue(() => judge(verdict)).catch((error: unknown) =>
        report.failed("health window", error),
      );
    },
  });
  let inForce: ArtifactIdentity | undefined;
  let freshUntilMs = Number.POSITIVE_INFINITY;
  let stale = false;
  /** Of the last look; undefined where it went well. */
  let trouble: Pick<ArtifactStatus, "code" | "remedy"> | undefined;
  let failures = 0;
  let closed = false;
  let cancelNext: () => void = () => undefined;
  let cancelFreshness: () => void = () => undefined;
  let tail: Promise<unknown> = Promise.resolve();
  let waiting: Promise<PollOutcome> | undefined;

  /** Looks, and what the health window says, happen one after another. */
  function enqueue<T>(work: () => Promise<T>): Promise<T> {
    const next = tail.then(work, work);
    tail = next.catch(() => undefined); // whoever asked is told; the next one starts clean
    return next;
  }

  async function look(): Promise<PollOutcome> {
    waiting = undefined;
    const outcome = await take(() => source.check(clock.now(), inForce), "repository");
    failures = outcome.status === "refused" ? failures + 1 : 0;
    return outcome;
  }

  function pollNow(): Promise<PollOutcome> {
    waiting ??= enqueue(look);
    return waiting;
  }

  async function take(find: () => Promise<Found>, from: string): Promise<PollOutcome> {
    let found: Found;
    try {
      found = await find();
    } catch (error) {
      // The source itself failed (its thread died, say): nothing is known of the repository.
      found = { kind: "refused", code: "fetch", message: messageOf(error), retired: false };
    }
    if (closed) return outcomeOf("unchanged");
    if (found.kind === "candidate") return await install(found.candidate, from);
    if (found.kind === "refused") return refuse(found);
    if (found.kind === "empty") return beEmpty(found.message);
    trouble = undefined;
    freshUntilMs = found.freshUntilMs;
    checkFreshness();
    return outcomeOf("unchanged");
  }

  async function install(candidate: Candidate, from: string): Promise<PollOutcome> {
    const { identity } = candidate;
    if (identity.sha256 !== inForce?.sha256) {
      let router: TrainedRouter;
      try {
        router = await options.build(candidate);
      } catch (error) {
        const code = error instanceof ArtifactRefusal ? error.refusal : "self_test";
        return refuse({ kind: "refused", code, message: messageOf(error), retired: false });
      }
      if (closed) {
        router.close();
        return outcomeOf("unchanged");
      }
      putInForce(router, candidate, from);
    }
    try {
      await source.commit();
    } catch (error) {
      report.failed("keeping a copy of the router", error);
    }
    return outcomeOf("swapped");
  }

  function putInForce(router: TrainedRouter, candidate: Candidate, from: string): void {
    const before = labelOf(inForce);
    inForce = candidate.identity;
    freshUntilMs = candidate.freshUntilMs;
    trouble = undefined;
    slot.swap(router, activeStatus());
    report.swapped(candidate.identity, before, from);
    checkFreshness();
    // A router from the copy was in force before this process began: there is nothing to compare.
    if (from === "repository") beginWatch(labelOf(candidate.identity), before);
  }

  /**
   * From static routing to a router is a change of policy: more money for better answers may be what
   * was asked for, so only errors and quality are held against it.
   */
  function beginWatch(arm: string, control: string): void {
    rollout.begin({
      arm,
      control,
      ...(control === "none" && { judged: ["errors", "quality"] as const }),
    });
  }

  function refuse({ code, message, retired }: Extract<Found, { kind: "refused" }>): PollOutcome {
    report.refused(code, message, retired);
    trouble = { code, remedy: `${message}. ${refusalRemedies[code]}` };
    const status = code === "expired" ? "stale" : "refused";
    if (retired || !inForce) goStatic({ status, ...trouble });
    checkFreshness();
    return { ...outcomeOf("refused"), code, message };
  }

  function beEmpty(message: string): PollOutcome {
    // What was there is gone: that is no beginning, but a repository that cannot be read.
    if (inForce) return refuse({ kind: "refused", code: "fetch", message, retired: false });
    if (slot.status().status !== "refused") {
      const remedy = `${message}. ${options.emptyRemedy}`;
      slot.setStatus({ status: "missing", code: "fetch", remedy });
    }
    checkFreshness();
    return { ...outcomeOf("empty"), message };
  }

  function goStatic(status: ArtifactStatus): void {
    if (!inForce) {
      slot.setStatus(status);
      return;
    }
    const label = labelOf(inForce);
    inForce = undefined;
    rollout.cancel();
    slot.swap(undefined, status);
    report.wentStatic(label, status);
  }

  /** An expired repository raises an alarm at once, and ends the router after `maxStaleMs`. */
  function checkFreshness(): void {
    cancelFreshness();
    if (closed || !inForce) return;
    const overdueMs = clock.now() - freshUntilMs;
    if (overdueMs >= options.maxStaleMs) {
      const remedy = `The repository was stale for longer than max_stale. ${refusalRemedies.expired}`;
      goStatic({ status: "stale", code: "expired", remedy });
      return;
    }
    if (overdueMs >= 0 && !stale) report.stale(labelOf(inForce), freshUntilMs);
    stale = overdueMs >= 0;
    report.freshness(stale);
    slot.setStatus(activeStatus());
    if (!Number.isFinite(freshUntilMs)) return;
    const leftMs = stale ? options.maxStaleMs - overdueMs : -overdueMs;
    cancelFreshness = clock.after(Math.min(leftMs, freshnessCheckMs), checkFreshness);
  }

  async function judge(verdict: Verdict): Promise<void> {
    if (closed || !inForce || labelOf(inForce) !== verdict.arm) return;
    report.judged(verdict);
    if (verdict.healthy) return;
    const bad = inForce;
    const found = await source.previous(clock.now());
    const candidate = found.kind === "candidate" ? found.candidate : undefined;
    const router = candidate && (await options.build(candidate).catch(() => undefined));
    if (router && candidate) {
      inForce = candidate.identity;
      freshUntilMs = candidate.freshUntilMs;
      slot.swap(router, activeStatus());
      report.swapped(candidate.identity, verdict.arm, "previous");
    } else {
      const remedy = `${verdict.message}. Publish a better router; the one before is not kept, so routing is static.`;
      goStatic({ status: "refused", code: "self_test", remedy });
    }
    await source.rollBack(bad);
    checkFreshness();
  }

  const outcomeOf = (status: PollOutcome["status"]): PollOutcome => ({
    status,
    version: inForce?.version ?? 0,
  });
  const activeStatus = (): ArtifactStatus => ({
    status: "active",
    ...(stale ? { code: "expired", remedy: refusalRemedies.expired } : {}),
    ...trouble,
    ...(inForce ? { name: inForce.name, version: inForce.version } : {}),
  });

  function schedule(): void {
    if (closed || !options.hotReload) return;
    cancelNext = clock.after(nextPauseMs(options.intervalMs, failures, random), () => {
      pollNow()
        .catch((error: unknown) => report.failed("a look at the repository", error))
        .finally(schedule);
    });
  }

  return {
    async start() {
      await enqueue(() => take(() => source.restore(clock.now()), "copy"));
      pollNow()
        .catch((error: unknown) => report.failed("a look at the repository", error))
        .finally(schedule);
    },
    pollNow,
    rollout,
    async settled() {
      for (let last: unknown; last !== tail; await tail) last = tail;
    },
    close() {
      closed = true;
      cancelNext();
      cancelFreshness();
      rollout.cancel();
      source.close();
    },
  };
}

/** The interval, doubled per failure up to 15 minutes, and ±20 % so that a fleet does not march in step. */
export function nextPauseMs(intervalMs: number, failures: number, random: Random): number {
  const backedOff = Math.min(intervalMs * 2 ** Math.min(failures, 30), longestPauseMs);
  return Math.max(intervalMs, backedOff) * (0.8 + 0.4 * random.next());
}

function labelOf(identity: ArtifactIdentity | undefined): string {
  return identity ? `${identity.name}@${identity.version}` : "none";
}
