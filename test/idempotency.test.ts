/** Requests with an idempotency key: run once, whoever asks how often, on a virtual clock. */
import { describe, expect, test } from "bun:test";
import { messageRoutes } from "../src/http/anthropic/messages.ts";
import { createExchange } from "../src/http/exchange.ts";
import { generateRoutes } from "../src/http/gemini/generate.ts";
import { createIdempotentExchange } from "../src/http/idempotency.ts";
import { chatRoutes } from "../src/http/openai/chat.ts";
import {
  createMemoryIdempotencyStore,
  type MemoryIdempotencyStore,
} from "../src/storage/memory/idempotency-store.ts";
import { configOf, createTestServices, hello } from "./support/services.ts";
import { type Behaviour, createUpstreams } from "./support/upstreams.ts";
import { createVirtualClock } from "./support/virtual-clock.ts";

const models = `
model_list:
  - {model_name: one, litellm_params: {model: openai/a, api_base: "http://a.test/v1", api_key: k}}
router_settings: {num_retries: 0}
`;

async function world(script: Behaviour[], settings = "") {
  const clock = createVirtualClock();
  const left = [...script];
  const { outbound, seen } = createUpstreams(clock, () => left.shift() ?? { kind: "answer" });
  const config = await configOf(models + settings);
  const services = createTestServices(config, { clock, outbound });
  const store = services.idempotency as MemoryIdempotencyStore;
  const exchange = createIdempotentExchange(createExchange());
  function ask(key: string | undefined, body = hello("one"), init: RequestInit = {}) {
    const request = new Request("http://gateway.test/v1/chat/completions", {
      method: "POST",
      body: JSON.stringify(body),
      ...init,
      headers: {
        "content-type": "application/json",
        ...(key === undefined ? {} : { "idempotency-key": key }),
        ...(init.headers as Record<string, string>),
      },
    });
    return exchange(request, chatRoutes.route, services);
  }
  return { clock, seen, services, store, ask, exchange };
}

const slow: Behaviour = { kind: "answer", afterMs: 1_000 };

describe("the same key and body", () => {
  test("a second request is answered by the kept reply, and marked", async () => {
    const it = await world([]);
    const first = await it.ask("k1");
    const text = await first.text();
    const again = await it.ask("k1", hello("one"), { headers: { "x-request-id": "mine-2" } });
    expect(await again.text()).toBe(text);
    expect(it.seen.length).toBe(1);
    expect(first.headers.get("idempotent-replayed")).toBeNull();
    expect(again.headers.get("idempotent-replayed")).toBe("true");
    expect(again.headers.get("x-routeiq-call-id")).toBe(first.headers.get("x-routeiq-call-id"));
    expect(again.headers.get("x-request-id")).toBe("mine-2");
    expect(it.services.failures).toEqual([]);
  });

  test("requests that come while it runs join it", async () => {
    const it = await world([slow]);
    const all = [it.ask("k1"), it.ask("k1"), it.ask("k1")];
    await it.clock.advance(2_000);
    const texts = await Promise.all(all.map(async (one) => (await one).text()));
    expect(new Set(texts).size).toBe(1);
    expect(it.seen.length).toBe(1);
    expect(it.services.activity.count).toBe(0);
  });

  test("one who joins a stream in its middle reads it from its beginning", async () => {
    const it = await world([{ kind: "answer", gapMs: 100, tokens: 5 }]);
    const body = hello("one", { stream: true });
    const first = (await it.ask("k1", body)).text();
    await it.clock.advance(250);
    const second = it.ask("k1", body).then((response) => response.text());
    await it.clock.advance(2_000);
    expect(await second).toBe(await first);
    expect(await first).toContain("[DONE]");
    expect(await (await it.ask("k1", body)).text()).toBe(await first);
    expect(it.seen.length).toBe(1);
  });

  test("it is forgotten after keep_seconds", async () => {
    const it = await world([], "routeiq_settings: {idempotency: {keep_seconds: 60}}");
    await (await it.ask("k1")).text();
    await it.clock.advance(59_000);
    await (await it.ask("k1")).text();
    expect(it.seen.length).toBe(1);
    await it.clock.advance(2_000);
    await (await it.ask("k1")).text();
    expect(it.seen.length).toBe(2);
  });
});

describe("what is not kept", () => {
  test("a failure runs again", async () => {
    const it = await world([{ kind: "status", status: 500 }]);
    expect((await it.ask("k1")).status).toBe(500);
    const again = await it.ask("k1");
    expect(again.status).toBe(200);
    expect(again.headers.get("idempotent-replayed")).toBeNull();
    expect(it.seen.length).toBe(2);
  });

  test("a stream that told its failure in band runs again", async () => {
    const it = await world([{ kind: "cut", tokens: 2, how: "reset" }]);
    const body = hello("one", { stream: true });
    const first = await it.ask("k1", body);
    const told = first.text();
    await it.clock.advance(100);
    expect(await told).toContain('data: {"error"');
    const again = await it.ask("k1", body);
    const reading = again.text();
    await it.clock.advance(100);
    expect(await reading).toContain("[DONE]");
    expect(it.seen.length).toBe(2);
  });

  test("a reply longer than max_reply_bytes, and two keys' replies never mix", async () => {
    const it = await world(
      [{ kind: "answer", tokens: 20 }],
      "routeiq_settings: {idempotency: {max_reply_bytes: 1024}}",
    );
    const long = { ...hello("one"), stream: true };
    const reading = (await it.ask("k1", long)).text();
    await it.clock.advance(100);
    expect((await reading).length).toBeGreaterThan(1024);
    expect(it.store.size).toBe(0);
    await (await it.ask("k2")).text();
    expect(it.store.size).toBe(1);
  });
});

describe("refusals", () => {
  test("the same key with another body, in the caller's dialect", async () => {
    const it = await world([]);
    await (await it.ask("k1")).text();
    const other = await it.ask("k1", hello("one", { temperature: 1 }));
    expect(other.status).toBe(422);
    expect(await other.json()).toMatchObject({
      error: { code: "idempotency_key_reused", type: "invalid_request_error" },
    });
    expect(it.seen.length).toBe(1);
    const request = new Request("http://gateway.test/v1/messages", {
      method: "POST",
      body: JSON.stringify({ ...hello("one"), max_tokens: 5 }),
      headers: { "content-type": "application/json", "idempotency-key": "k1" },
    });
    const anthropic = await it.exchange(request, messageRoutes.route, it.services);
    expect(anthropic.status).toBe(422);
    expect(await anthropic.json()).toMatchObject({
      type: "error",
      error: { type: "invalid_request_error" },
    });
  });

  test.each(["", "x".repeat(256)])("a key of no length, or too long (%#)", async (key) => {
    const it = await world([]);
    expect((await it.ask(key)).status).toBe(400);
    expect(it.seen.length).toBe(0);
  });

  test("a page of another site, as without a key", async () => {
    const it = await world([]);
    await (await it.ask("k1")).text();
    const other = await it.ask("k1", hello("one"), { headers: { origin: "https://evil.example" } });
    expect(other.status).toBe(403);
  });

  test("Gemini's key in the query lets in", async () => {
    const it = await world([], "general_settings: {master_key: sk-master-0123456789}");
    const path = "http://gateway.test/v1beta/models/one:generateContent?key=sk-master-0123456789";
    for (let i = 0; i < 2; i++) {
      const request = new Request(path, {
        method: "POST",
        body: JSON.stringify({ contents: [{ role: "user", parts: [{ text: "hi" }] }] }),
        headers: { "content-type": "application/json", "idempotency-key": "k" },
      });
      const route = generateRoutes.find((group) => group.route.stream === false)?.route;
      if (!route) throw new Error("there is such a route");
      const response = await it.exchange(request, route, it.services, "one");
      expect(response.status).toBe(200);
    }
    expect(it.seen.length).toBe(1);
  });

  test("turned off, a key means nothing", async () => {
    const it = await world([]);
    const { idempotency: _, ...services } = it.services;
    for (let i = 0; i < 2; i++) {
      const request = new Request("http://gateway.test/v1/chat/completions", {
        method: "POST",
        body: JSON.stringify(hello("one")),
        headers: { "content-type": "application/json", "idempotency-key": "k" },
      });
      await (await it.exchange(request, chatRoutes.route, services)).text();
    }
    expect(it.seen.length).toBe(2);
  });
});

describe("callers who hang up", () => {
  test("the call goes on while one of them is there, and ends with the last", async () => {
    const it = await world([slow, slow]);
    const [a, b] = [new AbortController(), new AbortController()];
    const first = it.ask("k1", hello("one"), { signal: a.signal });
    const second = it.ask("k1", hello("one"), { signal: b.signal });
    await it.clock.advance(100);
    a.abort();
    await it.clock.advance(100);
    expect(it.seen[0]?.ended).toBe(false);
    b.abort();
    await it.clock.advance(0);
    expect(it.seen[0]?.abortedAtMs).toBe(it.clock.now());
    expect([(await first).status, (await second).status]).toEqual([499, 499]);
    expect(it.store.size).toBe(0);
    const again = it.ask("k1");
    await it.clock.advance(2_000);
    expect((await again).status).toBe(200);
    expect(it.services.activity.count).toBe(0);
  });

  test("a stream is let go with its last reader", async () => {
    const it = await world([{ kind: "stall", tokens: 2 }]);
    const response = await it.ask("k1", hello("one", { stream: true }));
    await it.clock.advance(100);
    await response.body?.cancel();
    await it.clock.advance(0);
    expect(it.seen[0]?.ended).toBe(true);
    expect(it.services.activity.count).toBe(0);
    expect(it.store.size).toBe(0);
  });

  test("with linger_ms a retry finds the reply that nobody waited for", async () => {
    const it = await world(
      [{ kind: "answer", afterMs: 1_000, gapMs: 100 }],
      "routeiq_settings: {idempotency: {linger_ms: 30000}}",
    );
    const gone = new AbortController();
    const body = hello("one", { stream: true });
    void it.ask("k1", body, { signal: gone.signal });
    await it.clock.advance(100);
    gone.abort();
    await it.clock.advance(5_000);
    const again = await it.ask("k1", body);
    expect(await again.text()).toContain("[DONE]");
    expect(again.headers.get("idempotent-replayed")).toBe("true");
    expect(it.seen.length).toBe(1);
    await it.clock.advance(60_000);
    expect(it.clock.pending).toBeLessThanOrEqual(1); // the one that all attempts share
  });
});

describe("the store", () => {
  const limits = { keepMs: 1_000, maxEntries: 3, maxBytes: 4_096 };
  const reply = (size: number) => ({ status: 200, headers: [], body: new Uint8Array(size) });

  test("the oldest replies make room, by number and by bytes", async () => {
    const store = createMemoryIdempotencyStore(limits, createVirtualClock());
    for (const key of ["a", "b", "c", "d"]) {
      expect((await store.claim(key, "f")).kind).toBe("claimed");
      await store.keep(key, reply(10));
    }
    expect(store.size).toBe(3);
    expect((await store.claim("b", "f")).kind).toBe("kept");
    await store.claim("big", "f");
    await store.keep("big", reply(3_000));
    expect(store.sizeBytes).toBeLessThanOrEqual(limits.maxBytes);
    expect((await store.claim("big", "f")).kind).toBe("kept");
    await store.claim("huge", "f");
    await store.keep("huge", reply(5_000));
    expect((await store.claim("huge", "f")).kind).toBe("claimed");
  });

  test("running keys are never dropped: where they fill it, requests run without", async () => {
    const store = createMemoryIdempotencyStore(limits, createVirtualClock());
    for (const key of ["a", "b", "c"]) expect((await store.claim(key, "f")).kind).toBe("claimed");
    expect((await store.claim("d", "f")).kind).toBe("full");
    expect(await store.claim("a", "g")).toEqual({ kind: "running", fingerprint: "f" });
    await store.release("a");
    expect((await store.claim("d", "f")).kind).toBe("claimed");
  });
});
