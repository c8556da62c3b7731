/**
 * The Responses API against a running gateway, by OpenAI's own client: carried over chat to other
 * providers with the gateway's own memory, and passed on to a provider that has the API.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { createOpenAI } from "@ai-sdk/openai";
import { generateText, jsonSchema, stepCountIs, streamText, type ToolSet, tool } from "ai";
import OpenAI from "openai";
import type { JsonObject } from "../src/domain/json.ts";
import type { Outbound, OutboundRequest } from "../src/security/outbound.ts";
import { startTestGateway, type TestGateway } from "./support/gateway.ts";

const yaml = `
model_list:
  - model_name: claude
    litellm_params: {model: anthropic/claude-sonnet-4-5, api_key: sk-ant}
    model_info: {id: claude-1}
  - model_name: llama
    litellm_params: {model: groq/llama-3, api_key: gsk}
    model_info: {id: llama-1}
  - model_name: gpt
    litellm_params: {model: openai/gpt-5-mini, api_key: sk-1}
    model_info: {id: gpt-1}
  - model_name: gpt
    litellm_params: {model: openai/gpt-5-mini, api_key: sk-2}
    model_info: {id: gpt-2}
  - model_name: served-at-home
    litellm_params: {model: openai/qwen, api_base: "http://127.0.0.1:9/v1", api_key: none}
    model_info: {id: home-1}
  - model_name: both
    litellm_params: {model: groq/llama-3, api_key: gsk}
    model_info: {id: both-llama}
  - model_name: both
    litellm_params: {model: openai/gpt-5-mini, api_key: sk-1}
    model_info: {id: both-gpt}
  - model_name: chat-by-responses
    litellm_params: {model: openai/responses/gpt-5-mini, api_key: sk-1}
    model_info: {id: by-responses}
  - model_name: several
    litellm_params: {model: groq/llama-3, api_key: gsk}
  - model_name: several
    litellm_params: {model: anthropic/claude-sonnet-4-5, api_key: sk-ant}
router_settings: {num_retries: 0}
`;

type Upstream = (request: OutboundRequest, body: JsonObject) => Response | Promise<Response>;

let gateway: TestGateway;
let client: OpenAI;
let answer: Upstream;
let seen: {
  readonly url: URL;
  readonly method: string;
  readonly body: JsonObject;
  readonly key: string;
}[] = [];

beforeAll(async () => {
  const outbound: Outbound = {
    async fetch(request) {
      const body = request.body === undefined ? {} : JSON.parse(String(request.body));
      const key = request.headers["authorization"] ?? request.headers["x-api-key"] ?? "";
      seen.push({ url: new URL(request.url), method: request.method, body, key });
      return answer(request, body);
    },
  };
  gateway = await startTestGateway({ yaml, outbound });
  client = new OpenAI({ apiKey: "k", baseURL: `${gateway.gateway.url}/v1`, maxRetries: 0 });
});
afterAll(() => gateway.gateway.close());

function reset(next: Upstream): void {
  seen = [];
  answer = next;
}

const groq =
  (message: JsonObject, finish = "stop"): Upstream =>
  (_request, body) => {
    const more = { id: "chatcmpl-1", created: 1_700_000_000, model: "llama-3-upstream" };
    const usage = {
      prompt_tokens: 11,
      completion_tokens: 7,
      total_tokens: 18,
      prompt_tokens_details: { cached_tokens: 3 },
    };
    if (body["stream"] !== true) {
      return Response.json({
        ...more,
        object: "chat.completion",
        choices: [{ index: 0, message: { role: "assistant", ...message }, finish_reason: finish }],
        usage,
      });
    }
    const chunk = (delta: JsonObject, last: string | null = null) => ({
      ...more,
      object: "chat.completion.chunk",
      choices: [{ index: 0, delta, finish_reason: last }],
    });
    const calls = (message["tool_calls"] ?? []) as readonly JsonObject[];
    const text = String(message["content"] ?? "");
    const chunks = [
      chunk({ role: "assistant", content: "" }),
      ...(text ? [chunk({ content: text.slice(0, 3) }), chunk({ content: text.slice(3) })] : []),
      ...calls.map((call, index) => chunk({ tool_calls: [{ ...call, index }] })),
      chunk({}, finish),
      { ...more, object: "chat.completion.chunk", choices: [], usage },
    ];
    return sse([...chunks.map((each) => `data: ${JSON.stringify(each)}\n\n`), "data: [DONE]\n\n"]);
  };

function sse(frames: readonly string[]): Response {
  return new Response(frames.join(""), { headers: { "content-type": "text/event-stream" } });
}

const bodies = () => seen.map(({ body }) => body);

async function receiptOf(response: Response): Promise<JsonObject> {
  const id = response.headers.get("x-routeiq-call-id");
  const receipt = await fetch(`${gateway.gateway.url}/v1/routing/decisions/${id}`);
  return (await receipt.json()) as JsonObject;
}

async function failure(work: Promise<unknown>): Promise<InstanceType<typeof OpenAI.APIError>> {
  const thrown = await work.then(
    () => undefined,
    (error: unknown) => error,
  );
  if (!(thrown instanceof OpenAI.APIError)) throw new Error("no API error", { cause: thrown });
  return thrown;
}

describe("carried over chat", () => {
  test("a response, its memory, its items, its end", async () => {
    reset(groq({ content: "Hello!" }));
    const first = await client.responses.create({
      model: "llama",
      instructions: "Be brief.",
      input: "Hi, I am Ada.",
      metadata: { run: "7" },
      max_output_tokens: 100,
    });
    expect(first.output_text).toBe("Hello!");
    expect(first).toMatchObject({
      object: "response",
      status: "completed",
      model: "llama-3-upstream",
      instructions: "Be brief.",
      metadata: { run: "7" },
      max_output_tokens: 100,
      previous_response_id: null,
      usage: { input_tokens: 11, output_tokens: 7, input_tokens_details: { cached_tokens: 3 } },
    });
    expect(seen[0]?.url.pathname).toEndWith("/chat/completions");
    expect(bodies()[0]?.["messages"]).toEqual([
      { role: "system", content: "Be brief." },
      { role: "user", content: "Hi, I am Ada." },
    ]);

    const second = await client.responses.create({
      model: "llama",
      input: [{ role: "user", content: "Who am I?" }],
      previous_response_id: first.id,
    });
    expect(second.previous_response_id).toBe(first.id);
    // Instructions are not carried on.
    expect(bodies()[1]?.["messages"]).toEqual([
      { role: "user", content: "Hi, I am Ada." },
      { role: "assistant", content: "Hello!" },
      { role: "user", content: "Who am I?" },
    ]);

    expect(await client.responses.retrieve(first.id)).toEqual(first);
    const items = [];
    for await (const item of client.responses.inputItems.list(second.id, { limit: 1 })) {
      items.push(item);
    }
    expect(items.map((item) => "content" in item && item.content)).toEqual([
      [{ type: "input_text", text: "Who am I?" }],
      [{ type: "output_text", text: "Hello!", annotations: [], logprobs: [] }],
      [{ type: "input_text", text: "Hi, I am Ada." }],
    ]);
    const page = await client.responses.inputItems.list(second.id, { order: "asc", limit: 2 });
    expect([page.data.length, page.has_more]).toEqual([2, true]);
    expect((await failure(client.responses.cancel(first.id))).status).toBe(400);

    await client.responses.delete(first.id);
    expect((await failure(client.responses.retrieve(first.id))).status).toBe(404);
    const broken = await failure(
      client.responses.create({ model: "llama", input: "?", previous_response_id: second.id }),
    );
    expect(broken).toMatchObject({ status: 400, code: "previous_response_not_found" });
  });

  test("a stream tells every event in order, and is stored", async () => {
    reset(groq({ content: "Hello!" }));
    const stream = client.responses.stream({ model: "llama", input: "Hi" });
    const events = [];
    for await (const event of stream) events.push(event);
    const final = await stream.finalResponse();
    expect(events.map(({ type }) => type)).toEqual([
      "response.created",
      "response.in_progress",
      "response.output_item.added",
      "response.content_part.added",
      "response.output_text.delta",
      "response.output_text.delta",
      "response.output_text.done",
      "response.content_part.done",
      "response.output_item.done",
      "response.completed",
    ]);
    expect(events.map((event) => event.sequence_number)).toEqual(events.map((_, i) => i));
    expect(final.output_text).toBe("Hello!");
    expect(final.usage).toMatchObject({ input_tokens: 11, output_tokens: 7, total_tokens: 18 });
    expect((await client.responses.retrieve(final.id)).output_text).toBe("Hello!");
  });

  test("functions, in parallel, and their results", async () => {
    const call = (id: string, name: string) => ({
      id,
      type: "function",
      function: { name, arguments: "{}" },
    });
    const tools = [call("call_1", "a"), call("call_2", "b")];
    reset(groq({ content: null, tool_calls: tools }, "tool_calls"));
    const parameters = { type: "object", properties: {} };
    const function_ = (name: string) => ({
      type: "function" as const,
      name,
      parameters,
      strict: true,
    });
    const stream = client.responses.stream({
      model: "llama",
      input: "Call both.",
      tools: [function_("a"), function_("b")],
      tool_choice: "required",
      parallel_tool_calls: true,
    });
    const first = await stream.finalResponse();
    const calls = first.output.filter((item) => item.type === "function_call");
    expect(calls.map(({ name, call_id }) => [name, call_id])).toEqual([
      ["a", "call_1"],
      ["b", "call_2"],
    ]);
    expect(bodies()[0]).toMatchObject({ tool_choice: "required", parallel_tool_calls: true });
    reset(groq({ content: "Done." }));
    await client.responses.create({
      model: "llama",
      previous_response_id: first.id,
      input: calls.map(({ call_id }) => ({
        type: "function_call_output" as const,
        call_id,
        output: "ok",
      })),
    });
    expect(bodies()[0]?.["messages"]).toEqual([
      { role: "user", content: "Call both." },
      { role: "assistant", content: null, tool_calls: tools },
      { role: "tool", tool_call_id: "call_1", content: "ok" },
      { role: "tool", tool_call_id: "call_2", content: "ok" },
    ]);
  });

  test("signed thinking goes back as it came: by id, by state, and by the caller's own hands", async () => {
    const thinking = { type: "thinking", thinking: "Hm.", signature: "c2ln" };
    const use = { type: "tool_use", id: "toolu_1", name: "f", input: {} };
    reset(() =>
      Response.json({
        id: "msg_1",
        type: "message",
        role: "assistant",
        model: "claude",
        content: [thinking, use],
        stop_reason: "tool_use",
        stop_sequence: null,
        usage: { input_tokens: 5, output_tokens: 5 },
      }),
    );
    const tools = [{ type: "function" as const, name: "f", parameters: {}, strict: false }];
    const reasoning = { effort: "low" as const };
    const first = await client.responses.create({ model: "claude", input: "go", tools, reasoning });
    const result = { type: "function_call_output" as const, call_id: "toolu_1", output: "1" };
    const user = { role: "user" as const, content: "go" };
    const references = first.output.map(({ id }) => ({
      type: "item_reference" as const,
      id: id ?? "",
    }));
    const more = { model: "claude", tools, reasoning };
    await client.responses.create({ ...more, previous_response_id: first.id, input: [result] });
    await client.responses.create({ ...more, input: [user, ...first.output, result] as never });
    await client.responses.create({ ...more, input: [user, ...references, result] });
    for (const body of bodies().slice(1)) {
      const messages = body["messages"] as readonly JsonObject[];
      expect(messages[1]?.["content"]).toEqual([thinking, use]);
    }
  });

  test("an answer in JSON by a schema; an image in the question", async () => {
    reset(groq({ content: '{"x":1}' }));
    await client.responses.create({
      model: "llama",
      text: {
        format: { type: "json_schema", name: "x", strict: true, schema: { type: "object" } },
      },
      input: [
        {
          role: "user",
          content: [
            { type: "input_text", text: "What?" },
            { type: "input_image", image_url: "https://example.com/a.png", detail: "auto" },
          ],
        },
      ],
    });
    expect(bodies()[0]).toMatchObject({
      response_format: {
        type: "json_schema",
        json_schema: { name: "x", strict: true, schema: { type: "object" } },
      },
      messages: [
        {
          content: [
            { type: "text", text: "What?" },
            { type: "image_url", image_url: { url: "https://example.com/a.png" } },
          ],
        },
      ],
    });
  });

  test("what is not to be stored is not", async () => {
    reset(groq({ content: "Hello!" }));
    const response = await client.responses.create({ model: "llama", input: "Hi", store: false });
    expect((await failure(client.responses.retrieve(response.id))).status).toBe(404);
  });

  test.each([
    [{ tools: [{ type: "web_search" }] }, "web_search", "tools[0]"],
    [
      { tools: [{ type: "file_search", vector_store_ids: [] }] },
      "file_search",
      "tools[0].vector_store_ids",
    ],
    [{ tools: [{ type: "computer_use_preview" }] }, "computer_use_preview", "tools[0]"],
    [{ tool_choice: { type: "code_interpreter" } }, "code_interpreter", "tool_choice"],
    [{ conversation: "conv_1" }, "conversation", "conversation"],
    [{ input: 7 }, "input", "input"],
    [{ background: true, store: false }, "store", "background"],
    [{ previous_response_id: "resp_none" }, "not found", "previous_response_id"],
    [{ background: true, tools: [{ type: "web_search" }] }, "web_search", "tools[0]"],
  ])("%j is refused by name", async (more, named, param) => {
    reset(groq({ content: "never" }));
    const error = await failure(
      client.responses.create({ model: "llama", input: "Hi", ...more } as never),
    );
    expect(error.status).toBe(400);
    expect(error.message).toContain(named);
    expect(error.param).toBe(param);
    expect(seen).toEqual([]);
  });

  test("a failure before the first event is an error, one after it an event", async () => {
    reset(() => Response.json({ error: { message: "slow down" } }, { status: 429 }));
    const refused = await failure(client.responses.create({ model: "llama", input: "Hi" }));
    expect(refused).toMatchObject({ status: 429, type: "rate_limit_error" });
    reset((request, body) => {
      const whole = groq({ content: "Hello!" })(request, body) as Response;
      return whole
        .text()
        .then((text) => sse([text.split("\n\n").slice(0, 3).join("\n\n"), "\n\n"]));
    });
    const stream = await client.responses.create({ model: "llama", input: "Hi", stream: true });
    const events = [];
    for await (const event of stream) events.push(event);
    const last = events.at(-1);
    expect(last?.type).toBe("response.failed");
    expect(last).toMatchObject({
      sequence_number: events.length - 1,
      response: {
        status: "failed",
        error: { code: "server_error" },
        output: [{ status: "incomplete", content: [{ text: "Hello!" }] }],
      },
    });
  });

  test.each(["several", "auto"])("a conversation with %s stays with its model", async (model) => {
    reset((request, body) => {
      if (request.url.includes("anthropic")) return Response.json(anthropicHello);
      if (request.url.endsWith("/responses")) return native(request, body);
      return groq({ content: "Hello!" })(request, body);
    });
    for (let i = 0; i < 4; i++) {
      const first = await client.responses.create({ model, input: `Hi ${i}` }).withResponse();
      const made = first.response.headers.get("x-routeiq-model");
      for (let turn = 0; turn < 3; turn++) {
        const next = await client.responses
          .create({ model, input: "And?", previous_response_id: first.data.id })
          .withResponse();
        expect(next.response.headers.get("x-routeiq-model")).toBe(made);
        const receipt = await receiptOf(next.response);
        expect(receipt).toMatchObject({
          operation: "responses",
          outcome: "success",
          decision: { reason: "sticky" },
        });
      }
    }
  });
});

const anthropicHello = {
  id: "msg_1",
  type: "message",
  role: "assistant",
  model: "claude",
  content: [{ type: "text", text: "Hello!" }],
  stop_reason: "end_turn",
  stop_sequence: null,
  usage: { input_tokens: 5, output_tokens: 5 },
};

describe("Vercel's client, which speaks responses by default", () => {
  const call = { id: "call_1", type: "function", function: { name: "roll", arguments: "{}" } };
  const upstream: Upstream = (request, body) => {
    const messages = body["messages"] as readonly JsonObject[];
    const rolled = messages.some(({ role }) => role === "tool");
    return rolled
      ? groq({ content: "A four." })(request, body)
      : groq({ content: null, tool_calls: [call] }, "tool_calls")(request, body);
  };
  const ask = () => {
    const provider = createOpenAI({ apiKey: "k", baseURL: `${gateway.gateway.url}/v1` });
    const roll = tool({
      inputSchema: jsonSchema({ type: "object", properties: {} }),
      execute: async () => "4",
    });
    const tools = { roll } as unknown as ToolSet; // their type does not meet exactOptionalPropertyTypes
    return {
      model: provider("llama"),
      prompt: "Roll.",
      tools,
      stopWhen: stepCountIs(3),
      maxRetries: 0,
    };
  };

  test("calls a tool and goes on by the names of stored items", async () => {
    reset(upstream);
    expect((await generateText(ask())).text).toBe("A four.");
    expect(seen.length).toBe(2);
    const messages = bodies()[1]?.["messages"] as readonly JsonObject[];
    expect(messages.map(({ role }) => role)).toEqual(["user", "assistant", "tool"]);
    expect(messages[1]?.["tool_calls"]).toEqual([call]);
  });

  test("streams", async () => {
    reset(upstream);
    const result = streamText(ask());
    expect(await result.text).toBe("A four.");
    expect((await result.totalUsage).outputTokens).toBe(14);
  });
});

describe("in the background", () => {
  /** An upstream that answers when told. */
  function held() {
    const go = Promise.withResolvers<void>();
    const called = Promise.withResolvers<void>();
    const upstream: Upstream = async (request, body) => {
      called.resolve();
      const gone = new Promise((_, reject) => {
        request.signal?.addEventListener("abort", () => reject(request.signal?.reason));
      });
      await Promise.race([go.promise, gone]);
      return groq({ content: "Hello!" })(request, body);
    };
    return { upstream, go: go.resolve, called: called.promise };
  }

  async function poll(id: string): Promise<OpenAI.Responses.Response> {
    for (;;) {
      const response = await client.responses.retrieve(id);
      if (response.status !== "queued" && response.status !== "in_progress") return response;
      await Bun.sleep(1);
    }
  }

  test("asked for until it is there", async () => {
    const { upstream, go, called } = held();
    reset(upstream);
    const queued = await client.responses.create({ model: "llama", input: "Hi", background: true });
    expect(queued).toMatchObject({ status: "queued", background: true, output: [] });
    await called;
    expect((await client.responses.retrieve(queued.id)).status).toBe("in_progress");
    go();
    const done = await poll(queued.id);
    expect(done).toMatchObject({ id: queued.id, status: "completed", output_text: "Hello!" });
    expect((await client.responses.cancel(queued.id)).status).toBe("completed");
  });

  test("cancelled: the upstream is let go", async () => {
    const { upstream, called } = held();
    reset(upstream);
    const queued = await client.responses.create({ model: "llama", input: "Hi", background: true });
    await called;
    expect((await client.responses.cancel(queued.id)).status).toBe("cancelled");
    expect((await client.responses.retrieve(queued.id)).status).toBe("cancelled");
    const next = client.responses.create({
      model: "llama",
      input: "And?",
      previous_response_id: queued.id,
    });
    expect((await failure(next)).message).toContain("cancelled");
  });

  test("cancelled, its stream ends", async () => {
    const { upstream, called } = held();
    reset(upstream);
    const request = { model: "llama", input: "Hi", background: true, stream: true } as const;
    const events = [];
    for await (const event of await client.responses.create(request)) {
      events.push(event);
      if (event.type !== "response.queued") continue;
      await called;
      await client.responses.cancel(event.response.id);
    }
    expect(events.at(-1)).toMatchObject({
      type: "response.failed",
      response: { status: "cancelled" },
    });
  });

  test("one that fails says so", async () => {
    reset(() => Response.json({ error: { message: "slow down" } }, { status: 429 }));
    const queued = await client.responses.create({ model: "llama", input: "Hi", background: true });
    const done = await poll(queued.id);
    expect(done).toMatchObject({ status: "failed", error: { code: "rate_limit_exceeded" } });
  });

  test("streamed, left, and read on from where it was left", async () => {
    const { upstream, go, called } = held();
    reset(upstream);
    const request = { model: "llama", input: "Hi", background: true, stream: true } as const;
    const stream = await client.responses.create(request);
    const asked = stream[Symbol.asyncIterator]();
    const first = await asked.next();
    if (first.done || first.value.type !== "response.created") throw new Error("no beginning");
    const { id } = first.value.response;
    expect(first.value.response.status).toBe("queued");
    expect((await asked.next()).value?.type).toBe("response.queued");
    await asked.return?.();
    await called;
    const later = await client.responses.retrieve(id, { stream: true, starting_after: 1 });
    go();
    const events = [];
    for await (const event of later) events.push(event);
    expect(events.map((event) => event.sequence_number)).toEqual(events.map((_, i) => i + 2));
    expect(events[0]?.type).toBe("response.in_progress");
    expect(events.at(-1)).toMatchObject({ type: "response.completed", response: { id } });
    expect((await poll(id)).output_text).toBe("Hello!");
    const whole = failure(client.responses.retrieve(id, { stream: true }));
    expect((await whole).status).toBe(400);
  });
});

const wire = {
  object: "response",
  created_at: 1,
  model: "gpt-5-mini-2025-08-07",
  error: null,
  incomplete_details: null,
  instructions: null,
  metadata: {},
  parallel_tool_calls: true,
  temperature: 1,
  top_p: 1,
  tool_choice: "auto",
  tools: [],
};
const said = (text: string) => [
  {
    type: "message",
    id: "msg_native",
    status: "completed",
    role: "assistant",
    content: [{ type: "output_text", text, annotations: [] }],
  },
];
const usage = {
  input_tokens: 3,
  input_tokens_details: { cached_tokens: 0 },
  output_tokens: 2,
  output_tokens_details: { reasoning_tokens: 0 },
  total_tokens: 5,
};
let made = 0;
const native: Upstream = (request, body) => {
  const path = new URL(request.url).pathname;
  if (request.method === "DELETE") return Response.json({ id: "x", deleted: true });
  if (path.endsWith("/input_items")) {
    return Response.json({ object: "list", data: [], has_more: false, first_id: "", last_id: "" });
  }
  const id = request.method === "GET" ? path.split("/").at(-1) : `resp_native_${++made}`;
  const whole = { ...wire, id, status: "completed", output: said("Hi from OpenAI"), usage };
  if (body["stream"] !== true) return Response.json(whole);
  const event = (type: string, rest: JsonObject) =>
    `event: ${type}\ndata: ${JSON.stringify({ type, ...rest })}\n\n`;
  return sse([
    event("response.created", {
      sequence_number: 0,
      response: { ...wire, id, status: "in_progress", output: [] } as never,
    }),
    event("response.output_text.delta", {
      sequence_number: 1,
      item_id: "msg_native",
      output_index: 0,
      content_index: 0,
      delta: "Hi from OpenAI",
    }),
    event("response.completed", { sequence_number: 2, response: whole as never }),
  ]);
};

describe("native", () => {
  test("the body passes but for the model, and the state stays where it was made", async () => {
    reset(native);
    const body = { model: "gpt", input: "Hi", tools: [{ type: "web_search" as const }], x_new: 1 };
    for (let i = 0; i < 4; i++) {
      reset(native);
      const first = await client.responses.create(body).withResponse();
      expect(seen[0]?.url.href).toBe("https://api.openai.com/v1/responses");
      expect(bodies()[0]).toEqual({ ...body, model: "gpt-5-mini" });
      const id = first.data.id;
      const next = await client.responses
        .create({ model: "gpt", input: "And?", previous_response_id: id })
        .withResponse();
      expect(bodies()[1]).toEqual({ model: "gpt-5-mini", input: "And?", previous_response_id: id });
      expect(seen[1]?.key).toBe(seen[0]?.key ?? "");
      expect(await receiptOf(next.response)).toMatchObject({ decision: { reason: "sticky" } });
      expect((await client.responses.retrieve(id)).output_text).toBe("Hi from OpenAI");
      await client.responses.inputItems.list(id);
      await client.responses.cancel(id);
      await client.responses.delete(id);
      expect(seen.slice(2).map(({ method, url }) => `${method} ${url.pathname}`)).toEqual([
        `GET /v1/responses/${id}`,
        `GET /v1/responses/${id}/input_items`,
        `POST /v1/responses/${id}/cancel`,
        `DELETE /v1/responses/${id}`,
      ]);
      expect(new Set(seen.map(({ key }) => key)).size).toBe(1);
      expect((await failure(client.responses.retrieve(id))).status).toBe(404);
    }
  });

  test("its stream passes, with usage and cost in the receipt", async () => {
    reset(native);
    const { data, response } = await client.responses
      .create({ model: "gpt", input: "Hi", stream: true })
      .withResponse();
    const events = [];
    for await (const event of data) events.push(event);
    expect(events.map(({ type }) => type)).toEqual([
      "response.created",
      "response.output_text.delta",
      "response.completed",
    ]);
    expect(await receiptOf(response)).toMatchObject({
      finishReason: "stop",
      usage: { inputTokens: 3, outputTokens: 2 },
    });
    const id = events[0]?.type === "response.created" ? events[0].response.id : "";
    expect((await client.responses.retrieve(id)).id).toBe(id);
  });

  test("what only OpenAI runs goes there, where a name leads to several", async () => {
    for (let i = 0; i < 8; i++) {
      reset(native);
      await client.responses.create({ model: "both", input: "?", tools: [{ type: "web_search" }] });
      expect(seen[0]?.url.host).toBe("api.openai.com");
    }
  });

  test("a state that a provider holds cannot be gone on from elsewhere", async () => {
    reset(native);
    const first = await client.responses.create({ model: "gpt", input: "Hi" });
    const next = client.responses.create({
      model: "claude",
      input: "And?",
      previous_response_id: first.id,
    });
    const error = await failure(next);
    expect([error.status, error.param]).toEqual([400, "previous_response_id"]);
    expect(seen.length).toBe(1);
  });

  test.each([
    ["FastAPI's", { detail: "Not Found" }],
    [
      "one of OpenAI's form",
      { error: { message: "There is no POST /v1/responses.", code: "not_found" } },
    ],
    ["a page", "404 page not found"],
  ])(
    "a server that has only chat is asked for that, and remembered: %s",
    async (_what, missing) => {
      const fresh = await startTestGateway({
        yaml,
        outbound: { fetch: async (request) => answer(request, JSON.parse(String(request.body))) },
      });
      const paths: string[] = [];
      answer = (request, body) => {
        paths.push(new URL(request.url).pathname);
        if (!request.url.endsWith("/responses"))
          return groq({ content: "From home" })(request, body);
        const text = typeof missing === "string" ? missing : JSON.stringify(missing);
        return new Response(text, { status: 404 });
      };
      const home = new OpenAI({ apiKey: "k", baseURL: `${fresh.gateway.url}/v1`, maxRetries: 0 });
      for (let i = 0; i < 2; i++) {
        const response = await home.responses.create({ model: "served-at-home", input: "Hi" });
        expect(response.output_text).toBe("From home");
      }
      expect(paths).toEqual(["/v1/responses", "/v1/chat/completions", "/v1/chat/completions"]);
      await fresh.gateway.close();
    },
  );

  test.each([
    ["tells its failure", true, "response.failed"],
    ["breaks off", false, "error"],
  ])("a stream that %s says so once", async (_how, told, last) => {
    reset((request, body) => {
      const whole = native(request, body) as Response;
      return whole.text().then((text) => {
        const begun = text.split("\n\n").slice(0, 2).join("\n\n");
        const error = { code: "server_error", message: "The model failed." };
        const response = { ...wire, id: "resp_f", status: "failed", output: [], error };
        const failed = { type: "response.failed", sequence_number: 2, response };
        const end = told ? `event: response.failed\ndata: ${JSON.stringify(failed)}\n\n` : "";
        return sse([`${begun}\n\n${end}`]);
      });
    });
    const { data, response } = await client.responses
      .create({ model: "gpt", input: "Hi", stream: true })
      .withResponse();
    const events = [];
    for await (const event of data) events.push(event.type);
    expect(events).toEqual(["response.created", "response.output_text.delta", last] as never);
    const receipt = await receiptOf(response);
    expect(receipt["outcome"]).toBe(told ? "failure" : "truncated");
  });

  test.each(["gpt", "llama"])("a caller of %s who leaves ends the upstream", async (model) => {
    const gone = Promise.withResolvers<void>();
    reset((request, body) => {
      request.signal?.addEventListener("abort", () => gone.resolve());
      const whole = (model === "gpt" ? native : groq({ content: "Hello!" }))(request, body);
      const reader = (whole as Response).body?.getReader();
      const stream = new ReadableStream<Uint8Array>({
        async start(sink) {
          const first = await reader?.read();
          const frames = new TextDecoder().decode(first?.value).split("\n\n").slice(0, 2);
          sink.enqueue(new TextEncoder().encode(`${frames.join("\n\n")}\n\n`));
        },
        cancel: () => gone.resolve(),
      });
      return new Response(stream, { headers: { "content-type": "text/event-stream" } });
    });
    const stream = await client.responses.create({ model, input: "Hi", stream: true });
    for await (const _ of stream) break;
    await gone.promise;
  });

  test("a model that a server has not is no missing API", async () => {
    const error = { message: "The model `qwen` does not exist.", code: 404 };
    reset(() => Response.json({ error }, { status: 404 }));
    const refused = failure(client.responses.create({ model: "served-at-home", input: "Hi" }));
    expect((await refused).status).toBe(404);
    expect(seen.length).toBe(1);
  });

  test("chat is carried to a model that only has responses", async () => {
    reset(native);
    const ask = {
      model: "chat-by-responses",
      messages: [{ role: "user" as const, content: "Hi" }],
    };
    const reply = await client.chat.completions.create(ask);
    expect(reply.choices[0]?.message.content).toBe("Hi from OpenAI");
    expect(bodies()[0]).toMatchObject({
      model: "gpt-5-mini",
      store: false,
      input: [{ type: "message", role: "user", content: "Hi" }],
    });
    const stream = client.chat.completions.stream(ask);
    expect(await stream.finalContent()).toBe("Hi from OpenAI");
  });
});
