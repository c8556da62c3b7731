/** The prior's router: the shape of its dial, what it says of queries, floors. */
import { describe, expect, test } from "bun:test";
import { decide, toSetting } from "../decide.ts";
import type { QueryScores } from "../trained-router.ts";
import { needOf } from "./need.ts";
import { createPriorRouter, shapeOf } from "./prior-router.ts";

const price = (input: number, output: number) => ({
  inputUsdPerToken: input / 1e6,
  outputUsdPerToken: output / 1e6,
});
const models = [
  { name: "openai/gpt-5-nano", facts: { price: price(0.05, 0.4) } },
  { name: "openai/gpt-5-mini", facts: { price: price(0.25, 2) } },
  { name: "openai/gpt-5", facts: { price: price(1.25, 10) } },
];
const router = createPriorRouter(models);
const candidates = models.map(({ name, facts }, label) => ({
  model: name,
  group: name,
  label,
  price: facts.price,
}));
const short = "Hi, thanks!";
const long = `${"Derive, with all steps, the value of x = 12345 * 678 / 3 ^ 2. ".repeat(40)}`;
const scores = (text: string) => router.score({ text, tools: [] }) as QueryScores;

function choose(text: string, tradeoff: number) {
  const inputTokens = Math.ceil(text.length / 4);
  const dial = { tradeoff };
  return decide({ router, scores: scores(text), candidates, inputTokens, dial }).chosen;
}

test("long queries with numbers need an able model more than a greeting", () => {
  const need = (text: string) => needOf(shapeOf({ text, tools: [] }));
  expect(need(long)).toBeGreaterThan(2 * need(short));
  expect(need(short)).toBeGreaterThan(0.2);
  expect(need(long)).toBeLessThan(2.1);
});

describe("the dial", () => {
  test("best at one end, cheapest at the other, dearer for the harder query between", () => {
    for (const text of [short, long]) {
      expect(choose(text, 1)).toBe("openai/gpt-5");
      expect(choose(text, 0)).toBe("openai/gpt-5-nano");
    }
    const order = models.map(({ name }) => name);
    const steps = Array.from({ length: 21 }, (_, i) => i / 20);
    for (const text of [short, long]) {
      const places = steps.map((tradeoff) => order.indexOf(choose(text, tradeoff)));
      expect(places).toEqual([...places].sort((a, b) => a - b));
      expect(new Set(places).size).toBe(3);
    }
  });

  test("its points lose quality and cost together", () => {
    const { dial } = router;
    expect(dial[0]?.lambda).toBe(0);
    for (let i = 1; i < dial.length; i++) {
      expect(dial[i]?.lambda).toBeGreaterThan(dial[i - 1]?.lambda ?? 0);
      expect(dial[i]?.meanCostUsd).toBeLessThanOrEqual(dial[i - 1]?.meanCostUsd ?? 0);
    }
  });

  test("a floor takes a cheaper setting only where the prior holds it with room to spare", () => {
    const floor = (share: number, model: string) =>
      toSetting(router, { tradeoff: 0.5, floor: { share, model } });
    expect(floor(1, "openai/gpt-5").fixed).toBe(2);
    expect(floor(0.7, "openai/gpt-5").lambda).toBeGreaterThan(0);
    expect(floor(0.7, "openai/gpt-5").fixed).toBeUndefined();
  });
});

test("without prices it still ranks by ability, and a free model is no mistake", () => {
  const free = createPriorRouter([
    { name: "ollama/llama3.1:8b", facts: { price: price(0, 0) } },
    { name: "acme/unheard-of", facts: {} },
  ]);
  const { quality } = free.score({ text: long, tools: [] }) as QueryScores;
  expect([...quality].every((q) => q > 0 && q < 1)).toBe(true);
  expect(free.dial.every(({ lambda }) => Number.isFinite(lambda))).toBe(true);
});

test("a model of which only the name is known is drawn to the others' mean", () => {
  const { labelQuality } = createPriorRouter([
    { name: "gpt-5", facts: {} },
    { name: "claude-opus-4-5", facts: {} },
    { name: "acme/unheard-of", facts: {} },
  ]);
  const [best, , unknown] = labelQuality as unknown as [number, number, number];
  expect(best - unknown).toBeGreaterThan(0);
  // Its index by name alone would be 119: thirty points, half of quality, below.
  expect(best - unknown).toBeLessThan(0.3);
});
