/**
 * Google's embeddings through a running gateway: OpenAI's client to Google's models, Google's client
 * (in both of its modes) to Google's and to OpenAI's.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { GoogleGenAI } from "@google/genai";
import OpenAI from "openai";
import { createOutbound } from "../src/security/outbound.ts";
import { startTestGateway, type TestGateway } from "./support/gateway.ts";
import { type GoogleServer, startGoogleServer } from "./support/google-server.ts";

const key = "sk-test-master-key";
let upstream: GoogleServer;
let running: TestGateway;
let base: string;

beforeAll(async () => {
  upstream = startGoogleServer();
  const { url, account } = upstream;
  const vertex = (model: string) => ({
    model: `vertex_ai/${model}`,
    api_base: url,
    vertex_location: "us-central1",
    vertex_credentials: account,
  });
  const rows = {
    studio: { model: "gemini/gemini-embedding-001", api_base: `${url}/v1beta`, api_key: "AIza" },
    texts: vertex("text-embedding-005"),
    single: vertex("gemini-embedding-001"),
    newer: vertex("gemini-embedding-2"),
    openai: { model: "openai/text-embedding-3-small", api_base: `${url}/v1`, api_key: "k" },
  };
  const list = Object.entries(rows).map(([model_name, litellm_params]) => ({
    model_name,
    litellm_params,
  }));
  const settings = { general_settings: { master_key: key } };
  const yaml = JSON.stringify({ model_list: list, ...settings });
  running = await startTestGateway({ yaml, outbound: createOutbound() });
  base = running.gateway.url;
});
afterAll(async () => {
  await running.gateway.close();
  await upstream.close();
});

const openai = () => new OpenAI({ apiKey: key, baseURL: `${base}/v1`, maxRetries: 0 });
const google = () => new GoogleGenAI({ apiKey: key, httpOptions: { baseUrl: base } });
const last = () => upstream.seen.at(-1) as GoogleServer["seen"][0];
const project = "/projects/p1/locations/us-central1/publishers/google/models";

describe("OpenAI's client to Google's models", () => {
  const content = (text: string) => ({ parts: [{ text }] });
  const cases: readonly (readonly [string, string, object])[] = [
    [
      "studio",
      "/v1beta/models/gemini-embedding-001:batchEmbedContents",
      {
        requests: ["one", "three"].map((text) => ({
          model: "models/gemini-embedding-001",
          content: content(text),
          taskType: "RETRIEVAL_QUERY",
          outputDimensionality: 2,
        })),
      },
    ],
    [
      "texts",
      `/v1${project}/text-embedding-005:predict`,
      {
        instances: ["one", "three"].map((text) => ({
          content: text,
          task_type: "RETRIEVAL_QUERY",
        })),
        parameters: { outputDimensionality: 2 },
      },
    ],
    [
      "single",
      `/v1${project}/gemini-embedding-001:predict`,
      {
        instances: [{ content: "three", task_type: "RETRIEVAL_QUERY" }],
        parameters: { outputDimensionality: 2 },
      },
    ],
    [
      "newer",
      `/v1beta1${project}/gemini-embedding-2:embedContent`,
      { content: content("three"), taskType: "RETRIEVAL_QUERY", outputDimensionality: 2 },
    ],
  ];
  test.each(cases)("%s", async (model, path, body) => {
    const { data, response } = await openai()
      .embeddings.create({
        model,
        input: ["one", "three"],
        dimensions: 2,
        ...({ task_type: "RETRIEVAL_QUERY" } as object),
      })
      .withResponse();
    expect(data.data.map(({ embedding, index }) => [index, [...embedding]])).toEqual([
      [0, [3, 0.5]],
      [1, [5, 0.5]],
    ]);
    expect(data.model).toBe(model);
    expect(data.usage.prompt_tokens).toBeGreaterThan(0);
    expect(last().path).toBe(path);
    expect(last().body as object).toEqual(body);
    expect(Number(response.headers.get("x-routeiq-cost-usd"))).toBeGreaterThanOrEqual(0);
    const isVertex = model !== "studio";
    expect(last().headers.get(isVertex ? "authorization" : "x-goog-api-key")).toBeString();
  });

  test("what nobody counted is an estimate, and said to be", async () => {
    const call = openai().embeddings.create({ model: "studio", input: "12345678" });
    const { data, response } = await call.withResponse();
    expect(data.usage as object).toEqual({ prompt_tokens: 2, total_tokens: 2, estimated: true });
    const id = response.headers.get("x-routeiq-call-id");
    const receipt = await fetch(`${base}/v1/routing/decisions/${id}`, {
      headers: { authorization: `Bearer ${key}` },
    });
    expect(await receipt.json()).toMatchObject({ usage: { inputTokens: 2, estimated: true } });
  });
});

describe("Google's client", () => {
  test.each(["studio", "texts", "single", "newer", "openai"])("to %s", async (model) => {
    const { embeddings } = await google().models.embedContent({
      model,
      contents: ["one", "three"],
      config: { outputDimensionality: 2, taskType: "SEMANTIC_SIMILARITY" },
    });
    expect(embeddings?.map(({ values }) => values)).toEqual([
      [3, 0.5],
      [5, 0.5],
    ]);
    const sent = JSON.stringify(last().body);
    expect(sent.includes("SEMANTIC_SIMILARITY")).toBe(model !== "openai");
    if (model === "openai") expect(last().body["dimensions"]).toBe(2);
  });

  const post = async (path: string, body: object) => {
    const response = await fetch(`${base}${path}?key=${key}`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
    });
    return { status: response.status, body: await response.json() };
  };

  test("embedContent and Vertex AI's predict", async () => {
    const one = await post("/v1beta/models/openai:embedContent", {
      content: { parts: [{ text: "one" }] },
    });
    expect(one.body).toEqual({
      embedding: { values: [3, 0.5] },
      usageMetadata: { promptTokenCount: 9 },
    });
    const many = await post(`/v1beta1${project}/openai:predict`, {
      instances: [{ content: "one" }, { content: "three" }],
      parameters: { outputDimensionality: 2 },
    });
    expect(many.body).toEqual({
      predictions: [{ embeddings: { values: [3, 0.5] } }, { embeddings: { values: [5, 0.5] } }],
    });
  });

  const wrong: readonly (readonly [string, object, number, string])[] = [
    ["openai:embedContent", {}, 400, "INVALID_ARGUMENT"],
    ["openai:embedContent", { content: { parts: [{ inlineData: {} }] } }, 400, "INVALID_ARGUMENT"],
    ["openai:batchEmbedContents", { requests: [] }, 400, "INVALID_ARGUMENT"],
    [
      "openai:batchEmbedContents",
      {
        requests: ["A", "B"].map((taskType) => ({ content: { parts: [{ text: "x" }] }, taskType })),
      },
      400,
      "INVALID_ARGUMENT",
    ],
    ["nope:embedContent", { content: { parts: [{ text: "x" }] } }, 404, "NOT_FOUND"],
  ];
  test.each(wrong)("%s %j is refused in Google's form", async (path, body, status, word) => {
    const answer = await post(`/v1beta/models/${path}`, body);
    expect([answer.status, (answer.body as { error: { status: string } }).error.status]).toEqual([
      status,
      word,
    ]);
  });

  test("the list says what a model is for", async () => {
    const found: string[] = [];
    for await (const { name, supportedActions } of await google().models.list()) {
      if (supportedActions?.includes("embedContent")) found.push(String(name));
    }
    expect(found).toEqual(
      ["studio", "texts", "single", "newer", "openai"].map((name) => `models/${name}`),
    );
  });
});
