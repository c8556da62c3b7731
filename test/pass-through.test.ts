/** The way through to providers' own APIs: real SDKs, a running gateway, an upstream that looks closely. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import Anthropic from "@anthropic-ai/sdk";
import OpenAI from "openai";
import type { Deployment } from "../src/domain/model.ts";
import type { Gateway } from "../src/gateway/gateway.ts";
import { createPassThroughTable, joinUrl } from "../src/providers/pass-through.ts";
import { createOutbound } from "../src/security/outbound.ts";
import { startTestGateway } from "./support/gateway.ts";

interface Seen {
  readonly method: string;
  readonly url: string;
  readonly headers: Headers;
  readonly text: string;
}

let seen: Seen[] = [];
let server: ReturnType<typeof Bun.serve>;
let gateway: Gateway;
const last = () => seen.at(-1) as Seen;

const chat = {
  id: "c",
  object: "chat.completion",
  created: 1,
  model: "gpt-4o-mini",
  choices: [{ index: 0, message: { role: "assistant", content: "hi" }, finish_reason: "stop" }],
  usage: { prompt_tokens: 1000, completion_tokens: 100, total_tokens: 1100 },
};
const events = [
  {
    type: "message_start",
    message: {
      id: "m",
      type: "message",
      role: "assistant",
      model: "claude-sonnet-4-5",
      content: [],
      usage: { input_tokens: 1000, output_tokens: 1 },
    },
  },
  { type: "content_block_start", index: 0, content_block: { type: "text", text: "" } },
  { type: "content_block_delta", index: 0, delta: { type: "text_delta", text: "hi" } },
  { type: "content_block_stop", index: 0 },
  { type: "message_delta", delta: { stop_reason: "end_turn" }, usage: { output_tokens: 100 } },
  { type: "message_stop" },
];
const gemini = {
  candidates: [{ content: { parts: [{ text: "hi" }] } }],
  modelVersion: "gemini-2.5-flash",
  usageMetadata: { promptTokenCount: 1000, candidatesTokenCount: 60, thoughtsTokenCount: 40 },
};

function answer({ url, text }: Seen): Response {
  const { pathname } = new URL(url);
  if (pathname.endsWith("/chat/completions"))
    return Response.json(chat, { headers: { "set-cookie": "a=b", "x-ratelimit-limit": "9" } });
  if (pathname.endsWith("/messages")) {
    const frames = events.map((each) => `event: ${each.type}\ndata: ${JSON.stringify(each)}\n\n`);
    return new Response(frames.join(""), { headers: { "content-type": "text/event-stream" } });
  }
  if (pathname.includes(":generateContent")) return Response.json(gemini);
  if (pathname.endsWith("/refused"))
    return Response.json({ error: { message: "no" } }, { status: 422 });
  if (pathname.endsWith("/moved"))
    return new Response(null, { status: 302, headers: { location: "http://169.254.169.254/" } });
  if (pathname.endsWith("/gone")) return new Response(null, { status: 204 });
  return Response.json({ size: text.length, path: pathname });
}

beforeAll(async () => {
  server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    async fetch(request) {
      const { method, url, headers } = request;
      const one = { method, url, headers, text: await request.text() };
      seen.push(one);
      return answer(one);
    },
  });
  const base = server.url.origin;
  const started = await startTestGateway({
    yaml: `
model_list:
  - {model_name: x, litellm_params: {model: anthropic/claude-x, api_base: ${base}, api_key: up-anthropic, use_in_pass_through: true}}
  - {model_name: g, litellm_params: {model: gemini/gemini-2.5-flash, api_base: "${base}/v1beta/openai", api_key: up-gemini, use_in_pass_through: true}}
general_settings:
  master_key: sk-test
  pass_through_endpoints:
    - {path: /v1/rerank, target: "${base}/own/rerank", headers: {Authorization: "Bearer os.environ/OWN_KEY"}, cost_per_request: 0.002}
    - {path: /tree, target: "${base}/root", include_subpath: true, forward_headers: true, auth: false}
routeiq_settings: {body_limit_bytes: 4194304, telemetry: {events: false}}
`,
    env: { OPENAI_API_KEY: "up-openai", OPENAI_BASE_URL: `${base}/v1`, OWN_KEY: "own" },
    outbound: createOutbound(),
  });
  gateway = started.gateway;
});
afterAll(async () => {
  await gateway?.close();
  await server?.stop(true);
});

const ask = (path: string, init: RequestInit = {}) =>
  fetch(`${gateway.url}${path}`, {
    redirect: "manual",
    ...init,
    headers: { authorization: "Bearer sk-test", ...init.headers },
  });
const receiptOf = async (response: Response) => {
  const id = response.headers.get("x-routeiq-call-id");
  const found = await ask(`/v1/routing/decisions/${id}`);
  return (await found.json()) as {
    outcome: string;
    error?: string;
    costMicroUsd?: number;
    usage?: object;
    operation: string;
  };
};

describe("providers", () => {
  test("the OpenAI SDK, with the gateway's key replaced by the provider's", async () => {
    const openai = new OpenAI({
      baseURL: `${gateway.url}/openai/v1`,
      apiKey: "sk-test",
      maxRetries: 0,
      organization: "org-1",
    });
    const { data, response } = await openai.chat.completions
      .create({ model: "gpt-4o-mini", messages: [{ role: "user", content: "x" }] })
      .withResponse();
    expect(data.choices[0]?.message.content).toBe("hi");
    expect(new URL(last().url).pathname).toBe("/v1/chat/completions");
    expect(last().headers.get("authorization")).toBe("Bearer up-openai");
    expect(last().headers.get("openai-organization")).toBe("org-1");
    expect(response.headers.get("set-cookie")).toBeNull();
    expect(response.headers.get("x-ratelimit-limit")).toBe("9");
    const receipt = await receiptOf(response);
    expect(receipt).toMatchObject({
      outcome: "success",
      operation: "pass_through",
      costMicroUsd: 210,
    });
  });

  test("the Anthropic SDK streams", async () => {
    const anthropic = new Anthropic({
      baseURL: `${gateway.url}/anthropic`,
      apiKey: "sk-test",
      maxRetries: 0,
    });
    const stream = anthropic.messages.stream({
      model: "claude-sonnet-4-5",
      max_tokens: 9,
      messages: [{ role: "user", content: "x" }],
    });
    expect(await stream.finalText()).toBe("hi");
    expect(last().headers.get("x-api-key")).toBe("up-anthropic");
    expect(last().headers.get("anthropic-version")).toBe("2023-06-01");
    const id = stream.response?.headers.get("x-routeiq-call-id");
    const receipt = await (await ask(`/v1/routing/decisions/${id}`)).json();
    expect(receipt).toMatchObject({
      usage: { inputTokens: 1000, outputTokens: 100 },
      costMicroUsd: 4500,
    });
  });

  test("Gemini's own API, the key in its header, none in the query", async () => {
    const response = await ask(
      "/gemini/v1beta/models/gemini-2.5-flash:generateContent?key=sk-test&alt=json",
      {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: "{}",
      },
    );
    expect(await response.json()).toEqual(gemini);
    expect(last().url).toEndWith("/v1beta/models/gemini-2.5-flash:generateContent?alt=json");
    expect(last().headers.get("x-goog-api-key")).toBe("up-gemini");
    expect(await receiptOf(response)).toMatchObject({
      requestedModel: "gemini/gemini-2.5-flash",
      usage: { inputTokens: 1000, outputTokens: 100, reasoningTokens: 40 },
    });
  });

  test.each(["/openai/files", "/openai/v1/files"])(
    "%s: any method, with its query",
    async (path) => {
      for (const method of ["GET", "DELETE", "PATCH", "PUT"]) {
        const body = method === "GET" ? null : "abc";
        const response = await ask(`${path}?limit=2`, { method, body });
        expect(await response.json()).toEqual({ size: body?.length ?? 0, path: "/v1/files" });
        expect(last().method).toBe(method);
        expect(last().url).toEndWith("?limit=2");
      }
    },
  );

  test("a large body is sent on as it comes", async () => {
    const response = await ask("/openai/uploads", {
      method: "POST",
      body: new Uint8Array(3_000_000),
    });
    expect(await response.json()).toMatchObject({ size: 3_000_000 });
  });

  test("what the provider says stays as it said it", async () => {
    const refused = await ask("/openai/refused", { method: "POST", body: "{}" });
    expect(refused.status).toBe(422);
    expect(await refused.json()).toEqual({ error: { message: "no" } });
    expect(await receiptOf(refused)).toMatchObject({
      outcome: "failure",
      error: "upstream_rejected",
    });
    expect((await ask("/openai/gone", { method: "DELETE" })).status).toBe(204);
    expect((await ask("/openai/moved")).status).toBe(302); // nothing is followed
  });
});

describe("where a way leads", () => {
  const deployment = (provider: string, apiBase: string, more: object = {}): Deployment => ({
    id: "d",
    group: "g",
    candidate: `${provider}/m`,
    provider,
    upstreamModel: "m",
    apiBase,
    operation: "chat",
    facts: {},
    headers: {},
    body: {},
    usedInPassThrough: true,
    ...more,
  });
  const token = { kind: "fixed", token: "t" } as const;
  const config = {
    environment: {},
    general: { adminApiKeys: [], passThroughEndpoints: [], passThroughTimeoutMs: 1 },
  };
  const find = (path: string, deployments: Deployment[], env = {}) =>
    createPassThroughTable({ config, deployments, env }).findProvider(path);

  test.each([
    [
      "azure",
      "https://r.openai.azure.com/openai/deployments/{model}",
      "https://r.openai.azure.com",
    ],
    [
      "vertex_ai",
      "https://l-aiplatform.googleapis.com/v1/projects/p/locations/l",
      "https://l-aiplatform.googleapis.com",
    ],
    [
      "gemini",
      "https://generativelanguage.googleapis.com/v1beta",
      "https://generativelanguage.googleapis.com",
    ],
    ["cohere", "https://api.cohere.ai/compatibility/v1", "https://api.cohere.ai"],
    ["openai", "https://api.openai.com/v1", "https://api.openai.com/v1"],
  ])("%s", (provider, apiBase, base) => {
    expect(find(`/${provider}/x`, [deployment(provider, apiBase, { token })])?.target.baseUrl).toBe(
      base,
    );
  });

  test("Google's token goes along, under either spelling", () => {
    const own = deployment("vertex_ai", "https://x.test/v1/projects/p", { token, apiKey: "k" });
    const way = find("/vertex-ai/v1/projects/p:x", [own]);
    expect(way).toMatchObject({ rest: "/v1/projects/p:x", target: { deployment: { token } } });
    expect(JSON.stringify(way?.target.headers)).not.toContain('"k"');
  });

  test("only what the operator opened", () => {
    const shut = deployment("openai", "https://api.openai.com/v1", { usedInPassThrough: false });
    expect(() => find("/openai/x", [shut])).toThrow("OPENAI_API_KEY");
    expect(find("/openai/x", [shut], { OPENAI_API_KEY: "k" })?.target.headers).toEqual({
      authorization: "Bearer k",
    });
    expect(find("/nobody/x", [])).toBeUndefined();
  });
});

describe("the operator's own", () => {
  test("a path above ours, with its key and its price", async () => {
    const response = await ask("/v1/rerank", { method: "POST", body: "{}" });
    expect(new URL(last().url).pathname).toBe("/own/rerank");
    expect(last().headers.get("authorization")).toBe("Bearer own");
    await response.text();
    expect(await receiptOf(response)).toMatchObject({ costMicroUsd: 2000 });
  });

  test("paths below it, open to all, headers along", async () => {
    const response = await fetch(`${gateway.url}/tree/a/b?c=1`, {
      headers: { "x-mine": "1", cookie: "s=1" },
    });
    expect(response.status).toBe(200);
    expect(last().url).toEndWith("/root/a/b?c=1");
    expect(last().headers.get("x-mine")).toBe("1");
    expect(last().headers.get("cookie")).toBeNull();
  });
});

describe("what cannot be", () => {
  test.each([
    ["no key", "/openai/files", { headers: { authorization: "" } }, 401],
    ["a wrong key", "/openai/files", { headers: { authorization: "Bearer no" } }, 401],
    ["a provider without a key here", "/groq/models", {}, 404],
    ["the same, for a stranger", "/groq/models", { headers: { authorization: "Bearer no" } }, 401],
    ["steps upwards, hidden", "/openai/files/..%2f..%2fadmin", {}, 400],
    ["steps upwards, hidden twice", "/openai/%252e%252e/x", {}, 400],
    ["another host", "/openai//evil.test/x", {}, 400],
    ["a backslash", "/openai/%5cevil.test", {}, 400],
    ["a body too large", "/openai/files", { method: "POST", body: new Uint8Array(5_000_000) }, 413],
    ["a method of its own", "/openai/files", { method: "OPTIONS" }, 405],
  ] as const)("%s", async (_name, path, init, status) => {
    seen = [];
    const response = await ask(path, init as RequestInit);
    expect(response.status).toBe(status);
    expect(await response.json()).toMatchObject({ error: { message: expect.any(String) } });
    expect(seen).toEqual([]);
  });

  test.each([
    "/../x",
    "/a/../../x",
    "/%2e%2e/x",
    "/%252e%252e/x",
    "//evil/x",
    "/\\evil",
    "/a%00b",
    "/%zz",
    "@evil.test/",
    "/..;/x",
  ])("joinUrl refuses %s", (rest) =>
    expect(() => joinUrl("https://api.test/v1", rest, "")).toThrow("does not lead anywhere"),
  );
  test.each([
    ["https://api.test/v1", "/v1/files", "", "https://api.test/v1/files"],
    ["https://api.test/v1", "/files", "?a=1", "https://api.test/v1/files?a=1"],
    ["https://api.test", "/v1beta/models/m:x", "", "https://api.test/v1beta/models/m:x"],
    ["https://api.test/x?k=1", "", "?a=1", "https://api.test/x?k=1&a=1"],
    ["https://api.test/v1", "/models/a%2Fb", "", "https://api.test/v1/models/a%2Fb"],
  ])("joinUrl %s %s", (base, rest, search, url) => expect(joinUrl(base, rest, search)).toBe(url));
});
