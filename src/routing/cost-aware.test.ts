/** The predecessor's cost-aware maths, by its golden figures and case by case. */
import { describe, expect, test } from "bun:test";
import type { Deployment } from "../domain/model.ts";
import { createCostAware } from "./balancers/cost-aware.ts";
import { simpleShuffle } from "./balancers/simple-shuffle.ts";
import { costPer1k, rankCostAware, toCostAware } from "./cost-aware.ts";
import { decideCostAware } from "./decide-cost-aware.ts";
import { toInForce } from "./in-force.ts";

const price = (inputUsdPerToken: number, outputUsdPerToken: number) => ({
  inputUsdPerToken,
  outputUsdPerToken,
});

test.each([
  ["gpt-4", price(3e-5, 6e-5), 0.045],
  ["gpt-3.5-turbo", price(5e-7, 1.5e-6), 0.001],
  ["gpt-4-turbo", price(1e-5, 3e-5), 0.02],
  ["unknown", undefined, Number.POSITIVE_INFINITY],
  ["free", price(0, 0), Number.POSITIVE_INFINITY],
])("%s costs per 1,000 tokens", (_, given, cost) => {
  expect(costPer1k(given)).toBeCloseTo(cost, 12);
});

const { POSITIVE_INFINITY: unknown } = Number;
type Case = [
  string,
  [cost: number, quality: number][],
  Parameters<typeof toCostAware>[0],
  number[],
];
const cases: Case[] = [
  ["alone", [[0.05, 0]], {}, [0]],
  [
    "equal quality: the cheapest alone is on the front",
    [
      [0.05, 1],
      [0.01, 1],
    ],
    {},
    [1, 0],
  ],
  [
    "equals: the first",
    [
      [0.01, 1],
      [0.01, 1],
    ],
    {},
    [0, 1],
  ],
  // 0.3·0.95 + 0.7·0 against 0.3·0.8 + 0.7·1
  [
    "price weighs 0.7",
    [
      [0.05, 0.95],
      [0.01, 0.8],
    ],
    {},
    [1, 0],
  ],
  [
    "quality alone",
    [
      [0.05, 0.95],
      [0.01, 0.8],
    ],
    { cost_weight: 0 },
    [0, 1],
  ],
  // 1·0.95 + 0.7·0 against 1·0.2 + 0.7·1
  [
    "its own weight of quality",
    [
      [0.05, 0.95],
      [0.01, 0.2],
    ],
    { quality_weight: 1, quality_threshold: 0 },
    [0, 1],
  ],
  [
    "weights are kept in 0..1",
    [
      [0.05, 0.95],
      [0.01, 0.8],
    ],
    { cost_weight: 7 },
    [1, 0],
  ],
  [
    "too bad",
    [
      [0.05, 0.9],
      [0.01, 0.6],
    ],
    {},
    [0, 1],
  ],
  [
    "none good enough: the best of all",
    [
      [0.05, 0.5],
      [0.01, 0.6],
      [0.02, 0.6],
    ],
    {},
    [1, 2, 0],
  ],
  [
    "too dear, tried last",
    [
      [0.05, 1],
      [0.01, 0.8],
      [0.02, 0.1],
    ],
    { max_cost_per_1k_tokens: 0.03 },
    [1, 2, 0],
  ],
  [
    "all too dear: the best of all",
    [
      [0.05, 1],
      [0.04, 0.8],
    ],
    { max_cost_per_1k_tokens: 0.01 },
    [0, 1],
  ],
  [
    "dominated",
    [
      [0.05, 0.8],
      [0.01, 0.9],
      [0.1, 0.95],
    ],
    { cost_weight: 0.1 },
    [1, 2, 0],
  ],
  [
    "prices unknown: quality decides",
    [
      [unknown, 0.8],
      [unknown, 0.9],
    ],
    {},
    [1, 0],
  ],
  // 0.3·0.9 against 0.3·0.8 + 0.7
  [
    "an unknown price is the highest",
    [
      [unknown, 0.9],
      [0.01, 0.8],
    ],
    {},
    [1, 0],
  ],
];

test.each(cases)("%s", (_, inputs, args, order) => {
  const ranked = rankCostAware(
    inputs.map(([costPer1k, quality]) => ({ costPer1k, quality })),
    toCostAware(args),
  );
  expect(ranked.order).toEqual(order);
});

describe("as a balancer", () => {
  const deployment = (id: string, cost: number, weight: number) =>
    ({ id, weight, facts: { price: price(cost / 1000, cost / 1000) } }) as unknown as Deployment;
  const two = [deployment("dear", 0.05, 1), deployment("cheap", 0.01, 3)];
  const context = {
    stats: {} as never,
    random: { next: () => 0 },
    stream: false,
    inputTokens: 1,
    latencyBuffer: 0,
  };

  test("without an inner strategy the cheapest answers", () => {
    const balancer = createCostAware(toCostAware({}));
    expect(balancer.pick(two, context).id).toBe("cheap");
    expect(balancer.probabilities).toBeUndefined();
  });

  test("an inner balancer's pick counts 1, the others ½: they are not good enough", () => {
    const balancer = createCostAware(toCostAware({}), simpleShuffle);
    expect(balancer.pick(two, context).id).toBe("dear");
    expect(balancer.probabilities?.(two)).toEqual([0.25, 0.75]);
  });

  test("with a low threshold the inner pick is only a preference", () => {
    const balancer = createCostAware(toCostAware({ quality_threshold: 0.4 }), simpleShuffle);
    expect(balancer.pick(two, context).id).toBe("cheap");
    expect(balancer.probabilities?.(two)).toEqual([0, 1]);
  });
});

describe("over a trained router's predictions", () => {
  const inputs = [
    { model: "dear", group: "g", label: 0, price: price(5e-5, 5e-5) },
    { model: "cheap", group: "g", label: 1, price: price(1e-5, 1e-5) },
    { model: "out", group: "g", label: 2, filtered: "cooling_down" as const },
  ];
  const decided = {
    candidates: [
      { model: "dear", group: "g", quality: 0.95, utility: 0.9, probability: 1 },
      { model: "cheap", group: "g", quality: 0.8, utility: 0.7, probability: 0 },
      { model: "out", group: "g", filtered: "cooling_down" as const, probability: 0 },
    ],
    order: [0, 1],
    chosen: "dear",
    reason: "utility" as const,
    lambda: 0,
  };

  test("price weighs against them, and what was filtered stays last", () => {
    const again = decideCostAware(decided, inputs, toCostAware({}));
    expect(again).toMatchObject({ chosen: "cheap", reason: "cost_aware", order: [1, 0] });
    expect(again.candidates.map(({ model, probability }) => [model, probability])).toEqual([
      ["cheap", 1],
      ["dear", 0],
      ["out", 0],
    ]);
    expect(again.candidates[0]?.utility).toBeCloseTo(0.3 * 0.8 + 0.7, 12);
  });

  test("what is not on the front has no score", () => {
    const again = decideCostAware(decided, inputs, toCostAware({ quality_threshold: 0.9 }));
    expect(again.chosen).toBe("dear");
    expect(again.candidates[1]?.utility).toBeUndefined();
  });
});

describe("in force", () => {
  const of = (args: object, routingStrategy = "llmrouter-cost-aware") => {
    const { learned, staticBalancer, balancer, costAware } = toInForce({
      routingStrategy,
      routingStrategyArgs: args as never,
    });
    return [learned, staticBalancer.name, balancer.name, costAware !== undefined];
  };

  test.each([
    [{}, [undefined, "llmrouter-cost-aware", "llmrouter-cost-aware", false]],
    [
      { inner_strategy: "least-busy", model_path: "x" },
      [undefined, "llmrouter-cost-aware", "llmrouter-cost-aware", false],
    ],
    [{ model_path: "x" }, ["llmrouter-cost-aware", "llmrouter-cost-aware", "simple-shuffle", true]],
    [
      { inner_strategy_name: "llmrouter-knn", fallback_strategy: "least-busy" },
      ["llmrouter-knn", "least-busy", "simple-shuffle", true],
    ],
  ] as const)("%j", (args, wanted) => {
    expect(of(args)).toEqual([...wanted]);
  });

  test("other strategies are as they were", () => {
    expect(of({}, "least-busy")).toEqual([undefined, "least-busy", "least-busy", false]);
    expect(of({ balancer: "least-busy" }, "llmrouter-knn")).toEqual([
      "llmrouter-knn",
      "simple-shuffle",
      "least-busy",
      false,
    ]);
    expect(() => of({ balancer: "nobody" }, "llmrouter-knn")).toThrow("nobody");
  });
});
