/** The operator's terms over list prices: in what order, and whose. */
import { expect, test } from "bun:test";
import type { CostTerms } from "../config/config.ts";
import { costMicroUsd, type Price } from "../domain/usage.ts";
import { withTerms } from "./price-terms.ts";

const list: Price = { inputUsdPerToken: 2e-6, outputUsdPerToken: 8e-6, cacheReadUsdPerToken: 1e-6 };
const usage = { inputTokens: 1000, cachedInputTokens: 200, outputTokens: 100 };
const listMicroUsd = 800 * 2 + 200 * 1 + 100 * 8;

const cases: readonly (readonly [string, CostTerms, number])[] = [
  ["no terms", { discounts: {}, margins: {} }, listMicroUsd],
  ["another provider's", { discounts: { gemini: 0.5 }, margins: {} }, listMicroUsd],
  ["a discount", { discounts: { openai: 0.05 }, margins: {} }, listMicroUsd * 0.95],
  [
    "a margin for all",
    { discounts: {}, margins: { global: { share: 0.1, fixedUsd: 0 } } },
    listMicroUsd * 1.1,
  ],
  [
    "its own margin over that of all",
    {
      discounts: {},
      margins: { global: { share: 0.5, fixedUsd: 0 }, openai: { share: 0, fixedUsd: 0.0005 } },
    },
    listMicroUsd + 500,
  ],
  [
    "a discount, then both kinds of margin",
    { discounts: { openai: 0.5 }, margins: { openai: { share: 0.08, fixedUsd: 0.001 } } },
    listMicroUsd * 0.5 * 1.08 + 1000,
  ],
];

test.each(cases)("%s", (_, terms, microUsd) => {
  expect(costMicroUsd(usage, withTerms(list, "openai", terms))).toBe(Math.round(microUsd));
});

test("prices by length, by service and by unit follow", () => {
  const price: Price = {
    ...list,
    more: {
      audioInputUsdPerToken: 4e-6,
      usdPerUnit: { images: 0.04 },
      variants: [{ aboveTokens: 500, service: "batch", inputUsdPerToken: 1e-6 }],
    },
  };
  const { more } = withTerms(price, "openai", { discounts: { openai: 0.5 }, margins: {} });
  expect(more).toEqual({
    audioInputUsdPerToken: 2e-6,
    usdPerUnit: { images: 0.02 },
    variants: [{ aboveTokens: 500, service: "batch", inputUsdPerToken: 0.5e-6 }],
  });
});
