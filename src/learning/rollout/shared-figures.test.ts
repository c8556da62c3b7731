/** Experiments over several gateways: sums are what one gateway would have counted, stops are everyone's. */
import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createVirtualClock } from "../../../test/support/virtual-clock.ts";
import { watchTelemetry } from "../../../test/support/watch-telemetry.ts";
import type { ExperimentConfig } from "../../config/config.ts";
import type { JsonObject } from "../../domain/json.ts";
import { createOutbound } from "../../security/outbound.ts";
import { createRandom, nextInt, nextNormal } from "../../std/random.ts";
import { standardThresholds } from "./compare.ts";
import { createExperiments } from "./experiments.ts";
import { createFigureThread, keptMs } from "./shared-figures.ts";

const temp = mkdtempSync(join(tmpdir(), "routeiq-figures-"));
afterAll(() => rmSync(temp, { recursive: true, force: true }));
let folders = 0;

const config: ExperimentConfig = {
  id: "e",
  enabled: true,
  control: "a",
  stopOn: ["errors"],
  unknownWeights: [],
  variants: ["a", "b"].map((name) => ({ name, weight: 1 })),
};

/** Gateways that share a folder, and one that sees all their calls. */
function createFleet(size: number) {
  const clock = createVirtualClock(Date.parse("2026-11-26T08:00:00Z"));
  const address = join(temp, String(++folders));
  const open = () => {
    const { telemetry } = watchTelemetry();
    const one = createExperiments({ clock, telemetry, onChange: () => undefined });
    one.follow([config], standardThresholds);
    return one;
  };
  const thread = createFigureThread({ outbound: createOutbound(), clock });
  const gateways = Array.from({ length: size }, open);
  return {
    address,
    clock,
    gateways,
    whole: open(),
    exchange: (member: string, state: JsonObject) =>
      thread.exchange({ address, s3: {}, member, state, nowMs: clock.now() }),
    async meet() {
      for (let round = 0; round < 2; round++) {
        for (const [at, gateway] of gateways.entries()) {
          gateway.join(await this.exchange(`m${at}`, gateway.save()));
        }
      }
    },
  };
}

test("what three gateways counted adds up to what one would have", async () => {
  const fleet = createFleet(3);
  const random = createRandom(5);
  for (let i = 0; i < 3_000; i++) {
    const call = {
      arm: nextInt(random, 2) ? "a" : "b",
      unit: nextInt(random, 400),
      ok: random.next() > 0.02,
      latencyMs: 500 * Math.exp(nextNormal(random)),
      costUsd: 0.001 * Math.exp(nextNormal(random)),
    };
    for (const one of [fleet.gateways[nextInt(random, 3)], fleet.whole]) {
      one?.watcher("e")?.observe(call);
      one?.watcher("e")?.observeScore(call.arm, call.ok ? 0.8 : 0.1, call.unit);
    }
  }
  await fleet.meet();
  const [whole] = fleet.whole.reports();
  for (const gateway of fleet.gateways) {
    const [report] = gateway.reports();
    for (const [at, variant] of (report?.variants ?? []).entries()) {
      const expected = whole?.variants[at];
      expect(variant.calls).toBe(expected?.calls ?? -1);
      for (const [metric, { difference, interval }] of variant.differences.entries()) {
        const same = expected?.differences[metric];
        expect(difference).toBeCloseTo(same?.difference ?? Number.NaN, 9);
        expect(interval?.[0]).toBeCloseTo(same?.interval?.[0] ?? Number.NaN, 9);
      }
    }
  }
});

test("none alone has seen enough, all together stop the variant; an operator's start is everyone's", async () => {
  const fleet = createFleet(3);
  const [first, second] = fleet.gateways;
  for (const gateway of fleet.gateways) {
    const watcher = gateway.watcher("e");
    for (let i = 0; i < 80; i++) watcher?.observe({ arm: "a", ok: true, latencyMs: 1 });
    for (let i = 0; i < 9; i++) watcher?.observe({ arm: "b", ok: i % 2 === 0, latencyMs: 1 });
    expect(gateway.has("e", "b")).toBe(false);
  }
  await fleet.meet();
  expect(fleet.gateways.map((gateway) => gateway.has("e", "b"))).toEqual([true, true, true]);
  await fleet.clock.advance(1_000);
  second?.start("e", "b");
  await fleet.meet();
  expect(fleet.gateways.map((gateway) => gateway.has("e", "b"))).toEqual([false, false, false]);
  expect(first?.reports()[0]?.variants[1]?.calls).toBe(0);
  expect(first?.reports()[0]?.variants[0]?.calls).toBe(240);
});

test("another experiment of that name, a torn object and a process long gone do not count", async () => {
  const fleet = createFleet(1);
  const [gateway] = fleet.gateways;
  const state = fleet.whole.save();
  await fleet.exchange("old", state);
  await fleet.clock.advance(keptMs + 1);
  await fleet.exchange("other", { e: { definition: "another", arms: {} } });
  writeFileSync(join(fleet.address, "experiments", "torn.json"), '{"at": 1, "sta');
  const others = await fleet.exchange("m0", gateway?.save() ?? {});
  expect(others).toHaveLength(1);
  gateway?.join(others);
  expect(gateway?.reports()[0]?.variants.map(({ calls }) => calls)).toEqual([0, 0]);
});
