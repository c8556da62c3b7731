/** Vercel's `ai` against the compiled binary, through its OpenAI and its Anthropic provider. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { createAnthropic } from "@ai-sdk/anthropic";
import { createOpenAI } from "@ai-sdk/openai";
import { generateText, jsonSchema, type LanguageModel, stepCountIs, streamText, tool } from "ai";
import { createSimulatedProviders } from "../../src/cli/demo/simulated-providers.ts";
import { createFolder, type RunningGateway, startGateway } from "../support/binary.ts";

const simulated = createSimulatedProviders({ speed: Number.POSITIVE_INFINITY });
const folder = createFolder();
let gateway: RunningGateway;

beforeAll(async () => {
  gateway = await startGateway({ cwd: folder.path, config: { model_list: simulated.entries } });
});
afterAll(async () => {
  await gateway?.stop();
  await simulated.close();
  folder.remove();
});

const ways: readonly (readonly [string, () => LanguageModel])[] = [
  [
    "openai, to OpenAI's dialect",
    () => createOpenAI({ baseURL: `${gateway.url}/v1`, apiKey: "k" }).chat("sim-coder"),
  ],
  [
    "openai, to Anthropic's dialect",
    () => createOpenAI({ baseURL: `${gateway.url}/v1`, apiKey: "k" }).chat("sim-lyra"),
  ],
  [
    "anthropic, to Anthropic's dialect",
    () => createAnthropic({ baseURL: `${gateway.url}/v1`, apiKey: "k" })("sim-lyra"),
  ],
  [
    "anthropic, to OpenAI's dialect",
    () => createAnthropic({ baseURL: `${gateway.url}/v1`, apiKey: "k" })("sim-coder"),
  ],
];

describe.each(ways)("%s", (_name, model) => {
  test("generateText", async () => {
    const { text, finishReason, usage } = await generateText({
      model: model(),
      prompt: "Write a Python function",
      maxRetries: 0,
    });
    expect(text).toContain("Simulated answer by sim-");
    expect(finishReason).toBe("stop");
    expect(usage.outputTokens).toBeGreaterThan(0);
  });

  test("streamText", async () => {
    const result = streamText({ model: model(), prompt: "Write a short story", maxRetries: 0 });
    let text = "";
    for await (const piece of result.textStream) text += piece;
    expect(text).toContain("Simulated answer by sim-");
    expect(await result.finishReason).toBe("stop");
  });

  test("a tool loop: called, run here, quoted", async () => {
    const weather = tool({
      description: "Current weather of a city",
      inputSchema: jsonSchema<{ city: string }>({
        type: "object",
        properties: { city: { type: "string" } },
        required: ["city"],
      }),
      execute: async ({ city }) => `rain in ${city}`,
    });
    const { text, steps } = await generateText({
      model: model(),
      prompt: "What is the weather in Bergen?",
      tools: { get_weather: weather },
      stopWhen: stepCountIs(3),
      maxRetries: 0,
    });
    expect(steps).toHaveLength(2);
    expect(text).toContain("rain in Bergen");
  });
});
