/** LangChain.js, with its usual settings: chat, streams, tools, structured output, embeddings. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import {
  type ClientWorld,
  createClientWorld,
  hasClient,
  loadClient,
  titleOf,
} from "../support/clients.ts";

interface Message {
  readonly content: unknown;
  readonly text: string;
  readonly tool_calls?: readonly { name: string; args: unknown; id?: string }[];
  readonly usage_metadata?: { input_tokens: number; output_tokens: number };
  concat(other: Message): Message;
}
interface Chat {
  invoke(input: unknown): Promise<Message>;
  stream(input: unknown): Promise<AsyncIterable<Message>>;
  bindTools(tools: readonly unknown[]): Chat;
  withStructuredOutput(
    schema: unknown,
    options?: object,
  ): { invoke(input: unknown): Promise<unknown> };
}
type Make<T> = new (options: object) => T;
interface Openai {
  readonly ChatOpenAI: Make<Chat>;
  readonly OpenAIEmbeddings: Make<{ embedDocuments(texts: string[]): Promise<number[][]> }>;
}
interface Anthropic {
  readonly ChatAnthropic: Make<Chat>;
}

const names = ["@langchain/openai", "@langchain/anthropic", "@langchain/core"] as const;
const weather = {
  type: "function",
  function: {
    name: "get_weather",
    description: "Current weather of a city",
    parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
  },
};
const place = {
  title: "place",
  type: "object",
  properties: { city: { type: "string" } },
  required: ["city"],
};

describe.skipIf(!names.every(hasClient))(titleOf("LangChain.js", ...names), () => {
  let world: ClientWorld;
  let openai: Openai;
  let anthropic: Anthropic;

  beforeAll(async () => {
    world = await createClientWorld();
    openai = await loadClient<Openai>("@langchain/openai");
    anthropic = await loadClient<Anthropic>("@langchain/anthropic");
  });
  afterAll(() => world.close());

  const makers: readonly (readonly [string, (model: string) => Chat])[] = [
    [
      "ChatOpenAI",
      (model) =>
        new openai.ChatOpenAI({
          model,
          apiKey: "sk-x",
          maxRetries: 0,
          configuration: { baseURL: `${world.url}/v1` },
        }),
    ],
    [
      "ChatOpenAI over Responses",
      (model) =>
        new openai.ChatOpenAI({
          model,
          apiKey: "sk-x",
          maxRetries: 0,
          useResponsesApi: true,
          configuration: { baseURL: `${world.url}/v1` },
        }),
    ],
    [
      "ChatAnthropic",
      (model) =>
        new anthropic.ChatAnthropic({
          model,
          apiKey: "sk-x",
          maxRetries: 0,
          maxTokens: 500,
          anthropicApiUrl: world.url,
        }),
    ],
  ];

  describe.each(makers)("%s", (_name, make) => {
    test.each(["sim-coder", "sim-lyra"])("%s: whole and streamed", async (model) => {
      const whole = await make(model).invoke("Write a Python function");
      expect(whole.text).toStartWith(`[Simulated answer by ${model}`);
      expect(whole.usage_metadata?.output_tokens).toBeGreaterThan(0);
      let sum: Message | undefined;
      for await (const chunk of await make(model).stream("Write a Python function")) {
        sum = sum ? sum.concat(chunk) : chunk;
      }
      expect(sum?.text).toBe(whole.text);
      // Anthropic's first event counts a token already, and LangChain adds it to the last count.
      const more =
        (sum?.usage_metadata?.output_tokens ?? -1) - (whole.usage_metadata?.output_tokens ?? 0);
      expect([0, 1]).toContain(more);
    });

    test.each(["sim-coder", "sim-lyra"])("%s: tools, there and back", async (model) => {
      const bound = make(model).bindTools([weather]);
      const question = { role: "user", content: "What is the weather in Bergen?" };
      const called = await bound.invoke([question]);
      const [call] = called.tool_calls ?? [];
      expect(call).toMatchObject({ name: "get_weather", args: { city: "Bergen" } });
      let sum: Message | undefined;
      for await (const chunk of await bound.stream([question])) sum = sum?.concat(chunk) ?? chunk;
      expect(sum?.tool_calls?.[0]).toMatchObject({ name: "get_weather", args: { city: "Bergen" } });
      const result = { role: "tool", tool_call_id: call?.id, content: "rain, 7 degrees" };
      const answer = await bound.invoke([question, called, result]);
      expect(answer.text).toContain("rain, 7 degrees");
    });
  });

  test("structured output", async () => {
    const chat = (makers[0] as (typeof makers)[number])[1]("sim-coder");
    const structured = chat.withStructuredOutput(place, { method: "jsonSchema" });
    expect(await structured.invoke("Extract the city: we met in Porto")).toEqual({ city: "Porto" });
  });

  test("embeddings", async () => {
    const embeddings = new openai.OpenAIEmbeddings({
      model: "sim-embed",
      apiKey: "sk-x",
      configuration: { baseURL: `${world.url}/v1` },
    });
    const [first, second] = await embeddings.embedDocuments(["a", "b"]);
    expect(first?.length).toBeGreaterThan(1);
    expect(second).not.toEqual(first ?? []);
  });

  test("an error keeps its status", async () => {
    const chat = (makers[0] as (typeof makers)[number])[1]("nope");
    await expect(chat.invoke("x")).rejects.toMatchObject({ status: 400 });
  });
});
