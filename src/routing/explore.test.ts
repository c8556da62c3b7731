/** Exploration: which arms, their exact probabilities, the draw, the money. */
import { describe, expect, test } from "bun:test";
import { createVirtualClock } from "../../test/support/virtual-clock.ts";
import type { CandidateScore } from "../domain/decision.ts";
import { createRandom, nextNormal } from "../std/random.ts";
import { createExplorationBudget } from "./exploration-budget.ts";
import {
  armAt,
  createExplorer,
  type ExplorationOptions,
  findArms,
  thompsonShares,
  toProbabilities,
} from "./explore.ts";

const one = (
  model: string,
  [utility, uncertainty, costUsd]: readonly [number, number, number],
  more: Partial<CandidateScore> = {},
): CandidateScore => ({
  model,
  group: "g",
  quality: utility,
  utility,
  uncertainty,
  costUsd,
  probability: 0,
  ...more,
});

/** Best first, each dearer one a little better: all on the hull of quality and cost. */
const ranked = [
  one("a", [0.8, 0.05, 0.004]),
  one("b", [0.78, 0.05, 0.003]),
  one("c", [0.75, 0.1, 0.002]),
  one("d", [0.3, 0.02, 0.001]),
  one("out", [0, 0, 0], { filtered: "context_window" }),
];
const options = (more: Partial<ExplorationOptions> = {}): ExplorationOptions => ({
  mode: "epsilon",
  rate: 0.1,
  width: 1,
  arms: 5,
  ...more,
});

describe("the arms", () => {
  test.each([
    ["those whose interval reaches the best one's", ranked, options(), [0, 1, 2]],
    ["at most so many", ranked, options({ arms: 2 }), [0, 1]],
    ["wider intervals reach further", ranked, options({ width: 12 }), [0, 1, 2, 3]],
    [
      "none that is worse and dearer",
      [...ranked.slice(0, 2), one("e", [0.77, 0.05, 0.0035])],
      options(),
      [0, 1],
    ],
    [
      "one alone is no choice",
      [ranked[0] as CandidateScore, ranked[3] as CandidateScore],
      options(),
      [0],
    ],
  ])("%s", (_name, candidates, settings, arms) => {
    expect(findArms(candidates, settings)).toEqual(arms);
  });
});

describe.each(["epsilon", "thompson", "linucb"] as const)("%s", (mode) => {
  const settings = options({ mode });
  const arms = findArms(ranked, settings);
  const probabilities = toProbabilities(ranked, arms, settings);

  test("has probabilities that sum to 1, none under its even share", () => {
    expect(probabilities.reduce((sum, p) => sum + p, 0)).toBeCloseTo(1, 12);
    for (const p of probabilities) expect(p).toBeGreaterThanOrEqual(0.1 / arms.length - 1e-12);
  });

  test("draws as often as they say (χ², 20,000 draws)", () => {
    const budget = createExplorationBudget(createVirtualClock());
    const explorer = createExplorer(settings, { random: createRandom(7), budget });
    const counts = arms.map(() => 0);
    const draws = 20_000;
    for (let i = 0; i < draws; i++) {
      const drawn = explorer.draw(ranked);
      expect(drawn?.probabilities).toEqual(probabilities);
      const at = arms.indexOf(drawn?.chosen ?? -1);
      counts[at] = (counts[at] ?? 0) + 1;
    }
    const chi = counts.reduce((sum, count, i) => {
      const expected = draws * (probabilities[i] as number);
      return sum + (count - expected) ** 2 / expected;
    }, 0);
    expect(chi).toBeLessThan(13.8); // 2 degrees of freedom, p = 0.001
  });
});

test("Thompson's shares are those of sampling the posteriors", () => {
  const means = [0.8, 0.78, 0.7, 0.5];
  const deviations = [0.05, 0.1, 0.15, 0.02];
  const random = createRandom(3);
  const rounds = 40_000;
  const counts = means.map(() => 0);
  for (let i = 0; i < rounds; i++) {
    const drawn = means.map((mean, j) => mean + (deviations[j] as number) * nextNormal(random));
    const best = drawn.indexOf(Math.max(...drawn));
    counts[best] = (counts[best] ?? 0) + 1;
  }
  thompsonShares(means, deviations).forEach((share, j) => {
    expect(Math.abs(share - (counts[j] as number) / rounds)).toBeLessThan(0.01);
  });
});

test("LinUCB prefers what may be best by far", () => {
  const settings = options({ mode: "linucb", rate: 0, width: 2 });
  const arms = findArms(ranked, settings);
  expect(toProbabilities(ranked, arms, settings)).toEqual([0, 0, 1]);
});

test.each([
  [0, 0],
  [0.499, 0],
  [0.5, 1],
  [0.999999, 1],
])("a draw of %d falls to arm %d", (draw, arm) => {
  expect(armAt([0.5, 0.5], draw)).toBe(arm);
});

describe("the money", () => {
  const cheapFirst = [
    one("cheap", [0.8, 0.1, 0.001]),
    one("dear", [0.79, 0.1, 0.101], { quality: 0.9 }),
  ];
  const create = (perHourUsd: number, perDayUsd = 100) => {
    const clock = createVirtualClock();
    const budget = createExplorationBudget(clock);
    budget.limit({ perHourUsd, perDayUsd });
    const settings = options({ rate: 1 });
    const explorer = createExplorer(settings, { random: createRandom(5), budget });
    const run = (calls: number) => {
      let dear = 0;
      for (let i = 0; i < calls; i++) if (explorer.draw(cheapFirst)?.chosen === 1) dear++;
      return dear;
    };
    return { clock, budget, explorer, run };
  };

  test("ends at the limit of the hour, and begins again with the next", async () => {
    const { clock, budget, run } = create(1.05);
    expect(run(1000)).toBe(10); // 0.1 USD each
    expect(budget.spent().hourUsd).toBeCloseTo(1, 9);
    expect(run(100)).toBe(0);
    await clock.advance(3_600_000);
    expect(run(1000)).toBe(10);
  });

  test("ends at the limit of the day", async () => {
    const { clock, run } = create(1.05, 1.55);
    expect(run(1000)).toBe(10);
    await clock.advance(3_600_000);
    expect(run(1000)).toBe(5);
  });

  test("what a call really cost takes the place of what was held back", () => {
    const { budget, explorer } = create(1);
    let drawn = explorer.draw(cheapFirst);
    while (drawn?.chosen !== 1) drawn = explorer.draw(cheapFirst);
    expect(budget.spent().hourUsd).toBeCloseTo(0.1, 9);
    explorer.settle(drawn, 0.051);
    expect(budget.spent().hourUsd).toBeCloseTo(0.05, 9);
    explorer.settle(drawn, undefined);
    expect(budget.spent().hourUsd).toBeCloseTo(0.05, 9);
  });

  test("arms that cost no more are tried without any", () => {
    const { run } = create(0);
    expect(run(100)).toBe(0);
    const budget = createExplorationBudget(createVirtualClock());
    budget.limit({ perHourUsd: 0 });
    const explorer = createExplorer(options(), { random: createRandom(5), budget });
    expect(explorer.draw(ranked)?.arms).toEqual([0, 1, 2]);
  });

  test("outlives a restart within the hour", () => {
    const { budget } = create(1);
    const { budget: next } = create(1);
    budget.spend(0.7);
    next.restore(budget.spent());
    expect(next.leftUsd()).toBeCloseTo(0.3, 9);
    next.restore({ hour: 1, hourUsd: 9, day: 1, dayUsd: 9 });
    expect(next.leftUsd()).toBeCloseTo(0.3, 9);
  });
});
