/** A release's way into force on one gateway: its steps, the operator's word, restarts, verdicts. */
import { afterAll, describe, expect, test } from "bun:test";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  addRelease,
  craft,
  type Files,
  honestFiles,
  now,
  oneEach,
  type Repository,
  rootBody,
  signed,
  storeOf,
  text,
} from "../../../test/support/artifact-repository.ts";
import { buildStubRouter } from "../../../test/support/stub-router.ts";
import { createVirtualClock } from "../../../test/support/virtual-clock.ts";
import { watchTelemetry } from "../../../test/support/watch-telemetry.ts";
import type { RolloutArgs } from "../../config/config.ts";
import { createSlot } from "../../routing/slot.ts";
import { createRandom } from "../../std/random.ts";
import { sha256Hex } from "../artifacts/canonical.ts";
import { createLocalCopy } from "../artifacts/copy.ts";
import { artifactRuntime } from "../artifacts/format.ts";
import { createPoller } from "../artifacts/poll.ts";
import { followEveryMs } from "../artifacts/poll-times.ts";
import { createRepositorySource } from "../artifacts/repository-source.ts";
import { toRolloutPlan } from "./plan.ts";
import type { ShadowReport, ShadowRunner } from "./shadow-report.ts";

const hour = 3_600_000;
const temp = await mkdtemp(join(tmpdir(), "routeiq-stages-"));
afterAll(() => rm(temp, { recursive: true, force: true }));
let folders = 0;

const filesOf = (marker: string): Files => ({ ...honestFiles, "router.json": text(`"${marker}"`) });
const canaryOnly: RolloutArgs = { canary: { share: 0.2, min_calls: 200 } };

interface WorldOptions {
  readonly args?: RolloutArgs | undefined;
  readonly repository?: Repository;
  readonly data?: string;
  readonly startMs?: number;
  readonly follows?: boolean;
}

async function start({ args, startMs = now, follows = false, ...options }: WorldOptions = {}) {
  const repository = options.repository ?? craft();
  const data = options.data ?? join(temp, String(++folders));
  const clock = createVirtualClock(startMs);
  const slot = createSlot({ status: "missing" });
  const watched = watchTelemetry();
  const shadow = createFakeShadow();
  let rollout = toRolloutPlan(args);
  const poller = createPoller({
    source: createRepositorySource({
      store: storeOf(repository),
      pin: { sha256: sha256Hex(signed(rootBody(1, oneEach), oneEach.root)) },
      name: "router",
      runtime: artifactRuntime,
      copy: createLocalCopy(data),
      maxStaleMs: 7 * 24 * hour,
    }),
    slot,
    build: buildStubRouter,
    intervalMs: hour,
    maxStaleMs: 7 * 24 * hour,
    hotReload: false,
    clock,
    random: createRandom(1),
    telemetry: watched.telemetry,
    emptyRemedy: "",
    rollout: () => rollout,
    follows,
    shadow: shadow.runner,
  });
  const settle = async () => {
    await clock.advance(0);
    await poller.settled();
    await clock.advance(0);
    await poller.settled();
  };
  const publish = async (version: number) => {
    addRelease(repository, { version, files: filesOf(String(version)) });
    const outcome = await poller.pollNow();
    await settle();
    return outcome;
  };
  await poller.start();
  await settle();
  return {
    ...watched,
    repository,
    data,
    slot,
    clock,
    poller,
    settle,
    publish,
    shadow,
    control: poller.rollout,
    served: () => slot.status().version ?? 0,
    staged: () => poller.rollout.status().staged,
    replan: (next: RolloutArgs) => {
      rollout = toRolloutPlan(next);
    },
    async advance(ms: number) {
      await clock.advance(ms);
      await settle();
    },
    /** Calls of both arms, as the canary's share has it. */
    async calls(count: number, bad = false, canary = "router@2", active = "router@1") {
      for (let i = 0; i < count; i++) {
        const unit = (i * 7_919) % 10_000;
        poller.rollout.observe({ arm: active, unit, ok: true, latencyMs: 100 });
        poller.rollout.observe({ arm: canary, unit, ok: !bad || i % 2 === 0, latencyMs: 100 });
      }
      await settle();
    },
  };
}

function createFakeShadow() {
  let tell: ((report: ShadowReport) => void) | undefined;
  let running: number | undefined;
  const runner: ShadowRunner = {
    begin({ version }, _share, onReport) {
      running = version;
      tell = onReport;
    },
    end() {
      running = undefined;
    },
  };
  return {
    runner,
    running: () => running,
    report: (calls: number, failed = 0) => tell?.(toReport(calls, failed)),
  };
}

const toReport = (calls: number, failed: number): ShadowReport => ({
  version: 2,
  calls,
  skipped: 0,
  failed,
  agreement: 0.9,
  predicted: { quality_gain: 0.01, cost_change_usd: 0, quality_gain_by_active: -0.01 },
  abstained: 0,
  score_us: { p50: 20, p99: 60 },
  choices: {},
});

const audits = (world: { events: readonly Record<string, unknown>[] }) =>
  world.events.flatMap(({ audit }) => (audit === undefined ? [] : [audit]));

test("without a rollout a release is in force at once, as ever", async () => {
  const world = await start();
  expect(await world.publish(2)).toMatchObject({ status: "swapped", version: 2 });
  expect(world.staged()).toBeNull();
  world.poller.close();
});

test("the first release of a gateway is in force at once: there is nothing to be careful for", async () => {
  const world = await start({ args: canaryOnly });
  expect(world.served()).toBe(1);
  world.poller.close();
});

test("shadow, canary in two steps, in force: each step in the log, the metrics and the status", async () => {
  const world = await start({
    args: { shadow: { min_calls: 50 }, canary: { share: [0.1, 0.5], min_calls: 200 } },
  });
  expect(await world.publish(2)).toMatchObject({ status: "staged", version: 1 });
  expect(world.staged()).toMatchObject({ version: 2, stage: "shadow", ready: false });
  expect(world.shadow.running()).toBe(2);
  expect(world.slot.canary()).toBeUndefined();
  world.shadow.report(49);
  await world.settle();
  expect(world.staged()?.stage).toBe("shadow");
  world.shadow.report(50);
  await world.settle();
  expect(world.shadow.running()).toBeUndefined();
  expect(world.staged()).toMatchObject({ stage: "canary", share: 0.1, step: 1, steps: 2 });
  expect(world.slot.canary()).toEqual({ label: "router@2", share: 0.1 });
  expect(world.gauges["routeiq_rollout_canary_share"]).toBe(0.1);
  await world.calls(199);
  expect(world.staged()).toMatchObject({ step: 1, canary: { calls: 199, control: "router@1" } });
  await world.calls(1);
  expect(world.staged()).toMatchObject({ share: 0.5, step: 2 });
  await world.calls(200);
  expect(world.staged()).toBeNull();
  expect(world.served()).toBe(2);
  expect(world.slot.canary()).toBeUndefined();
  expect(world.gauges["routeiq_rollout_canary_share"]).toBe(0);
  expect(audits(world)).toEqual([
    "artifact.active",
    "rollout.staged",
    "rollout.shadow",
    "rollout.canary",
    "rollout.canary",
    "rollout.ended",
    "artifact.active",
  ]);
  // What was in force before is the way back, and the health window is open.
  expect(world.control.status().active).toMatchObject({
    version: 2,
    health: { control: "router@1" },
  });
  expect(await world.control.rollBack("test")).toEqual({ done: true });
  expect(world.served()).toBe(1);
  world.poller.close();
});

test("a canary that fails is taken back; the old one never stopped serving, and it is not offered again", async () => {
  const world = await start({ args: canaryOnly });
  await world.publish(2);
  expect(world.staged()?.stage).toBe("canary");
  await world.calls(60, true);
  expect(world.staged()).toBeNull();
  expect(world.served()).toBe(1);
  expect(world.slot.canary()).toBeUndefined();
  expect(world.counts["routeiq_artifact_rollback_total errors"]).toBe(1);
  expect(world.control.status().verdicts).toMatchObject([
    { arm: "router@2", healthy: false, regression: "errors", stage: "canary" },
  ]);
  expect(await world.poller.pollNow()).toMatchObject({ status: "unchanged" });
  // The operator may have it again; a newer one comes by itself.
  expect(await world.control.stage(false)).toMatchObject({ done: false, code: "nothing_staged" });
  expect(await world.control.stage(true)).toEqual({ done: true });
  expect(world.staged()).toMatchObject({ version: 2, stage: "staged" });
  await world.publish(3);
  expect(world.staged()).toMatchObject({ version: 3, stage: "canary" });
  world.poller.close();
});

test("a router that fails in the shadow never serves", async () => {
  const world = await start({ args: { shadow: {}, ...canaryOnly } });
  await world.publish(2);
  world.shadow.report(10, 5);
  await world.settle();
  expect(world.staged()).toBeNull();
  expect(world.served()).toBe(1);
  world.poller.close();
});

describe("the time of a canary is over before its calls are enough", () => {
  const cases = [
    ["promote", 2, null],
    ["roll_back", 1, null],
    ["hold", 1, "canary"],
  ] as const;
  test.each(cases)("undecided: %s", async (undecided, served, stage) => {
    const args = { canary: { min_calls: 200, max_time: "2h", undecided } };
    const world = await start({ args });
    await world.publish(2);
    await world.calls(30);
    await world.advance(2 * hour + 1);
    expect(world.served()).toBe(served);
    expect(world.staged()?.stage ?? null).toBe(stage);
    if (undecided === "hold") {
      expect(audits(world)).toContain("rollout.undecided");
      expect(world.staged()?.undecided).toBe(true);
      await world.calls(60, true); // it is watched all the same
      expect(world.staged()).toBeNull();
    }
    world.poller.close();
  });
});

describe("promote: manual", () => {
  test("waits after its last step, watched, until the operator says so", async () => {
    const world = await start({ args: { ...canaryOnly, promote: "manual" } });
    await world.publish(2);
    await world.calls(200);
    expect(world.staged()).toMatchObject({ stage: "canary", ready: true, share: 0.2 });
    expect(audits(world)).toContain("rollout.ready");
    expect(world.served()).toBe(1);
    expect(await world.control.promote()).toEqual({ done: true });
    expect(world.served()).toBe(2);
    expect(await world.control.promote()).toMatchObject({ done: false, code: "nothing_staged" });
    world.poller.close();
  });

  test("without steps a release waits as staged", async () => {
    const world = await start({ args: { promote: "manual" } });
    await world.publish(2);
    expect(world.staged()).toMatchObject({ stage: "staged", ready: true });
    expect(world.served()).toBe(1);
    world.poller.close();
  });
});

test("the operator leads a release where nothing is configured", async () => {
  const world = await start();
  addRelease(world.repository, { version: 2, files: filesOf("2") });
  expect(await world.control.canary(0.3)).toEqual({ done: true });
  expect(world.staged()).toMatchObject({ stage: "canary", share: 0.3, step: 1, steps: 1 });
  expect(await world.control.shadow()).toEqual({ done: true });
  expect(world.slot.canary()).toBeUndefined();
  expect(world.shadow.running()).toBe(2);
  expect(await world.control.canary(1)).toEqual({ done: true });
  expect(world.slot.canary()).toEqual({ label: "router@2", share: 1 });
  expect(await world.control.rollBack("no")).toEqual({ done: true });
  expect(world.staged()).toBeNull();
  expect(world.served()).toBe(1);
  world.poller.close();
});

test("a newer release takes the place of the one on trial", async () => {
  const world = await start({ args: canaryOnly });
  await world.publish(2);
  const lease = world.slot.acquireCanary();
  await world.publish(3);
  expect(world.staged()).toMatchObject({ version: 3, stage: "canary" });
  lease?.router.score({ text: "", tools: [] }); // a call keeps the one it began with
  lease?.release();
  expect(() => lease?.router.score({ text: "", tools: [] })).toThrow("closed");
  world.poller.close();
});

describe("a restart", () => {
  test("goes on with the canary: its step, its time, and what its calls have shown", async () => {
    const world = await start({ args: canaryOnly });
    await world.publish(2);
    await world.calls(150);
    world.poller.close();
    await world.settle();
    const startMs = world.clock.now() + hour;
    const again = await start({ args: canaryOnly, ...world, startMs });
    expect(again.served()).toBe(1);
    expect(again.staged()).toMatchObject({ version: 2, stage: "canary", share: 0.2 });
    expect(again.staged()?.canary?.calls).toBe(150);
    expect(again.staged()?.stage_since).toBe(new Date(now).toISOString());
    await again.calls(50);
    expect(again.served()).toBe(2);
    again.poller.close();
    const last = await start({ args: canaryOnly, ...world, startMs });
    expect(last.served()).toBe(2);
    expect(last.staged()).toBeNull();
    last.poller.close();
  });

  test("keeps a release back that was taken back", async () => {
    const world = await start({ args: canaryOnly });
    await world.publish(2);
    await world.calls(60, true);
    world.poller.close();
    await world.settle();
    const again = await start({ args: canaryOnly, ...world });
    expect(again.served()).toBe(1);
    expect(again.staged()).toBeNull();
    // Whoever watches from outside finds the verdict after the restart as well.
    expect(again.control.status().verdicts).toEqual(world.control.status().verdicts);
    expect(again.control.status().verdicts).toMatchObject([{ arm: "router@2", healthy: false }]);
    again.poller.close();
  });

  test("with the rollout taken out of the configuration puts the release in force", async () => {
    const world = await start({ args: { promote: "manual" } });
    await world.publish(2);
    world.poller.close();
    const again = await start({ repository: world.repository, data: world.data });
    expect(again.served()).toBe(2);
    expect(again.staged()).toBeNull();
    again.poller.close();
  });

  test("with a state that cannot be read begins the steps anew", async () => {
    const world = await start({ args: canaryOnly });
    await world.publish(2);
    await world.calls(150);
    world.poller.close();
    await world.settle();
    await writeFile(join(world.data, "rollout.json"), '{"stage":"ca');
    const again = await start({ args: canaryOnly, ...world });
    expect(again.staged()).toMatchObject({ stage: "canary", canary: { calls: 0 } });
    again.poller.close();
  });
});

test("two processes that keep one copy follow each other's verdicts, without asking the repository", async () => {
  const one = await start({ args: canaryOnly, follows: true });
  await one.publish(2);
  const { repository, data } = one;
  const other = await start({ args: canaryOnly, repository, data, follows: true });
  expect(other.staged()).toMatchObject({ version: 2, stage: "canary" });
  await one.calls(60, true);
  await other.advance(followEveryMs);
  expect(other.staged()).toBeNull();
  // A loop that asks the other one hears of it as well.
  expect(other.control.status().verdicts).toMatchObject([{ arm: "router@2", healthy: false }]);
  // The next is promoted in one, and rolled back from force in the other.
  await one.publish(3);
  await other.poller.pollNow();
  await other.settle();
  expect(other.staged()).toMatchObject({ version: 3 });
  await one.control.promote();
  await other.advance(followEveryMs);
  expect([one.served(), other.served()]).toEqual([3, 3]);
  await other.control.rollBack("worse");
  await one.advance(followEveryMs);
  expect([one.served(), other.served()]).toEqual([1, 1]);
  one.poller.close();
  other.poller.close();
});

test("what an operator staged in one process the others stage as well, and a restart keeps it so", async () => {
  const one = await start({ follows: true });
  const { repository, data } = one;
  const other = await start({ repository, data, follows: true });
  addRelease(repository, { version: 2, files: filesOf("2") });
  await one.control.stage(false);
  await one.settle();
  expect(await other.poller.pollNow()).toMatchObject({ status: "unchanged" });
  await other.settle();
  expect(other.staged()).toMatchObject({ version: 2, stage: "staged" });
  expect(other.served()).toBe(1);
  one.poller.close();
  other.poller.close();
  await one.settle();
  const again = await start({ repository, data });
  expect([again.served(), again.staged()?.stage]).toEqual([1, "staged"]);
  again.poller.close();
});

test("a staged release that a newer root revokes is dropped", async () => {
  const world = await start({ args: { promote: "manual" } });
  await world.publish(2);
  const sha256 = sha256Hex(world.repository.get("releases/2.json") ?? "");
  const body = rootBody(2, oneEach, { revoked_sha256: [sha256] });
  world.repository.set("root/2.root.json", signed(body, oneEach.root));
  expect(await world.poller.pollNow()).toMatchObject({ status: "refused", code: "revoked" });
  expect(world.staged()).toBeNull();
  expect(world.served()).toBe(1);
  world.poller.close();
});

test("a changed configuration counts from the next step on", async () => {
  const world = await start({ args: canaryOnly });
  await world.publish(2);
  world.replan({ canary: { share: 0.2, min_calls: 200 }, promote: "manual" });
  await world.calls(200);
  expect(world.staged()).toMatchObject({ stage: "canary", ready: true });
  const saved = JSON.parse(await readFile(join(world.data, "rollout.json"), "utf8"));
  expect(saved).toMatchObject({ version: 2, stage: "canary", ready: true, share: 0.2 });
  world.poller.close();
});
