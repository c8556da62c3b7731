/** OpenAI's Agents SDK, over Responses (its default) and over chat: a tool called, its result used. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import {
  type ClientWorld,
  createClientWorld,
  hasClient,
  loadClient,
  titleOf,
} from "../support/clients.ts";

interface Result {
  readonly finalOutput?: unknown;
}
interface StreamedResult extends Result, AsyncIterable<{ readonly type: string }> {
  readonly completed: Promise<void>;
}
interface Runner {
  run(agent: unknown, input: string, options?: { stream?: false }): Promise<Result>;
  run(agent: unknown, input: string, options: { stream: true }): Promise<StreamedResult>;
}
interface Agents {
  readonly Agent: new (options: object) => unknown;
  readonly Runner: new (options: object) => Runner;
  readonly OpenAIProvider: new (options: object) => unknown;
  readonly tool: (options: object) => unknown;
  readonly setTracingDisabled: (disabled: boolean) => void;
}

const names = ["@openai/agents", "zod"] as const;

describe.skipIf(!names.every(hasClient))(titleOf("OpenAI Agents", ...names), () => {
  let world: ClientWorld;
  let agents: Agents;
  beforeAll(async () => {
    world = await createClientWorld();
    agents = await loadClient<Agents>("@openai/agents");
    agents.setTracingDisabled(true);
  });
  afterAll(() => world.close());

  const asked: unknown[] = [];
  const weather = () =>
    agents.tool({
      name: "get_weather",
      description: "Current weather of a city",
      strict: false,
      parameters: {
        type: "object",
        properties: { city: { type: "string" } },
        required: ["city"],
        additionalProperties: true,
      },
      execute(input: unknown) {
        asked.push(input);
        return "rain, 7 degrees";
      },
    });

  const cases = [
    ["Responses", "sim-coder", true],
    ["Responses", "sim-lyra", true],
    ["chat", "sim-coder", false],
    ["chat", "sim-lyra", false],
  ] as const;

  test.each(cases)("%s, %s: an agent with a tool", async (_api, model, useResponses) => {
    const modelProvider = new agents.OpenAIProvider({
      apiKey: "sk-x",
      baseURL: `${world.url}/v1`,
      useResponses,
    });
    const runner = new agents.Runner({ modelProvider });
    const agent = new agents.Agent({
      name: "Forecaster",
      instructions: "Use the tool.",
      model,
      tools: [weather()],
    });
    const before = asked.length;
    const whole = await runner.run(agent, "What is the weather in Bergen?");
    expect(String(whole.finalOutput)).toContain("rain, 7 degrees");
    const streamed = await runner.run(agent, "What is the weather in Bergen?", { stream: true });
    const types = new Set<string>();
    for await (const event of streamed) types.add(event.type);
    await streamed.completed;
    expect(String(streamed.finalOutput)).toContain("rain, 7 degrees");
    expect(types).toContain("raw_model_stream_event");
    expect(asked.slice(before)).toEqual([{ city: "Bergen" }, { city: "Bergen" }]);
  });
});
