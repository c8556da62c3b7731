/** The real OpenAI SDK against the compiled binary, with simulated upstreams in both dialects. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import OpenAI from "openai";
import { createSimulatedProviders } from "../../src/cli/demo/simulated-providers.ts";
import { createFolder, type RunningGateway, startGateway } from "../support/binary.ts";

const simulated = createSimulatedProviders({ speed: Number.POSITIVE_INFINITY });
const folder = createFolder();
let gateway: RunningGateway;
let openai: OpenAI;

beforeAll(async () => {
  gateway = await startGateway({ cwd: folder.path, config: { model_list: simulated.entries } });
  openai = new OpenAI({ baseURL: `${gateway.url}/v1`, apiKey: "sk-anything", maxRetries: 0 });
});
afterAll(async () => {
  await gateway?.stop();
  await simulated.close();
  folder.remove();
});

const ask = (content: string) => [{ role: "user" as const, content }];
const tools: OpenAI.ChatCompletionTool[] = [
  {
    type: "function",
    function: {
      name: "get_weather",
      description: "Current weather of a city",
      parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
    },
  },
];

// One model behind OpenAI's dialect, one behind Anthropic's: the caller must not notice.
describe.each(["sim-coder", "sim-lyra"])("%s", (model) => {
  test("chat", async () => {
    const { data, response } = await openai.chat.completions
      .create({ model, messages: ask("Write a Python function") })
      .withResponse();
    expect(data.choices[0]?.message.content).toStartWith(`[Simulated answer by ${model}`);
    expect(data.choices[0]?.finish_reason).toBe("stop");
    expect(data.usage?.total_tokens).toBeGreaterThan(0);
    expect(response.headers.get("x-routeiq-model")).toEndWith(model);
    expect(Number(response.headers.get("x-routeiq-cost-usd"))).toBeGreaterThan(0);
    expect(response.headers.get("x-routeiq-call-id")).toBeTruthy();
  });

  test("a stream adds up to the whole answer", async () => {
    const request = { model, messages: ask("Write a Python function") };
    const whole = await openai.chat.completions.create(request);
    const stream = openai.chat.completions.stream({
      ...request,
      stream_options: { include_usage: true },
    });
    const final = await stream.finalChatCompletion();
    expect(final.choices[0]?.message.content).toBe(whole.choices[0]?.message.content ?? "");
    expect(final.choices[0]?.finish_reason).toBe("stop");
    expect(final.usage?.completion_tokens).toBe(whole.usage?.completion_tokens ?? -1);
  });

  test("a usage chunk comes only to a caller who asked for it", async () => {
    const stream = await openai.chat.completions.create({
      model,
      messages: ask("Hi!"),
      stream: true,
    });
    for await (const chunk of stream) {
      expect(chunk.usage ?? null).toBeNull();
      expect(chunk.choices).not.toBeEmpty();
    }
  });

  test("tools, whole and streamed, and back with the result", async () => {
    const messages = ask("What is the weather in Bergen?");
    const whole = await openai.chat.completions.create({ model, messages, tools });
    const streamed = await openai.chat.completions
      .stream({ model, messages, tools })
      .finalChatCompletion();
    for (const { choices } of [whole, streamed]) {
      expect(choices[0]?.finish_reason).toBe("tool_calls");
      const [call] = choices[0]?.message.tool_calls ?? [];
      if (call?.type !== "function") throw new Error("no tool call came");
      expect(call.function.name).toBe("get_weather");
      expect(JSON.parse(call.function.arguments)).toEqual({ city: "Bergen" });
    }
    const [call] = whole.choices[0]?.message.tool_calls ?? [];
    const after = await openai.chat.completions.create({
      model,
      tools,
      messages: [
        ...messages,
        { role: "assistant", tool_calls: call ? [call] : [] },
        { role: "tool", tool_call_id: call?.id ?? "", content: "rain, 7 degrees" },
      ],
    });
    expect(after.choices[0]?.message.content).toContain("rain, 7 degrees");
  });
});

test("unknown fields, n, JSON schema and images travel on", async () => {
  const reply = await openai.chat.completions.create({
    model: "sim-coder",
    n: 2,
    messages: [
      {
        role: "user",
        content: [
          { type: "text", text: "Extract the city: we met in Porto" },
          { type: "image_url", image_url: { url: "data:image/png;base64,iVBORw0KGgo=" } },
        ],
      },
    ],
    response_format: {
      type: "json_schema",
      json_schema: {
        name: "place",
        schema: { type: "object", properties: { city: { type: "string" } } },
      },
    },
    ...{ x_vendor_field: { kept: true } },
  });
  expect(JSON.parse(reply.choices[1]?.message.content ?? "")).toEqual({ city: "Porto" });
  const seen = simulated.provider("sim-north").seen.at(-1)?.body;
  expect(seen).toMatchObject({ x_vendor_field: { kept: true }, n: 2 });
});

test("embeddings, in floats and in the SDK's base64", async () => {
  const floats = await openai.embeddings.create({
    model: "sim-embed",
    input: ["a", "b"],
    encoding_format: "float",
  });
  const packed = await openai.embeddings.create({ model: "sim-embed", input: ["a", "b"] });
  expect(packed.data[1]?.embedding).toEqual(floats.data[1]?.embedding ?? []);
});

test("models are listed, and found by name", async () => {
  const names = (await openai.models.list()).data.map(({ id }) => id);
  expect(names).toContain("sim-lyra");
  expect((await openai.models.retrieve("sim-lyra")).id).toBe("sim-lyra");
});

describe("errors reach the SDK as its own classes", () => {
  test("an unknown model", async () => {
    const failure = openai.chat.completions.create({ model: "nope", messages: ask("x") });
    await expect(failure.then()).rejects.toBeInstanceOf(OpenAI.BadRequestError);
  });

  test("a request that the provider refuses keeps its status", async () => {
    simulated.provider("sim-north").faults.next({ status: 422 });
    const failure = openai.chat.completions.create({ model: "sim-coder", messages: ask("x") });
    await expect(failure.then()).rejects.toMatchObject({ status: 422 });
  });

  test("one failing attempt is retried, unseen by the caller", async () => {
    simulated.provider("sim-north").faults.next({ status: 503 });
    const { response } = await openai.chat.completions
      .create({ model: "sim-coder", messages: ask("x") })
      .withResponse();
    expect(response.headers.get("x-routeiq-attempts")).toBe("2");
  });

  test("a stream cut short is an error, not a short answer", async () => {
    simulated.provider("sim-north").faults.next({ truncateAfter: 4 });
    const read = async () => {
      const messages = ask("Write a Python function");
      const request = { model: "sim-coder", messages, stream: true } as const;
      for await (const _ of await openai.chat.completions.create(request));
    };
    await expect(read()).rejects.toBeInstanceOf(OpenAI.APIError);
  });
});

test("a caller who hangs up mid-stream ends the upstream call", async () => {
  const north = simulated.provider("sim-north");
  north.faults.next({ stallAfter: 3 });
  const stream = await openai.chat.completions.create({
    model: "sim-coder",
    messages: ask("Write a Python function"),
    stream: true,
  });
  for await (const _ of stream) break; // leaving the loop aborts the request
  const seen = north.seen.at(-1);
  while (!seen?.aborted) await Bun.sleep(5);
  expect(seen?.aborted).toBe(true);
});
