/**
 * OpenAI's and Anthropic's clients through a running gateway to Mistral: real HTTP on both sides. The
 * answers are those of https://docs.mistral.ai/capabilities/reasoning and .../code_generation.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import Anthropic from "@anthropic-ai/sdk";
import OpenAI from "openai";
import { createOutbound } from "../src/security/outbound.ts";
import { startTestGateway, type TestGateway } from "./support/gateway.ts";

const seen: { path: string; text: string; body: Record<string, unknown> }[] = [];
const key = "sk-test-master-key";
let server: ReturnType<typeof Bun.serve>;
let running: TestGateway;

beforeAll(async () => {
  server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    async fetch(request) {
      const text = await request.text();
      const body = JSON.parse(text) as Record<string, unknown>;
      const path = new URL(request.url).pathname;
      seen.push({ path, text, body });
      return answer(path, body);
    },
  });
  const api_base = `http://127.0.0.1:${server.port}/v1`;
  const rows = {
    small: "mistral/mistral-small-2506",
    thinker: "mistral/magistral-medium-latest",
    newest: "mistral/mistral-small-latest",
    code: "text-completion-codestral/codestral-latest",
    "code-too": "mistral/codestral-2508",
    embed: "mistral/codestral-embed",
  };
  running = await startTestGateway({
    yaml: JSON.stringify({
      model_list: Object.entries(rows).map(([model_name, model]) => ({
        model_name,
        litellm_params: { model, api_base, api_key: "m" },
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

const usage = { prompt_tokens: 10, completion_tokens: 20, total_tokens: 30 };
const facts = { id: "c1", created: 7, model: "m" };
const thinking = (text: string) => [{ type: "thinking", thinking: [{ type: "text", text }] }];

function answer(path: string, body: Record<string, unknown>): Response {
  if (path === "/v1/embeddings") {
    const data = [{ object: "embedding", index: 0, embedding: [1, 2] }];
    return Response.json({ id: "e", object: "list", data, model: "m", usage });
  }
  const isFim = path === "/v1/fim/completions";
  const thinks = /magistral|small-latest/.test(String(body["model"])) && !isFim;
  const content = thinks
    ? [...thinking("Let me think."), { type: "text", text: "Done" }]
    : isFim
      ? "  return 1"
      : "Bonjour";
  if (body["stream"] !== true) {
    const message = { role: "assistant", content, tool_calls: null };
    const choices = [{ index: 0, message, finish_reason: "stop" }];
    return Response.json({ ...facts, object: "chat.completion", choices, usage });
  }
  const pieces = thinks ? [thinking("Let me "), thinking("think."), "Do", "ne"] : [content];
  const events = [
    ...pieces.map((each) => ({ delta: { content: each }, finish_reason: null })),
    { delta: { content: "" }, finish_reason: "stop" },
  ].map((choice, i, all) => ({
    ...facts,
    object: "chat.completion.chunk",
    choices: [{ index: 0, ...choice }],
    ...(i === all.length - 1 ? { usage } : {}),
  }));
  const text = events.map((each) => `data: ${JSON.stringify(each)}\n\n`).join("");
  return new Response(`${text}data: [DONE]\n\n`, {
    headers: { "content-type": "text/event-stream" },
  });
}

const openai = () =>
  new OpenAI({ apiKey: key, baseURL: `${running.gateway.url}/v1`, maxRetries: 0 });
const anthropic = () => new Anthropic({ apiKey: key, baseURL: running.gateway.url, maxRetries: 0 });
const last = () => seen.at(-1) as (typeof seen)[0];
const ask = (model: string) => ({ model, messages: [{ role: "user" as const, content: "Hello" }] });
type Asked = Parameters<OpenAI["chat"]["completions"]["create"]>[0];

/** What Mistral is sent for a request. */
async function sent(more: object, model = "small"): Promise<Record<string, unknown>> {
  await openai().chat.completions.create({ ...ask(model), ...more } as Asked & { stream?: false });
  return last().body;
}

describe("what is sent", () => {
  test("passes as it came where Mistral knows all of it", async () => {
    const text = `{ "model":"small",  "messages":[{"role":"user","content":"hi"}], "safe_prompt": true }`;
    await fetch(`${running.gateway.url}/v1/chat/completions`, {
      method: "POST",
      headers: { authorization: `Bearer ${key}`, "content-type": "application/json" },
      body: text,
    });
    expect(last().text).toBe(text.replace('"small"', '"mistral-small-2506"'));
  });

  test.each([
    [{ seed: 7, user: "u", logprobs: false }, { random_seed: 7 }],
    [{ max_completion_tokens: 9, service_tier: "auto" }, { max_tokens: 9 }],
    [{ tool_choice: "required" }, { tool_choice: "any" }],
    [
      { tool_choice: { type: "function", function: { name: "f" } } },
      { tool_choice: { type: "function", function: { name: "f" } } },
    ],
    [
      { random_seed: 3, safe_mode: true },
      { random_seed: 3, safe_prompt: true },
    ],
  ])("%j", async (asked, told) => {
    const { model: _, messages: __, ...rest } = await sent(asked);
    expect(rest).toEqual(told as never);
  });

  test("a conversation that another model began: ids, fields and roles that Mistral takes", async () => {
    const call = (id: string) => ({
      id,
      type: "function",
      function: { name: "f", arguments: "{}" },
    });
    const messages = [
      { role: "developer", content: "Be brief." },
      {
        role: "user",
        content: [{ type: "text", text: "Hi", cache_control: { type: "ephemeral" } }],
      },
      {
        role: "assistant",
        content: null,
        refusal: null,
        annotations: [],
        reasoning_content: "Hm.",
        tool_calls: [call("toolu_01ABC"), call("abcDEF123")],
      },
      { role: "tool", tool_call_id: "toolu_01ABC", name: "f", content: "1" },
      { role: "tool", tool_call_id: "abcDEF123", content: "2" },
    ];
    const told = (await sent({ messages }))["messages"] as Record<string, unknown>[];
    const first = (told[2]?.["tool_calls"] as { id: string }[] | undefined)?.[0];
    expect(first?.id).toMatch(/^[a-zA-Z0-9]{9}$/);
    expect(told).toEqual([
      { role: "system", content: "Be brief." },
      { role: "user", content: [{ type: "text", text: "Hi" }] },
      { role: "assistant", tool_calls: [call(first?.id ?? ""), call("abcDEF123")] },
      { role: "tool", tool_call_id: first?.id, name: "f", content: "1" },
      { role: "tool", tool_call_id: "abcDEF123", content: "2" },
    ]);
  });

  test("a beginning to go on from, from Anthropic's client as well", async () => {
    const messages = [
      { role: "user" as const, content: "Rhyme" },
      { role: "assistant" as const, content: "Roses" },
    ];
    await anthropic().messages.create({ model: "small", max_tokens: 9, messages });
    expect((last().body["messages"] as object[])[1]).toEqual({ ...messages[1], prefix: true });
  });

  test("files by address, sound as its bytes", async () => {
    const content = [
      {
        type: "file",
        file: { filename: "a.pdf", file_data: "data:application/pdf;base64,JVBERi0=" },
      },
      { type: "input_audio", input_audio: { data: "UklGRg==", format: "wav" } },
    ];
    const told = (await sent({ messages: [{ role: "user", content }] }))["messages"];
    expect(told).toEqual([
      {
        role: "user",
        content: [
          {
            type: "document_url",
            document_url: "data:application/pdf;base64,JVBERi0=",
            document_name: "a.pdf",
          },
          { type: "input_audio", input_audio: "UklGRg==" },
        ],
      },
    ]);
  });

  test.each([
    ["thinker", "low", undefined],
    ["newest", "low", "high"],
    ["newest", "none", "none"],
  ])("an effort for %s: %s", async (model, wanted, told) => {
    expect((await sent({ reasoning_effort: wanted }, model))["reasoning_effort"]).toBe(
      told as string,
    );
  });
});

describe("thinking", () => {
  test.each(["thinker", "newest"])("of %s, whole, and sent back", async (model) => {
    const reply = await openai().chat.completions.create(ask(model));
    const message = reply.choices[0]?.message;
    expect(message).toMatchObject({ content: "Done", reasoning_content: "Let me think." });
    const messages = [...ask(model).messages, message, { role: "user", content: "So?" }];
    const told = (await sent({ messages }, model))["messages"] as object[];
    expect(told[1]).toEqual({
      role: "assistant",
      content: [...thinking("Let me think."), { type: "text", text: "Done" }],
    });
  });

  test("streamed to OpenAI's client", async () => {
    let text = "";
    let thought = "";
    const stream = await openai().chat.completions.create({ ...ask("thinker"), stream: true });
    for await (const { choices } of stream) {
      text += choices[0]?.delta.content ?? "";
      thought +=
        (choices[0]?.delta as { reasoning_content?: string } | undefined)?.reasoning_content ?? "";
    }
    expect([text, thought]).toEqual(["Done", "Let me think."]);
  });

  test("streamed to Anthropic's client", async () => {
    const asking = { ...ask("thinker"), max_tokens: 99 };
    const reply = await anthropic().messages.stream(asking).finalMessage();
    expect(reply.content).toMatchObject([
      { type: "thinking", thinking: "Let me think." },
      { type: "text", text: "Done" },
    ]);
    expect(reply.usage.output_tokens).toBe(20);
  });
});

describe("code between a beginning and an end", () => {
  const gap = { prompt: ["def f():\n"], suffix: "\nprint(f())", max_tokens: 9 };

  test.each(["code", "code-too"])("%s, whole", async (model) => {
    const reply = await openai().completions.create({ model, ...gap, n: 1 } as never);
    expect(reply).toMatchObject({
      object: "text_completion",
      choices: [{ index: 0, text: "  return 1", finish_reason: "stop", logprobs: null }],
      usage,
    });
    expect(last()).toMatchObject({ path: "/v1/fim/completions" });
    expect(last().body).toEqual({
      model: model === "code" ? "codestral-latest" : "codestral-2508",
      prompt: "def f():\n",
      suffix: "\nprint(f())",
      max_tokens: 9,
    });
  });

  test("streamed", async () => {
    const asking = { model: "code", prompt: "def f():\n", suffix: "x", stream: true as const };
    let text = "";
    for await (const { choices } of await openai().completions.create(asking)) {
      text += choices[0]?.text ?? "";
    }
    expect(text).toBe("  return 1");
  });

  test("what Mistral does not do is told", async () => {
    const asking = openai().completions.create({ model: "code", ...gap, echo: true } as never);
    expect(await asking.catch((thrown) => [thrown.status, thrown.param])).toEqual([400, "echo"]);
  });

  test("a model that fills no gaps is asked by chat", async () => {
    const reply = await openai().completions.create({ model: "small", prompt: "Hi" });
    expect(reply.choices[0]?.text).toBe("Bonjour");
    expect(last().path).toBe("/v1/chat/completions");
  });

  test("and a model of code chats, too", async () => {
    const reply = await openai().chat.completions.create(ask("code"));
    expect(reply.choices[0]?.message).toMatchObject({ content: "Bonjour" });
    expect(last().path).toBe("/v1/chat/completions");
  });
});

test("embeddings of another width", async () => {
  const asking = { model: "embed", input: "a", dimensions: 2, user: "u" };
  await openai().embeddings.create({ ...asking, encoding_format: "float" });
  expect(last().body).toEqual({
    model: "codestral-embed",
    input: "a",
    encoding_format: "float",
    output_dimension: 2,
  });
});
