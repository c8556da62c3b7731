/**
 * Google's own client, OpenAI's and Anthropic's through a running gateway, to Gemini at AI Studio
 * and on Vertex AI, to Claude on Vertex, to Azure and to OpenAI: real HTTP on both sides.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import Anthropic from "@anthropic-ai/sdk";
import { ApiError, type Content, GoogleGenAI, Type } from "@google/genai";
import OpenAI from "openai";
import { createOutbound } from "../src/security/outbound.ts";
import { startTestGateway, type TestGateway } from "./support/gateway.ts";
import { type GoogleServer, startGoogleServer } from "./support/google-server.ts";

let upstream: GoogleServer;
let running: TestGateway;
let base: string;
const key = "sk-test-master-key";

beforeAll(async () => {
  upstream = startGoogleServer();
  const { url, account } = upstream;
  const rows = {
    studio: { model: "gemini/gemini-3-pro-preview", api_base: `${url}/v1beta`, api_key: "AIza-k" },
    "gemini/slashed": {
      model: "gemini/gemini-2.5-flash",
      api_base: `${url}/v1beta`,
      api_key: "AIza-k",
    },
    vertex: {
      model: "vertex_ai/gemini-2.5-flash",
      api_base: url,
      vertex_location: "europe-west4",
      vertex_credentials: account,
    },
    "vertex-claude": {
      model: "vertex_ai/claude-sonnet-4-5@20250929",
      api_base: url,
      vertex_location: "global",
      vertex_credentials: JSON.stringify(account),
    },
    "vertex_ai/*": {
      model: "vertex_ai/*",
      api_base: url,
      vertex_location: "global",
      vertex_credentials: account,
    },
    tuned: {
      model: "vertex_ai/gemini/1234567890",
      api_base: url,
      vertex_location: "us-central1",
      vertex_credentials: account,
    },
    azure: {
      model: "azure/my deployment",
      api_base: url,
      api_key: "az-k",
      api_version: "2024-10-21",
    },
    openai: { model: "openai/gpt-x", api_base: `${url}/v1`, api_key: "k" },
    claude: { model: "anthropic/claude-sonnet-4-5", api_base: url, api_key: "k" },
  };
  const list = Object.entries(rows).map(([model_name, litellm_params]) => ({
    model_name,
    litellm_params,
  }));
  running = await startTestGateway({
    yaml: JSON.stringify({
      model_list: list,
      general_settings: { master_key: key },
      litellm_settings: { num_retries: 0 },
    }),
    outbound: createOutbound(),
  });
  base = running.gateway.url;
});

afterAll(async () => {
  await running.gateway.close();
  await upstream.close();
});

const google = () => new GoogleGenAI({ apiKey: key, httpOptions: { baseUrl: base } });
const openai = () => new OpenAI({ apiKey: key, baseURL: `${base}/v1`, maxRetries: 0 });
const anthropic = () => new Anthropic({ apiKey: key, baseURL: base, maxRetries: 0 });
const last = () => upstream.seen.at(-1) as GoogleServer["seen"][0];

const functionDeclarations = [
  {
    name: "get_weather",
    description: "The weather of a city.",
    parameters: {
      type: Type.OBJECT,
      properties: { city: { type: Type.STRING } },
      required: ["city"],
    },
  },
  { name: "get_time", parameters: { type: Type.OBJECT, properties: {} } },
];
const question: Content = { role: "user", parts: [{ text: "Weather in Paris?" }] };

describe("Google's own client", () => {
  // "openai" is another maker's model: translated both ways. The rest pass.
  test.each(["studio", "gemini/slashed", "vertex", "openai"])("%s, whole", async (model) => {
    const reply = await google().models.generateContent({
      model,
      contents: "Say hello to Paris",
      config: { systemInstruction: "Be brief.", temperature: 0.5, maxOutputTokens: 100 },
    });
    expect(reply.text).toBe("Bonjour, Paris.");
    expect(reply.candidates?.[0]?.finishReason).toBe("STOP" as never);
    expect(reply.usageMetadata?.promptTokenCount).toBe(8);
  });

  test.each(["studio", "vertex", "openai"])("%s, streaming", async (model) => {
    const stream = await google().models.generateContentStream({ model, contents: "Hello" });
    let text = "";
    let finish: string | undefined;
    let tokens: number | undefined;
    for await (const chunk of stream) {
      text += chunk.text ?? "";
      finish = chunk.candidates?.[0]?.finishReason ?? finish;
      tokens = chunk.usageMetadata?.totalTokenCount ?? tokens;
    }
    expect([text, finish]).toEqual(["Bonjour, Paris.", "STOP"]);
    expect(tokens).toBe(model === "openai" ? 13 : 20);
  });

  test.each(["studio", "openai"])("%s, a round of tools, with what was signed", async (model) => {
    const config = { tools: [{ functionDeclarations }] };
    const first = await google().models.generateContent({ model, contents: [question], config });
    expect(first.functionCalls?.[0]).toMatchObject({
      name: "get_weather",
      args: { city: "Paris" },
    });
    const answers = (first.functionCalls ?? []).map((call) => ({
      functionResponse: {
        ...(call.id ? { id: call.id } : {}),
        name: call.name ?? "",
        response: { output: "sunny" },
      },
    }));
    const said = first.candidates?.[0]?.content as Content;
    const contents = [question, said, { role: "user", parts: answers }];
    const second = await google().models.generateContent({ model, contents, config });
    expect(second.text).toBe("Bonjour, Paris.");
    if (model === "studio") {
      expect(JSON.stringify(last().body)).toContain('"thoughtSignature":"CqEBQ2FsbA=="');
    } else {
      expect(last().body["messages"]).toContainEqual({
        role: "tool",
        tool_call_id: "call_1",
        content: "sunny",
      });
    }
  });

  test("tools while streaming, of another maker's model", async () => {
    const stream = await google().models.generateContentStream({
      model: "openai",
      contents: [question],
      config: { tools: [{ functionDeclarations }] },
    });
    const found: unknown[] = [];
    for await (const chunk of stream) found.push(...(chunk.functionCalls ?? []));
    expect(found).toEqual([{ id: "call_1", name: "get_weather", args: { city: "Paris" } }]);
  });

  test("a chat of several turns", async () => {
    const chat = google().chats.create({ model: "studio" });
    await chat.sendMessage({ message: "Hello" });
    const reply = await chat.sendMessage({ message: "And again" });
    expect(reply.text).toBe("Bonjour, Paris.");
    expect((last().body["contents"] as unknown[]).length).toBe(3);
  });

  test("counts tokens: the provider's number, else an estimate", async () => {
    const counted = await google().models.countTokens({ model: "studio", contents: "Hello" });
    expect(counted.totalTokens).toBe(31);
    const estimated = await google().models.countTokens({
      model: "openai",
      contents: "Hello there",
    });
    expect(estimated.totalTokens).toBeGreaterThan(0);
  });

  test("lists models", async () => {
    const names: (string | undefined)[] = [];
    for await (const { name } of await google().models.list()) names.push(name);
    expect(names).toContain("models/studio");
    expect(await google().models.get({ model: "studio" })).toMatchObject({ displayName: "studio" });
  });

  test("errors are google.rpc.Status", async () => {
    const unknown = google().models.generateContent({ model: "nobody", contents: "Hi" });
    const error = await unknown.catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(ApiError);
    expect((error as ApiError).status).toBe(404);
    expect(JSON.parse((error as ApiError).message).error).toMatchObject({
      code: 404,
      status: "NOT_FOUND",
    });
    upstream.answerNext(() =>
      Response.json(
        { error: { code: 400, message: "Bad tools.", status: "INVALID_ARGUMENT" } },
        { status: 400 },
      ),
    );
    const refused = google().models.generateContent({ model: "studio", contents: "Hi" });
    expect(await refused.catch((thrown: ApiError) => thrown.status)).toBe(400);
  });

  test("an error within a stream is thrown by the client", async () => {
    upstream.answerNext(() => {
      const frames = [
        { candidates: [{ content: { parts: [{ text: "Bon" }], role: "model" }, index: 0 }] },
        { error: { code: 503, message: "The model is overloaded.", status: "UNAVAILABLE" } },
      ];
      const text = frames.map((frame) => `data: ${JSON.stringify(frame)}\n\n`).join("");
      return new Response(text, { headers: { "content-type": "text/event-stream" } });
    });
    const stream = await google().models.generateContentStream({ model: "studio", contents: "Hi" });
    const read = async () => {
      for await (const _ of stream);
    };
    expect(await read().catch((thrown: ApiError) => thrown.status)).toBe(503);
  });
});

describe("what Gemini's callers say in the URL", () => {
  const ask = (path: string, init: RequestInit = {}) =>
    fetch(`${base}${path}`, {
      method: "POST",
      body: JSON.stringify({ contents: [{ parts: [{ text: "Hi" }] }] }),
      headers: { "content-type": "application/json" },
      ...init,
    });

  test("a body passes as it came, without a model and without our words", async () => {
    const body = `{ "contents" : [{"parts":[{"text":"\\u00e9"}]}],"safety_settings":[],"tags":["a"] }`;
    const reply = await ask(`/v1beta/models/gemini%2Fslashed:generateContent?key=${key}`, { body });
    expect(reply.status).toBe(200);
    expect(last().path).toBe("/v1beta/models/gemini-2.5-flash:generateContent");
    expect(last().headers.get("x-goog-api-key")).toBe("AIza-k");
    expect(last().body).toEqual({
      contents: [{ parts: [{ text: "é" }] }],
      safety_settings: [],
    });
    expect(JSON.stringify([...last().headers])).not.toContain(key);
  });

  test.each([
    "/models/studio:generateContent",
    "/v1/models/studio:generateContent",
    "/v1beta1/projects/p/locations/l/publishers/google/models/studio:generateContent",
    "/v1beta1/publishers/google/models/studio:generateContent",
  ])("%s is served", async (path) => {
    const reply = await ask(`${path}?key=${key}`);
    expect([reply.status, reply.headers.get("x-routeiq-model")]).toEqual([
      200,
      "gemini/gemini-3-pro-preview",
    ]);
  });

  test("without alt=sse a stream is one JSON array", async () => {
    for (const model of ["studio", "openai"]) {
      const reply = await ask(`/v1beta/models/${model}:streamGenerateContent?key=${key}`);
      expect(reply.headers.get("content-type")).toStartWith("application/json");
      const list = (await reply.json()) as { candidates: { finishReason?: string }[] }[];
      expect(list.length).toBeGreaterThan(1);
      expect(list.at(-1)?.candidates[0]?.finishReason).toBe("STOP");
    }
    const sse = await ask(`/v1beta/models/studio:streamGenerateContent?alt=sse&key=${key}`);
    expect(sse.headers.get("content-type")).toStartWith("text/event-stream");
    expect(await sse.text()).toEndWith("\r\n\r\n");
  });

  test("a failure within the array is its last element", async () => {
    upstream.answerNext(() => {
      const text = `data: {"candidates":[{"content":{"parts":[{"text":"Bon"}]},"index":0}]}\n\n`;
      return new Response(text, { headers: { "content-type": "text/event-stream" } });
    });
    const reply = await ask(`/v1beta/models/studio:streamGenerateContent?key=${key}`);
    const list = (await reply.json()) as { error?: { code: number; status: string } }[];
    expect(list.at(-1)?.error).toMatchObject({ code: 502, status: "UNAVAILABLE" });
  });

  test("a wrong key, none, no contents, no such method", async () => {
    const statusOf = async (path: string, init?: RequestInit) => {
      const reply = await ask(path, init);
      const { error } = (await reply.json()) as { error: { status: string } };
      return [reply.status, error.status];
    };
    const path = "/v1beta/models/studio:generateContent";
    expect(await statusOf(`${path}?key=wrong`)).toEqual([401, "UNAUTHENTICATED"]);
    expect(await statusOf(path)).toEqual([401, "UNAUTHENTICATED"]);
    expect(await statusOf(`${path}?key=${key}`, { body: "{}" })).toEqual([400, "INVALID_ARGUMENT"]);
    const count = "/v1beta/models/studio:countTokens";
    expect(await statusOf(count)).toEqual([401, "UNAUTHENTICATED"]);
    expect((await ask(`${count}?key=${key}`)).status).toBe(200);
    expect((await ask(`/v1beta/models/studio:tuneModel?key=${key}`)).status).toBe(405);
  });
});

describe("Vertex AI", () => {
  test("one token serves all calls of an account; a refused one is got anew", async () => {
    const before = upstream.tokens();
    const ask = () => google().models.generateContent({ model: "vertex", contents: "Hi" });
    await Promise.all([ask(), ask()]);
    expect(last().path).toBe(
      "/v1beta1/projects/p1/locations/europe-west4/publishers/google/models/gemini-2.5-flash:generateContent",
    );
    const first = last().headers.get("authorization");
    expect(first).toStartWith("Bearer token-");
    expect(upstream.tokens() - before).toBeLessThanOrEqual(1);
    upstream.answerNext(() =>
      Response.json({ error: { code: 401, message: "no" } }, { status: 401 }),
    );
    await ask().catch(() => undefined);
    await ask();
    expect(last().headers.get("authorization")).not.toBe(first);
  });

  test("Claude: Anthropic's words, the version in the body, the model in the URL", async () => {
    const ask = {
      model: "vertex-claude",
      max_tokens: 10,
      messages: [{ role: "user" as const, content: "Hi" }],
    };
    const reply = await anthropic().messages.create(ask);
    expect(reply.content).toMatchObject([{ type: "text", text: "Bonjour." }]);
    expect(last().path).toBe(
      "/v1/projects/p1/locations/global/publishers/anthropic/models/claude-sonnet-4-5@20250929:rawPredict",
    );
    expect(last().body).toEqual({
      max_tokens: 10,
      messages: [{ role: "user", content: "Hi" }],
      anthropic_version: "vertex-2023-10-16",
    });
    const streamed = await anthropic().messages.stream(ask).finalMessage();
    expect(streamed.content).toMatchObject([{ type: "text", text: "Bonjour." }]);
    expect(last().path).toEndWith(":streamRawPredict");
    const { max_tokens: _, ...counted } = ask;
    expect((await anthropic().messages.countTokens(counted)).input_tokens).toBe(14);
    expect(last().path).toEndWith("/models/count-tokens:rawPredict");
    expect(last().body).toMatchObject({ model: "claude-sonnet-4-5@20250929" });
  });

  test("a wildcard row serves each model by its own wire, and an endpoint by its number", async () => {
    await anthropic().messages.create({
      model: "vertex_ai/claude-haiku-4-5@20251001",
      max_tokens: 10,
      messages: [{ role: "user", content: "Hi" }],
    });
    expect(last().path).toEndWith("/anthropic/models/claude-haiku-4-5@20251001:rawPredict");
    await google().models.generateContent({ model: "vertex_ai/gemini-2.5-pro", contents: "Hi" });
    expect(last().path).toEndWith("/google/models/gemini-2.5-pro:generateContent");
    await google().models.generateContent({ model: "tuned", contents: "Hi" });
    expect(last().path).toEndWith("/endpoints/1234567890:generateContent");
  });

  test("Google's client in its cloud mode", async () => {
    const client = new GoogleGenAI({ vertexai: true, apiKey: key, httpOptions: { baseUrl: base } });
    const reply = await client.models.generateContent({ model: "vertex", contents: "Hi" });
    expect(reply.text).toBe("Bonjour, Paris.");
    const counted = await client.models.countTokens({ model: "vertex", contents: "Hi" });
    expect(counted.totalTokens).toBe(31);
  });
});

describe("OpenAI's and Anthropic's clients to Gemini", () => {
  const tools = [
    {
      type: "function" as const,
      function: {
        name: "get_weather",
        parameters: { type: "object", properties: { city: { type: "string" } } },
      },
    },
  ];

  test("OpenAI's: a round of tools, streaming, signature and all", async () => {
    const user = { role: "user" as const, content: "Weather in Paris?" };
    const first = await openai()
      .chat.completions.stream({ model: "studio", messages: [user], tools })
      .finalChatCompletion();
    const message = first.choices[0]?.message;
    if (!message) throw new Error("no message");
    expect(first.choices[0]?.finish_reason).toBe("tool_calls");
    expect(
      message.tool_calls?.map((call) => call.type === "function" && call.function.name),
    ).toEqual(["get_weather", "get_time"]);
    const answers = (message.tool_calls ?? []).map((call) => ({
      role: "tool" as const,
      tool_call_id: call.id,
      content: "sunny",
    }));
    const second = await openai().chat.completions.create({
      model: "studio",
      messages: [user, message, ...answers],
      tools,
    });
    expect(second.choices[0]?.message.content).toBe("Bonjour, Paris.");
    expect(second.usage).toMatchObject({ prompt_tokens: 8, completion_tokens: 12 });
    const contents = last().body["contents"] as Content[];
    expect(contents.map(({ role }) => role)).toEqual(["user", "model", "user"]);
    const call = contents[1]?.parts?.find((part) => part.functionCall);
    expect(call?.thoughtSignature).toBe("CqEBQ2FsbA==");
    expect(contents[2]?.parts?.map((part) => part.functionResponse?.name)).toEqual([
      "get_weather",
      "get_time",
    ]);
  });

  test("a call that no Gemini signed is marked so, for the models that insist", async () => {
    const call = {
      id: "x",
      type: "function" as const,
      function: { name: "get_weather", arguments: "{}" },
    };
    await openai().chat.completions.create({
      model: "studio",
      messages: [
        { role: "user", content: "Weather?" },
        { role: "assistant", tool_calls: [call] },
        { role: "tool", tool_call_id: "x", content: "sunny" },
      ],
      tools,
    });
    expect(JSON.stringify(last().body)).toContain("skip_thought_signature_validator");
  });

  test("Anthropic's: signatures travel in the ids, for nobody else to see", async () => {
    const ask = {
      model: "studio",
      max_tokens: 100,
      tools: [{ name: "get_weather", input_schema: { type: "object" as const } }],
    };
    const user = { role: "user" as const, content: "Weather in Paris?" };
    const first = await anthropic()
      .messages.stream({ ...ask, messages: [user] })
      .finalMessage();
    expect(first.stop_reason).toBe("tool_use");
    const uses = first.content.filter((block) => block.type === "tool_use");
    expect(uses).toHaveLength(2);
    const results = uses.map(({ id }) => ({
      type: "tool_result" as const,
      tool_use_id: id,
      content: "sunny",
    }));
    const history = [
      user,
      { role: "assistant" as const, content: first.content },
      { role: "user" as const, content: results },
    ];
    const second = await anthropic().messages.create({ ...ask, messages: history });
    expect(second.content.find((block) => block.type === "text")?.text).toBe("Bonjour, Paris.");
    const contents = last().body["contents"] as Content[];
    const call = contents[1]?.parts?.find((part) => part.functionCall);
    expect(call?.thoughtSignature).toBe("CqEBQ2FsbA==");
    expect(call?.functionCall?.id).toBe("call_resp1_0");
    await anthropic().messages.create({ ...ask, model: "openai", messages: history });
    expect(JSON.stringify(last().body)).not.toContain("__thought__");
  });
});

describe("Azure", () => {
  test("deployment in the path, version in the query, key in its header", async () => {
    const reply = await openai().chat.completions.create({
      model: "azure",
      messages: [{ role: "user", content: "Hi" }],
    });
    expect(reply.choices[0]?.message.content).toBe("Bonjour, Paris.");
    const { path, query, headers } = last();
    expect([path, query]).toEqual([
      "/openai/deployments/my%20deployment/chat/completions",
      "?api-version=2024-10-21",
    ]);
    expect([headers.get("api-key"), headers.get("authorization")]).toEqual(["az-k", null]);
  });

  test("Azure's client reaches any model", async () => {
    const client = new (await import("openai")).AzureOpenAI({
      apiKey: key,
      apiVersion: "2024-10-21",
      endpoint: base,
      maxRetries: 0,
    });
    const reply = await client.chat.completions.create({
      model: "studio",
      messages: [{ role: "user", content: "Hi" }],
    });
    expect(reply.choices[0]?.message.content).toBe("Bonjour, Paris.");
  });
});

describe("Anthropic's count_tokens", () => {
  const ask = (model: string) =>
    anthropic().messages.countTokens({
      model,
      messages: [{ role: "user", content: "Hello there" }],
    });

  test("the provider's own number", async () => {
    expect((await ask("claude")).input_tokens).toBe(14);
    expect(last().path).toBe("/v1/messages/count_tokens");
    expect(last().body).toMatchObject({ model: "claude-sonnet-4-5" });
  });

  test("an estimate, marked, for other makers' models and where the provider fails", async () => {
    const { data, response } = await ask("openai").withResponse();
    expect(data).toMatchObject({ estimated: true });
    expect(data.input_tokens).toBeGreaterThan(0);
    expect(response.headers.get("x-routeiq-token-count")).toBe("estimated");
    upstream.answerNext(() => new Response("oops", { status: 500 }));
    const failed = await ask("claude").withResponse();
    expect(failed.response.headers.get("x-routeiq-token-count")).toBe("estimated");
    expect(failed.response.headers.get("x-routeiq-token-count-reason")).toContain("500");
  });

  test("what the provider says against the request, and an unknown model, are errors", async () => {
    upstream.answerNext(() =>
      Response.json(
        { type: "error", error: { type: "invalid_request_error", message: "messages: odd" } },
        { status: 400 },
      ),
    );
    expect(await ask("claude").catch((thrown: { status: number }) => thrown.status)).toBe(400);
    expect(await ask("nobody").catch((thrown: { status: number }) => thrown.status)).toBe(404);
  });
});
