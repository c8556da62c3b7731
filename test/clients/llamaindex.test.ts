/** LlamaIndex.TS, with its usual settings: chat, streams, tools, embeddings. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import {
  type ClientWorld,
  createClientWorld,
  hasClient,
  loadClient,
  titleOf,
} from "../support/clients.ts";

interface Reply {
  readonly message: {
    readonly content: unknown;
    readonly options?: { readonly toolCall?: unknown };
  };
}
interface Model {
  chat(asked: { messages: unknown; tools?: unknown; stream?: false }): Promise<Reply>;
  chat(asked: { messages: unknown; stream: true }): Promise<AsyncIterable<{ delta: string }>>;
}
interface Openai {
  readonly OpenAI: new (options: object) => Model;
  readonly OpenAIEmbedding: new (
    options: object,
  ) => {
    getTextEmbeddings(texts: string[]): Promise<number[][]>;
  };
}

const names = ["@llamaindex/openai", "@llamaindex/core"] as const;
const ask = (content: string) => [{ role: "user", content }];

describe.skipIf(!names.every(hasClient))(titleOf("LlamaIndex.TS", ...names), () => {
  let world: ClientWorld;
  let client: Openai;
  beforeAll(async () => {
    world = await createClientWorld();
    client = await loadClient<Openai>("@llamaindex/openai");
  });
  afterAll(() => world.close());

  const make = (model: string) =>
    new client.OpenAI({ model, apiKey: "sk-x", maxRetries: 0, baseURL: `${world.url}/v1` });

  test.each(["sim-coder", "sim-lyra"])("%s: whole and streamed", async (model) => {
    const whole = await make(model).chat({ messages: ask("Write a Python function") });
    expect(whole.message.content).toStartWith(`[Simulated answer by ${model}`);
    let text = "";
    const stream = await make(model).chat({
      messages: ask("Write a Python function"),
      stream: true,
    });
    for await (const { delta } of stream) text += delta;
    expect(text).toBe(whole.message.content as string);
  });

  test("tools", async () => {
    const { tool } = await loadClient<{ tool: (options: object) => unknown }>(
      "@llamaindex/core/tools",
    );
    const weather = tool({
      name: "get_weather",
      description: "Current weather of a city",
      parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
      execute: () => "rain",
    });
    const reply = await make("sim-lyra").chat({
      messages: ask("What is the weather in Bergen?"),
      tools: [weather],
    });
    expect(reply.message.options?.toolCall).toMatchObject([{ name: "get_weather" }]);
  });

  test("embeddings", async () => {
    const embedding = new client.OpenAIEmbedding({
      model: "sim-embed",
      apiKey: "sk-x",
      baseURL: `${world.url}/v1`,
    });
    const [first, second] = await embedding.getTextEmbeddings(["a", "b"]);
    expect(first?.length).toBeGreaterThan(1);
    expect(second).not.toEqual(first ?? []);
  });
});
