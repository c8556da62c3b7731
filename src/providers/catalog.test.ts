/** The shipped catalog: whole, plausible, and found under the names that people write. */
import { describe, expect, test } from "bun:test";
import { costMicroUsd } from "../domain/usage.ts";
import { loadCatalog } from "./catalog.ts";
import { publishedSizeB } from "./model-sizes.ts";
import { providers } from "./registry.ts";

const text = await Bun.file(new URL("./catalog.json", import.meta.url)).text();
const catalog = loadCatalog();

describe("the catalog", () => {
  test("knows only prices and limits that can be", () => {
    let models = 0;
    for (const { name } of providers) {
      for (const model of catalog.modelsOf(name)) {
        models++;
        const { price, maxInputTokens, maxOutputTokens } = catalog.factsOf(name, model);
        // A slip of a factor of a million would pass neither bound.
        expect(price?.inputUsdPerToken ?? 0).toBeLessThanOrEqual(0.001);
        expect(price?.outputUsdPerToken ?? 0).toBeLessThanOrEqual(0.002);
        expect(price?.inputUsdPerToken ?? 0).toBeGreaterThanOrEqual(0);
        expect(maxInputTokens ?? 1).toBeLessThanOrEqual(20_000_000);
        expect(maxOutputTokens ?? 1).toBeLessThanOrEqual(20_000_000);
      }
    }
    expect(models).toBeGreaterThan(1500);
    expect(catalog.asOf).toMatch(/^\d{4}-\d{2}-\d{2}$/);
  });

  test("is a row per line, as the look-up wants it", () => {
    const { models }: { models: Record<string, unknown[]> } = JSON.parse(text as unknown as string);
    const listed = providers.flatMap(({ name }) =>
      catalog.modelsOf(name).map((model) => `${name}/${model}`),
    );
    expect(listed.sort()).toEqual(Object.keys(models).sort());
  });

  test("tells what a well-known model is", () => {
    expect(catalog.factsOf("openai", "gpt-4o-mini")).toMatchObject({
      mode: "chat",
      price: {
        inputUsdPerToken: 0.15 / 1e6,
        outputUsdPerToken: 0.6 / 1e6,
        cacheReadUsdPerToken: 0.075 / 1e6,
      },
      maxInputTokens: 128_000,
      maxOutputTokens: 16_384,
      capabilities: {
        tools: true,
        vision: true,
        json_schema: true,
        audio: false,
        reasoning: false,
      },
    });
  });

  const one = { inputTokens: 0, outputTokens: 0 };
  const million = { inputTokens: 1e6, outputTokens: 0 };
  test.each([
    // What is sold otherwise than by a base price per token, in micro-USD.
    ["openai", "whisper-1", { ...one, units: { seconds: 60 } }, 6_000],
    ["openai", "tts-1", { ...one, units: { characters: 1_000 } }, 15_000],
    [
      "openai",
      "gpt-image-1",
      { inputTokens: 0, outputTokens: 1000, modal: { imageOutput: 1000 }, units: { images: 1 } },
      40_000,
    ],
    ["openai", "omni-moderation-latest", one, 0],
    ["cohere", "rerank-english-v3.0", { ...one, units: { queries: 2 } }, 4_000],
    ["voyage", "rerank-2", { inputTokens: 1000, outputTokens: 0, units: { queries: 1 } }, 50],
    ["openai", "gpt-4o-mini", million, 150_000],
    ["openai", "gpt-4o-mini", { ...million, service: "batch" }, 75_000],
    ["openai", "gpt-4o-mini", { ...million, service: "priority" }, 250_000],
    ["gemini", "gemini-2.5-pro", { inputTokens: 200_000, outputTokens: 0 }, 250_000],
    ["gemini", "gemini-2.5-pro", { inputTokens: 200_001, outputTokens: 0 }, 500_003],
  ] as const)("charges %s %s %j", (provider, model, usage, micro) => {
    expect(costMicroUsd(usage, catalog.factsOf(provider, model).price)).toBe(micro);
  });

  test("tells what a model is for", () => {
    expect(catalog.factsOf("openai", "whisper-1").mode).toBe("audio_transcription");
    expect(catalog.factsOf("openai", "text-embedding-3-small").mode).toBe("embedding");
    expect(catalog.factsOf("groq", "whisper-large-v3").mode).toBe("audio_transcription");
  });

  test.each([
    ["openai", "GPT-4o"],
    ["anthropic", "claude-sonnet-4-5-20250929"],
    ["anthropic", "claude-3-5-sonnet-20241022"],
    ["anthropic", "claude-3-5-haiku-20241022"],
    ["openrouter", "anthropic/claude-sonnet-4.5"],
    ["openrouter", "google/gemini-2.5-flash"],
    ["groq", "llama-3.3-70b-versatile"],
    ["together_ai", "meta-llama/Llama-3.3-70B-Instruct-Turbo"],
    ["mistral", "mistral-large-latest"],
    ["deepseek", "deepseek-chat"],
    ["gemini", "gemini-2.5-pro"],
    ["vertex_ai", "gemini-2.5-pro"],
    ["vertex_ai_anthropic", "claude-sonnet-4-5@20250929"],
    ["azure", "gpt-4o-mini-2024-07-18"],
    ["openai", "text-embedding-3-small"],
    ["bedrock", "us.anthropic.claude-sonnet-4-5-20250929-v1:0"],
    ["bedrock", "sa.amazon.nova-pro-v1:0"], // regions that the list does not have
    ["bedrock", "arn:aws:bedrock:us-east-1:1:inference-profile/us.amazon.nova-lite-v1:0"],
    ["codestral", "codestral-latest"],
  ])("prices %s %s", (provider, model) => {
    expect(catalog.factsOf(provider, model).price).toBeDefined();
  });

  test.each([
    ["openai", "gpt-unheard-of"],
    ["hosted_vllm", "gpt-4o"], // somebody's own server: not OpenAI's price
    ["openai", "constructor"],
    ["nobody", "x"],
  ])("says nothing of %s %s", (provider, model) => {
    expect(catalog.factsOf(provider, model)).toEqual({});
  });
});

test.each([
  ["meta-llama/Llama-3.3-70B-Instruct-Turbo", 70],
  ["accounts/fireworks/models/qwen3-235b-a22b", 235],
  ["deepseek-r1-distill-llama-70b", 70],
  ["deepseek-ai/DeepSeek-R1", 671],
  ["mistralai/Mixtral-8x7B-Instruct-v0.1", 46.7],
  ["gemma-2-9b-it", 9],
  ["qwen2.5:0.5b", 0.5],
  ["llama3.2:1b", 1],
  ["SmolLM2-135M-Instruct", 0.135],
  ["gpt-4o", undefined],
  ["claude-sonnet-4-5", undefined],
  ["gemini-1.5-pro", undefined],
  ["meta-llama/llama-4-maverick-17b-128e-instruct", 400],
])("%s has %p billion parameters", (model, size) => {
  expect(publishedSizeB(model)).toBe(size);
});
