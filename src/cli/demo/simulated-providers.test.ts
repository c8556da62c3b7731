/** Simulated providers must be what the real SDKs expect, and must fail as they are told to. */
import { afterAll, describe, expect, test } from "bun:test";
import Anthropic from "@anthropic-ai/sdk";
import OpenAI from "openai";
import { createSimulatedProviders, simulatedKey } from "./simulated-providers.ts";

const simulated = createSimulatedProviders({ seed: 7, speed: Number.POSITIVE_INFINITY });
afterAll(() => simulated.close());

const north = simulated.provider("sim-north");
const lyric = simulated.provider("sim-lyric");
const openai = new OpenAI({ baseURL: `${north.url}/v1`, apiKey: simulatedKey, maxRetries: 0 });
const anthropic = new Anthropic({ baseURL: lyric.url, apiKey: simulatedKey, maxRetries: 0 });

const ask = (content: string) => [{ role: "user" as const, content }];
const weather = {
  name: "get_weather",
  description: "Current weather of a city",
  schema: {
    type: "object" as const,
    properties: { city: { type: "string" }, days: { type: "integer", minimum: 1, maximum: 5 } },
    required: ["city"],
  },
};

describe("OpenAI's dialect", () => {
  test("an answer says that it is simulated, and counts tokens", async () => {
    const reply = await openai.chat.completions.create({
      model: "sim-coder",
      messages: ask("Write a Python function"),
    });
    expect(reply.choices[0]?.message.content).toStartWith("[Simulated answer by sim-coder");
    expect(reply.choices[0]?.finish_reason).toBe("stop");
    expect(reply.usage?.total_tokens).toBeGreaterThan(20);
  });

  test("a stream adds up to the whole answer", async () => {
    const request = { model: "sim-swift", messages: ask("Hi! How are you?") };
    const whole = await openai.chat.completions.create(request);
    const stream = await openai.chat.completions.create({
      ...request,
      stream: true,
      stream_options: { include_usage: true },
    });
    let text = "";
    let usage = 0;
    for await (const chunk of stream) {
      text += chunk.choices[0]?.delta.content ?? "";
      usage = chunk.usage?.completion_tokens ?? usage;
    }
    expect(text).toBe(whole.choices[0]?.message.content ?? "");
    expect(usage).toBe(whole.usage?.completion_tokens ?? 0);
  });

  test("a tool is called, and its result quoted", async () => {
    const tools = [
      {
        type: "function" as const,
        function: {
          name: weather.name,
          description: weather.description,
          parameters: weather.schema,
        },
      },
    ];
    const messages = ask("What is the weather in Bergen over 3 days?");
    const first = await openai.chat.completions.create({ model: "sim-coder", messages, tools });
    const [call] = first.choices[0]?.message.tool_calls ?? [];
    if (call?.type !== "function") throw new Error("no tool call came");
    expect(JSON.parse(call.function.arguments)).toEqual({ city: "Bergen", days: 3 });
    const second = await openai.chat.completions.create({
      model: "sim-coder",
      tools,
      messages: [
        ...messages,
        { role: "assistant", tool_calls: [call] },
        { role: "tool", tool_call_id: call.id, content: "rain, 7 degrees" },
      ],
    });
    expect(second.choices[0]?.message.content).toContain("rain, 7 degrees");
  });

  test("JSON by schema, a token limit, several choices", async () => {
    const json = await openai.chat.completions.create({
      model: "sim-coder",
      messages: ask("Extract the city from: we met in Porto"),
      response_format: { type: "json_schema", json_schema: { name: "x", schema: weather.schema } },
      n: 2,
    });
    expect(JSON.parse(json.choices[1]?.message.content ?? "")).toMatchObject({ city: "Porto" });
    const short = await openai.chat.completions.create({
      model: "sim-coder",
      messages: ask("Write a Python function"),
      max_tokens: 5,
    });
    expect(short.choices[0]?.finish_reason).toBe("length");
  });

  test("embeddings are unit vectors, like texts near", async () => {
    const { data } = await openai.embeddings.create({
      model: "sim-embed",
      input: ["the red house", "the red houses here", "quantum flux"],
    });
    const [a, b, c] = data.map(({ embedding }) => embedding);
    const dot = (x: number[] = [], y: number[] = []) =>
      x.reduce((sum, value, at) => sum + value * (y[at] ?? 0), 0);
    expect(dot(a, a)).toBeCloseTo(1, 5);
    expect(dot(a, b)).toBeGreaterThan(dot(a, c));
  });

  test("errors are the dialect's", async () => {
    const nobody = new OpenAI({ baseURL: `${north.url}/v1`, apiKey: "wrong", maxRetries: 0 });
    await expect(nobody.models.list().then()).rejects.toMatchObject({ status: 401 });
    const missing = openai.chat.completions.create({ model: "nope", messages: ask("x") });
    await expect(missing.then()).rejects.toMatchObject({ status: 404, code: "model_not_found" });
  });
});

describe("Anthropic's dialect", () => {
  const request = { model: "sim-lyra", max_tokens: 500 };

  test("message and stream agree", async () => {
    const messages = ask("Translate this into French");
    const whole = await anthropic.messages.create({ ...request, messages });
    const streamed = await anthropic.messages.stream({ ...request, messages }).finalMessage();
    expect(streamed.content).toMatchObject(whole.content);
    expect(streamed.usage.output_tokens).toBe(whole.usage.output_tokens);
    expect(whole.stop_reason).toBe("end_turn");
  });

  test("a tool is called, whole and streamed", async () => {
    const tools = [
      { name: weather.name, description: weather.description, input_schema: weather.schema },
    ];
    const messages = ask("What is the weather in Lagos?");
    const whole = await anthropic.messages.create({ ...request, messages, tools });
    const streamed = await anthropic.messages
      .stream({ ...request, messages, tools })
      .finalMessage();
    for (const reply of [whole, streamed]) {
      expect(reply.stop_reason).toBe("tool_use");
      expect(reply.content[0]).toMatchObject({ name: "get_weather", input: { city: "Lagos" } });
    }
  });
});

describe("faults", () => {
  const call = (stream = false) =>
    fetch(`${north.url}/v1/chat/completions`, {
      method: "POST",
      headers: { authorization: `Bearer ${simulatedKey}` },
      body: JSON.stringify({ model: "sim-swift", messages: ask("Hi!"), stream }),
    });

  test("a status, once", async () => {
    north.faults.next({ status: 429, headers: { "retry-after": "2" } });
    const limited = await call();
    expect([limited.status, limited.headers.get("retry-after")]).toEqual([429, "2"]);
    expect((await call()).status).toBe(200);
  });

  test("truncated, in-band error, reset, garbage", async () => {
    north.faults.next(
      { truncateAfter: 3 },
      { errorAfter: 2 },
      { resetAfter: 2 },
      { garbage: true },
    );
    expect((await (await call(true)).text()).includes("[DONE]")).toBe(false);
    expect(await (await call(true)).text()).toContain("simulated in-band error");
    await expect(call(true).then((reply) => reply.text())).rejects.toThrow();
    expect(await (await call()).text()).toContain("<html>");
  });

  test("a hang ends when the caller hangs up", async () => {
    north.faults.next({ hang: true });
    const abort = new AbortController();
    const answer = fetch(`${north.url}/v1/chat/completions`, {
      method: "POST",
      headers: { authorization: `Bearer ${simulatedKey}` },
      body: JSON.stringify({ model: "sim-swift", messages: [] }),
      signal: abort.signal,
    });
    while (north.seen.at(-1)?.body["messages"] === undefined) await Bun.sleep(1);
    abort.abort();
    await expect(answer).rejects.toThrow();
  });
});
