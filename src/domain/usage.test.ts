/** What a call costs, by tokens and by everything else that is sold. */
import { expect, test } from "bun:test";
import { costMicroUsd, type Price, type Usage } from "./usage.ts";

const plain: Price = { inputUsdPerToken: 1e-6, outputUsdPerToken: 2e-6 };
const cached: Price = { ...plain, cacheReadUsdPerToken: 1e-7, cacheWriteUsdPerToken: 1.25e-6 };
const byUnit = (usdPerUnit: object): Price => ({
  inputUsdPerToken: 0,
  outputUsdPerToken: 0,
  more: { noTokens: true, usdPerUnit },
});
const tiered: Price = {
  ...cached,
  more: {
    variants: [
      { service: "batch", inputUsdPerToken: 5e-7, outputUsdPerToken: 1e-6 },
      { aboveTokens: 200_000, inputUsdPerToken: 2e-6, outputUsdPerToken: 3e-6 },
      { aboveTokens: 200_000, service: "priority", inputUsdPerToken: 4e-6 },
      { service: "priority", inputUsdPerToken: 3e-6 },
    ],
  },
};
const modal: Price = {
  ...plain,
  more: {
    reasoningUsdPerToken: 4e-6,
    audioInputUsdPerToken: 1e-5,
    audioOutputUsdPerToken: 2e-5,
    imageOutputUsdPerToken: 4e-5,
  },
};
const tokens = (inputTokens: number, outputTokens: number, more: Partial<Usage> = {}): Usage => ({
  inputTokens,
  outputTokens,
  ...more,
});
const none = tokens(0, 0);

const cases: readonly [string, Usage, Price | undefined, number | undefined][] = [
  ["no price: unknown, not free", tokens(10, 10), undefined, undefined],
  ["tokens", tokens(100, 10), plain, 120],
  [
    "cache",
    tokens(100, 0, { cachedInputTokens: 50, cacheWriteTokens: 40 }),
    cached,
    Math.round(10 + 5 + 50),
  ],
  ["below a tier", tokens(200_000, 0), tiered, 200_000],
  ["a tier prices all tokens", tokens(200_001, 1), tiered, 400_005],
  ["batch", tokens(100, 100, { service: "batch" }), tiered, 150],
  ["priority beyond the tier", tokens(300_000, 0, { service: "priority" }), tiered, 1_200_000],
  ["a service without a price of its own", tokens(100, 0, { service: "flex" }), tiered, 100],
  ["reasoning", tokens(0, 100, { reasoningTokens: 60 }), modal, 40 * 2 + 60 * 4],
  [
    "sound",
    tokens(100, 100, { modal: { audioInput: 50, audioOutput: 30 } }),
    modal,
    50 + 500 + 140 + 600,
  ],
  ["pictures", tokens(10, 100, { modal: { imageOutput: 100 } }), modal, 10 + 4000],
  ["seconds", { ...none, units: { seconds: 30 } }, byUnit({ seconds: 1e-4 }), 3000],
  ["characters", { ...none, units: { characters: 100 } }, byUnit({ characters: 1.5e-5 }), 1500],
  ["images", { ...none, units: { images: 2, pixels: 8 } }, byUnit({ images: 0.04 }), 80_000],
  ["searches", { ...none, units: { queries: 3 } }, byUnit({ queries: 0.002 }), 6000],
  ["units of another kind", { ...none, units: { seconds: 3 } }, byUnit({ images: 1 }), undefined],
  ["tokens of a model sold by the second", tokens(9, 9), byUnit({ seconds: 1 }), undefined],
  ["units of a model sold by the token", { ...none, units: { images: 1 } }, plain, undefined],
  [
    "units of a free model",
    { ...none, units: { images: 1 } },
    { inputUsdPerToken: 0, outputUsdPerToken: 0 },
    0,
  ],
  [
    "tokens go before units",
    tokens(100, 0, { units: { images: 1 } }),
    { ...plain, more: { usdPerUnit: { images: 9 } } },
    100,
  ],
  [
    "per request",
    tokens(100, 0, { units: { requests: 1 } }),
    { ...plain, more: { usdPerUnit: { requests: 0.001 } } },
    1100,
  ],
];

test.each(cases)("%s", (_name, usage, price, expected) => {
  expect(costMicroUsd(usage, price)).toBe(expected as number);
});
