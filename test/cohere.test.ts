/** OpenAI's and Anthropic's clients through a running gateway to Cohere's second API: real HTTP on both sides. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import Anthropic from "@anthropic-ai/sdk";
import OpenAI, { type APIError } from "openai";
import { createOutbound } from "../src/security/outbound.ts";
import { bytesOf } from "./support/fixtures.ts";
import { startTestGateway, type TestGateway } from "./support/gateway.ts";

const seen: { path: string; body: Record<string, unknown>; key: string | null }[] = [];
const next: (() => Response)[] = [];
const fixture = async (name: string) =>
  (await Bun.file(`${import.meta.dir}/fixtures/cohere/${name}.json`).json()).wire;
const key = "sk-test-master-key";
let server: ReturnType<typeof Bun.serve>;
let running: TestGateway;

beforeAll(async () => {
  server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    async fetch(request) {
      const path = new URL(request.url).pathname;
      const body = (await request.json()) as Record<string, unknown>;
      seen.push({ path, body, key: request.headers.get("authorization") });
      const other = next.shift();
      if (other) return other();
      if (path === "/v2/embed") return embed(body);
      if (path !== "/v2/chat") return Response.json({ message: "no such path" }, { status: 404 });
      const name = body["tools"] ? "tools" : "thinking";
      if (body["stream"] !== true) return Response.json(await fixture(`reply-${name}`));
      const file = body["tools"] ? "stream-tools-parallel" : "stream-thinking";
      return new Response(bytesOf(await fixture(file)) as Uint8Array<ArrayBuffer>, {
        headers: { "content-type": "text/event-stream; charset=utf-8" },
      });
    },
  });
  const api_base = `http://127.0.0.1:${server.port}`;
  const rows = {
    chat: { model: "cohere_chat/command-a-reasoning-08-2025", api_base, api_key: "co" },
    compatible: {
      model: "cohere/command-r",
      api_base: `${api_base}/compatibility/v1`,
      api_key: "co",
    },
    embed: { model: "cohere/embed-v4.0", api_base: `${api_base}/v2/embed`, api_key: "co" },
  };
  running = await startTestGateway({
    yaml: JSON.stringify({
      model_list: Object.entries(rows).map(([model_name, litellm_params]) => ({
        model_name,
        litellm_params,
      })),
      general_settings: { master_key: key },
      litellm_settings: { num_retries: 0 },
    }),
    outbound: createOutbound(),
  });
});

afterAll(async () => {
  await running.gateway.close();
  await server.stop(true);
});

function embed({
  texts,
  embedding_types: [type] = ["float"],
}: Record<string, unknown> & {
  embedding_types?: string[];
}): Response {
  const list = texts as string[];
  const vectors = list.map((text) => [Number(text), 0.5]);
  const packed = vectors.map((each) =>
    Buffer.from(Float32Array.from(each).buffer).toString("base64"),
  );
  return Response.json({
    id: "e",
    embeddings: { [type ?? "float"]: type === "base64" ? packed : vectors },
    texts,
    meta: { api_version: { version: "2" }, billed_units: { input_tokens: list.length } },
    response_type: "embeddings_by_type",
  });
}

const openai = () =>
  new OpenAI({ apiKey: key, baseURL: `${running.gateway.url}/v1`, maxRetries: 0 });
const anthropic = () => new Anthropic({ apiKey: key, baseURL: running.gateway.url, maxRetries: 0 });
const last = () => seen.at(-1) as (typeof seen)[0];
const ask = (model: string) => ({ model, messages: [{ role: "user" as const, content: "Hello" }] });

describe("chat", () => {
  test.each(["chat", "compatible"])("%s, whole", async (model) => {
    const reply = await openai().chat.completions.create({
      ...ask(model),
      max_tokens: 9,
      top_p: 0.5,
    });
    expect(reply.choices[0]?.message.content).toBe("Done");
    expect(reply.usage?.prompt_tokens).toBe(5);
    expect(last()).toMatchObject({ path: "/v2/chat", key: "Bearer co" });
    expect(last().body).toMatchObject({ max_tokens: 9, p: 0.5 });
  });

  test("thinking, streamed to Anthropic's client", async () => {
    const reply = await anthropic()
      .messages.stream({ ...ask("chat"), max_tokens: 99 })
      .finalMessage();
    expect(reply.content).toMatchObject([
      { type: "thinking", thinking: "Let me think." },
      { type: "text", text: "Done" },
    ]);
    expect(reply.usage.output_tokens).toBe(20);
  });

  test("tools in parallel, streamed", async () => {
    const tools = ["get_weather", "get_time"].map((name) => ({
      type: "function" as const,
      function: { name, parameters: { type: "object", properties: {} } },
    }));
    const stream = openai().chat.completions.stream({
      ...ask("chat"),
      tools,
      tool_choice: "required",
    });
    const { message, finish_reason: finish } =
      (await stream.finalChatCompletion()).choices[0] ?? {};
    expect(finish).toBe("tool_calls");
    const calls = message?.tool_calls?.map((call) => call.type === "function" && call.function);
    expect(calls).toMatchObject([
      { name: "get_weather", arguments: '{"location":"SF"}' },
      { name: "get_time", arguments: "{}" },
    ]);
    expect(last().body["tool_choice"]).toBe("REQUIRED");
  });
});

describe("embeddings", () => {
  test("in parts of 96, in order, with a purpose", async () => {
    const input = Array.from({ length: 200 }, (_, i) => `${i}`);
    const before = seen.length;
    const reply = await openai().embeddings.create({
      model: "embed",
      input,
      encoding_format: "float",
      dimensions: 2,
    });
    const parts = seen.slice(before).map(({ body }) => body);
    expect(parts.map(({ texts }) => (texts as string[]).length)).toEqual([96, 96, 8]);
    expect(parts[0]).toMatchObject({
      model: "embed-v4.0",
      input_type: "search_document",
      embedding_types: ["float"],
      output_dimension: 2,
    });
    expect(reply.data[97]).toEqual({ object: "embedding", index: 97, embedding: [97, 0.5] });
    expect(reply.usage).toEqual({ prompt_tokens: 200, total_tokens: 200 });
  });

  test("as base64, for a query", async () => {
    const body = { model: "embed", input: "7", input_type: "search_query" };
    const reply = await openai().embeddings.create(body);
    expect([...(reply.data[0]?.embedding ?? [])]).toEqual([7, 0.5]);
    expect(last().body).toMatchObject({ input_type: "search_query", embedding_types: ["base64"] });
  });
});

test.each([
  [401, "invalid api token", 502],
  [498, "invalid token", 502],
  [400, "the total of tokens is too large", 400],
  [422, "unknown field: parameter 'x' is not valid", 422],
  [429, "trial key limit", 429],
])("%d %s", async (status, message, ours) => {
  next.push(() => Response.json({ message }, { status }));
  const asking = openai().chat.completions.create(ask("chat"));
  const error = (await asking.catch((thrown: unknown) => thrown)) as APIError;
  expect(error.message).toContain(message);
  expect(error.status).toBe(ours);
});
