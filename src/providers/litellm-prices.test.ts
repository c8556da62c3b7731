/** LiteLLM's price keys: read, written back, over the catalog, and out of an operator's file. */
import { describe, expect, test } from "bun:test";
import type { JsonObject } from "../domain/json.ts";
import { costMicroUsd, type Usage } from "../domain/usage.ts";
import { isPriceKey, priceOfEntry, toEntry } from "./litellm-prices.ts";
import { withPriceFile } from "./price-file.ts";

const perToken = { input_cost_per_token: 1e-6, output_cost_per_token: 2e-6 };
const tokens = (inputTokens: number, more: Partial<Usage> = {}): Usage => ({
  inputTokens,
  outputTokens: 0,
  ...more,
});
const none = tokens(0);

describe("priceOfEntry", () => {
  const cases: readonly [string, JsonObject, Usage, number | undefined][] = [
    ["tokens", perToken, tokens(10), 10],
    ["one side alone, as an operator may say it", { input_cost_per_token: 1e-6 }, tokens(10), 10],
    ["seconds", { input_cost_per_second: 1e-3 }, { ...none, units: { seconds: 2 } }, 2000],
    [
      "zero on one side",
      { input_cost_per_second: 1e-3, output_cost_per_second: 0 },
      { ...none, units: { seconds: 2 } },
      2000,
    ],
    [
      "images on the input side",
      { input_cost_per_image: 0.01 },
      { ...none, units: { images: 3 } },
      30_000,
    ],
    [
      "pixels",
      { input_cost_per_pixel: 1e-8 },
      { ...none, units: { images: 1, pixels: 1e6 } },
      10_000,
    ],
    [
      "an image model by its picture tokens",
      { ...perToken, output_cost_per_image_token: 4e-5 },
      { inputTokens: 0, outputTokens: 10, modal: { imageOutput: 10 } },
      400,
    ],
    [
      "tiers by range",
      {
        tiered_pricing: [
          { range: [0, 1000], input_cost_per_token: 1e-6, output_cost_per_token: 1e-6 },
          { range: [1000, 9000], input_cost_per_token: 3e-6, output_cost_per_token: 1e-6 },
        ],
        ...perToken,
      },
      tokens(2000),
      6000,
    ],
    [
      "above, by its name",
      { ...perToken, input_cost_per_token_above_128k_tokens: 2e-6 },
      tokens(130_000),
      260_000,
    ],
    [
      "flex",
      { ...perToken, input_cost_per_token_flex: 5e-7 },
      tokens(100, { service: "flex" }),
      50,
    ],
    ["text for a number, as YAML may give it", { input_cost_per_token: "1e-6" }, tokens(10), 10],
    ["below zero counts as unsaid", { input_cost_per_token: -1 }, tokens(10), undefined],
    ["nothing", { mode: "chat" }, tokens(10), undefined],
  ];
  test.each(cases)("%s", (_name, entry, usage, micro) => {
    expect(costMicroUsd(usage, priceOfEntry(entry))).toBe(micro as number);
  });

  test("stands over what was known, key by key", () => {
    const known = priceOfEntry({ ...perToken, cache_read_input_token_cost: 1e-7 });
    expect(priceOfEntry({ output_cost_per_token: 9e-6 }, known)).toEqual({
      inputUsdPerToken: 1e-6,
      outputUsdPerToken: 9e-6,
      cacheReadUsdPerToken: 1e-7,
    });
  });

  test("is written back as it was read", () => {
    const entry = {
      ...perToken,
      cache_read_input_token_cost: 1e-7,
      input_cost_per_audio_token: 1e-5,
      input_cost_per_token_batches: 5e-7,
      output_cost_per_token_above_200k_tokens_priority: 4e-6,
    };
    expect(toEntry(priceOfEntry(entry))).toEqual(entry);
    expect(toEntry(priceOfEntry({ input_cost_per_second: 1e-3 }))).toEqual({
      input_cost_per_second: 1e-3,
    });
    expect(toEntry(undefined)).toEqual({});
  });
});

test.each([
  ["input_cost_per_token", true],
  ["cache_read_input_token_cost", true],
  ["output_cost_per_second_1080p", true],
  ["tiered_pricing", true],
  ["max_tokens", false],
  ["temperature", false],
])("isPriceKey %s", (key, is) => expect(isPriceKey(key)).toBe(is));

describe("withPriceFile", () => {
  const known = { price: { inputUsdPerToken: 1, outputUsdPerToken: 1 }, maxInputTokens: 5 };
  const factsOf = withPriceFile((_, model) => (model === "known" ? known : {}), {
    "openai/own": perToken,
    known: { input_cost_per_token: 2, litellm_provider: "openai", mode: "embedding" },
    shared: { ...perToken, max_output_tokens: 7, supports_vision: true },
    foreign: { ...perToken, litellm_provider: "groq" },
  });
  test("by provider and name, by name, and not another provider's", () => {
    expect(factsOf("openai", "OWN").price?.inputUsdPerToken).toBe(1e-6);
    expect(factsOf("openai", "known")).toEqual({
      price: { inputUsdPerToken: 2, outputUsdPerToken: 1 },
      maxInputTokens: 5,
      mode: "embedding",
    });
    expect(factsOf("groq", "shared")).toMatchObject({
      maxOutputTokens: 7,
      capabilities: { vision: true },
    });
    expect(factsOf("openai", "foreign")).toEqual({});
    expect(factsOf("openai", "constructor")).toEqual({});
  });
});
