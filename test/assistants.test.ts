/** Assistants and threads against a running gateway, by OpenAI's own client, over other providers' models. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import OpenAI, { toFile } from "openai";
import type { JsonObject } from "../src/domain/json.ts";
import type { Outbound } from "../src/security/outbound.ts";
import { startTestGateway, type TestGateway } from "./support/gateway.ts";

const yaml = `
model_list:
  - model_name: llama
    litellm_params: {model: groq/llama-3, api_key: gsk}
router_settings: {num_retries: 0}
`;

let it: TestGateway;
let client: OpenAI;
let asked: JsonObject[] = [];
let behave: (body: JsonObject, signal: AbortSignal | undefined) => Response | Promise<Response>;

const chunks = (...deltas: readonly (readonly [object, string?])[]): Response => {
  const events = deltas.map(([delta, finish]) => ({
    id: "c",
    object: "chat.completion.chunk",
    created: 1,
    model: "llama-3",
    choices: [{ index: 0, delta, finish_reason: finish ?? null }],
  }));
  const usage = { prompt_tokens: 7, completion_tokens: 3, total_tokens: 10 };
  const last = { ...events[0], choices: [], usage };
  const text = [...events, last].map((event) => `data: ${JSON.stringify(event)}\n\n`).join("");
  return new Response(`${text}data: [DONE]\n\n`, {
    headers: { "content-type": "text/event-stream" },
  });
};
const says = (...words: readonly string[]) =>
  chunks(...words.map((content): [object] => [{ content }]), [{}, "stop"]);
const calls = (name: string, args: string, id = "call_1") =>
  chunks(
    [{ tool_calls: [{ index: 0, id, type: "function", function: { name, arguments: args } }] }],
    [{}, "tool_calls"],
  );

beforeAll(async () => {
  const outbound: Outbound = {
    async fetch({ body, signal }) {
      const sent = JSON.parse(String(body));
      asked.push(sent);
      return behave(sent, signal);
    },
  };
  it = await startTestGateway({ yaml, outbound });
  client = new OpenAI({ apiKey: "k", baseURL: `${it.gateway.url}/v1`, maxRetries: 0 });
});
afterAll(() => it.gateway.close());

const weather = {
  type: "function" as const,
  function: { name: "weather", parameters: { type: "object", properties: {} } },
};

async function setUp(next: typeof behave, more: object = {}) {
  asked = [];
  behave = next;
  const assistant = await client.beta.assistants.create({
    model: "llama",
    name: "Helper",
    instructions: "Be brief.",
    tools: [weather],
    ...more,
  });
  const thread = await client.beta.threads.create({
    messages: [{ role: "user", content: "What is the weather?" }],
    metadata: { team: "blue" },
  });
  return { assistant, thread };
}

const messagesOf = (i: number) => (asked[i]?.["messages"] ?? []) as JsonObject[];
const failureOf = (work: PromiseLike<unknown>) =>
  work.then(
    () => undefined,
    (error: unknown) => error,
  );
const options = { pollIntervalMs: 10 };

test("assistants and threads are made, changed, listed and deleted", async () => {
  const { assistant, thread } = await setUp(() => says("x"));
  expect(assistant).toMatchObject({
    object: "assistant",
    model: "llama",
    name: "Helper",
    description: null,
    tools: [weather],
    response_format: "auto",
  });
  const changed = await client.beta.assistants.update(assistant.id, {
    name: null,
    temperature: 0.5,
  });
  expect(changed).toMatchObject({ name: null, temperature: 0.5, instructions: "Be brief." });
  expect((await client.beta.assistants.list({ limit: 1 })).data[0]?.id).toBe(assistant.id);
  expect(thread).toMatchObject({ object: "thread", metadata: { team: "blue" } });
  const message = await client.beta.threads.messages.create(thread.id, {
    role: "user",
    content: [{ type: "text", text: "And tomorrow?" }],
  });
  expect(message).toMatchObject({
    object: "thread.message",
    thread_id: thread.id,
    status: "completed",
    content: [{ type: "text", text: { value: "And tomorrow?", annotations: [] } }],
  });
  const list = await client.beta.threads.messages.list(thread.id, { order: "asc" });
  expect(list.data.map(({ id }) => id).at(-1)).toBe(message.id);
  await client.beta.threads.messages.delete(message.id, { thread_id: thread.id });
  expect(await client.beta.threads.delete(thread.id)).toMatchObject({ deleted: true });
  expect(await failureOf(client.beta.threads.retrieve(thread.id))).toMatchObject({ status: 404 });
  expect(await client.beta.assistants.delete(assistant.id)).toMatchObject({ deleted: true });
});

test("a run answers from the thread, and the answer is part of it", async () => {
  const { assistant, thread } = await setUp(() => says("It ", "rains."));
  const run = await client.beta.threads.runs.createAndPoll(
    thread.id,
    { assistant_id: assistant.id, additional_instructions: "In English." },
    options,
  );
  expect(run).toMatchObject({
    object: "thread.run",
    status: "completed",
    model: "llama",
    usage: { prompt_tokens: 7, completion_tokens: 3, total_tokens: 10 },
    required_action: null,
    last_error: null,
  });
  expect(asked[0]?.["messages"]).toEqual([
    { role: "system", content: "Be brief. In English." },
    { role: "user", content: "What is the weather?" },
  ]);
  const [answer] = (await client.beta.threads.messages.list(thread.id)).data;
  expect(answer).toMatchObject({
    role: "assistant",
    run_id: run.id,
    assistant_id: assistant.id,
    content: [{ type: "text", text: { value: "It rains." } }],
  });
  const steps = await client.beta.threads.runs.steps.list(run.id, { thread_id: thread.id });
  expect(steps.data.map(({ type, status }) => `${type} ${status}`)).toEqual([
    "message_creation completed",
  ]);
  // The next run is told what was said.
  await client.beta.threads.messages.create(thread.id, { role: "user", content: "Sure?" });
  await client.beta.threads.runs.createAndPoll(thread.id, { assistant_id: assistant.id }, options);
  expect(messagesOf(1).map(({ role }) => role)).toEqual(["system", "user", "assistant", "user"]);
});

test("a function waits for its caller, and the run goes on with what it answered", async () => {
  const { assistant, thread } = await setUp((body) =>
    (body["messages"] as JsonObject[]).some(({ role }) => role === "tool")
      ? says("12 degrees.")
      : calls("weather", '{"city":"Paris"}'),
  );
  const waiting = await client.beta.threads.runs.createAndPoll(
    thread.id,
    { assistant_id: assistant.id },
    options,
  );
  expect(waiting.status).toBe("requires_action");
  const [call] = waiting.required_action?.submit_tool_outputs.tool_calls ?? [];
  expect(call).toEqual({
    id: "call_1",
    type: "function",
    function: { name: "weather", arguments: '{"city":"Paris"}' },
  });
  const busy = client.beta.threads.runs.create(thread.id, { assistant_id: assistant.id });
  expect(await failureOf(busy)).toMatchObject({ status: 400 });
  const wrong = client.beta.threads.runs.submitToolOutputs(waiting.id, {
    thread_id: thread.id,
    tool_outputs: [{ tool_call_id: "other", output: "x" }],
  });
  expect(await failureOf(wrong)).toMatchObject({ status: 400 });
  const done = await client.beta.threads.runs.submitToolOutputsAndPoll(
    waiting.id,
    { thread_id: thread.id, tool_outputs: [{ tool_call_id: "call_1", output: "12" }] },
    options,
  );
  expect(done).toMatchObject({ status: "completed", usage: { total_tokens: 20 } });
  expect(messagesOf(1).slice(-2)).toEqual([
    expect.objectContaining({ role: "assistant", tool_calls: [call] }) as never,
    { role: "tool", tool_call_id: "call_1", content: "12" },
  ]);
  const steps = await client.beta.threads.runs.steps.list(done.id, {
    thread_id: thread.id,
    order: "asc",
  });
  expect(steps.data[0]?.step_details).toMatchObject({
    type: "tool_calls",
    tool_calls: [{ function: { name: "weather", output: "12" } }],
  });
});

test("a stream tells all that happens, by the client's own reader", async () => {
  const { assistant, thread } = await setUp((body) =>
    (body["messages"] as JsonObject[]).some(({ role }) => role === "tool")
      ? says("Now ", "it is ", "12.")
      : calls("weather", "{}"),
  );
  const events: string[] = [];
  const first = client.beta.threads.runs.stream(thread.id, { assistant_id: assistant.id });
  first.on("event", ({ event }) => events.push(event));
  const waiting = await first.finalRun();
  expect(events).toEqual([
    "thread.run.created",
    "thread.run.queued",
    "thread.run.in_progress",
    "thread.run.step.created",
    "thread.run.step.in_progress",
    "thread.run.step.delta",
    "thread.run.requires_action",
  ]);
  let text = "";
  const second = client.beta.threads.runs.submitToolOutputsStream(waiting.id, {
    thread_id: thread.id,
    tool_outputs: [{ tool_call_id: "call_1", output: "12" }],
  });
  second.on("textDelta", (delta) => {
    text += delta.value ?? "";
  });
  expect((await second.finalRun()).status).toBe("completed");
  expect(text).toBe("Now it is 12.");
  expect((await second.finalMessages())[0]?.content).toMatchObject([{ text: { value: text } }]);
});

describe("a run that does not come to its end", () => {
  test("cancelled", async () => {
    const { assistant, thread } = await setUp(
      (_body, signal) =>
        new Promise((_resolve, reject) =>
          signal?.addEventListener("abort", () => reject(signal.reason)),
        ),
    );
    const run = await client.beta.threads.runs.create(thread.id, { assistant_id: assistant.id });
    for (let i = 0; i < 200 && asked.length === 0; i++) await Bun.sleep(5);
    await client.beta.threads.runs.cancel(run.id, { thread_id: thread.id });
    const done = await client.beta.threads.runs.poll(run.id, { thread_id: thread.id }, options);
    expect(done).toMatchObject({ status: "cancelled", last_error: null });
    expect(done.cancelled_at).toBeNumber();
  });

  test("cancelled in the middle of a stream that goes on for ever", async () => {
    const chunk = { id: "c", object: "chat.completion.chunk", created: 1, model: "m" };
    const choices = [{ index: 0, delta: { content: "It" }, finish_reason: null }];
    const first = new TextEncoder().encode(`data: ${JSON.stringify({ ...chunk, choices })}\n\n`);
    const { assistant, thread } = await setUp(
      () =>
        new Response(new ReadableStream({ start: (controller) => controller.enqueue(first) }), {
          headers: { "content-type": "text/event-stream" },
        }),
    );
    const run = await client.beta.threads.runs.create(thread.id, { assistant_id: assistant.id });
    for (let i = 0; i < 200 && asked.length === 0; i++) await Bun.sleep(5);
    await Bun.sleep(30);
    await client.beta.threads.runs.cancel(run.id, { thread_id: thread.id });
    const done = await client.beta.threads.runs.poll(run.id, { thread_id: thread.id }, options);
    expect(done.status).toBe("cancelled");
  });

  test.each([
    [429, "rate_limit_exceeded"],
    [500, "server_error"],
  ])("refused with %d", async (status, code) => {
    const { assistant, thread } = await setUp(() =>
      Response.json({ error: { message: "no" } }, { status }),
    );
    const run = await client.beta.threads.runs.createAndPoll(
      thread.id,
      { assistant_id: assistant.id },
      options,
    );
    expect(run).toMatchObject({ status: "failed", last_error: { code } });
  });

  test("cut off by its length", async () => {
    const { assistant, thread } = await setUp(() => chunks([{ content: "It" }], [{}, "length"]));
    const run = await client.beta.threads.runs.createAndPoll(
      thread.id,
      { assistant_id: assistant.id, max_completion_tokens: 1 },
      options,
    );
    expect(run).toMatchObject({
      status: "incomplete",
      incomplete_details: { reason: "max_completion_tokens" },
    });
    expect(asked[0]?.["max_completion_tokens"] ?? asked[0]?.["max_tokens"]).toBe(1);
  });
});

test("a picture that was uploaded is shown to the model", async () => {
  const { assistant } = await setUp(() => says("A dot."));
  const png = Buffer.from("89504e470d0a1a0a", "hex");
  const file = await client.files.create({ file: await toFile(png, "dot.png"), purpose: "vision" });
  const run = await client.beta.threads.createAndRunPoll(
    {
      assistant_id: assistant.id,
      thread: {
        messages: [
          {
            role: "user",
            content: [
              { type: "text", text: "What is this?" },
              { type: "image_file", image_file: { file_id: file.id } },
            ],
          },
        ],
      },
    },
    options,
  );
  expect(run.status).toBe("completed");
  const [, user] = messagesOf(0);
  expect(user?.["content"]).toEqual([
    { type: "text", text: "What is this?" },
    { type: "image_url", image_url: { url: `data:image/png;base64,${png.toString("base64")}` } },
  ]);
});

describe("wrong input is refused by name", () => {
  const cases: readonly (readonly [string, string, object, string])[] = [
    ["no model", "/assistants", {}, "model"],
    ["an unknown tool", "/assistants", { model: "llama", tools: [{ type: "x" }] }, "tools[0].type"],
    [
      "a sandbox",
      "/assistants",
      { model: "llama", tools: [{ type: "code_interpreter" }] },
      "tools[0].type",
    ],
    ["too hot", "/assistants", { model: "llama", temperature: 3 }, "temperature"],
    [
      "another role",
      "/threads",
      { messages: [{ role: "system", content: "x" }] },
      "messages[0].role",
    ],
    ["no content", "/threads", { messages: [{ role: "user" }] }, "messages[0].content"],
    ["metadata", "/threads", { metadata: { a: {} } }, "metadata"],
  ];
  test.each(cases)("%s", async (_name, path, body, param) => {
    const answer = await fetch(`${it.gateway.url}/v1${path}`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
    });
    const { error } = (await answer.json()) as { error: { param: string } };
    expect([answer.status, error.param]).toEqual([400, param]);
  });
});
