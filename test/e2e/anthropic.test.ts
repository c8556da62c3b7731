/** The real Anthropic SDK against the compiled binary, with simulated upstreams in both dialects. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import Anthropic from "@anthropic-ai/sdk";
import { createSimulatedProviders } from "../../src/cli/demo/simulated-providers.ts";
import { createFolder, type RunningGateway, startGateway } from "../support/binary.ts";

const simulated = createSimulatedProviders({ speed: Number.POSITIVE_INFINITY });
const folder = createFolder();
let gateway: RunningGateway;
let anthropic: Anthropic;

beforeAll(async () => {
  gateway = await startGateway({ cwd: folder.path, config: { model_list: simulated.entries } });
  anthropic = new Anthropic({ baseURL: gateway.url, apiKey: "sk-anything", maxRetries: 0 });
});
afterAll(async () => {
  await gateway?.stop();
  await simulated.close();
  folder.remove();
});

const ask = (content: string) => [{ role: "user" as const, content }];
const tools: Anthropic.Tool[] = [
  {
    name: "get_weather",
    description: "Current weather of a city",
    input_schema: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
  },
];

// One model behind Anthropic's dialect, one behind OpenAI's: the caller must not notice.
describe.each(["sim-lyra", "sim-coder"])("%s", (model) => {
  const request = { model, max_tokens: 1000 };

  test("a message, with a system prompt", async () => {
    const reply = await anthropic.messages.create({
      ...request,
      system: "Be brief.",
      messages: ask("Translate this into French"),
    });
    expect(reply.content[0]).toMatchObject({ type: "text" });
    expect(JSON.stringify(reply.content)).toContain(`Simulated answer by ${model}`);
    expect(reply.stop_reason).toBe("end_turn");
    expect(reply.usage.output_tokens).toBeGreaterThan(0);
  });

  test("a stream adds up to the whole message", async () => {
    const messages = ask("Write a short story");
    const whole = await anthropic.messages.create({ ...request, messages });
    const final = await anthropic.messages.stream({ ...request, messages }).finalMessage();
    expect(final.content).toMatchObject(whole.content);
    expect(final.stop_reason).toBe("end_turn");
    expect(final.usage.output_tokens).toBe(whole.usage.output_tokens);
  });

  test("tools, whole and streamed, and back with the result", async () => {
    const messages = ask("What is the weather in Lagos?");
    const whole = await anthropic.messages.create({ ...request, messages, tools });
    const final = await anthropic.messages.stream({ ...request, messages, tools }).finalMessage();
    for (const reply of [whole, final]) {
      expect(reply.stop_reason).toBe("tool_use");
      const use = reply.content.find((block) => block.type === "tool_use");
      expect(use).toMatchObject({ name: "get_weather", input: { city: "Lagos" } });
    }
    const use = whole.content.find((block) => block.type === "tool_use");
    const after = await anthropic.messages.create({
      ...request,
      tools,
      messages: [
        ...messages,
        { role: "assistant", content: whole.content },
        {
          role: "user",
          content: [
            { type: "tool_result", tool_use_id: use?.id ?? "", content: "sun, 31 degrees" },
          ],
        },
      ],
    });
    expect(JSON.stringify(after.content)).toContain("sun, 31 degrees");
  });

  test("a token limit ends as max_tokens", async () => {
    const reply = await anthropic.messages.create({
      model,
      max_tokens: 5,
      messages: ask("Write a short story"),
    });
    expect(reply.stop_reason).toBe("max_tokens");
  });
});

test("errors reach the SDK as its own classes", async () => {
  const failure = anthropic.messages.create({ model: "nope", max_tokens: 9, messages: ask("x") });
  await expect(failure.then()).rejects.toBeInstanceOf(Anthropic.NotFoundError);
});
