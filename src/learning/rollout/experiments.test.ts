/** Results of experiments: how often chance is taken for a difference, stops, changes, restarts. */
import { expect, test } from "bun:test";
import { createVirtualClock } from "../../../test/support/virtual-clock.ts";
import { watchTelemetry } from "../../../test/support/watch-telemetry.ts";
import type { ExperimentConfig } from "../../config/config.ts";
import { createRandom, nextInt, nextNormal, type Random } from "../../std/random.ts";
import { standardThresholds } from "./compare.ts";
import { createExperiments, type Experiments } from "./experiments.ts";

const config: ExperimentConfig = {
  id: "e",
  enabled: true,
  control: "a",
  stopOn: ["errors"],
  unknownWeights: [],
  variants: ["a", "b", "c"].map((name) => ({ name, weight: 1 })),
};

function open(configs: readonly ExperimentConfig[] = [config]) {
  const watched = watchTelemetry();
  const changes = { count: 0 };
  const experiments = createExperiments({
    clock: createVirtualClock(),
    telemetry: watched.telemetry,
    onChange: () => void changes.count++,
  });
  experiments.follow(configs, standardThresholds);
  return { experiments, changes, ...watched };
}

interface Ways {
  readonly errors?: number;
  readonly costUsd?: number;
  readonly score?: number;
}

function run(
  experiments: Experiments,
  random: Random,
  calls: number,
  ways: Record<string, Ways> = {},
) {
  const watcher = experiments.watcher("e");
  for (let i = 0; i < calls; i++) {
    const arm = "abc"[nextInt(random, 3)] ?? "a";
    const { errors = 0.02, costUsd = 0.001, score = 0.8 } = ways[arm] ?? {};
    const unit = nextInt(random, 10_000);
    watcher?.observe({
      arm,
      unit,
      ok: random.next() >= errors,
      latencyMs: 500 * Math.exp(0.8 * nextNormal(random)),
      costUsd: costUsd * Math.exp(nextNormal(random)),
    });
    if (i % 5 === 0) watcher?.observeScore(arm, random.next() < score ? 1 : 0, unit);
  }
}

const significant = (experiments: Experiments) =>
  experiments
    .reports()[0]
    ?.variants.flatMap(({ name, differences }) =>
      differences.filter((one) => one.significant).map(({ metric }) => `${name} ${metric}`),
    ) ?? [];

test("variants that are alike: a difference is claimed at any of 20 looks in under 5 % of experiments", () => {
  let fooled = 0;
  const lives = 200;
  for (let seed = 0; seed < lives; seed++) {
    const { experiments } = open();
    const random = createRandom(seed);
    let claimed = false;
    for (let look = 0; look < 20 && !claimed; look++) {
      run(experiments, random, 150);
      claimed = significant(experiments).length > 0;
    }
    if (claimed || experiments.reports()[0]?.variants.some(({ stopped }) => stopped)) fooled++;
  }
  expect(fooled / lives).toBeLessThan(0.05);
});

test("what differs is found, in its own units, and only what differs", () => {
  const { experiments } = open();
  run(experiments, createRandom(1), 12_000, { b: { costUsd: 0.0005, score: 0.6 } });
  expect(significant(experiments)).toEqual(["b cost", "b quality"]);
  const [, b] = experiments.reports()[0]?.variants ?? [];
  const [cost] = b?.differences.filter(({ metric }) => metric === "cost") ?? [];
  expect(cost?.difference).toBeCloseTo(0.5, 1); // a ratio
  expect(cost?.interval?.[1]).toBeLessThan(0.7);
  const [quality] = b?.differences.filter(({ metric }) => metric === "quality") ?? [];
  expect(quality?.difference).toBeCloseTo(-0.2, 1);
});

test("a variant that fails is stopped, told, counted; started again it is counted anew", () => {
  const { experiments, events, counts, changes } = open();
  run(experiments, createRandom(2), 1_000, { c: { errors: 0.5 } });
  expect(experiments.has("e", "c")).toBe(true);
  expect(experiments.has("e", "b")).toBe(false);
  expect(counts["routeiq_experiment_stops_total e c errors"]).toBe(1);
  expect(events).toContainEqual(expect.objectContaining({ audit: "experiment.stopped" }));
  expect(changes.count).toBe(1);
  expect(experiments.start("e", "c")).toBe(true);
  expect(experiments.start("e", "c")).toBe(false);
  expect(experiments.reports()[0]?.variants[2]).toMatchObject({ calls: 0, stopped: null });
  expect(experiments.stop("e", "a", "no")).toBe(false); // the control answers for the others
  expect(experiments.stop("e", "zz", "no")).toBe(false);
});

test("a changed experiment begins anew; other words or a switch change nothing of it", () => {
  const { experiments } = open();
  run(experiments, createRandom(3), 300);
  const calls = () => experiments.reports()[0]?.variants.map((one) => one.calls) ?? [];
  const before = calls();
  experiments.follow([{ ...config, enabled: false, description: "d" }], standardThresholds);
  expect(calls()).toEqual(before);
  expect(experiments.reports()[0]?.running).toBe(false);
  const other = config.variants.map((one) => ({ ...one, weight: 2 }));
  experiments.follow([{ ...config, variants: other }], standardThresholds);
  expect(calls()).toEqual([0, 0, 0]);
  experiments.follow([], standardThresholds);
  expect(experiments.reports()).toEqual([]);
  expect(experiments.watcher("e")).toBeUndefined();
});

test("a restart goes on with the figures and the stops; damage begins anew", () => {
  const { experiments } = open();
  run(experiments, createRandom(4), 1_000, { c: { errors: 0.6 } });
  const saved = JSON.parse(JSON.stringify(experiments.save()));
  const again = open([]);
  again.experiments.restore(saved);
  again.experiments.follow([config], standardThresholds);
  expect(again.experiments.has("e", "c")).toBe(true);
  expect(again.experiments.reports()[0]?.variants).toEqual(
    experiments.reports()[0]?.variants ?? [],
  );
  const broken = open([]);
  broken.experiments.restore({ e: { ...saved.e, arms: { a: { figures: { failed: 3 } } } } });
  broken.experiments.follow([config], standardThresholds);
  expect(broken.experiments.reports()[0]?.variants[0]?.calls).toBe(0);
});

test("times bound when it runs", () => {
  const { experiments } = open([
    { ...config, startMs: 1e14 },
    { ...config, id: "past", endMs: 0 },
    { ...config, id: "now", startMs: 0 },
  ]);
  expect(experiments.reports().map(({ running }) => running)).toEqual([false, false, true]);
});
