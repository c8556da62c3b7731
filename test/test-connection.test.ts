/** LiteLLM's `/health/test_connection` and `/health/services`: what is tried, with whose key, and what is not. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { OutboundRequest } from "../src/security/outbound.ts";
import { startTestGateway, type TestGateway } from "./support/gateway.ts";

const master = "sk-master-0123456789";
const yaml = JSON.stringify({
  model_list: [
    {
      model_name: "house",
      litellm_params: {
        model: "openai/house-model",
        api_base: "http://house.test/v1",
        api_key: "sk-house",
      },
      model_info: { id: "row-house" },
    },
    {
      model_name: "embed",
      litellm_params: { model: "mistral/mistral-embed", api_key: "sk-mistral" },
      model_info: { mode: "embedding" },
    },
  ],
  general_settings: { master_key: master },
});

interface Sent {
  readonly url: string;
  readonly trust: OutboundRequest["trust"];
  readonly key: string | null;
}

const sent: Sent[] = [];
let refuses = false;
let running: TestGateway;

const chat = {
  id: "c",
  object: "chat.completion",
  created: 1,
  model: "m",
  choices: [{ index: 0, message: { role: "assistant", content: "hi" }, finish_reason: "stop" }],
};
const embedding = { object: "list", model: "m", data: [{ embedding: [1], index: 0 }] };

beforeAll(async () => {
  running = await startTestGateway({
    yaml,
    env: { OPENAI_API_KEY: "sk-of-the-environment", GROQ_API_KEY: "sk-groq" },
    outbound: {
      fetch({ url, trust, headers }) {
        sent.push({ url, trust, key: new Headers(headers).get("authorization") });
        if (refuses) {
          const error = { message: "Incorrect API key provided", code: "invalid_api_key" };
          return Promise.resolve(Response.json({ error }, { status: 401 }));
        }
        return Promise.resolve(Response.json(url.includes("embeddings") ? embedding : chat));
      },
    },
  });
});
afterAll(() => running.gateway.close());

async function call(path: string, body?: unknown, key = master) {
  sent.length = 0;
  const response = await fetch(running.gateway.url + path, {
    method: body === undefined ? "GET" : "POST",
    headers: { authorization: `Bearer ${key}` },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  return { status: response.status, text, body: JSON.parse(text) };
}

const tryRow = (params: object, more: object = {}) =>
  call("/health/test_connection", { litellm_params: params, ...more });

describe("what is tried", () => {
  const house = { url: "http://house.test/v1/chat/completions", trust: "operator" };
  const cases: readonly (readonly [string, object, object, Sent | object])[] = [
    ["a configured group", { model: "house" }, {}, { ...house, key: "Bearer sk-house" }],
    ["a configured id", {}, { model_info: { id: "row-house" } }, house],
    [
      "another model with the configured key, at its address",
      { model: "openai/other" },
      {},
      { ...house, key: "Bearer sk-house" },
    ],
    [
      "the same where the configured address is named",
      { model: "openai/other", api_base: "http://house.test/v1" },
      {},
      { ...house, key: "Bearer sk-house" },
    ],
    [
      "an address of the request's own: by the strict rule, and no key of ours",
      { model: "openai/other", api_base: "http://10.0.0.7/v1" },
      {},
      { url: "http://10.0.0.7/v1/chat/completions", trust: "strict", key: null },
    ],
    [
      "with a key of its own",
      { model: "openai/other", api_base: "https://api.else.test/v1", api_key: "sk-mine" },
      { mode: "chat" },
      {
        url: "https://api.else.test/v1/chat/completions",
        trust: "strict",
        key: "Bearer sk-mine",
      },
    ],
    [
      "a provider that nothing is configured of: not with the environment's key",
      { model: "groq/llama" },
      {},
      { url: "https://api.groq.com/openai/v1/chat/completions", trust: "operator", key: null },
    ],
    [
      "by its mode",
      { model: "openai/e", api_key: "sk-mine" },
      { mode: "embedding" },
      { url: "https://api.openai.com/v1/embeddings", trust: "operator", key: "Bearer sk-mine" },
    ],
  ];
  test.each(cases)("%s", async (_, params, more, expected) => {
    const { status, body } = await tryRow(params, more);
    expect({ status, ...body }).toMatchObject({ status: "success" });
    expect(sent).toMatchObject([expected]);
  });

  test("what the provider says against it is told, and no key", async () => {
    refuses = true;
    const { status, body, text } = await tryRow({ model: "openai/m", api_key: "sk-mine-secret" });
    refuses = false;
    expect(status).toBe(200);
    expect(body).toMatchObject({
      status: "error",
      result: { model: "openai/m", custom_llm_provider: "openai", mode: "chat" },
    });
    expect(body.result.error).toBeString();
    expect(text).not.toContain("sk-mine-secret");
  });
});

describe("what is not tried", () => {
  test.each([
    ["no model", {}, "litellm_params.model"],
    [
      "a reference to the environment",
      { model: "openai/m", api_base: "https://x.test", api_key: "os.environ/OPENAI_API_KEY" },
      "refers to a secret",
    ],
    [
      "a reference to a file, deep inside",
      { model: "openai/m", api_key: "k", extra_body: { a: ["file:///etc/passwd"] } },
      "litellm_params.extra_body.a.0",
    ],
    ["a shared credential", { model: "openai/m", litellm_credential_name: "c" }, "api_key"],
    ["nobody's prefix", { model: "nobody/m", api_key: "k" }, "nobody"],
    [
      "credentials of files",
      { model: "vertex_ai/gemini-2.5-flash", vertex_project: "p", vertex_credentials: "/etc/key" },
      "which a request cannot use",
    ],
    [
      "the machine's own account",
      { model: "bedrock/anthropic.claude-v2", aws_profile_name: "prod" },
      "which a request cannot use",
    ],
  ])("%s", async (_, params, message) => {
    const { status, body } = await tryRow(params);
    expect(status).toBe(400);
    expect(body.detail).toMatchObject({ error: "invalid_request" });
    expect(body.detail.message).toContain(message);
    expect(sent).toEqual([]);
  });

  test("nor for whoever has no key", async () => {
    const asked = { litellm_params: { model: "house" } };
    expect((await call("/health/test_connection", asked, "sk-wrong")).status).toBe(401);
    expect(sent).toEqual([]);
  });
});

describe("services", () => {
  test("all of them, and one", async () => {
    const { body } = await call("/health/services");
    expect(body.services).toMatchObject({ otel: { status: "off" }, prometheus: {} });
    expect((await call("/health/services?service=event_log")).body.status).toBe("success");
  });

  test.each([
    ["langfuse", 400, "OTLP"],
    ["otel", 422, "OTEL_EXPORTER_OTLP_ENDPOINT"],
  ])("%s is not set up", async (service, code, message) => {
    const { status, body } = await call(`/health/services?service=${service}`);
    expect(status).toBe(code);
    expect(body.detail.message).toContain(message);
  });
});
