/** A gateway that is killed while it watches a release: what it has seen, found and decided is not lost. */
import { afterAll, expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  addRelease,
  craft,
  honestFiles,
  now,
  oneEach,
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
import { createRepositorySource } from "../artifacts/repository-source.ts";
import type { ArtifactSource } from "../artifacts/source.ts";
import { toRolloutPlan } from "./plan.ts";

const hour = 3_600_000;
const temp = await mkdtemp(join(tmpdir(), "routeiq-restart-"));
afterAll(() => rm(temp, { recursive: true, force: true }));
let folders = 0;

type Step = "rollBack" | "dropStaged";

/** A gateway whose processes may be killed: nothing of them is closed, nothing more is written. */
function createGateway(args: RolloutArgs = {}) {
  const repository = craft();
  const data = join(temp, String(++folders));
  let nowMs = now;

  /** @param diesAt the step of its source that it does not live to do */
  async function start(diesAt?: Step) {
    let dead = false;
    const clock = createVirtualClock(nowMs);
    const slot = createSlot({ status: "missing" });
    const whole = createRepositorySource({
      store: storeOf(repository),
      pin: { sha256: sha256Hex(signed(rootBody(1, oneEach), oneEach.root)) },
      name: "router",
      runtime: artifactRuntime,
      copy: createLocalCopy(data, () => {
        if (dead) throw new Error("killed");
      }),
      maxStaleMs: 365 * 24 * hour,
    });
    const source: ArtifactSource = {
      ...whole,
      async saveProgress(progress) {
        if (dead) throw new Error("killed");
        await whole.saveProgress(progress);
      },
      ...(diesAt && {
        async [diesAt]() {
          dead = true;
          throw new Error("killed");
        },
      }),
    };
    const poller = createPoller({
      source,
      slot,
      build: buildStubRouter,
      intervalMs: hour,
      maxStaleMs: 365 * 24 * hour,
      hotReload: false,
      clock,
      random: createRandom(1),
      telemetry: watchTelemetry().telemetry,
      emptyRemedy: "",
      rollout: () => toRolloutPlan(args),
    });
    const settle = async () => {
      await clock.advance(0);
      await poller.settled();
      await clock.advance(0);
      await poller.settled();
    };
    await poller.start();
    await settle();
    return {
      control: poller.rollout,
      served: () => slot.status().version ?? 0,
      async publish(version: number) {
        addRelease(repository, {
          version,
          files: { ...honestFiles, "router.json": text(`${version}`) },
        });
        await poller.pollNow();
        await settle();
      },
      async calls(arm: string, count: number, failed = false) {
        for (let i = 0; i < count; i++) {
          poller.rollout.observe({ arm, ok: !failed || i % 2 === 0, latencyMs: 100 });
        }
        await settle();
      },
      async advance(ms: number) {
        await clock.advance(ms);
        await settle();
      },
      async kill(downMs = 0) {
        dead = true;
        nowMs = clock.now() + downMs;
        await poller.close();
      },
    };
  }
  return { start };
}

test("killed in the health window, it watches on with what it has seen, and takes the release back", async () => {
  const gateway = createGateway();
  const first = await gateway.start();
  await first.calls("router@1", 500);
  await first.publish(2);
  await first.calls("router@2", 7, true);
  expect(first.served()).toBe(2);
  await first.kill();
  const second = await gateway.start();
  // Of seven calls the last two were not saved yet.
  expect(second.control.status().active?.health).toMatchObject({ calls: 5, control_calls: 500 });
  await second.calls("router@2", 12, true);
  expect(second.served()).toBe(1);
  expect(second.control.status().verdicts).toMatchObject([{ arm: "router@2", healthy: false }]);
  await second.kill();
  const third = await gateway.start();
  expect([third.served(), third.control.status().verdicts.length]).toEqual([1, 1]);
});

test("time in which no gateway watched is not counted", async () => {
  const gateway = createGateway();
  const first = await gateway.start();
  await first.publish(2);
  await first.calls("router@2", 5);
  await first.advance(4 * hour);
  await first.kill(10 * hour);
  const second = await gateway.start();
  await second.advance(1.9 * hour);
  expect(second.control.status().active?.health).toMatchObject({ arm: "router@2", calls: 5 });
  await second.advance(0.2 * hour);
  expect(second.control.status().active?.health).toBeNull();
  expect(second.control.status().verdicts).toMatchObject([{ healthy: true, short: true }]);
});

test("what served before a restart is what the next release is held against", async () => {
  const gateway = createGateway();
  const first = await gateway.start();
  await first.calls("router@1", 300);
  await first.advance(hour);
  await first.kill();
  const second = await gateway.start();
  await second.publish(2);
  await second.calls("router@2", 5);
  expect(second.control.status().active?.health).toMatchObject({ control_calls: 300 });
});

const cutOff: readonly (readonly [name: string, args: RolloutArgs, dies: Step])[] = [
  ["a return to the one before", {}, "rollBack"],
  ["the end of a canary", { canary: { share: 0.2, min_calls: 200 } }, "dropStaged"],
];
test.each(cutOff)("%s that was cut off is made up for, and told", async (_, args, dies) => {
  const gateway = createGateway(args);
  const first = await gateway.start(dies);
  await first.publish(2);
  for (let i = 0; i < 20; i++) {
    await first.calls("router@1", 20);
    await first.calls("router@2", 4, true);
  }
  await first.kill();
  const second = await gateway.start();
  const { staged, verdicts } = second.control.status();
  expect([second.served(), staged]).toEqual([1, null]);
  expect(verdicts[0]).toMatchObject({ arm: "router@2", healthy: false, regression: "errors" });
});

test("a release that the operator takes once more is not dropped for its old verdict", async () => {
  const gateway = createGateway();
  const first = await gateway.start();
  await first.publish(2);
  await first.control.rollBack("worse");
  expect(first.served()).toBe(1);
  await first.advance(hour);
  expect(await first.control.stage(true)).toEqual({ done: true });
  await first.advance(0);
  await first.kill();
  const second = await gateway.start();
  expect(second.control.status().staged).toMatchObject({ version: 2 });
  await second.control.promote();
  await second.kill();
  const third = await gateway.start();
  expect(third.served()).toBe(2);
});
