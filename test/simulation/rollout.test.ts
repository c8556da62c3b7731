/**
 * Canaries and health windows over many seeded lives: how often a good release is taken back, and
 * how many calls a bad one answers before it is. The figures of docs/rollout.md are these.
 */
import { describe, expect, test } from "bun:test";
import { createTrial, type TrialLimits, type Verdict } from "../../src/learning/rollout/trial.ts";
import { createRandom, nextInt, nextNormal, type Random } from "../../src/std/random.ts";
import { createVirtualClock } from "../support/virtual-clock.ts";

interface Ways {
  readonly errors: number;
  readonly latencyMs: number;
  readonly costUsd: number;
  readonly score: number;
}

const usual: Ways = { errors: 0.01, latencyMs: 800, costUsd: 0.002, score: 0.8 };

interface Traffic {
  readonly seed: number;
  readonly canary?: Partial<Ways>;
  readonly usual?: Partial<Ways>;
  /** Of calls, or of users where there are some. */
  readonly share?: number;
  /** Users differ in what they ask, and how often; 0: every call is somebody else's. */
  readonly users?: number;
  /** Of latency and cost, by the hour of the day, for both. */
  readonly drift?: number;
  readonly feedback?: number;
  readonly limits?: Partial<TrialLimits>;
}

/** A canary that no user falls into comes to no verdict. */
const callLimit = 200_000;

interface User {
  readonly canary: boolean;
  readonly unit: number;
  readonly heavy: number;
}

/** Calls until the verdict; of a canary at most `calls`. */
function live(traffic: Traffic, calls: number, concurrent = true): Verdict | undefined {
  const random = createRandom(traffic.seed);
  const verdicts: Verdict[] = [];
  const trial = createTrial({
    clock: createVirtualClock(),
    onVerdict: (verdict) => verdicts.push(verdict),
    limits: { maxCalls: calls, ...traffic.limits },
  });
  const old = { ...usual, ...traffic.usual };
  const young = { ...old, ...traffic.canary };
  const users = createUsers(random, traffic);
  if (!concurrent) for (let i = 0; i < 3_000; i++) call(trial, { traffic, random, ways: old, i });
  trial.begin({ arm: "new", control: "old", concurrent });
  for (let i = 0; verdicts.length === 0 && i < callLimit; i++) {
    const user = users.length > 0 ? users[pickUser(random, users.length)] : undefined;
    const isCanary = !concurrent || (user?.canary ?? random.next() < (traffic.share ?? 0.1));
    call(trial, { traffic, random, ways: isCanary ? young : old, i, user, isCanary });
  }
  return verdicts[0];
}

/** Few users make most of the calls: the share of the k-th falls with 1/k. */
function pickUser(random: Random, count: number): number {
  return Math.min(count - 1, Math.floor((count + 1) ** random.next()) - 1);
}

function createUsers(random: Random, { users = 0, share = 0.1 }: Traffic): User[] {
  return Array.from({ length: users }, () => {
    const bucket = nextInt(random, 10_000);
    return { canary: bucket < share * 10_000, unit: bucket, heavy: 0.7 * nextNormal(random) };
  });
}

interface OneCall {
  readonly traffic: Traffic;
  readonly random: Random;
  readonly ways: Ways;
  readonly i: number;
  readonly user?: User | undefined;
  readonly isCanary?: boolean;
}

function call(trial: ReturnType<typeof createTrial>, one: OneCall): void {
  const { traffic, random, ways, i, user, isCanary = false } = one;
  const arm = isCanary ? "new" : "old";
  const heavy = (user?.heavy ?? 0) + (traffic.drift ?? 0) * Math.sin(i / 3_000);
  trial.observe({
    arm,
    unit: user?.unit,
    ok: random.next() >= ways.errors,
    latencyMs: ways.latencyMs * Math.exp(heavy + 0.8 * nextNormal(random)),
    costUsd: ways.costUsd * Math.exp(heavy + 1.1 * nextNormal(random)),
  });
  if (random.next() < (traffic.feedback ?? 0.1)) {
    trial.observeScore(arm, random.next() < ways.score ? 1 : 0, user?.unit);
  }
}

const seeds = Array.from({ length: 200 }, (_, i) => i + 1);

describe("a release as good as the old one is let through", () => {
  const cases: readonly [name: string, traffic: Partial<Traffic>][] = [
    ["every call somebody else's", {}],
    ["a provider that fails often", { usual: { errors: 0.15 } }],
    ["500 users, few of them most of the calls", { users: 500 }],
    ["30 users", { users: 30, share: 0.3 }],
    ["3 users", { users: 3, share: 0.9 }],
    ["latency and cost that drift by a factor of three", { drift: 0.55 }],
    ["a canary that is cheaper and faster", { canary: { costUsd: 0.001, latencyMs: 500 } }],
  ];
  test.each(cases)("%s: under 5 %% of 200 are taken back", (_, traffic) => {
    const lost = seeds.filter((seed) => live({ seed, ...traffic }, 1_000)?.healthy === false);
    expect(lost.length).toBeLessThan(seeds.length * 0.05);
  });

  test("worse by just what is tolerated: still under 5 %", () => {
    const canary = { errors: 0.03, latencyMs: 1_200, costUsd: 0.003, score: 0.75 };
    const lost = seeds.filter((seed) => live({ seed, canary }, 1_000)?.healthy === false);
    expect(lost.length).toBeLessThan(seeds.length * 0.05);
  });

  test("the health window after a swap as well", () => {
    const lost = seeds.filter((seed) => live({ seed }, 2_000, false)?.healthy === false);
    expect(lost.length).toBeLessThan(seeds.length * 0.05);
  });
});

describe("a worse release is taken back, within so many of its calls in nine lives of ten", () => {
  const cases: readonly [name: string, canary: Partial<Ways>, within: number][] = [
    ["every call fails", { errors: 1 }, 10],
    ["half of the calls fail", { errors: 0.5 }, 30],
    ["errors 1 % → 10 %", { errors: 0.1 }, 600],
    ["errors 1 % → 5 %", { errors: 0.05 }, 3_500],
    ["three times as slow", { latencyMs: 2_400 }, 75],
    ["twice as slow", { latencyMs: 1_600 }, 300],
    ["four times as dear", { costUsd: 0.008 }, 200],
    ["twice as dear", { costUsd: 0.004 }, 1_000],
    ["score 0.8 → 0.4, feedback on a tenth", { score: 0.4 }, 1_000],
    ["score 0.8 → 0.6, feedback on a tenth", { score: 0.6 }, 3_500],
  ];
  test.each(cases)("%s: %j, %d calls", (_, canary, within) => {
    expect(nineOfTen({ canary })).toBeLessThanOrEqual(within);
  });

  const shares: readonly [
    name: string,
    canary: Partial<Ways>,
    within: readonly [few: number, half: number, window: number],
  ][] = [
    ["every call fails", { errors: 1 }, [8, 25, 8]],
    ["half of the calls fail", { errors: 0.5 }, [25, 80, 20]],
    ["three times as slow", { latencyMs: 2_400 }, [60, 90, 60]],
    ["four times as dear", { costUsd: 0.008 }, [200, 220, 200]],
  ];
  test.each(shares)(
    "%s: with 2 % or half of the calls, and in the health window",
    (_, canary, within) => {
      const [few, half, window] = within;
      expect(nineOfTen({ canary, share: 0.02 })).toBeLessThanOrEqual(few);
      expect(nineOfTen({ canary, share: 0.5 })).toBeLessThanOrEqual(half);
      expect(nineOfTen({ canary }, false)).toBeLessThanOrEqual(window);
    },
  );

  test("score 0.8 → 0.2, feedback on half: 90 calls", () => {
    expect(nineOfTen({ canary: { score: 0.2 }, feedback: 0.5 })).toBeLessThanOrEqual(90);
  });

  /** Calls of the new release in the 45th of 50 lives. */
  function nineOfTen(traffic: Partial<Traffic>, concurrent = true): number {
    const verdicts = seeds
      .slice(0, 50)
      .map((seed) => live({ seed, ...traffic }, 20_000, concurrent));
    const calls = verdicts
      .map((verdict) => (verdict?.healthy === false ? verdict.calls : Number.POSITIVE_INFINITY))
      .sort((a, b) => a - b);
    return calls[44] ?? Number.POSITIVE_INFINITY;
  }
});
