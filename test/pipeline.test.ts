/** Retry, fallback, deadlines, cancel and charge, case by case, on a virtual clock. */
import { describe, expect, test } from "bun:test";
import type { JsonObject } from "../src/domain/json.ts";
import { CallFailed, handle } from "../src/pipeline/handle.ts";
import { findReceipt } from "../src/pipeline/receipts.ts";
import type { Reply, ReplyStream } from "../src/pipeline/reply.ts";
import { arrivalOf, configOf, createTestServices, hello } from "./support/services.ts";
import { type Behaviour, createUpstreams } from "./support/upstreams.ts";
import { createVirtualClock } from "./support/virtual-clock.ts";

const models = `
model_list:
  - {model_name: one, litellm_params: {model: openai/a, api_base: "http://a.test/v1", api_key: k}}
  - {model_name: two, litellm_params: {model: openai/b, api_base: "http://b.test/v1", api_key: k}}
  - {model_name: pair, litellm_params: {model: openai/c, api_base: "http://c.test/v1", api_key: k1, order: 1}}
  - {model_name: pair, litellm_params: {model: openai/d, api_base: "http://d.test/v1", api_key: k2, order: 2}}
`;

/** A world in which each host follows its script, and answers well at its end. */
async function world(settings: string, scripts: Record<string, Behaviour[]>) {
  const clock = createVirtualClock();
  const left = new Map(Object.entries(scripts).map(([host, list]) => [host, [...list]]));
  const { outbound, seen } = createUpstreams(
    clock,
    ({ host }) => left.get(host.replace(".test", ""))?.shift() ?? { kind: "answer" },
  );
  const services = createTestServices(await configOf(models + settings), { clock, outbound });
  const hosts = () => seen.map(({ host }) => host.replace(".test", "")).join("");

  async function call(body: JsonObject, more: Parameters<typeof arrivalOf>[2] = {}) {
    const arrival = arrivalOf(body, clock, more);
    let outcome: Reply | CallFailed | undefined;
    const done = handle(arrival, services).then(
      (reply) => {
        outcome = reply;
      },
      (failure) => {
        outcome = failure;
      },
    );
    for (let i = 0; i < 400 && !outcome; i++) await clock.advance(250);
    await done;
    return { id: arrival.id, outcome: outcome as Reply | CallFailed | undefined };
  }
  const codeOf = (outcome: unknown) =>
    outcome instanceof CallFailed ? outcome.error.code : "answered";
  return { clock, services, seen, hosts, call, codeOf };
}

const status = (code: number, more: object = {}): Behaviour => ({
  kind: "status",
  status: code,
  ...more,
});

describe("what is tried again", () => {
  const cases: readonly [string, string, string, Behaviour[], string, string][] = [
    // name, settings, model, script of its (first) host, hosts asked, outcome
    [
      "500: the same deployment, twice more",
      "",
      "one",
      [status(500), status(500)],
      "aaa",
      "answered",
    ],
    [
      "three failures: no more than two retries",
      "",
      "one",
      [status(500), status(500), status(500)],
      "aaa",
      "upstream_failed",
    ],
    ["a refused connection", "", "one", [{ kind: "refuse" }], "aa", "answered"],
    ["garbage", "", "one", [{ kind: "garbage" }], "aa", "answered"],
    ["409, as LiteLLM does", "", "one", [status(409)], "aa", "answered"],
    ["429 after its Retry-After", "", "one", [status(429, { retryAfterS: 3 })], "aa", "answered"],
    [
      "429 that asks for an hour: not at all",
      "",
      "one",
      [status(429, { retryAfterS: 3600 })],
      "a",
      "rate_limited",
    ],
    ["400: never", "", "one", [status(400)], "a", "upstream_rejected"],
    ["404: never", "", "one", [status(404)], "a", "upstream_not_found"],
    ["401 alone: never, on the same key", "", "one", [status(401)], "a", "upstream_auth"],
    [
      "num_retries 0",
      "router_settings: {num_retries: 0}",
      "one",
      [status(500)],
      "a",
      "upstream_failed",
    ],
    [
      "retry_policy by class",
      "router_settings: {retry_policy: {InternalServerErrorRetries: 1}}",
      "one",
      [status(500), status(500)],
      "aa",
      "upstream_failed",
    ],
    ["another deployment at once", "", "pair", [status(500)], "cd", "answered"],
    ["401: the next key", "", "pair", [status(401)], "cd", "answered"],
    [
      "max_attempts caps all",
      "router_settings: {num_retries: 9}\nrouteiq_settings: {max_attempts: 3}",
      "one",
      [status(500), status(500), status(500), status(500)],
      "aaa",
      "upstream_failed",
    ],
  ];
  test.each(cases)("%s", async (_name, settings, model, script, hosts, outcome) => {
    const first = model === "pair" ? "c" : "a";
    const it = await world(settings, { [first]: script });
    const { outcome: got } = await it.call(hello(model));
    expect(it.codeOf(got)).toBe(outcome);
    expect(it.hosts()).toBe(hosts);
    expect(it.services.failures).toEqual([]);
  });

  test("the wait for Retry-After is kept", async () => {
    const it = await world("", { a: [status(429, { retryAfterS: 3 })] });
    await it.call(hello("one"));
    expect((it.seen[1]?.atMs ?? 0) - (it.seen[0]?.atMs ?? 0)).toBeGreaterThanOrEqual(3000);
  });
});

describe("fallbacks", () => {
  const long = status(400, { message: "This model's maximum context length is 10 tokens" });
  const policy = status(400, { message: "content_policy_violation" });
  const cases: readonly [string, string, JsonObject, Behaviour[], string, string][] = [
    [
      "a list for the group",
      "router_settings: {num_retries: 0, fallbacks: [{one: [two]}]}",
      {},
      [status(500)],
      "ab",
      "answered",
    ],
    [
      "default_fallbacks",
      "router_settings: {num_retries: 0, default_fallbacks: [two]}",
      {},
      [status(500)],
      "ab",
      "answered",
    ],
    [
      "the caller's own list",
      "router_settings: {num_retries: 0}",
      { fallbacks: ["two"] },
      [status(500)],
      "ab",
      "answered",
    ],
    [
      "disable_fallbacks",
      "router_settings: {num_retries: 0, fallbacks: [{one: [two]}]}",
      { disable_fallbacks: true },
      [status(500)],
      "a",
      "upstream_failed",
    ],
    [
      "a longer window",
      "router_settings: {context_window_fallbacks: [{one: [two]}]}",
      {},
      [long],
      "ab",
      "answered",
    ],
    [
      "another policy",
      "router_settings: {content_policy_fallbacks: [{one: [two]}]}",
      {},
      [policy],
      "ab",
      "answered",
    ],
    [
      "a window list that names others: none",
      "router_settings: {context_window_fallbacks: [{two: [one]}], fallbacks: [{one: [two]}]}",
      {},
      [long],
      "a",
      "context_length_exceeded",
    ],
    [
      "the first failure is what is told",
      "router_settings: {num_retries: 0, fallbacks: [{one: [nobody, two]}]}",
      {},
      [status(503)],
      "ab",
      "answered",
    ],
  ];
  test.each(cases)("%s", async (_name, settings, more, script, hosts, outcome) => {
    const it = await world(settings, { a: script });
    const { outcome: got } = await it.call(hello("one", more));
    expect(it.codeOf(got)).toBe(outcome);
    expect(it.hosts()).toBe(hosts);
    for (const one of it.seen) expect(one.body).not.toHaveProperty("fallbacks");
  });
});

describe("time", () => {
  const settings = `
router_settings: {num_retries: 0}
routeiq_settings: {timeouts: {first_token_ms: 20000, idle_ms: 5000, total_ms: 60000}}
`;
  test("headers and pings are no first token", async () => {
    const it = await world(settings, { a: [{ kind: "silent" }] });
    const { outcome } = await it.call(hello("one", { stream: true }));
    expect(it.codeOf(outcome)).toBe("upstream_timeout");
    expect((it.seen[0]?.abortedAtMs ?? 0) - (it.seen[0]?.atMs ?? 0)).toBe(20_000);
  });

  test("silence in the middle is an in-band error after idle_ms, and is charged", async () => {
    const it = await world(settings, { a: [{ kind: "stall", tokens: 2 }] });
    const { outcome, id } = await it.call(hello("one", { stream: true }));
    const body = (outcome as Reply).body as ReplyStream;
    let text = "";
    const reading = (async () => {
      for (;;) {
        const bytes = await body.next();
        if (!bytes) return;
        text += new TextDecoder().decode(bytes);
      }
    })();
    await it.clock.advance(6_000);
    await reading;
    expect(text).toContain('data: {"error"');
    expect(text).not.toContain("[DONE]");
    const receipt = await findReceipt(id, it.services);
    expect(receipt?.usage).toEqual({ inputTokens: 6, outputTokens: 2, estimated: true });
    expect(receipt?.outcome).toBe("failure");
  });

  test("LiteLLM's timeout wins; a deadline header shortens it, and is not retried", async () => {
    const own = await world("router_settings: {num_retries: 0, timeout: 2}", {
      a: [{ kind: "hang" }],
    });
    expect(own.codeOf((await own.call(hello("one"))).outcome)).toBe("upstream_timeout");
    expect((own.seen[0]?.abortedAtMs ?? 0) - (own.seen[0]?.atMs ?? 0)).toBe(2_000);
    const shorter = await world("router_settings: {timeout: 2}", { a: [{ kind: "hang" }] });
    const headers = new Headers({ "x-routeiq-deadline-ms": "500" });
    const { outcome } = await shorter.call(hello("one"), { headers });
    expect(shorter.codeOf(outcome)).toBe("deadline_exceeded");
    expect(shorter.hosts()).toBe("a");
  });
});

describe("a caller who hangs up", () => {
  const states: readonly [string, Behaviour, boolean][] = [
    ["before headers", { kind: "hang" }, true],
    ["before headers, not streaming", { kind: "hang" }, false],
    ["before the first token", { kind: "silent" }, true],
    ["while a retry waits", status(429, { retryAfterS: 30 }), false],
  ];
  test.each(states)("%s: the upstream is let go at once", async (_state, behaviour, stream) => {
    const it = await world("", { a: [behaviour] });
    const controller = new AbortController();
    const arrival = arrivalOf(hello("one", { stream }), it.clock, { signal: controller.signal });
    const failed = handle(arrival, it.services).catch((failure: unknown) => failure);
    await it.clock.advance(1_000);
    const hungUpAtMs = it.clock.now();
    controller.abort();
    expect(it.codeOf(await failed)).toBe("caller_gone");
    expect(it.hosts()).toBe("a");
    expect(it.seen[0]?.ended).toBe(true);
    if (behaviour.kind !== "status") expect(it.seen[0]?.abortedAtMs).toBe(hungUpAtMs);
    const receipt = await findReceipt(arrival.id, it.services);
    expect(receipt?.outcome).toBe("cancelled");
    expect(receipt?.usage?.estimated).toBe(true);
    expect(it.services.activity.count).toBe(0);
    expect(it.services.expiry.size).toBe(0);
  });
});

describe("what goes upstream", () => {
  test("the bytes as they came, but for the model and the gateway's own fields", async () => {
    const it = await world("", {});
    const text = `{ "model" : "one","x":{"model":"one"},"num_retries":1,\n "messages":[{"role":"user","content":"\\u00e9 \\"model\\""}], "tags":["a"] }`;
    await it.call(text as never, { bytes: async () => new TextEncoder().encode(text) });
    expect(it.seen[0]?.text).toBe(
      `{ "model" : "a","x":{"model":"one"},"messages":[{"role":"user","content":"\\u00e9 \\"model\\""}] }`,
    );
  });

  test("a stream asks for usage, which a caller who did not ask never sees", async () => {
    const it = await world("", {});
    for (const asks of [false, true]) {
      const body = hello("one", {
        stream: true,
        ...(asks ? { stream_options: { include_usage: true } } : {}),
      });
      const { outcome, id } = await it.call(body);
      const stream = (outcome as Reply).body as ReplyStream;
      let text = "";
      const reading = (async () => {
        for (let bytes = await stream.next(); bytes; bytes = await stream.next()) {
          text += new TextDecoder().decode(bytes);
        }
      })();
      await it.clock.advance(100);
      await reading;
      expect(it.seen.at(-1)?.body["stream_options"]).toEqual({ include_usage: true });
      expect(text.includes('"usage"')).toBe(asks);
      expect(text).toContain("[DONE]");
      const receipt = await findReceipt(id, it.services);
      expect(receipt?.usage).toEqual({ inputTokens: 10, outputTokens: 3 });
    }
  });

  test("a body that names a destination or a key is refused", async () => {
    const it = await world("", {});
    const { outcome } = await it.call(hello("one", { api_base: "http://evil.test" }));
    expect(it.codeOf(outcome)).toBe("invalid_request");
    expect(it.seen.length).toBe(0);
  });
});
