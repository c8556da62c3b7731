/** Streams that break off after their first byte and go on from another deployment. */
import { describe, expect, test } from "bun:test";
import type { JsonObject } from "../src/domain/json.ts";
import { handle } from "../src/pipeline/handle.ts";
import { findReceipt } from "../src/pipeline/receipts.ts";
import type { ReplyStream } from "../src/pipeline/reply.ts";
import { arrivalOf, configOf, createTestServices, hello } from "./support/services.ts";
import { type Behaviour, createUpstreams } from "./support/upstreams.ts";
import { createVirtualClock } from "./support/virtual-clock.ts";

const price = "input_cost_per_token: 0.001, output_cost_per_token: 0.002";
const models = `
model_list:
  - {model_name: main, litellm_params: {model: openai/a, api_base: "http://a.test/v1", api_key: k1, order: 1, ${price}}}
  - {model_name: main, litellm_params: {model: anthropic/claude-sonnet-4-5, api_base: "http://b.test", api_key: k2, order: 2, ${price}}}
  - {model_name: mistral, litellm_params: {model: openai/a, api_base: "http://a.test/v1", api_key: k1}}
  - {model_name: vllm, litellm_params: {model: hosted_vllm/v, api_base: "http://v.test/v1", api_key: k4}}
  - {model_name: rest, litellm_params: {model: mistral/m, api_base: "http://m.test/v1", api_key: k3}}
  - {model_name: closed, litellm_params: {model: openai/a, api_base: "http://a.test/v1", api_key: k1, order: 1}}
  - {model_name: closed, litellm_params: {model: openai/d, api_base: "http://d.test/v1", api_key: k4, order: 2}}
router_settings: {num_retries: 2, fallbacks: [{mistral: [rest]}]}
`;
const on = "routeiq_settings: {continuation: {enabled: true}, timeouts: {idle_ms: 5000}}";

async function world(scripts: Record<string, Behaviour[]>, settings = on) {
  const clock = createVirtualClock();
  const left = new Map(Object.entries(scripts).map(([host, list]) => [host, [...list]]));
  const { outbound, seen } = createUpstreams(
    clock,
    ({ host }) => left.get(host.slice(0, 1))?.shift() ?? { kind: "answer" },
  );
  const services = createTestServices(await configOf(models + settings), { clock, outbound });
  async function call(more: JsonObject = {}, arrival: Parameters<typeof arrivalOf>[2] = {}) {
    const body = hello("main", { stream: true, max_tokens: 50, ...more });
    const arrived = arrivalOf(body, clock, arrival);
    let text = "";
    const reading = handle(arrived, services).then(async ({ body: stream }) => {
      const { next } = stream as ReplyStream;
      for (let bytes = await next(); bytes; bytes = await next()) {
        text += new TextDecoder().decode(bytes);
      }
    });
    await clock.advance(30_000);
    await reading;
    return { text, receipt: await findReceipt(arrived.id, services) };
  }
  const hosts = () => seen.map(({ host }) => host.slice(0, 1)).join("");
  return { clock, seen, services, call, hosts };
}

const chunksOf = (text: string) =>
  [...text.matchAll(/^data: (\{.*)$/gm)].map(([, data]) => JSON.parse(data ?? ""));
const wordsOf = (text: string) =>
  chunksOf(text)
    .map(({ choices, delta }) => choices?.[0]?.delta?.content ?? delta?.text ?? "")
    .join("");

const broken: readonly [string, Behaviour][] = [
  ["a reset", { kind: "cut", tokens: 2, how: "reset" }],
  ["an end without a finish reason", { kind: "cut", tokens: 2, how: "end" }],
  ["an in-band error", { kind: "error-event", tokens: 2 }],
  ["silence", { kind: "stall", tokens: 2 }],
];

describe("a caller of OpenAI's dialect", () => {
  test.each(broken)(
    "%s: one whole stream, marked, in the receipt, paid",
    async (_how, behaviour) => {
      const it = await world({ a: [behaviour] });
      const { text, receipt } = await it.call({ stream_options: { include_usage: true } });
      expect(it.hosts()).toBe("ab");
      const sent = it.seen[1]?.body as { messages: JsonObject[]; max_tokens: number } | undefined;
      expect(sent?.messages.at(-1)).toEqual({ role: "assistant", content: "t0 t1" });
      expect(sent?.max_tokens).toBe(48);
      expect(wordsOf(text)).toBe("t0 t1 t0 t1 t2 ");
      expect(text).toContain(": x-routeiq-continued: ");
      expect(text.match(/\[DONE\]/g)?.length).toBe(1);
      expect(text).not.toContain('"error"');
      const chunks = chunksOf(text);
      expect(new Set(chunks.map(({ id }) => id)).size).toBe(1);
      expect(chunks.filter(({ choices }) => choices[0]?.delta.role).length).toBe(1);
      expect(chunks.filter(({ choices }) => choices[0]?.finish_reason).length).toBe(1);
      expect(chunks.at(-1).usage).toMatchObject({ completion_tokens: 5 });
      expect(receipt?.attempts.map(({ because, outcome }) => `${because} ${outcome}`)).toEqual([
        "first failed",
        "continuation ok",
      ]);
      expect(receipt?.outcome).toBe("success");
      const before = receipt?.attempts[0]?.costMicroUsd ?? 0;
      expect(before).toBe(6 * 1000 + 2 * 2000); // the prompt as estimated, and two tokens
      expect(receipt?.costMicroUsd).toBe(before + 10 * 1000 + 3 * 2000);
      expect(it.services.failures).toEqual([]);
      expect(it.services.activity.count).toBe(0);
      for (const { id } of it.services.table.deployments) {
        expect(it.services.pool.stats.inFlight(id)).toBe(0);
      }
    },
  );

  test("before anything was said anyone may go on, and the request is as it was", async () => {
    const it = await world({ a: [{ kind: "cut", tokens: 0, how: "reset" }] });
    const { text } = await it.call({ model: "closed" });
    expect(it.hosts()).toBe("ad");
    expect(it.seen[1]?.body["messages"]).toEqual(it.seen[0]?.body["messages"]);
    expect(wordsOf(text)).toBe("t0 t1 t2 ");
  });

  test("a group's fallback, told in its provider's words", async () => {
    const it = await world({ a: [{ kind: "cut", tokens: 2, how: "reset" }] });
    const { text } = await it.call({ model: "mistral" });
    expect(it.hosts()).toBe("am");
    const sent = it.seen[1]?.body as { messages: JsonObject[] } | undefined;
    expect(sent?.messages.at(-1)).toEqual({
      role: "assistant",
      content: "t0 t1",
      prefix: true,
    });
    expect(wordsOf(text)).toBe("t0 t1 t0 t1 t2 ");
  });

  test("the only deployment itself, where it takes a beginning", async () => {
    const it = await world({ v: [{ kind: "cut", tokens: 2, how: "reset" }] });
    await it.call({ model: "vllm" });
    expect(it.hosts()).toBe("vv");
    expect(it.seen[1]?.body).toMatchObject({
      continue_final_message: true,
      add_generation_prompt: false,
    });
  });

  test("once, and no more than max_times; then the error is told", async () => {
    const cut: Behaviour = { kind: "cut", tokens: 1, how: "reset" };
    const it = await world({ a: [cut], b: [cut, cut] });
    const { text, receipt } = await it.call();
    expect(it.hosts()).toBe("ab");
    expect(text).toContain('data: {"error"');
    expect(text).not.toContain("[DONE]");
    expect(receipt?.outcome).toBe("truncated");
    expect(receipt?.attempts.map(({ outcome }) => outcome)).toEqual(["failed", "failed"]);
  });

  test("who goes on fails at once: the first error is told", async () => {
    const it = await world({
      a: [{ kind: "cut", tokens: 2, how: "reset" }],
      b: [{ kind: "status", status: 400 }],
    });
    const { text, receipt } = await it.call();
    expect(it.hosts()).toBe("ab");
    expect(text).toContain('data: {"error"');
    expect(receipt?.attempts.map(({ because, status }) => [because, status])).toEqual([
      ["first", 502],
      ["continuation", 400],
    ]);
    expect(receipt?.deployment).toBe(it.services.table.deployments[0]?.id ?? "");
  });
});

describe("a caller of Anthropic's dialect", () => {
  test.each(broken)("%s: one message, from start to stop", async (_how, behaviour) => {
    const it = await world({ a: [behaviour] });
    const { text } = await it.call({}, { dialect: "anthropic" });
    expect(it.hosts()).toBe("ab");
    const types = chunksOf(text).map(({ type }) => type);
    expect(types.filter((type) => type === "message_start").length).toBe(1);
    expect(types.filter((type) => type === "content_block_start").length).toBe(1);
    expect(types.filter((type) => type === "message_stop").length).toBe(1);
    expect(types).not.toContain("error");
    expect(wordsOf(text)).toBe("t0 t1 t0 t1 t2 ");
  });
});

test.each([{}, { contents: "thinks" }])(
  "a caller of Gemini's dialect %p",
  async ({ contents }: { contents?: string }) => {
    const it = await world({ a: [{ kind: "cut", tokens: 2, how: "end" }] });
    const { text } = await it.call(
      {
        contents: [{ role: "user", parts: [{ text: "hello" }] }],
        generationConfig: contents ? { thinkingConfig: { thinkingBudget: 100 } } : { topP: 0.5 },
      },
      { dialect: "gemini", pathModel: "main", pathStream: true },
    );
    if (contents) {
      expect(it.hosts()).toBe("a");
      expect(text).toContain('"error"');
      return;
    }
    expect(it.hosts()).toBe("ab");
    const parts = chunksOf(text).flatMap(({ candidates }) => candidates?.[0]?.content?.parts ?? []);
    expect(parts.map(({ text }) => text).join("")).toBe("t0 t1 t0 t1 t2 ");
    expect(text.match(/"finishReason"/g)?.length).toBe(1);
    const sent = it.seen[1]?.body as { messages: JsonObject[] } | undefined;
    expect(sent?.messages.at(-1)).toMatchObject({ role: "assistant" });
  },
);

describe("not", () => {
  const cut: Behaviour = { kind: "cut", tokens: 2, how: "reset" };
  test.each([
    ["by default", {}, ""],
    ["where nobody takes a beginning", { model: "closed" }, on],
    ["a document by schema", { response_format: { type: "json_object" } }, on],
    ["several answers", { n: 2 }, on],
    ["after thinking", { reasoning_effort: "high" }, on],
    [
      "beyond max_text_chars",
      {},
      "routeiq_settings: {continuation: {enabled: true, max_text_chars: 3}}",
    ],
  ])("%s", async (_why, more: JsonObject, settings) => {
    const it = await world({ a: [cut] }, settings);
    const { text } = await it.call(more);
    expect(it.hosts()).toBe("a");
    expect(text).toContain('data: {"error"');
    expect(text).not.toContain("x-routeiq-continued");
  });

  test("when the caller has hung up in between", async () => {
    const it = await world({ a: [cut], b: [{ kind: "hang" }] });
    const controller = new AbortController();
    const arrival = arrivalOf(hello("main", { stream: true }), it.clock, {
      signal: controller.signal,
    });
    let stream: ReplyStream | undefined;
    const reading = handle(arrival, it.services).then(async ({ body }) => {
      stream = body as ReplyStream;
      for (let bytes = await stream.next(); bytes; ) bytes = await stream.next();
    });
    await it.clock.advance(1_000);
    expect(it.hosts()).toBe("ab");
    controller.abort();
    stream?.cancel("gone");
    await it.clock.advance(0);
    await reading;
    expect(it.seen[1]?.abortedAtMs).toBe(it.clock.now());
    const receipt = await findReceipt(arrival.id, it.services);
    expect(receipt?.outcome).toBe("cancelled");
    expect(it.services.activity.count).toBe(0);
    for (const { id } of it.services.table.deployments) {
      expect(it.services.pool.stats.inFlight(id)).toBe(0);
    }
  });
});
