/** The other OpenAI families, end to end: the real SDK, a running gateway, scripted upstreams over HTTP. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import OpenAI from "openai";
import type { Gateway } from "../src/gateway/gateway.ts";
import { createOutbound } from "../src/security/outbound.ts";
import { createFamilyUpstream, type FamilyUpstream, floats } from "./support/family-upstream.ts";
import { startTestGateway } from "./support/gateway.ts";

let upstream: FamilyUpstream;
let gateway: Gateway;
let log: readonly string[];
let openai: OpenAI;
let breaking: ReturnType<typeof createBreakingServer>;

/** Promises more sound than it sends. */
function createBreakingServer() {
  return Bun.listen({
    hostname: "127.0.0.1",
    port: 0,
    socket: {
      data(socket) {
        const head =
          "HTTP/1.1 200 OK\r\ncontent-type: audio/mpeg\r\ncontent-length: 300000\r\n\r\n";
        socket.write(head + "x".repeat(50_000));
        socket.flush();
        setImmediate(() => socket.end());
      },
    },
  });
}

const yaml = (base: string, cut: string) => `
model_list:
  - {model_name: instruct, litellm_params: {model: openai/gpt-3.5-turbo-instruct, api_base: ${base}, api_key: up}}
  - {model_name: chatty, litellm_params: {model: openai/gpt-4o-mini, api_base: ${base}, api_key: up}}
  - {model_name: claude, litellm_params: {model: anthropic/claude-sonnet-4-5, api_base: ${base}, api_key: up}}
  - {model_name: embed, litellm_params: {model: openai/text-embedding-3-small, api_base: ${base}, api_key: up}}
  - {model_name: floats-only, litellm_params: {model: dashscope/embed-v4.0, api_base: ${base}, api_key: up}}
  - {model_name: mod, litellm_params: {model: openai/omni-moderation-latest, api_base: ${base}, api_key: up}}
  - {model_name: rank, litellm_params: {model: cohere/rerank-english-v3.0, api_base: ${base}, api_key: up}}
  - {model_name: jina, litellm_params: {model: jina_ai/jina-reranker-v2, api_base: ${base}, api_key: up, input_cost_per_token: 0.000001}}
  - {model_name: voyage, litellm_params: {model: voyage/rerank-2, api_base: ${base}, api_key: up}}
  - {model_name: draw, litellm_params: {model: openai/gpt-image-1, api_base: ${base}, api_key: up}}
  - {model_name: speak, litellm_params: {model: openai/tts-1, api_base: ${base}, api_key: up}}
  - {model_name: hear, litellm_params: {model: openai/whisper-1, api_base: ${base}, api_key: up}}
  - {model_name: nowhere, litellm_params: {model: openai/unheard-of, api_base: ${base}, api_key: up}}
  - {model_name: told, litellm_params: {model: openai/x, api_base: ${base}, api_key: up}, model_info: {mode: embedding}}
  - {model_name: mixed, litellm_params: {model: anthropic/claude-x, api_base: ${base}, api_key: up, weight: 100}}
  - {model_name: mixed, litellm_params: {model: openai/unheard-of, api_base: ${base}, api_key: up, weight: 0}}
  - {model_name: cut, litellm_params: {model: openai/tts-1-hd, api_base: "${cut}/v1", api_key: up}}
  - {model_name: groq, litellm_params: {model: groq/x, api_base: ${base}, api_key: up}}
router_settings: {num_retries: 1}
general_settings: {master_key: sk-test}
routeiq_settings: {body_limit_bytes: 4194304, telemetry: {events: false}}
`;

beforeAll(async () => {
  upstream = createFamilyUpstream();
  breaking = createBreakingServer();
  const started = await startTestGateway({
    yaml: yaml(`${upstream.url}/v1`, `http://127.0.0.1:${breaking.port}`),
    outbound: createOutbound(),
  });
  gateway = started.gateway;
  log = started.log;
  openai = new OpenAI({ baseURL: `${gateway.url}/v1`, apiKey: "sk-test", maxRetries: 0 });
});
afterAll(async () => {
  await gateway?.close();
  upstream?.close();
  breaking?.stop(true);
});

const post = (path: string, body: unknown, headers: Record<string, string> = {}) =>
  fetch(`${gateway.url}${path}`, {
    method: "POST",
    headers: { authorization: "Bearer sk-test", "content-type": "application/json", ...headers },
    body: typeof body === "string" ? body : JSON.stringify(body),
  });
const errorOf = async (response: Response) =>
  ((await response.json()) as { error: { code: string; param: string | null; message: string } })
    .error;

describe("completions", () => {
  test("pass to a model that completes", async () => {
    const { data, response } = await openai.completions
      .create({ model: "instruct", prompt: ["a", "b"], echo: true, logprobs: 2, max_tokens: 5 })
      .withResponse();
    expect(data.object).toBe("text_completion");
    expect(data.choices[0]?.text).toBe("completed a,b");
    expect(upstream.last()).toMatchObject({
      path: "/v1/completions",
      body: { model: "gpt-3.5-turbo-instruct", prompt: ["a", "b"], echo: true, logprobs: 2 },
    });
    expect(Number(response.headers.get("x-routeiq-cost-usd"))).toBeGreaterThan(0);
  });

  test.each(["instruct", "chatty", "claude"])("stream from %s", async (model) => {
    const stream = await openai.completions.create({
      model,
      prompt: "say it",
      stream: true,
      max_tokens: 5,
      stream_options: { include_usage: true },
    });
    let text = "";
    let finish: string | null = null;
    let total = 0;
    for await (const chunk of stream) {
      expect(chunk.object).toBe("text_completion");
      text += chunk.choices[0]?.text ?? "";
      finish ??= chunk.choices[0]?.finish_reason ?? null;
      total = chunk.usage?.total_tokens ?? total;
    }
    expect(text).toBe("one two");
    expect(finish).toBe("stop");
    expect(total).toBeGreaterThan(0);
  });

  test.each(["chatty", "claude"])("are carried over chat to %s", async (model) => {
    const reply = await openai.completions.create({ model, prompt: "say it", max_tokens: 9, n: 1 });
    expect(reply).toMatchObject({
      object: "text_completion",
      choices: [{ text: "one two", index: 0, finish_reason: "stop", logprobs: null }],
    });
    expect(reply.id).toStartWith("cmpl-");
    expect(upstream.last().path).toEndWith(model === "claude" ? "/messages" : "/chat/completions");
    expect(upstream.last().body["prompt"]).toBeUndefined();
  });

  test.each([
    ["echo", { echo: true }],
    ["suffix", { suffix: "end" }],
    ["logprobs", { logprobs: 1 }],
    ["best_of", { best_of: 2 }],
    ["prompt", { prompt: ["a", "b"] }],
    ["prompt", { prompt: [1, 2] }],
  ])("a chat model cannot do %s, and it is said", async (param, more) => {
    const calls = upstream.seen.length;
    const response = await post("/completions", { model: "chatty", prompt: "x", ...more });
    expect(response.status).toBe(400);
    expect(await errorOf(response)).toMatchObject({ code: "unsupported_capability", param });
    expect(upstream.seen.length).toBe(calls);
  });

  test("at Azure's path", async () => {
    const response = await post("/openai/deployments/instruct/completions", { prompt: "a" });
    expect(response.status).toBe(200);
  });
});

describe("embeddings", () => {
  test("base64 as the SDK asks for it, from a provider of base64", async () => {
    const { data } = await openai.embeddings.create({ model: "embed", input: ["a", "b"] });
    expect(data.map(({ embedding }) => [...embedding])).toEqual([floats(0), floats(1)]);
    expect(upstream.last().body["encoding_format"]).toBe("base64");
  });

  test("base64 for the SDK from a provider that knows numbers alone", async () => {
    const { data } = await openai.embeddings.create({ model: "floats-only", input: "a" });
    expect([...(data[0]?.embedding ?? [])]).toEqual(floats(0));
  });

  test("numbers where base64 came", async () => {
    const response = await post("/embeddings", { model: "embed", input: "a", always64: true });
    const { data } = (await response.json()) as { data: { embedding: number[] }[] };
    expect(data[0]?.embedding).toEqual(floats(0));
  });

  test("more inputs than a request holds go in several, and come back in order", async () => {
    const input = Array.from({ length: 25 }, (_, i) => `${i}`);
    const before = upstream.seen.length;
    const reply = await openai.embeddings.create({
      model: "floats-only",
      input,
      encoding_format: "float",
      dimensions: 2,
    });
    expect(
      upstream.seen.slice(before).map(({ body }) => (body["input"] as string[]).length),
    ).toEqual([10, 10, 5]);
    expect(upstream.last().body["dimensions"]).toBe(2);
    expect(reply.data.map(({ index }) => index)).toEqual(input.map((_, i) => i));
    expect(reply.data[17]?.embedding).toEqual(floats(17));
    expect(reply.usage).toEqual({ prompt_tokens: 25, total_tokens: 25 });
  });

  test("tokens reach a provider that takes them, and are refused for one that does not", async () => {
    const reply = await openai.embeddings.create({ model: "embed", input: [[1, 2], [3]] });
    expect(reply.data).toHaveLength(2);
    expect(upstream.last().body["input"]).toEqual([[1, 2], [3]]);
    const response = await post("/v1/embeddings", { model: "floats-only", input: [1, 2] });
    expect(await errorOf(response)).toMatchObject({
      code: "unsupported_capability",
      param: "input",
    });
  });
});

describe("moderations and rerank", () => {
  test("the SDK moderates, also without a model", async () => {
    const named = await openai.moderations.create({ model: "mod", input: "hi" });
    expect(named.results[0]?.flagged).toBe(false);
    const { data, response } = await openai.moderations
      .create({ input: ["a", "b"] })
      .withResponse();
    expect(data.results).toHaveLength(2);
    expect(upstream.last().body).toEqual({ input: ["a", "b"], model: "omni-moderation-latest" });
    expect(response.headers.get("x-routeiq-cost-usd")).toBe("0"); // its price is zero, and known
  });

  test.each(["/rerank", "/v1/rerank", "/v2/rerank"])("%s in Cohere's form", async (path) => {
    const response = await post(path, {
      model: "rank",
      query: "q",
      documents: ["a", { text: "b" }],
      top_n: 1,
      return_documents: true,
    });
    expect(await response.json()).toMatchObject({
      id: "r1",
      results: [{ index: 1, relevance_score: 0.9 }],
      meta: { billed_units: { search_units: 1 } },
    });
    expect(upstream.last()).toMatchObject({ path: "/v2/rerank" });
    expect(upstream.last().body).toEqual({
      model: "rerank-english-v3.0",
      query: "q",
      documents: ["a", "b"],
      top_n: 1,
    });
    expect(Number(response.headers.get("x-routeiq-cost-usd"))).toBe(0.002);
  });

  test.each([
    ["jina", "top_n"],
    ["voyage", "top_k"],
  ])("%s answers in Cohere's form too", async (model, key) => {
    const response = await post("/rerank", { model, query: "q", documents: ["a", "b"], top_n: 1 });
    const reply = (await response.json()) as { id: string };
    expect(reply).toMatchObject({
      results: [{ index: 1, relevance_score: 0.9, document: { text: "b" } }],
      meta: { billed_units: { total_tokens: 20 } },
    });
    expect(reply.id).toStartWith("rerank-");
    expect(upstream.last().body[key]).toBe(1);
  });
});

describe("images and speech", () => {
  test("the SDK draws", async () => {
    const { data, response } = await openai.images
      .generate({ model: "draw", prompt: "a cat", n: 2, size: "1024x1024" })
      .withResponse();
    expect(data.data).toHaveLength(2);
    expect(Number(response.headers.get("x-routeiq-cost-usd"))).toBe(0.04005);
  });

  test("a picture comes in parts", async () => {
    const stream = await openai.images.generate({
      model: "draw",
      prompt: "a cat",
      stream: true,
      partial_images: 1,
    });
    const types: string[] = [];
    for await (const event of stream) types.push(event.type);
    expect(types).toEqual(["image_generation.partial_image", "image_generation.completed"]);
  });

  test("the SDK hears sound, as it comes", async () => {
    const response = await openai.audio.speech.create({
      model: "speak",
      input: "hällo",
      voice: "alloy",
    });
    expect(response.headers.get("content-type")).toBe("audio/mpeg");
    expect(Number(response.headers.get("x-routeiq-cost-usd"))).toBe(0.000075);
    const bytes = new Uint8Array(await response.arrayBuffer());
    expect(Buffer.from(bytes).equals(upstream.sound)).toBe(true);
  });

  test("speech as events", async () => {
    const response = await post("/audio/speech", {
      model: "speak",
      input: "hi",
      voice: "alloy",
      stream_format: "sse",
    });
    expect(response.headers.get("content-type")).toStartWith("text/event-stream");
    expect(await response.text()).toContain("speech.audio.done");
  });

  test("sound that breaks off breaks the connection", async () => {
    const read = post("/audio/speech", { model: "cut", input: "hi", voice: "a" });
    await expect(read.then((response) => response.arrayBuffer())).rejects.toThrow();
  });

  test("a failure before the first byte is tried again", async () => {
    upstream.failNext(1);
    const response = await post("/audio/speech", { model: "speak", input: "hi", voice: "a" });
    expect(response.status).toBe(200);
    expect(response.headers.get("x-routeiq-attempts")).toBe("2");
    await response.arrayBuffer();
  });
});

const wav = (bytes: number) => new File([new Uint8Array(bytes).fill(7)], "a.wav");

/** A form in the order given: where the model stands decides what has to wait for it. */
function formOf(fields: readonly (readonly [string, string | File])[]): FormData {
  const form = new FormData();
  for (const [name, value] of fields) form.append(name, value);
  return form;
}

const send = (path: string, body: BodyInit, headers: Record<string, string> = {}) =>
  fetch(`${gateway.url}${path}`, {
    method: "POST",
    headers: { authorization: "Bearer sk-test", ...headers },
    body,
  });

describe("forms", () => {
  test("the SDK transcribes", async () => {
    const { data, response } = await openai.audio.transcriptions
      .create({ file: wav(5_000), model: "hear", language: "de" })
      .withResponse();
    expect(data.text).toBe("one two");
    expect(upstream.last().form).toEqual({
      file: "file a.wav 5000",
      model: "whisper-1",
      language: "de",
    });
    expect(upstream.last().headers.get("authorization")).toBe("Bearer up");
    expect(Number(response.headers.get("x-routeiq-cost-usd"))).toBe(0.006); // 60 s
  });

  test("the SDK translates, and hears a transcript as it comes", async () => {
    const translated = await openai.audio.translations.create({ file: wav(10), model: "hear" });
    expect(translated.text).toBe("one two");
    const stream = await openai.audio.transcriptions.create({
      file: wav(10),
      model: "hear",
      stream: true,
    });
    const types: string[] = [];
    for await (const event of stream) types.push(event.type);
    expect(types).toEqual(["transcript.text.delta", "transcript.text.done"]);
  });

  test("subtitles pass as text, and tell how long they are", async () => {
    const { response } = await openai.audio.transcriptions
      .create({ file: wav(10), model: "hear", response_format: "srt" })
      .withResponse();
    expect(response.headers.get("content-type")).toStartWith("text/plain");
    expect(Number(response.headers.get("x-routeiq-cost-usd"))).toBe(0.00125);
  });

  test("the SDK edits and varies pictures", async () => {
    const image = [new File(["a"], "a.png"), new File(["bc"], "b.png")];
    const edited = await openai.images.edit({ model: "draw", image, prompt: "a hat" });
    expect(edited.data).toHaveLength(1);
    expect(upstream.last().form).toMatchObject({ model: "gpt-image-1", "image[]": "file b.png 2" });
    const varied = await openai.images.createVariation({ image: new File(["a"], "a.png") });
    expect(varied.data).toHaveLength(1);
    expect(upstream.last().form?.["model"]).toBe("gpt-image-1");
    const response = await post("/images/edits", { model: "draw", prompt: "a", images: [] });
    expect(response.status).toBe(200); // newer clients send JSON
  });

  test.each([
    ["the model first", true],
    ["the model last", false],
  ])("a large file is sent on as it comes, %s", async (_name, first) => {
    const file = wav(3_000_000);
    const padding: readonly [string, string] = ["prompt", "x".repeat(100_000)];
    const fields: (readonly [string, string | File])[] = [["file", file], padding];
    if (first) fields.unshift(["model", "hear"]);
    else fields.push(["model", "hear"]);
    const response = await send("/v1/audio/transcriptions", formOf(fields));
    expect(response.status).toBe(200);
    expect(upstream.last().form).toMatchObject({
      file: "file a.wav 3000000",
      prompt: padding[1],
      model: "whisper-1",
    });
  });

  test("what is meant for the gateway stays here, and Azure's path names the model", async () => {
    const path = "/openai/deployments/hear/audio/transcriptions";
    const form = formOf([
      ["file", wav(3)],
      ["num_retries", "0"],
      ["tags", '["a"]'],
    ]);
    const response = await send(path, form);
    expect(response.status).toBe(200);
    expect(upstream.last().form).toEqual({ file: "file a.wav 3", model: "whisper-1" });
  });

  test("a small form is sent again after a failure", async () => {
    upstream.failNext(1);
    const response = await send(
      "/audio/transcriptions",
      formOf([
        ["file", wav(9)],
        ["model", "hear"],
      ]),
    );
    expect(response.status).toBe(200);
    expect(response.headers.get("x-routeiq-attempts")).toBe("2");
  });

  const cases: readonly [
    string,
    readonly (readonly [string, string | File])[],
    number,
    string,
    string | null,
  ][] = [
    ["no file", [["model", "hear"]], 400, "invalid_request", "file"],
    ["no model", [["file", wav(1)]], 400, "invalid_request", "model"],
    [
      "a model twice",
      [
        ["model", "hear"],
        ["file", wav(1)],
        ["model", "speak"],
      ],
      400,
      "invalid_request",
      "model",
    ],
    [
      "a file for a model",
      [
        ["model", wav(1)],
        ["file", wav(1)],
      ],
      400,
      "invalid_request",
      "model",
    ],
    [
      "an address of its own",
      [
        ["model", "hear"],
        ["api_base", "http://x"],
        ["file", wav(1)],
      ],
      400,
      "invalid_request",
      "api_base",
    ],
    [
      "an unknown model",
      [
        ["model", "unheard"],
        ["file", wav(1)],
      ],
      400,
      "model_not_found",
      "model",
    ],
    [
      "a file that is too large",
      [
        ["model", "hear"],
        ["file", wav(5_000_000)],
      ],
      413,
      "body_too_large",
      null,
    ],
  ];
  test.each(cases)("%s", async (_name, fields, status, code, param) => {
    const calls = upstream.seen.length;
    const response = await send("/audio/transcriptions", formOf(fields));
    expect(response.status).toBe(status);
    expect(await errorOf(response)).toMatchObject({ code, param });
    expect(upstream.seen.length).toBe(calls);
  });

  const line = 'Content-Disposition: form-data; name="model"';
  test.each([
    ["no boundary", "multipart/form-data", "x", 400],
    ["a form cut short", "multipart/form-data; boundary=B", `--B\r\n${line}\r\n\r\nhear`, 400],
    ["nothing like a form", "multipart/form-data; boundary=B", "x".repeat(5_000), 400],
    ["JSON", "application/json", "{}", 415],
    ["another kind of parts", "multipart/mixed; boundary=B", "--B--", 415],
  ])("%s", async (_name, type, body, status) => {
    const response = await send("/audio/transcriptions", body, { "content-type": type });
    expect(response.status).toBe(status);
    expect((await errorOf(response)).message).not.toBeEmpty();
  });

  test("a second model after a large file is refused, though it is on its way", async () => {
    const form = formOf([
      ["model", "hear"],
      ["file", wav(3_000_000)],
      ["model", "draw"],
    ]);
    const response = await send("/audio/transcriptions", form);
    expect(response.status).toBe(400);
    expect(await errorOf(response)).toMatchObject({ param: "model" });
  });

  test("a file too large is told, also when its length is not said", async () => {
    async function* pieces() {
      const text = `--B\r\n${line}\r\n\r\nhear\r\n--B\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n`;
      yield Buffer.from(text);
      for (let i = 0; i < 100; i++) yield Buffer.alloc(65_536);
    }
    const response = await fetch(`${gateway.url}/audio/transcriptions`, {
      method: "POST",
      headers: {
        authorization: "Bearer sk-test",
        "content-type": "multipart/form-data; boundary=B",
      },
      body: pieces as unknown as BodyInit, // Bun takes a generator
    });
    expect(response.status).toBe(413);
  });
});

const get = async (path: string, status = 200) => {
  const response = await fetch(`${gateway.url}${path}`, {
    headers: { authorization: "Bearer sk-test" },
  });
  expect(response.status).toBe(status);
  // biome-ignore lint/suspicious/noExplicitAny: read by matchers alone
  return (await response.json()) as any;
};

describe("what the models are", () => {
  test("/model/info has modes and every price", async () => {
    const { data } = await get("/model/info");
    const infoOf = (name: string) =>
      data.find((each: { model_name: string }) => each.model_name === name).model_info;
    expect(infoOf("hear")).toMatchObject({
      mode: "audio_transcription",
      input_cost_per_second: 0.0001,
      input_cost_per_token: null,
      litellm_provider: "openai",
    });
    expect(infoOf("draw")).toMatchObject({
      mode: "image_generation",
      output_cost_per_image_token: 0.00004,
    });
    expect(infoOf("chatty")).toMatchObject({
      mode: "chat",
      input_cost_per_token: 1.5e-7,
      input_cost_per_token_batches: 7.5e-8,
      input_cost_per_token_priority: 2.5e-7,
    });
    expect(JSON.stringify(data)).not.toContain('"up"');
  });

  test("/v2/model/info comes in pages, /model_group/info in groups", async () => {
    const first = await get("/v2/model/info?size=2&page=2");
    expect(first).toMatchObject({ current_page: 2, size: 2, total_count: 18, total_pages: 9 });
    expect(first.data).toHaveLength(2);
    expect((await get("/v2/model/info?search=whisper")).data).toHaveLength(1);
    await get("/v2/model/info?page=0", 400);
    const one = (await get("/model/info?model=hear")).data[0];
    expect((await get(`/model/info?litellm_model_id=${one.model_info.id}`)).data).toEqual([one]);
    const groups = await get("/model_group/info?model_group=chatty");
    expect(groups.data).toMatchObject([
      { model_group: "chatty", providers: ["openai"], supports_vision: true },
    ]);
  });

  test("/health asks each by what it is for", async () => {
    const before = upstream.seen.length;
    const health = await get("/health");
    expect(health.unhealthy_endpoints).toMatchObject([{ model_name: "cut" }]);
    expect(health.healthy_count).toBe(17);
    const paths = upstream.seen.slice(before).map(({ path }) => path);
    expect(paths.filter((path) => path.endsWith("/models"))).toHaveLength(3); // draw, speak, hear; cut is asked elsewhere
    expect(paths).toContain("/v1/rerank");
    upstream.failNext(1);
    const ill = await get("/health?model=embed");
    expect(ill).toMatchObject({ healthy_count: 0, unhealthy_count: 1 });
    expect(ill.unhealthy_endpoints[0]).toMatchObject({
      model_name: "embed",
      exception_status: 500,
    });
    await get("/health?model=nobody", 404);
    expect((await fetch(`${gateway.url}/health`)).status).toBe(401);
  });
});

describe("what cannot be", () => {
  test.each([
    ["/moderations", { model: "mod" }, "invalid_request", "input"],
    ["/rerank", { model: "rank", query: "q", documents: [] }, "invalid_request", "documents"],
    ["/rerank", { query: "q", documents: ["a"] }, "invalid_request", "model"],
    ["/images/generations", { model: "draw", prompt: 3 }, "invalid_request", "prompt"],
    ["/audio/speech", { model: "speak", input: ["a"] }, "invalid_request", "input"],
    ["/completions", { model: "instruct" }, "invalid_request", "prompt"],
    ["/audio/speech", { model: "claude", input: "a" }, "unsupported_capability", "model"],
    ["/images/generations", { model: "groq", prompt: "a" }, "unsupported_capability", "model"],
    [
      "/chat/completions",
      { model: "told", messages: [{ role: "user", content: "x" }] },
      "unsupported_capability",
      "model",
    ],
    [
      "/images/generations",
      { model: "draw", prompt: "a", api_key: "k" },
      "invalid_request",
      "api_key",
    ],
  ])("%s %j", async (path, body, code, param) => {
    const response = await post(path, body);
    expect(response.status).toBe(400);
    expect(await errorOf(response)).toMatchObject({ code, param });
  });

  test("a provider's refusal is told in OpenAI's words", async () => {
    const response = await post("/images/generations", { model: "draw", prompt: "REFUSE" });
    expect(response.status).toBe(400);
    expect((await errorOf(response)).message).toContain("your prompt was rejected");
  });

  test("of a group, those are asked whose provider has the operation", async () => {
    for (let i = 0; i < 5; i++) {
      const response = await post("/images/generations", { model: "mixed", prompt: "a cat" });
      expect(response.status).toBe(200);
    }
  });

  test("a model without a price is counted, and its header left out", async () => {
    const response = await post("/images/generations", { model: "nowhere", prompt: "a cat" });
    expect(response.status).toBe(200);
    expect(response.headers.get("x-routeiq-cost-usd")).toBeNull();
    const metrics = await (
      await fetch(`${gateway.url}/metrics`, { headers: { authorization: "Bearer sk-test" } })
    ).text();
    expect(metrics).toMatch(/gateway_cost_errors_total\{[^}]*unheard-of[^}]*\} \d/);
    expect(log.join("\n")).toContain("no price is known of some models");
  });
});
