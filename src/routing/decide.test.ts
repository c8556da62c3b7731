/** The decision by example: utility, the dial, floors, filters, and models that nobody has measured. */
import { describe, expect, test } from "bun:test";
import type { Price } from "../domain/usage.ts";
import { type CandidateInput, type DecideInput, decide, toLambda } from "./decide.ts";
import type { QueryScores, TrainedRouter } from "./trained-router.ts";

const perMillion = (input: number, output = input): Price => ({
  inputUsdPerToken: input / 1e6,
  outputUsdPerToken: output / 1e6,
});

const dial = [
  { lambda: 0.1, meanQuality: 0.9, meanCostUsd: 0.01 },
  { lambda: 1, meanQuality: 0.86, meanCostUsd: 0.004 },
  { lambda: 10, meanQuality: 0.7, meanCostUsd: 0.001 },
];
const router = {
  labels: ["big", "small"],
  labelQuality: Float32Array.of(0.9, 0.7),
  labelCostUsd: Float32Array.of(0.01, 0.001),
  costRefUsd: 0.01,
  dial,
} as unknown as TrainedRouter;

const scoresOf = (big: number, small: number, abstain = false): QueryScores =>
  ({
    quality: Float32Array.of(big, small),
    uncertainty: Float32Array.of(0.1, 0.1),
    outputTokens: Float32Array.of(100, Number.NaN),
    costUsd: Float32Array.of(0.01, 0.001),
    latencyMs: Float32Array.of(Number.NaN, 500),
    novelty: 0,
    abstain,
  }) as unknown as QueryScores;

const candidate = (model: string, label: number, more: Partial<CandidateInput> = {}) => ({
  model,
  group: "g",
  label,
  ...more,
});
const both = [candidate("big", 0), candidate("small", 1)];
const run = (input: Partial<DecideInput>) =>
  decide({
    router,
    scores: scoresOf(0.9, 0.7),
    candidates: both,
    inputTokens: 1000,
    dial: { tradeoff: 1 },
    ...input,
  });

test.each([
  [1, 0.1],
  [0.5, 1],
  [0, 10],
  [0.75, 0.55], // halfway between two points
])("a trade-off of %d is λ = %d", (tradeoff, lambda) => {
  expect(toLambda(router, tradeoff)).toBeCloseTo(lambda, 6);
});

test.each([
  [1, scoresOf(0.9, 0.7), "big"],
  [0, scoresOf(0.9, 0.7), "small"],
  [1, scoresOf(0.7, 0.9), "small"], // better and cheaper
])("trade-off %d", (tradeoff, scores, chosen) => {
  expect(run({ dial: { tradeoff }, scores }).chosen).toBe(chosen);
});

describe("a floor", () => {
  test.each([
    [0.95, "big", "small"], // 0.855 is held at λ = 1, where the small model's price wins
    [1, "big", "big"],
    [0.95, "openai/big", "small"], // the provider's prefix does not count
    [1, "unheard-of", "big"], // taken as the best model
  ])("%d of %s", (share, model, chosen) => {
    const scores = scoresOf(0.9, 0.3);
    const decided = run({ dial: { tradeoff: 0, floor: { share, model } }, scores });
    // At λ = 1 the small model gains 0.9 in cost and loses 0.6 in quality.
    expect(decided.chosen).toBe(chosen);
    expect(decided.reason).toBe("floor");
  });
});

describe("latency", () => {
  const scores = { ...scoresOf(0.9, 0.7), latencyMs: Float32Array.of(2000, 500) };
  const timed: TrainedRouter = { ...router, latencyRefMs: 1000 };
  test.each([
    [undefined, "big"],
    [0.05, "big"], // 0.11 in quality and cost, against 0.075 in time
    [0.2, "small"],
  ])("weighs %p", (latencyWeight, chosen) => {
    const dial = { tradeoff: 1, ...(latencyWeight === undefined ? {} : { latencyWeight }) };
    expect(run({ router: timed, scores, dial }).chosen).toBe(chosen);
  });

  test("of a model that nobody timed is taken for the others' mean, so that it tips no scale", () => {
    const some = { ...scores, latencyMs: Float32Array.of(2000, Number.NaN) };
    const dial = { tradeoff: 1, latencyWeight: 5 };
    expect(run({ router: timed, scores: some, dial }).chosen).toBe("big");
  });
});

describe("a floor that training was to show", () => {
  const floors = {
    confidence: 0.99,
    rows: 500,
    shares: [0.9, 1],
    rates: [0, 0.05, 0.1],
    // big: held at λ = 10 for 0.9; for 1 only with violations in a tenth. small: never.
    lambdas: Float32Array.of(10, -1, 10, -1, -1, 1, -1, -1, -1, -1, -1, -1),
  };
  const shown: TrainedRouter = { ...router, floors };
  const floor = (share: number, violations?: number) => ({
    share,
    model: "big",
    ...(violations === undefined ? {} : { violations }),
  });
  test.each([
    ["the share between two is the higher one's", floor(0.85), "small", "floor"],
    ["none was shown: its own model", floor(0.95), "big", "infeasible"],
    ["a rate", floor(1, 0.1), "small", "floor"],
    ["a rate between two is the lower one's", floor(0.9, 0.07), "big", "infeasible"],
    ["a rate under all", floor(0.9, 0.01), "big", "infeasible"],
  ])("%s", (_name, wanted, chosen, reason) => {
    const dial = { tradeoff: 0, floor: wanted };
    const decided = run({ router: shown, dial, scores: scoresOf(0.9, 0.3) });
    expect([decided.chosen, decided.reason]).toEqual([chosen, reason]);
  });

  test("is kept by its own model where the query is unlike all that was shown", () => {
    const dial = { tradeoff: 0, floor: floor(0.9) };
    const decided = run({ router: shown, dial, scores: scoresOf(0.9, 0.3, true) });
    expect([decided.chosen, decided.reason]).toEqual(["big", "abstained"]);
  });

  test("ranks by the costs that it was shown with, whatever the operator pays", () => {
    const free = [candidate("big", 0, { price: perMillion(0) }), candidate("small", 1)];
    const dial = { tradeoff: 0, floor: floor(0.9) };
    const scores = scoresOf(0.9, 0.3);
    expect(run({ router: shown, candidates: free, dial, scores }).chosen).toBe("small");
  });

  test("of a model that the artifact does not know is held by that model", () => {
    const stranger = candidate("stranger", -1);
    const dial = { tradeoff: 0, floor: { share: 1, model: "stranger" } };
    const decided = run({ router: shown, candidates: [...both, stranger], dial });
    expect([decided.chosen, decided.reason]).toEqual(["stranger", "infeasible"]);
  });
});

test("filtered candidates are ranked last, with their reason, and never chosen", () => {
  const candidates = [candidate("big", 0, { filtered: "context_window" }), candidate("small", 1)];
  const decided = run({ candidates });
  expect(decided.chosen).toBe("small");
  expect(decided.candidates.at(-1)).toMatchObject({ filtered: "context_window", probability: 0 });
  expect(() => run({ candidates: [candidates[0] as CandidateInput] })).toThrow(RangeError);
});

test("the operator's price wins over what the model cost in training", () => {
  const priced = [candidate("big", 0, { price: perMillion(1, 2) }), candidate("small", 1)];
  const [first, second] = run({ candidates: priced }).candidates;
  expect(first).toMatchObject({ model: "big", outputTokens: 100 });
  expect(first?.costUsd).toBeCloseTo((1000 + 200) / 1e6, 9);
  expect(second?.costUsd).toBeCloseTo(0.001, 6);
});

describe("a model that the artifact does not know", () => {
  const priced = [
    candidate("big", 0, { price: perMillion(10) }),
    candidate("small", 1, { price: perMillion(0.1) }),
  ];
  test.each([
    ["of a price between", perMillion(1), 0.8],
    ["dearer than all", perMillion(1000), 0.9],
    ["cheaper than all", perMillion(0.001), 0.7],
    ["free", perMillion(0), 0.8],
    ["without a price", undefined, 0.8],
  ])("%s", (_name, price, quality) => {
    const unknown = candidate("new", -1, price ? { price } : {});
    const scored = run({ candidates: [...priced, unknown] }).candidates;
    const found = scored.find(({ model }) => model === "new");
    expect(found?.quality).toBeCloseTo(quality, 5);
    expect(found?.prior).toBe(true);
  });
});

test("a model that is not known finds hard what the known ones find hard", () => {
  const candidates = [...both, candidate("new", -1)];
  const qualityOf = (big: number, small: number) =>
    run({ candidates, scores: scoresOf(big, small) }).candidates.find((c) => c.model === "new");
  expect(qualityOf(0.9, 0.7)?.quality).toBeCloseTo(0.8, 5);
  expect(qualityOf(0.4, 0.2)?.quality).toBeCloseTo(0.3, 5);
});

test("an abstention says so, and exactly one candidate has probability 1", () => {
  const decided = run({ scores: scoresOf(0.9, 0.7, true) });
  expect(decided.reason).toBe("abstained");
  expect(decided.candidates.map(({ probability }) => probability)).toEqual([1, 0]);
});

describe("a fixed model among the policies", () => {
  const fixed = { lambda: 0, meanQuality: 0.99, meanCostUsd: 1, fixed: 0 };
  const withFixed: TrainedRouter = { ...router, dial: [fixed, ...dial] };
  const scores = scoresOf(0.1, 0.9);

  test("is the best quality where training found no routing as good", () => {
    const best = run({ router: withFixed, dial: { tradeoff: 1 }, scores });
    expect([best.chosen, best.reason, best.candidates[0]?.probability]).toEqual([
      "big",
      "fixed",
      1,
    ]);
    const middle = run({ router: withFixed, dial: { tradeoff: 0.5 }, scores });
    expect([middle.chosen, middle.reason]).toEqual(["small", "utility"]);
  });

  test("holds a floor that no routing was measured to hold", () => {
    const low: TrainedRouter = { ...router, dial: dial.slice(1) };
    const floor = { share: 1, model: "big" };
    const decided = run({ router: low, dial: { tradeoff: 0, floor }, scores });
    expect([decided.chosen, decided.reason]).toEqual(["big", "fixed"]);
  });

  test("is no answer where it cannot serve the call", () => {
    const candidates = [
      candidate("big", 0, { filtered: "context_window" as const }),
      candidate("small", 1),
    ];
    const decided = run({ router: withFixed, dial: { tradeoff: 1 }, scores, candidates });
    expect([decided.chosen, decided.reason]).toEqual(["small", "utility"]);
  });
});
