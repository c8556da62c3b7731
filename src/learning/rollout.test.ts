/** The health window: what it takes back, what it lets pass, and how often chance fools it. */
import { describe, expect, test } from "bun:test";
import type { Clock } from "../std/clock.ts";
import { createRandom, nextNormal, type Random } from "../std/random.ts";
import { createRollout, type HealthVerdict, healthThresholds, type Rollout } from "./rollout.ts";

function open() {
  const due: { ms: number; call: () => void }[] = [];
  const clock: Clock = {
    now: () => 0,
    monotonicUs: () => 0,
    after(ms, call) {
      const entry = { ms, call };
      due.push(entry);
      return () => void due.splice(due.indexOf(entry), due.includes(entry) ? 1 : 0);
    },
  };
  const verdicts: HealthVerdict[] = [];
  const rollout = createRollout({ clock, onVerdict: (verdict) => verdicts.push(verdict) });
  return { rollout, verdicts, due };
}

interface Traffic {
  readonly errors?: number;
  readonly latencyMs?: number;
  readonly costUsd?: number;
  readonly score?: number;
  readonly calls?: number;
}

function run(rollout: Rollout, random: Random, artifact: string, traffic: Traffic): void {
  const { errors = 0.01, latencyMs = 400, costUsd = 0.001, score, calls = 1000 } = traffic;
  for (let i = 0; i < calls; i++) {
    const spread = Math.exp(0.6 * nextNormal(random));
    rollout.observe({
      artifact,
      ok: random.next() >= errors,
      latencyMs: latencyMs * spread,
      costUsd: costUsd * Math.exp(0.6 * nextNormal(random)),
    });
    if (score !== undefined && i % 5 === 0) {
      rollout.observeScore(artifact, random.next() < score ? 1 : 0);
    }
  }
}

describe("a regression is found, and named", () => {
  const cases = [
    ["errors", { errors: 0.15 }],
    ["errors", { errors: 1, calls: 60 }],
    ["latency", { latencyMs: 1200 }],
    ["cost", { costUsd: 0.003 }],
    ["quality", { score: 0.6 }],
  ] as const;
  test.each(cases)("%s: %j", (regression, after) => {
    const { rollout, verdicts } = open();
    const random = createRandom(1);
    run(rollout, random, "router@1", { score: 0.9 });
    rollout.begin("router@2", "router@1");
    run(rollout, random, "router@2", { score: 0.9, ...after });
    expect(verdicts).toHaveLength(1);
    expect(verdicts[0]).toMatchObject({ healthy: false, artifact: "router@2", regression });
    expect(rollout.watching()).toBeUndefined();
  });
});

test("what is alike, or better, passes; chance is not taken for harm (200 seeds)", () => {
  let fooled = 0;
  for (let seed = 0; seed < 200; seed++) {
    const { rollout, verdicts } = open();
    const random = createRandom(seed);
    const alike = { errors: 0.03, score: 0.8 };
    run(rollout, random, "router@1", alike);
    rollout.begin("router@2", "router@1");
    const better = seed % 2 === 0 ? alike : { ...alike, latencyMs: 300, costUsd: 0.0004 };
    run(rollout, random, "router@2", { ...better, calls: healthThresholds.maxCalls });
    if (!verdicts[0]?.healthy) fooled++;
  }
  expect(fooled).toBeLessThanOrEqual(2);
});

test("calls that the old router decided count for it, though they end after the swap", () => {
  const { rollout, verdicts } = open();
  run(rollout, createRandom(1), "router@1", {});
  rollout.begin("router@2", "router@1");
  run(rollout, createRandom(2), "router@1", { errors: 1 });
  expect(verdicts).toEqual([]);
});

test("after static routing, money and time are not held against a learned router", () => {
  const { rollout, verdicts } = open();
  run(rollout, createRandom(1), "none", {});
  rollout.begin("router@1", "none");
  run(rollout, createRandom(2), "router@1", { costUsd: 0.01, latencyMs: 4000 });
  expect(verdicts).toEqual([]);
  run(rollout, createRandom(3), "router@1", { errors: 0.5 });
  expect(verdicts).toMatchObject([{ healthy: false, regression: "errors" }]);
});

test("too little traffic is no evidence; the window ends by time", () => {
  const { rollout, verdicts, due } = open();
  run(rollout, createRandom(1), "router@1", { calls: 10 });
  rollout.begin("router@2", "router@1");
  run(rollout, createRandom(2), "router@2", { errors: 1, calls: 1000 });
  expect(verdicts).toEqual([]);
  due[0]?.call();
  expect(verdicts).toMatchObject([{ healthy: true }]);
});

test("a window that is cancelled says nothing", () => {
  const { rollout, verdicts, due } = open();
  rollout.begin("router@2", "router@1");
  rollout.cancel();
  expect(due).toEqual([]);
  run(rollout, createRandom(1), "router@2", { errors: 1 });
  expect(verdicts).toEqual([]);
});
