/** Batches against a running gateway, by OpenAI's own client: over another provider's model. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { appendFileSync, existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import OpenAI, { toFile } from "openai";
import { openBatchOutput } from "../src/resources/batches/batch-output.ts";
import type { Outbound } from "../src/security/outbound.ts";
import { systemClock } from "../src/std/clock.ts";
import { startTestGateway, type TestGateway } from "./support/gateway.ts";

const yaml = `
model_list:
  - model_name: claude
    litellm_params: {model: anthropic/claude-sonnet-4-5, api_key: sk-ant, input_cost_per_token: 0.000003, output_cost_per_token: 0.000015}
router_settings: {num_retries: 0}
routeiq_settings: {batches: {concurrency: 3, max_requests: 50, yield_above: 5}}
`;

let it: TestGateway;
let client: OpenAI;
/** Asked per user text; answers how the provider replies. */
let behave: (text: string) => Response | Promise<Response>;
let asked: string[] = [];

const reply = (text: string) =>
  Response.json({
    id: "msg_1",
    type: "message",
    role: "assistant",
    model: "claude-sonnet-4-5",
    content: [{ type: "text", text: `re: ${text}` }],
    stop_reason: "end_turn",
    usage: { input_tokens: 10, output_tokens: 5 },
  });
const refusal = (status: number, type: string) =>
  Response.json({ type: "error", error: { type, message: "no" } }, { status });

beforeAll(async () => {
  const outbound: Outbound = {
    async fetch({ body }) {
      const { messages } = JSON.parse(String(body));
      const content = messages[0].content;
      const text = typeof content === "string" ? content : content[0].text;
      asked.push(text);
      return behave(text);
    },
  };
  it = await startTestGateway({ yaml, outbound });
  client = new OpenAI({ apiKey: "k", baseURL: `${it.gateway.url}/v1`, maxRetries: 0 });
});
afterAll(() => it.gateway.close());

const line = (n: number, over: object = {}) => ({
  custom_id: `r${n}`,
  method: "POST",
  url: "/v1/chat/completions",
  body: { model: "claude", max_tokens: 10, messages: [{ role: "user", content: `q${n}` }] },
  ...over,
});

async function submit(lines: readonly (object | string)[], by: typeof behave = reply) {
  asked = [];
  behave = by;
  const text = lines.map((each) => (typeof each === "string" ? each : JSON.stringify(each)));
  const file = await client.files.create({
    file: await toFile(Buffer.from(`${text.join("\n")}\n`), "in.jsonl"),
    purpose: "batch",
  });
  return client.batches.create({
    input_file_id: file.id,
    endpoint: "/v1/chat/completions",
    completion_window: "24h",
    metadata: { team: "blue" },
  });
}

async function settled(id: string) {
  for (let i = 0; i < 500; i++) {
    const batch = await client.batches.retrieve(id);
    if (/^(failed|completed|expired|cancelled)$/.test(batch.status)) return batch;
    await Bun.sleep(10);
  }
  throw new Error("the batch does not end");
}

async function linesOf(fileId: string | null | undefined): Promise<Record<string, never>[]> {
  if (!fileId) return [];
  const text = await (await client.files.content(fileId)).text();
  return text
    .trim()
    .split("\n")
    .map((each) => JSON.parse(each));
}

test("every request is answered by another provider's model, priced, and both outcomes are told", async () => {
  const lines = Array.from({ length: 7 }, (_, i) => line(i));
  const made = await submit(lines, (text) =>
    text === "q3" ? refusal(400, "invalid_request_error") : reply(text),
  );
  expect(made).toMatchObject({
    object: "batch",
    status: "validating",
    endpoint: "/v1/chat/completions",
    metadata: { team: "blue" },
  });
  const batch = await settled(made.id);
  expect(batch).toMatchObject({
    status: "completed",
    model: "claude",
    request_counts: { total: 7, completed: 6, failed: 1 },
    usage: { input_tokens: 60, output_tokens: 30, total_tokens: 90 },
    cost_usd: 6 * (10 * 3e-6 + 5 * 15e-6),
  });
  const answers = await linesOf(batch.output_file_id);
  expect(answers.map(({ custom_id }) => String(custom_id)).sort()).toEqual([
    "r0",
    "r1",
    "r2",
    "r4",
    "r5",
    "r6",
  ]);
  expect(answers[0]).toMatchObject({
    error: null,
    response: {
      status_code: 200,
      body: { object: "chat.completion", choices: [{ message: { content: expect.any(String) } }] },
    },
  });
  const [failure] = await linesOf(batch.error_file_id);
  expect(failure).toMatchObject({
    custom_id: "r3",
    response: { status_code: 400, body: { error: { type: "invalid_request_error" } } },
    error: { message: expect.any(String) },
  });
  expect((await client.batches.list({ limit: 1 })).data[0]?.id).toBe(made.id);
  const left = join(it.dataDir, "batches");
  expect(existsSync(left) ? readdirSync(left) : []).toEqual([]);
});

describe("an input that is wrong asks nobody", () => {
  const cases: readonly (readonly [string, readonly (object | string)[], string, number | null])[] =
    [
      ["no JSON", [line(1), "{"], "invalid_json_line", 2],
      ["two of one id", [line(1), line(1)], "duplicate_custom_id", 2],
      ["no id", [line(1, { custom_id: "" })], "invalid_custom_id", 1],
      ["another address", [line(1, { url: "/v1/embeddings" })], "mismatched_endpoint", 1],
      ["another method", [line(1, { method: "GET" })], "invalid_method", 1],
      ["no body", [line(1, { body: 1 })], "missing_body", 1],
      ["no model", [line(1, { body: { messages: [] } })], "missing_model", 1],
      ["too many", Array.from({ length: 51 }, (_, i) => line(i)), "too_many_tasks", 51],
      ["nothing", [""], "empty_file", null],
    ];
  test.each(cases)("%s", async (_name, lines, code, at) => {
    const batch = await settled((await submit(lines)).id);
    expect(batch.status).toBe("failed");
    expect(batch.errors?.data?.[0]).toMatchObject({ code, line: at, message: expect.any(String) });
    expect(asked).toEqual([]);
  });

  test.each([
    ["endpoint", { endpoint: "/v1/files" }],
    ["input_file_id", { input_file_id: "file-none" }],
    ["completion_window", { completion_window: "1y" }],
    ["metadata", { metadata: { a: 1 } }],
  ])("%s", async (param, over) => {
    const file = await client.files.create({
      file: await toFile(Buffer.from(JSON.stringify(line(1))), "in.jsonl"),
      purpose: "batch",
    });
    const body = { input_file_id: file.id, endpoint: "/v1/chat/completions", ...over };
    const answer = await fetch(`${it.gateway.url}/v1/batches`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
    });
    const { error } = (await answer.json()) as { error: { param: string } };
    expect([answer.status, error.param]).toEqual([400, param]);
  });
});

test("cancelled, it lays down what was paid for and asks no more", async () => {
  const gate = Promise.withResolvers<void>();
  const lines = Array.from({ length: 20 }, (_, i) => line(i));
  const { id } = await submit(lines, async (text) => {
    if (Number(text.slice(1)) >= 5) await gate.promise;
    return reply(text);
  });
  for (let i = 0; i < 500 && asked.length < 8; i++) await Bun.sleep(5);
  const cancelling = await client.batches.cancel(id);
  expect(cancelling.status).toBe("cancelling");
  gate.resolve();
  const batch = await settled(id);
  expect(batch.status).toBe("cancelled");
  // Those that were under way may have been answered all the same.
  const { completed = 0 } = batch.request_counts ?? {};
  expect(completed).toBeWithin(5, 9);
  expect(await linesOf(batch.output_file_id)).toHaveLength(completed);
  expect(asked.length).toBeLessThan(10);
  const again = await client.batches.cancel(id).then(
    () => undefined,
    (error: unknown) => error,
  );
  expect(again).toMatchObject({ status: 400 });
});

test("what finds no room is asked again, and is no failure", async () => {
  let refused = 0;
  const { id } = await submit([line(1)], (text) => {
    refused += 1;
    return refused === 1 ? refusal(429, "rate_limit_error") : reply(text);
  });
  const batch = await settled(id);
  expect(batch.request_counts).toMatchObject({ completed: 1, failed: 0 });
}, 30_000);

test("what its time did not suffice for is named among the failures, and what was answered is kept", async () => {
  let laterMs = 0;
  const clock = { ...systemClock, now: () => systemClock.now() + laterMs };
  const outbound: Outbound = {
    async fetch({ body }) {
      if (String(body).includes("q1")) laterMs = 25 * 3_600_000;
      return reply("any");
    },
  };
  const slow = await startTestGateway({
    yaml: yaml.replace("concurrency: 3", "concurrency: 1"),
    outbound,
    clock,
  });
  const before = client;
  client = new OpenAI({ apiKey: "k", baseURL: `${slow.gateway.url}/v1`, maxRetries: 0 });
  try {
    const made = await submit([0, 1, 2, 3].map((n) => line(n)));
    const batch = await settled(made.id);
    expect(batch).toMatchObject({
      status: "expired",
      expired_at: expect.any(Number),
      request_counts: { total: 4, completed: 2, failed: 2 },
    });
    const kept = await linesOf(batch.output_file_id);
    expect(kept.map(({ custom_id }) => String(custom_id))).toEqual(["r0", "r1"]);
    const failures = await linesOf(batch.error_file_id);
    expect(failures).toMatchObject([
      { custom_id: "r2", response: null, error: { code: "batch_expired" } },
      { custom_id: "r3", response: null, error: { code: "batch_expired" } },
    ]);
  } finally {
    client = before;
    await slow.gateway.close();
  }
});

describe("after a crash", () => {
  test("whole lines count, one that was cut off does not", async () => {
    const folder = mkdtempSync(join(tmpdir(), "routeiq-batches-"));
    const usage = {
      inputTokens: 3,
      cachedTokens: 1,
      outputTokens: 2,
      reasoningTokens: 0,
      costUsd: 0.5,
    };
    const text = (id: string) =>
      JSON.stringify({
        custom_id: id,
        usage: { input_tokens: 3, cached_tokens: 1, output_tokens: 2, cost_usd: 0.5 },
      });
    const first = await openBatchOutput(folder, "b");
    await first.add("a", text("a"), false, usage);
    await first.add("b", text("b"), true, usage);
    await first.close();
    appendFileSync(join(folder, "b.answers.jsonl"), text("c").slice(0, 20));
    const second = await openBatchOutput(folder, "b");
    expect(["a", "b", "c"].map(second.has)).toEqual([true, true, false]);
    expect(second.tally).toMatchObject({ completed: 1, failed: 1, inputTokens: 6, costUsd: 1 });
    await second.add("c", text("c"), false, usage);
    const parts: Uint8Array[] = [];
    for await (const part of second.read("answers") ?? []) parts.push(part);
    expect(Buffer.concat(parts).toString()).toBe(`${text("a")}\n${text("c")}\n`);
    await second.close();
    rmSync(folder, { recursive: true });
  });

  test("the next process asks what the first did not, and nothing twice", async () => {
    const seen: string[] = [];
    const hang = Promise.withResolvers<void>();
    let slow = true;
    const outbound: Outbound = {
      async fetch({ body, signal }) {
        const [{ content }] = JSON.parse(String(body)).messages;
        const text = typeof content === "string" ? content : content[0].text;
        seen.push(text);
        if (slow && seen.length > 4) {
          signal?.addEventListener("abort", () => hang.reject(signal.reason));
          await hang.promise;
        }
        return reply(text);
      },
    };
    hang.promise.catch(() => undefined);
    const dataDir = mkdtempSync(join(tmpdir(), "routeiq-batches-"));
    const one = await startTestGateway({ yaml, outbound, dataDir });
    const api = new OpenAI({ apiKey: "k", baseURL: `${one.gateway.url}/v1`, maxRetries: 0 });
    const lines = Array.from({ length: 9 }, (_, i) => JSON.stringify(line(i))).join("\n");
    const file = await api.files.create({
      file: await toFile(Buffer.from(lines), "in"),
      purpose: "batch",
    });
    const { id } = await api.batches.create({
      input_file_id: file.id,
      endpoint: "/v1/chat/completions",
      completion_window: "24h",
    });
    for (let i = 0; i < 500 && seen.length < 7; i++) await Bun.sleep(5);
    await one.gateway.close();
    const before = [...seen];
    slow = false;
    seen.length = 0;
    const two = await startTestGateway({ yaml, outbound, dataDir });
    const next = new OpenAI({ apiKey: "k", baseURL: `${two.gateway.url}/v1`, maxRetries: 0 });
    let batch = await next.batches.retrieve(id);
    for (let i = 0; i < 800 && batch.status !== "completed"; i++) {
      await Bun.sleep(10);
      batch = await next.batches.retrieve(id);
    }
    expect(batch.request_counts).toEqual({ total: 9, completed: 9, failed: 0 });
    // The four that were answered are not asked again; those that were under way are.
    expect(before.slice(0, 4).some((text) => seen.includes(text))).toBe(false);
    expect(new Set([...before, ...seen]).size).toBe(9);
    const text = await (await next.files.content(batch.output_file_id ?? "")).text();
    expect(text.trim().split("\n")).toHaveLength(9);
    await two.gateway.close();
    rmSync(dataDir, { recursive: true });
  }, 30_000);
});

test("live traffic goes first", async () => {
  const gate = Promise.withResolvers<void>();
  asked = [];
  behave = async (text) => {
    if (text === "live") await gate.promise;
    return reply(text);
  };
  const body = {
    model: "claude",
    max_tokens: 5,
    messages: [{ role: "user" as const, content: "live" }],
  };
  const live = Array.from({ length: 5 }, () => client.chat.completions.create(body));
  for (const call of live) call.then(() => undefined);
  for (let i = 0; i < 200 && asked.length < 5; i++) await Bun.sleep(5);
  const kept = behave;
  const { id } = await submit([line(1)], kept);
  await Bun.sleep(200);
  expect(asked).toEqual([]);
  gate.resolve();
  await Promise.all(live);
  expect((await settled(id)).status).toBe("completed");
});
