/** Off-policy estimates against known truth: simulated logs of a made-up world, and of real outcomes. */
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { createFeatureExtractor } from "../../src/embedding/features.ts";
import { createStaticEmbedder } from "../../src/embedding/static.ts";
import { createKernels } from "../../src/kernels/create.ts";
import { readPrices, readRows } from "../../src/learning/dataset.ts";
import {
  compare,
  type EstimatorName,
  estimatorNames,
  type LoggedRows,
  type Policy,
  toOverlap,
} from "../../src/learning/off-policy/estimators.ts";
import { predictRewards } from "../../src/learning/off-policy/reward-model.ts";
import { judgeLog, leastEffectiveSamples } from "../../src/learning/off-policy/verdict.ts";
import { readTable } from "../../src/learning/table.ts";
import { featurizerDefaults, fitFeaturizer } from "../../src/routing/featurizer.ts";
import { loadFeaturizer } from "../../src/routing/load-featurizer.ts";
import { fitRidge } from "../../src/routing/strategies/ridge.ts";
import { createRandom, nextInt } from "../../src/std/random.ts";
import {
  always,
  best,
  createWorld,
  type LogOptions,
  logWorld,
  type Pick,
  worthOf,
} from "../support/logged-world.ts";

setDefaultTimeout(120_000);

type Rates = Record<EstimatorName, { rmse: number; covered: number; gainCovered: number }>;

/** How far estimates are off, and how often their 95 % intervals hold the truth. */
function simulate(
  repetitions: number,
  run: (repetition: number) => ReturnType<typeof compare>,
  truth: { readonly policy: number; readonly rival: number },
): Rates {
  const rates = Object.fromEntries(
    estimatorNames.map((name) => [name, { rmse: 0, covered: 0, gainCovered: 0 }]),
  ) as Rates;
  for (let repetition = 0; repetition < repetitions; repetition++) {
    const compared = run(repetition);
    for (const name of estimatorNames) {
      const own = compared.policy[name];
      const gain = compared.gain[name];
      const gained = truth.policy - truth.rival;
      const rate = rates[name];
      rate.rmse += (own.value - truth.policy) ** 2 / repetitions;
      if (own.low <= truth.policy && truth.policy <= own.high) rate.covered += 1 / repetitions;
      if (gain.low <= gained && gained <= gain.high) rate.gainCovered += 1 / repetitions;
    }
  }
  for (const name of estimatorNames) rates[name].rmse = Math.sqrt(rates[name].rmse);
  return rates;
}

const world = createWorld(3);
const incumbent: Pick = (chances, x) => ((x[0] as number) > 0 ? best(chances, x) : 3);
const honest = ["ips", "snips", "doublyRobust", "doublyRobustClipped"] as const;

describe("a made-up world", () => {
  const truth = { policy: worthOf(world, best), rival: worthOf(world, incumbent) };
  const cases: readonly [string, LogOptions][] = [
    ["10 % exploration", { n: 3000, exploration: 0.1, incumbent }],
    ["20 % exploration", { n: 2000, exploration: 0.2, incumbent }],
    ["50 % exploration", { n: 1000, exploration: 0.5, incumbent }],
    ["sessions of 5 calls in one mood", { n: 2000, exploration: 0.3, perSession: 5, incumbent }],
  ];
  test.each(cases)("%s: 95 %% intervals hold the truth in at least 90 %%", (_name, options) => {
    const rates = simulate(
      100,
      (seed) => {
        const random = createRandom(seed);
        const log = logWorld(world, options, random);
        const policies = { policy: log.policyOf(best), rival: log.policyOf(incumbent) };
        const predicted = predictRewards(log.rows, log.x, world.d);
        return compare(log.rows, policies, predicted, { rounds: 200, random });
      },
      truth,
    );
    for (const name of honest) {
      // IPS, of the heaviest tails, sits near .92 (300 logs): a hundred may show a few points less.
      const least = (name === "ips" ? 0.85 : 0.9) - 1e-9;
      const { covered, gainCovered } = rates[name];
      expect([name, covered >= least, gainCovered >= least]).toEqual([name, true, true]);
    }
    expect(rates.doublyRobust.rmse).toBeLessThan(rates.ips.rmse);
    expect(rates.doublyRobustClipped.rmse).toBeLessThan(0.035);
  });

  test("without a true gain, a verdict for the new one falls in at most 5 % of the logs", () => {
    const rival = worthOf(world, always(3));
    // As good as the incumbent on the whole, and different on half of the queries.
    const noise: Pick = (_chances, x) =>
      (x[1] as number) > 0.25 ? 3 : (x[2] as number) > 0 ? 3 : 2;
    const handicap = worthOf(world, noise) - rival;
    let promoted = 0;
    const logs = 200;
    for (let seed = 0; seed < logs; seed++) {
      const random = createRandom(7000 + seed);
      const log = logWorld(world, { n: 1500, exploration: 0.5, incumbent: always(3) }, random);
      const policies = { policy: log.policyOf(noise), rival: log.policyOf(always(3)) };
      const predicted = predictRewards(log.rows, log.x, world.d);
      const compared = compare(log.rows, policies, predicted, { rounds: 200, random });
      const overlap = toOverlap(log.rows, policies.policy);
      const shifted = shift(compared.gain, -handicap);
      if (judgeLog({ calls: log.rows.n, overlap, gain: shifted }).verdict === "better") promoted++;
    }
    expect(promoted / logs).toBeLessThanOrEqual(0.05);
  });

  test("calls of one session are drawn together: their intervals are wider", () => {
    const random = createRandom(5);
    const log = logWorld(world, { n: 3000, exploration: 0.9, perSession: 50, incumbent }, random);
    const policies = { policy: log.policyOf(best), rival: log.served };
    const predicted = new Float64Array(log.rows.n * world.m).fill(0.5);
    const alone = { ...log.rows, session: Int32Array.from({ length: 3000 }, (_, row) => row) };
    const width = (rows: LoggedRows) => {
      const { snips } = compare(rows, policies, predicted, { rounds: 400, random }).rival;
      return snips.high - snips.low;
    };
    expect(width(log.rows)).toBeGreaterThan(width(alone) * 1.05);
  });
});

function shift(gain: ReturnType<typeof compare>["gain"], by: number) {
  return Object.fromEntries(
    Object.entries(gain).map(([name, { value, low, high }]) => [
      name,
      { value: value + by, low: low + by, high: high + by },
    ]),
  ) as typeof gain;
}

test("weights that were never drawn are missed all the same", () => {
  const n = 1000;
  const rows: LoggedRows = {
    n,
    m: 2,
    action: new Int32Array(n), // the other model was never drawn
    propensity: new Float64Array(n).fill(0.999),
    reward: new Float64Array(n),
    session: Int32Array.from({ length: n }, (_, row) => row),
  };
  const choice = Int32Array.from({ length: n }, (_, row) => row % 2);
  const probability = Float64Array.from(choice, (j) => (j === 0 ? 0.999 : 0.001));
  // 500 calls match with a weight of 1: by themselves they would seem enough.
  expect(toOverlap(rows, { choice, probability }).effectiveSamples).toBeLessThan(3);
});

describe("a verdict is refused", () => {
  const gain = (low: number, high: number) => {
    const one = { value: (low + high) / 2, low, high };
    return Object.fromEntries(estimatorNames.map((name) => [name, one])) as never;
  };
  const overlap = {
    effectiveSamples: 500,
    matched: 0.5,
    meanWeight: 1,
    maxWeight: 20,
    clipped: 0,
    unsupported: 0,
  };
  const cases = [
    [
      "a small effective sample",
      { effectiveSamples: leastEffectiveSamples - 1 },
      /effective sample/,
    ],
    ["models that were never tried", { unsupported: 0.3 }, /had no chance/],
    ["probabilities that did not run", { meanWeight: 1.6 }, /probabilities are not those/],
  ] as const;
  test.each(cases)("%s", (_name, change, reason) => {
    const verdict = judgeLog({
      calls: 1000,
      overlap: { ...overlap, ...change },
      gain: gain(0.1, 0.2),
    });
    expect(verdict.verdict).toBe("refused");
    expect(verdict.reason).toMatch(reason);
  });
  test("an interval that spans the incumbent", () => {
    const verdict = judgeLog({ calls: 1000, overlap, gain: gain(-0.01, 0.2) });
    expect(verdict).toMatchObject({ verdict: "refused" });
    expect(verdict.reason).toContain("spans the incumbent");
  });
  test("and given where all is well", () => {
    expect(judgeLog({ calls: 1000, overlap, gain: gain(0.01, 0.2) }).verdict).toBe("better");
    expect(judgeLog({ calls: 1000, overlap, gain: gain(-0.2, -0.01) }).verdict).toBe("worse");
  });
});

const data = resolve(
  join(import.meta.dir, "..", ".."),
  process.env["ROUTEIQ_TEST_DATA"] ?? "../shared/data",
  "routing",
);

/** Real outcomes of 14 models on 4,982 queries, logged with exploration around a weak incumbent. */
async function realLogs(set: string) {
  const path = join(data, set, "train.jsonl.gz");
  const embedder = createStaticEmbedder();
  const extractor = createFeatureExtractor(embedder);
  const sources = [{ rows: readRows(path), prices: await readPrices(path) }];
  const table = await readTable(sources, extractor, "common");
  const tensors = fitFeaturizer(table.features, featurizerDefaults, {
    random: createRandom(1),
    kernels: createKernels,
    progress: () => undefined,
  });
  const featurizer = await loadFeaturizer(tensors, embedder.dimensions, createKernels);
  const { n, labels } = table;
  const m = labels.length;
  const d = featurizer.dimensions;
  const x = new Float32Array(n * d);
  table.features.forEach((raw, row) => {
    featurizer.apply(raw, x.subarray(row * d, (row + 1) * d));
  });
  // routing.md F3: utility = score − 100 × cost.
  const utility = Float64Array.from(
    table.quality,
    (q, at) => q - 100 * (table.costUsd[at] as number),
  );
  const learn = (part: (row: number) => boolean, penalty: number): Int32Array => {
    const weight = Float32Array.from({ length: n }, (_, row) => (part(row) ? 1 : 0));
    const problem = { x, y: Float32Array.from(utility), n, d, m, weight };
    const { w, bias } = fitRidge(problem, penalty);
    return Int32Array.from({ length: n }, (_, row) => {
      const scores = Array.from({ length: m }, (_, j) => {
        let sum = bias[j] as number;
        for (let i = 0; i < d; i++) sum += (w[j * d + i] as number) * (x[row * d + i] as number);
        return sum;
      });
      return scores.indexOf(Math.max(...scores));
    });
  };
  const worth = (choice: Int32Array) =>
    choice.reduce((sum, j, row) => sum + (utility[row * m + j] as number), 0) / n;
  return { n, m, d, x, utility, learn, worth };
}

type Real = Awaited<ReturnType<typeof realLogs>>;

function logReal(real: Real, greedy: Int32Array, exploration: number, seed: number) {
  const { n, m, utility } = real;
  const random = createRandom(seed);
  const action = Int32Array.from(greedy, (j) =>
    random.next() < exploration ? nextInt(random, m) : j,
  );
  const chance = (row: number, j: number) =>
    exploration / m + (j === greedy[row] ? 1 - exploration : 0);
  const policyOf = (choice: Int32Array): Policy => ({
    choice,
    probability: Float64Array.from(choice, (j, row) => chance(row, j)),
  });
  const rows: LoggedRows = {
    n,
    m,
    action,
    propensity: Float64Array.from(action, (j, row) => chance(row, j)),
    reward: Float64Array.from(action, (j, row) => utility[row * m + j] as number),
    session: Int32Array.from({ length: n }, (_, row) => row),
  };
  return { rows, policyOf, random };
}

test.skipIf(!existsSync(join(data, "mmlu-pro")))(
  "real outcomes (skipped without ../shared/data): clipped doubly robust is within .025 at 20 % exploration",
  async () => {
    const real = await realLogs("mmlu-pro");
    const target = real.learn((row) => row % 2 === 0, 30);
    const greedy = real.learn((row) => row % 10 === 1, 10);
    const truth = { policy: real.worth(target), rival: real.worth(greedy) };
    const rates = simulate(
      10,
      (seed) => {
        const { rows, policyOf, random } = logReal(real, greedy, 0.2, 100 + seed);
        const predicted = predictRewards(rows, real.x, real.d);
        const policies = { policy: policyOf(target), rival: policyOf(greedy) };
        return compare(rows, policies, predicted, { rounds: 200, random });
      },
      truth,
    );
    expect(rates.doublyRobustClipped.rmse).toBeLessThan(0.025);
    expect(rates.doublyRobustClipped.covered).toBeGreaterThanOrEqual(0.9 - 1e-9);
    expect(rates.doublyRobust.covered).toBeGreaterThanOrEqual(0.9 - 1e-9);
    // As routing.md's table has them.
    expect(rates.ips.rmse).toBeGreaterThan(rates.snips.rmse);
    expect(rates.snips.rmse).toBeGreaterThan(rates.doublyRobustClipped.rmse);
  },
);
