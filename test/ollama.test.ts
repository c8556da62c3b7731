/** OpenAI's and Anthropic's clients through a running gateway to Ollama's own API: real HTTP on both sides. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import Anthropic from "@anthropic-ai/sdk";
import OpenAI, { type APIError } from "openai";
import { createOutbound } from "../src/security/outbound.ts";
import { startTestGateway, type TestGateway } from "./support/gateway.ts";
import { lines, type OllamaServer, picture, startOllamaServer } from "./support/ollama-server.ts";

let upstream: OllamaServer;
let open: TestGateway;
let guarded: TestGateway;
const key = "sk-test-master-key";

beforeAll(async () => {
  upstream = startOllamaServer();
  const api_base = upstream.url;
  const rows = {
    llama: {
      model: "ollama/llama3.2",
      api_base,
      num_ctx: 8192,
      keep_alive: "10m",
      temperature: 0.1,
    },
    oss: { model: "ollama_chat/gpt-oss:20b", api_base: `${api_base}/v1` },
    embed: { model: "ollama/nomic-embed-text", api_base },
  };
  const yaml = JSON.stringify({
    model_list: Object.entries(rows).map(([model_name, litellm_params]) => ({
      model_name,
      litellm_params,
    })),
    general_settings: { master_key: key },
    litellm_settings: { num_retries: 0 },
  });
  // Pictures lie on this machine, which the strict rule for callers' addresses refuses by itself.
  open = await startTestGateway({
    yaml,
    outbound: createOutbound({ allowCidrs: ["127.0.0.0/8"] }),
  });
  guarded = await startTestGateway({ yaml, outbound: createOutbound() });
});

afterAll(async () => {
  await open.gateway.close();
  await guarded.gateway.close();
  await upstream.close();
});

const openai = (running = open) =>
  new OpenAI({ apiKey: key, baseURL: `${running.gateway.url}/v1`, maxRetries: 0 });
const anthropic = () => new Anthropic({ apiKey: key, baseURL: open.gateway.url, maxRetries: 0 });
const last = () => upstream.seen.at(-1) as OllamaServer["seen"][0];
const ask = (model: string) => ({ model, messages: [{ role: "user" as const, content: "Hello" }] });
const failure = (asking: Promise<unknown>) => asking.catch((thrown: unknown) => thrown as APIError);

describe("chat", () => {
  test("whole: the operator's options, and the caller's above them", async () => {
    const reply = await openai().chat.completions.create({ ...ask("llama"), temperature: 0.7 });
    expect(reply.choices[0]?.message.content).toBe("Bonjour, Paris.");
    expect(reply.usage?.total_tokens).toBe(32);
    expect(last()).toEqual({
      path: "/api/chat",
      body: {
        model: "llama3.2",
        messages: [{ role: "user", content: "Hello" }],
        stream: false,
        keep_alive: "10m",
        options: { num_ctx: 8192, temperature: 0.7 },
      },
    });
  });

  test("streamed to Anthropic's client, with thinking", async () => {
    const asking = { ...ask("oss"), max_tokens: 100 };
    const reply = await anthropic().messages.stream(asking).finalMessage();
    expect(reply.content.map(({ type }) => type)).toEqual(["thinking", "text"]);
    expect(reply.usage.input_tokens).toBe(25);
    expect(last().body["stream"]).toBe(true);
  });

  test("tools, streamed; ids are made, for the results to come back by", async () => {
    const tools = ["get_weather", "get_time"].map((name) => ({
      type: "function" as const,
      function: { name, parameters: { type: "object", properties: {} } },
    }));
    const stream = openai().chat.completions.stream({ ...ask("oss"), tools });
    const { message, finish_reason: finish } =
      (await stream.finalChatCompletion()).choices[0] ?? {};
    expect(finish).toBe("tool_calls");
    const ids = (message?.tool_calls ?? []).map(({ id }) => id);
    expect(new Set(ids).size).toBe(2);
    const results = ids.map((id) => ({ role: "tool" as const, tool_call_id: id, content: "fine" }));
    const said = { role: "assistant" as const, content: null, tool_calls: message?.tool_calls };
    const messages = [...ask("oss").messages, said as never, ...results];
    await openai().chat.completions.create({ model: "oss", messages, reasoning_effort: "high" });
    expect(last().body["think"]).toBe("high");
    expect((last().body["messages"] as object[]).slice(2)).toEqual([
      { role: "tool", content: "fine", tool_name: "get_weather", tool_call_id: ids[0] },
      { role: "tool", content: "fine", tool_name: "get_time", tool_call_id: ids[1] },
    ]);
  });
});

describe("pictures by address", () => {
  const look = (url: string, running = open) =>
    openai(running).chat.completions.create({
      model: "llama",
      messages: [{ role: "user", content: [{ type: "image_url", image_url: { url } }] }],
    });

  test.each(["/a.png", "/moved"])("%s is fetched, and sent as bytes", async (path) => {
    await look(`${upstream.url}${path}`);
    const [message] = last().body["messages"] as { images: string[] }[];
    expect(message?.images).toEqual([picture.toString("base64")]);
  });

  test.each([
    ["/none", "answered 404"],
    ["/round", "leads from address to address"],
    ["/inward", "metadata"],
  ])("%s is refused, and the caller told", async (path, why) => {
    const before = upstream.seen.length;
    const error = (await failure(look(`${upstream.url}${path}`))) as APIError;
    expect([error.status, error.message]).toEqual([400, expect.stringContaining(why)]);
    expect(upstream.seen).toHaveLength(before);
  });

  test("this machine is not asked where nobody opened it", async () => {
    const before = upstream.fetched.length;
    const error = (await failure(look(`${upstream.url}/a.png`, guarded))) as APIError;
    expect(error.status).toBe(400);
    expect(upstream.fetched).toHaveLength(before);
  });
});

describe("beside chat", () => {
  test("embeddings, as numbers and as base64", async () => {
    const reply = await openai().embeddings.create({
      model: "embed",
      input: ["a", "b"],
      dimensions: 2,
      encoding_format: "float",
    });
    expect(reply.data.map(({ embedding }) => embedding)).toEqual([
      [0, 0.5],
      [1, 0.5],
    ]);
    expect(reply.usage).toEqual({ prompt_tokens: 6, total_tokens: 6 });
    expect(last().body).toEqual({ model: "nomic-embed-text", input: ["a", "b"], dimensions: 2 });
    const packed = await openai().embeddings.create({ model: "embed", input: "a" });
    expect(packed.data[0]?.embedding).toEqual([0, 0.5]);
  });

  test("text completions, by the path of OpenAI's form", async () => {
    const reply = await openai().completions.create({ model: "llama", prompt: "Hello" });
    expect(reply.choices[0]?.text).toBe(" there");
    expect(last().path).toBe("/v1/completions");
  });
});

describe("failures", () => {
  const told = [
    [404, { error: "model 'x' not found" }, 404],
    [400, { error: '"llama3.2" does not support tools' }, 400],
    [500, { error: "out of memory" }, 500],
    [200, { error: "model requires more system memory" }, 500],
  ] as const;
  test.each(told)("%d %j", async (status, body, ours) => {
    upstream.answerNext(() => Response.json(body, { status }));
    const error = (await failure(openai().chat.completions.create(ask("llama")))) as APIError;
    expect(error.status).toBe(ours);
    expect(error.message).toContain(body.error);
  });

  test.each([
    [[{ message: { content: "Bon" }, done: false }], "ended"],
    [[{ message: { content: "Bon" } }, { error: "the runner died" }], "the runner died"],
  ])("within a stream %#", async (all, why) => {
    upstream.answerNext(() => lines(all));
    const stream = openai().chat.completions.stream(ask("llama"));
    expect(String(await failure(stream.finalChatCompletion()))).toContain(why);
  });
});
