/** The health window: what it takes back, what it lets pass, and how often chance fools it. */
import { describe, expect, test } from "bun:test";
import type { Clock } from "../../std/clock.ts";
import { createRandom, nextNormal, type Random } from "../../std/random.ts";
import { createTrial, healthLimits, type Trial, type Verdict } from "./trial.ts";

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
  const verdicts: Verdict[] = [];
  const trial = createTrial({ clock, onVerdict: (verdict) => verdicts.push(verdict) });
  return { trial, verdicts, due };
}

interface Traffic {
  readonly errors?: number;
  readonly latencyMs?: number;
  readonly costUsd?: number;
  readonly score?: number;
  readonly calls?: number;
}

function run(trial: Trial, random: Random, artifact: string, traffic: Traffic): void {
  const { errors = 0.01, latencyMs = 400, costUsd = 0.001, score, calls = 1000 } = traffic;
  for (let i = 0; i < calls; i++) {
    const spread = Math.exp(0.6 * nextNormal(random));
    trial.observe({
      arm: artifact,
      ok: random.next() >= errors,
      latencyMs: latencyMs * spread,
      costUsd: costUsd * Math.exp(0.6 * nextNormal(random)),
    });
    if (score !== undefined && i % 5 === 0) {
      trial.observeScore(artifact, random.next() < score ? 1 : 0);
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
    const { trial, verdicts } = open();
    const random = createRandom(1);
    run(trial, random, "router@1", { score: 0.9 });
    trial.begin({ arm: "router@2", control: "router@1" });
    run(trial, random, "router@2", { score: 0.9, ...after });
    expect(verdicts).toHaveLength(1);
    expect(verdicts[0]).toMatchObject({ healthy: false, arm: "router@2", regression });
    expect(trial.watching()).toBeUndefined();
  });
});

test("what is alike, or better, passes; chance is not taken for harm (200 seeds)", () => {
  let fooled = 0;
  for (let seed = 0; seed < 200; seed++) {
    const { trial, verdicts } = open();
    const random = createRandom(seed);
    const alike = { errors: 0.03, score: 0.8 };
    run(trial, random, "router@1", alike);
    trial.begin({ arm: "router@2", control: "router@1" });
    const better = seed % 2 === 0 ? alike : { ...alike, latencyMs: 300, costUsd: 0.0004 };
    run(trial, random, "router@2", { ...better, calls: healthLimits.maxCalls });
    if (!verdicts[0]?.healthy) fooled++;
  }
  expect(fooled).toBeLessThanOrEqual(2);
});

test("calls that the old router decided count for it, though they end after the swap", () => {
  const { trial, verdicts } = open();
  run(trial, createRandom(1), "router@1", {});
  trial.begin({ arm: "router@2", control: "router@1" });
  run(trial, createRandom(2), "router@1", { errors: 1 });
  expect(verdicts).toEqual([]);
});

test("after static routing, money and time are not held against a learned router", () => {
  const { trial, verdicts } = open();
  run(trial, createRandom(1), "none", {});
  trial.begin({ arm: "router@1", control: "none" });
  run(trial, createRandom(2), "router@1", { costUsd: 0.01, latencyMs: 4000 });
  expect(verdicts).toEqual([]);
  run(trial, createRandom(3), "router@1", { errors: 0.5 });
  expect(verdicts).toMatchObject([{ healthy: false, regression: "errors" }]);
});

test("too little traffic is no evidence; the window ends by time", () => {
  const { trial, verdicts, due } = open();
  run(trial, createRandom(1), "router@1", { calls: 10 });
  trial.begin({ arm: "router@2", control: "router@1" });
  run(trial, createRandom(2), "router@2", { errors: 0.3, calls: 12 });
  expect(verdicts).toEqual([]);
  due[0]?.call();
  expect(verdicts).toMatchObject([{ healthy: true, short: true, calls: 12 }]);
});

test("a window that is cancelled says nothing", () => {
  const { trial, verdicts, due } = open();
  trial.begin({ arm: "router@2", control: "router@1" });
  trial.cancel();
  expect(due).toEqual([]);
  run(trial, createRandom(1), "router@2", { errors: 1 });
  expect(verdicts).toEqual([]);
});
