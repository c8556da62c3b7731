/**
 * The router in force, kept up to date: the local copy at start, then a look at the repository at
 * every interval. Builds and tests a new router beside the old one, swaps in one assignment, and
 * takes it back when the health window says so. Downloading and verifying are the source's.
 */
import type { JsonObject } from "../../domain/json.ts";
import type { ArtifactStatus } from "../../routing/slot.ts";
import type { ArtifactIdentity, TrainedRouter } from "../../routing/trained-router.ts";
import { sleep } from "../../std/clock.ts";
import { createControl, createVerdictLog, labelOf } from "../rollout/control.ts";
import { createHealthWindow } from "../rollout/health-window.ts";
import { hasSteps, toRolloutPlan } from "../rollout/plan.ts";
import { createSaver } from "../rollout/save-latest.ts";
import { createStages } from "../rollout/stages.ts";
import type { Verdict } from "../rollout/trial.ts";
import { createFreshness } from "./freshness.ts";
import { createPollReport, messageOf } from "./poll-report.ts";
import { closeWaitMs, followEveryMs, nextPauseMs } from "./poll-times.ts";
import type { Poller, PollerOptions, PollOutcome } from "./poller.ts";
import { ArtifactRefusal, refusalRemedies } from "./refusal.ts";
import type { Candidate, Elsewhere, Found } from "./source.ts";

export function createPoller(options: PollerOptions): Poller {
  const { source, slot, clock, random } = options;
  const report = createPollReport(options.telemetry);
  const plan = options.rollout ?? (() => toRolloutPlan(undefined));
  const health = createHealthWindow({
    clock,
    onVerdict: (verdict) => inTurn("health window", () => judge(verdict)),
    keep: () => stages.save(),
  });
  const saver = createSaver<JsonObject>(
    (progress) => source.saveProgress(progress),
    (error) => report.failed("keeping the state of the rollout", error),
  );
  const stages = createStages({
    plan,
    slot,
    clock,
    shadow: options.shadow,
    inForce: () => labelOf(inForce),
    enqueue: (work) => inTurn("rollout", work),
    promote: () => promote("it came through its steps"),
    passed: (verdict) => verdicts.add(verdict, "canary"),
    drop: (verdict) => drop(verdict, true),
    save(progress) {
      if (!resumed) return; // what the last process left is not overwritten before it is read
      const shown = health.save();
      saver.save({ ...progress, ...(shown && { health: shown }) });
    },
    report,
  });
  const verdicts = createVerdictLog(clock, (line) =>
    source.addVerdict(line).catch((error: unknown) => report.failed("keeping a verdict", error)),
  );
  const freshness = createFreshness({
    clock,
    maxStaleMs: options.maxStaleMs,
    inForce: () => (closed || !inForce ? undefined : labelOf(inForce)),
    told: () => slot.setStatus(activeStatus()),
    over: (status) => goStatic(status),
    report,
  });
  let inForce: ArtifactIdentity | undefined;
  /** Of the last look; undefined where it went well. */
  let trouble: Pick<ArtifactStatus, "code" | "remedy"> | undefined;
  let failures = 0;
  let closed = false;
  let resumed = false;
  let cancelNext: () => void = () => undefined;
  let cancelFollow: () => void = () => undefined;
  let tail: Promise<unknown> = Promise.resolve();
  let waiting: Promise<PollOutcome> | undefined;

  /** Looks and verdicts happen one after another. */
  function enqueue<T>(work: () => Promise<T>): Promise<T> {
    const next = tail.then(work, work);
    tail = next.catch(() => undefined); // whoever asked is told; the next one starts clean
    return next;
  }

  function inTurn(what: string, work: () => Promise<void>): void {
    enqueue(work).catch((error: unknown) => report.failed(what, error));
  }

  async function look(hold = false): Promise<PollOutcome> {
    waiting = undefined;
    const outcome = await take(() => source.check(clock.now(), held()), "repository", hold);
    failures = outcome.status === "refused" ? failures + 1 : 0;
    return outcome;
  }

  function pollNow(): Promise<PollOutcome> {
    waiting ??= enqueue(() => look());
    return waiting;
  }

  async function take(
    find: () => Promise<Found>,
    from: string,
    hold = false,
  ): Promise<PollOutcome> {
    let found: Found;
    try {
      found = await find();
    } catch (error) {
      // The source itself failed (its thread died, say): nothing is known of the repository.
      found = { kind: "refused", code: "fetch", message: messageOf(error), retired: false };
    }
    if (closed) return outcomeOf("unchanged");
    if (found.kind === "candidate") {
      // With nothing in force there is nothing to be careful for; and two unsigned folders, which
      // have no numbers, could not be told apart.
      const apart = inForce && labelOf(found.candidate.identity) !== labelOf(inForce);
      const steps = from === "repository" && apart && (hold || hasSteps(plan()));
      return await install(found.candidate, from, steps ? { hold } : undefined);
    }
    if (found.kind === "refused") return await refuse(found);
    if (found.kind === "empty") return await beEmpty(found.message);
    trouble = undefined;
    freshness.set(found.freshUntilMs);
    freshness.check();
    if (found.elsewhere) await followElsewhere(found.elsewhere);
    return outcomeOf("unchanged");
  }

  /** Another process that keeps the same copy has decided: this one does as it did. */
  async function followElsewhere(elsewhere: Elsewhere): Promise<void> {
    const message = "another process of this gateway decided so";
    verdicts.restore(await source.loadVerdicts());
    if (elsewhere === "staged") return await resume();
    if (elsewhere === "promoted") return await promote(message);
    if (elsewhere === "rejected") return void letGo(message);
    if (!inForce) return;
    const arm = labelOf(inForce);
    report.judged({ arm, healthy: false, message, calls: 0 });
    const found = await source.restore(clock.now());
    const candidate = found.kind === "candidate" ? found.candidate : undefined;
    const router = candidate && (await options.build(candidate).catch(() => undefined));
    if (!router || !candidate) goStatic({ status: "refused", code: "self_test", remedy: message });
    else replace(router, candidate, arm);
    health.settle(inForce);
  }

  /** @param steps to be held beside the router in force, and led there step by step */
  async function install(
    candidate: Candidate,
    from: string,
    steps: { readonly hold: boolean } | undefined,
  ): Promise<PollOutcome> {
    const { identity } = candidate;
    if (identity.sha256 !== inForce?.sha256) {
      let router: TrainedRouter;
      try {
        router = await options.build(candidate);
      } catch (error) {
        const code = error instanceof ArtifactRefusal ? error.refusal : "self_test";
        return await refuse({ kind: "refused", code, message: messageOf(error), retired: false });
      }
      if (closed) {
        router.close();
        return outcomeOf("unchanged");
      }
      if (steps) {
        trouble = undefined;
        stages.begin({ identity, router, freshUntilMs: candidate.freshUntilMs }, steps);
        freshness.check();
      } else {
        letGo("a newer release is in force"); // what was staged is older
        putInForce(router, candidate, from);
      }
    }
    await saver.pending(); // what it is to be watched for is on the disk before it is taken up
    try {
      await source.commit(steps ? "staged" : "active");
    } catch (error) {
      report.failed("keeping a copy of the router", error);
    }
    return outcomeOf(steps ? "staged" : "swapped");
  }

  async function promote(because: string): Promise<void> {
    const staged = stages.take(because);
    if (!staged || closed) return;
    putInForce(staged.router, staged, "rollout");
    await saver.pending();
    await source.promote();
  }

  /** @param bad not to be offered again until there is a newer one */
  async function drop(verdict: Verdict, bad: boolean): Promise<void> {
    const staged = stages.staged();
    if (!staged) return;
    await verdicts.add(verdict, "canary");
    letGo(verdict.message);
    report.dropped(verdict);
    await source.dropStaged(bad ? staged.identity : undefined);
  }

  function letGo(because: string): void {
    if (stages.take(because)) slot.setCanary(undefined);
  }

  function putInForce(router: TrainedRouter, candidate: InForce, from: string): void {
    const before = labelOf(inForce);
    inForce = candidate.identity;
    freshness.set(candidate.freshUntilMs);
    trouble = undefined;
    slot.swap(router, activeStatus());
    report.swapped(candidate.identity, before, from);
    freshness.check();
    // A router from the copy was in force before this process began: `watchOn` says how it goes on.
    if (from !== "copy") health.begin(inForce, before, limits());
  }

  /** Back to a release that served before. */
  function replace(router: TrainedRouter, candidate: InForce, bad: string): void {
    inForce = candidate.identity;
    freshness.set(candidate.freshUntilMs);
    slot.swap(router, activeStatus());
    report.swapped(candidate.identity, bad, "previous");
    stages.rebase();
  }

  async function refuse(found: Extract<Found, { kind: "refused" }>): Promise<PollOutcome> {
    const { code, message, retired, stagedRetired } = found;
    report.refused(code, message, retired);
    const staged = stages.staged();
    if (stagedRetired && staged) {
      await drop({ arm: labelOf(staged.identity), healthy: false, message, calls: 0 }, true);
    }
    trouble = { code, remedy: `${message}. ${refusalRemedies[code]}` };
    const status = code === "expired" ? "stale" : "refused";
    if (retired || !inForce) goStatic({ status, ...trouble });
    freshness.check();
    return { ...outcomeOf("refused"), code, message };
  }

  async function beEmpty(message: string): Promise<PollOutcome> {
    // What was there is gone: that is no beginning, but a repository that cannot be read.
    if (inForce) return await refuse({ kind: "refused", code: "fetch", message, retired: false });
    if (slot.status().status !== "refused") {
      const remedy = `${message}. ${options.emptyRemedy}`;
      slot.setStatus({ status: "missing", code: "fetch", remedy });
    }
    freshness.check();
    return { ...outcomeOf("empty"), message };
  }

  function goStatic(status: ArtifactStatus): void {
    if (!inForce) {
      slot.setStatus(status);
      return;
    }
    const label = labelOf(inForce);
    inForce = undefined;
    health.cancel();
    slot.swap(undefined, status);
    report.wentStatic(label, status);
    stages.rebase();
  }

  async function judge(verdict: Verdict): Promise<void> {
    if (closed || !inForce || labelOf(inForce) !== verdict.arm) return;
    report.judged(verdict);
    await verdicts.add(verdict, "health");
    if (!verdict.healthy) return await goBack(verdict.message);
    stages.save();
  }

  async function goBack(message: string): Promise<void> {
    if (!inForce) return;
    const bad = inForce;
    const found = await source.previous(clock.now());
    const candidate = found.kind === "candidate" ? found.candidate : undefined;
    const router = candidate && (await options.build(candidate).catch(() => undefined));
    if (router && candidate) {
      replace(router, candidate, labelOf(bad));
    } else {
      const remedy = `${message}. Publish a better router; the one before is not kept, so routing is static.`;
      goStatic({ status: "refused", code: "self_test", remedy });
    }
    await source.rollBack(bad);
    health.settle(inForce); // not sooner: until the note says so, a restart takes it back once more
    freshness.check();
  }

  const resumeSaving = () => {
    resumed = true;
    stages.save();
  };
  const held = () => ({ inForce, staged: stages.staged()?.identity });
  const limits = () => ({ ...plan().health, ...options.health });
  const outcomeOf = (status: PollOutcome["status"]): PollOutcome => ({
    status,
    version: inForce?.version ?? 0,
  });
  const activeStatus = (): ArtifactStatus => ({
    status: "active",
    ...(freshness.stale() ? { code: "expired", remedy: refusalRemedies.expired } : {}),
    ...trouble,
    ...(inForce ? { name: inForce.name, version: inForce.version } : {}),
  });

  async function settled(): Promise<void> {
    for (let last: unknown; last !== tail || saver.pending(); await saver.pending()) {
      last = tail;
      await tail;
    }
  }

  function followOthers(): void {
    if (closed || !options.follows) return;
    cancelFollow = clock.after(followEveryMs, () => {
      inTurn("following other processes", async () => {
        const elsewhere = closed ? undefined : await source.decided(held());
        if (elsewhere) await followElsewhere(elsewhere);
      });
      followOthers();
    });
  }

  function schedule(): void {
    if (closed || !options.hotReload) return;
    cancelNext = clock.after(nextPauseMs(options.intervalMs, failures, random), () => {
      pollNow()
        .catch((error: unknown) => report.failed("a look at the repository", error))
        .finally(schedule);
    });
  }

  /** What was on its way into force when the process ended goes on from where it was. */
  async function resume(): Promise<void> {
    if (!inForce || closed) return;
    const found = await source.restoreStaged(clock.now());
    if (found.kind !== "candidate") return;
    const progress = await source.loadProgress();
    // Without steps the next look takes it at once, unless it was staged by hand.
    if (!hasSteps(plan()) && progress?.["hold"] !== true) return await source.dropStaged(undefined);
    const { identity, freshUntilMs: until } = found.candidate;
    const router = await options.build(found.candidate);
    if (closed) return router.close();
    stages.begin({ identity, router, freshUntilMs: until }, { hold: false, progress });
    await source.commit("staged");
    // It was found bad, and the process ended before it was dropped.
    const against = verdicts.against(labelOf(identity), stages.startedMs() ?? 0);
    if (against) await drop(against, true);
  }

  /** So does the watch over the one in force. A return that was cut off is made up for. */
  async function watchOn(saved: unknown): Promise<void> {
    const sinceMs = inForce && health.resume(saved, inForce, limits());
    const against = sinceMs && verdicts.against(labelOf(inForce), sinceMs);
    if (!against) return;
    report.judged(against);
    await goBack(against.message);
  }

  const control = createControl({
    ...{ enqueue, stages, health, promote },
    inForce: () => inForce,
    verdicts: verdicts.all,
    forgive: () => source.forgive(),
    lookAndHold: () => look(true),
    drop: (verdict) => drop(verdict, true),
    goBack: judge,
  });

  return {
    async start() {
      await enqueue(async () => {
        verdicts.restore(await source.loadVerdicts());
        const progress = await source.loadProgress();
        await take(() => source.restore(clock.now()), "copy");
        await watchOn(progress?.["health"]);
      });
      inTurn("going on with a rollout", () => resume().finally(resumeSaving));
      followOthers();
      pollNow()
        .catch((error: unknown) => report.failed("a look at the repository", error))
        .finally(schedule);
    },
    pollNow,
    rollout: control,
    settled,
    async close() {
      closed = true;
      cancelNext();
      cancelFollow();
      freshness.close();
      stages.close();
      health.close();
      // What was decided is on its way to the disk; a look at a repository that hangs is not waited for.
      await Promise.race([settled(), sleep(clock, closeWaitMs)]);
      source.close();
    },
  };
}

type InForce = Pick<Candidate, "identity" | "freshUntilMs">;
