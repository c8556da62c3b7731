/** Drift that is injected is told, how soon; and how often it is told where there is none. */
import { describe, expect, test } from "bun:test";
import { createVirtualClock } from "../../test/support/virtual-clock.ts";
import { createRandom, nextInt, nextNormal, type Random } from "../std/random.ts";
import { createDriftWatch, type DriftAlarm, type DriftKind, type DriftSample } from "./drift.ts";

const models = ["openai/a", "openai/b", "openai/c"];
/** What changes at some call: everything else stays as it was. */
interface World {
  readonly novelty: number;
  readonly quality: number;
  readonly slower: number;
  readonly failures: number;
  readonly predicted: number;
}
const usual: World = { novelty: 0, quality: 0.75, slower: 1, failures: 0.01, predicted: 0 };

/** Novelty is skewed, latency log-normal with a tail, scores are thumbs, for a fifth of the calls. */
function callOf(world: World, random: Random): { sample: DriftSample; score: number | undefined } {
  const model = models[nextInt(random, models.length)] ?? "";
  const changed = model === models[0] ? world : usual;
  const ok = random.next() >= changed.failures;
  const predictedQuality = 0.75 + world.predicted + 0.08 * nextNormal(random);
  const tail = random.next() < 0.01 ? 10 : 1;
  const sample = {
    artifact: "router@1",
    model,
    novelty: Math.min(1, Math.max(0, random.next() ** 3 + world.novelty)),
    predictedQuality,
    predictedLatencyMs: 800,
    ok,
    latencyMs: ok ? 800 * tail * changed.slower * Math.exp(0.6 * nextNormal(random)) : Number.NaN,
  };
  const score = random.next() < 0.2 ? (random.next() < changed.quality ? 1 : 0) : undefined;
  return { sample, score };
}

function simulate(seed: number, calls: number, worldAt: (call: number) => World) {
  const random = createRandom(seed);
  const alarms: { readonly call: number; readonly alarm: DriftAlarm }[] = [];
  let call = 0;
  const watch = createDriftWatch({
    clock: createVirtualClock(),
    onAlarm: (alarm) => alarms.push({ call, alarm }),
  });
  for (call = 0; call < calls; call++) {
    const { sample, score } = callOf(worldAt(call), random);
    watch.observe(sample);
    if (score !== undefined) watch.observeScore(sample, score - sample.predictedQuality);
  }
  return { alarms, watch };
}

const seeds = Array.from({ length: 50 }, (_, i) => 1 + i);

test("false alarms: under 0.5 in 10,000 calls, over 11 streams", () => {
  const calls = 10_000;
  const alarms = seeds.flatMap((seed) => simulate(seed, calls, () => usual).alarms);
  const perTenThousand = alarms.length / seeds.length;
  expect(perTenThousand).toBeLessThan(0.5);
});

describe("what is injected", () => {
  const from = 6000;
  // A third of the calls goes to the model that changes; a fifth of those has a score.
  const cases: readonly (readonly [string, DriftKind, Partial<World>, number])[] = [
    ["queries of another kind", "queries", { novelty: 0.3 }, 60],
    ["queries a little further away", "queries", { novelty: 0.15 }, 160],
    ["predictions that rise", "scores", { predicted: 0.08 }, 80],
    ["a model swapped for a worse one, 0.75 to 0.5", "quality", { quality: 0.5 }, 1800],
    ["a model that stops to work, 0.75 to 0.1", "quality", { quality: 0.1 }, 500],
    ["a model twice as slow", "latency", { slower: 2 }, 140],
    ["a model that fails in a tenth of its calls", "failures", { failures: 0.1 }, 900],
    ["a model that fails in half of its calls", "failures", { failures: 0.5 }, 70],
  ];
  test.each(cases)("%s", (_name, kind, change, most) => {
    const delays = seeds.slice(0, 20).map((seed) => {
      const { alarms } = simulate(seed, from + 6000, (call) =>
        call < from ? usual : { ...usual, ...change },
      );
      const told = alarms.find(({ call, alarm }) => call >= from && alarm.kind === kind);
      if (told && kind !== "queries" && kind !== "scores") {
        expect(told.alarm.model).toBe(models[0] as string);
      }
      return told ? told.call - from : Number.POSITIVE_INFINITY;
    });
    delays.sort((a, b) => a - b);
    const median = delays[10] as number;
    expect(median).toBeLessThan(most);
    expect(delays.at(-1)).toBeLessThan(3 * most);
  });
});

describe("an alarm", () => {
  test("says what, how much, since when, and what to do; stands for a day", async () => {
    const clock = createVirtualClock();
    const told: DriftAlarm[] = [];
    const watch = createDriftWatch({ clock, onAlarm: (alarm) => told.push(alarm) });
    const random = createRandom(1);
    for (let call = 0; call < 3000; call++) {
      const world = call < 2400 ? usual : { ...usual, slower: 3 };
      watch.observe(callOf(world, random).sample);
    }
    expect(told.map(({ kind, model }) => [kind, model])).toEqual([["latency", "openai/a"]]);
    expect(told[0]?.message).toMatch(/^openai\/a takes [23]\.\d\d times as long as it did/);
    expect(told[0]?.remedy).toContain("latency_weight");
    expect(watch.alarms()).toEqual(told);
    await clock.advance(24 * 3_600_000);
    expect(watch.alarms()).toEqual([]);
  });

  test("goes with its router; routers side by side are watched apart", () => {
    const random = createRandom(2);
    const told: DriftAlarm[] = [];
    const watch = createDriftWatch({
      clock: createVirtualClock(),
      onAlarm: (alarm) => told.push(alarm),
    });
    // A canary whose predictions lie elsewhere takes every other call: that is no drift.
    for (let call = 0; call < 4000; call++) {
      const canary = call % 2 === 1;
      const { sample } = callOf(
        canary ? { ...usual, predicted: 0.2, novelty: 0.3 } : usual,
        random,
      );
      watch.observe({ ...sample, artifact: canary ? "router@2" : "router@1" });
    }
    expect(told).toEqual([]);
    for (let call = 0; call < 300; call++) {
      watch.observe({ ...callOf({ ...usual, novelty: 0.6 }, random).sample, artifact: "router@2" });
    }
    expect(watch.alarms()).toContainEqual(
      expect.objectContaining({ artifact: "router@2", kind: "queries" }),
    );
    for (let version = 3; version < 8; version++) {
      watch.observe({ ...callOf(usual, random).sample, artifact: `router@${version}` });
    }
    expect(watch.alarms()).toEqual([]);
  });
});
