/** Overload and repetition as a client sees them: statuses, headers and bodies on the wire. */
import { afterAll, beforeAll, beforeEach, expect, test } from "bun:test";
import { systemClock } from "../src/std/clock.ts";
import { startTestGateway, type TestGateway } from "./support/gateway.ts";
import {
  anthropicReply,
  type Behaviour,
  createUpstreams,
  openaiReply,
} from "./support/upstreams.ts";

let it: TestGateway;
/** Requests that the upstream has got, each answered when it is let go. */
let waiting: { readonly body: Record<string, unknown>; answer(): void }[] = [];
let arrived: (() => void) | undefined;

beforeAll(async () => {
  it = await startTestGateway({
    yaml: `
model_list:
  - {model_name: one, litellm_params: {model: openai/a, api_base: "http://a.test/v1", api_key: k}}
routeiq_settings: {concurrency: {max_calls: 1, max_queued: 1, max_wait_ms: 60000}}
`,
    outbound: {
      fetch(request) {
        return new Promise((resolve, reject) => {
          const json = request.url.endsWith("/messages") ? anthropicReply : openaiReply;
          waiting.push({
            body: JSON.parse(String(request.body)),
            answer: () => resolve(Response.json(json)),
          });
          request.signal?.addEventListener("abort", () => reject(request.signal?.reason));
          arrived?.();
        });
      },
    },
  });
});
afterAll(() => it.gateway.close());
beforeEach(() => {
  waiting = [];
});

function ask(path: string, more: object = {}, init: RequestInit = {}): Promise<Response> {
  return fetch(it.gateway.url + path, {
    method: "POST",
    body: JSON.stringify({
      model: "one",
      max_tokens: 5,
      messages: [{ role: "user", content: "hi" }],
      ...more,
    }),
    ...init,
    headers: { "content-type": "application/json", ...(init.headers as Record<string, string>) },
  });
}

/** Until the upstream has got so many. */
async function upstreamHas(count: number): Promise<void> {
  while (waiting.length < count) {
    await new Promise<void>((resolve) => {
      arrived = resolve;
    });
  }
}

test("beyond the queue: 503 with Retry-After, in each dialect; the lowest priority goes first", async () => {
  const first = ask("/v1/chat/completions");
  await upstreamHas(1);
  const batch = ask("/v1/chat/completions", { priority: 200, user: "batch" });
  // Whichever comes first, this one is the worse.
  const refused = await ask("/v1/messages", { priority: 201 });
  expect(refused.status).toBe(503);
  expect(Number(refused.headers.get("retry-after"))).toBeGreaterThanOrEqual(1);
  expect(await refused.json()).toMatchObject({
    type: "error",
    error: { type: "overloaded_error" },
  });
  const urgent = ask(
    "/v1/chat/completions",
    { user: "urgent" },
    { headers: { "x-routeiq-priority": "1" } },
  );
  const sentAway = await batch;
  expect(sentAway.status).toBe(503);
  expect(await sentAway.json()).toMatchObject({
    error: { code: "overloaded", type: "overloaded_error", param: null },
  });
  waiting[0]?.answer();
  expect((await first).status).toBe(200);
  await upstreamHas(2);
  expect(waiting[1]?.body).toMatchObject({ user: "urgent" });
  expect(waiting[1]?.body).not.toHaveProperty("priority");
  waiting[1]?.answer();
  expect((await urgent).status).toBe(200);
});

test("the same idempotency key: one call, one answer, and no other body", async () => {
  const init = { headers: { "idempotency-key": "order-7" } };
  const both = [ask("/v1/chat/completions", {}, init), ask("/v1/chat/completions", {}, init)];
  await upstreamHas(1);
  waiting[0]?.answer();
  const [a, b] = await Promise.all(both);
  expect(await a?.text()).toBe((await b?.text()) ?? "");
  const again = await ask("/v1/chat/completions", {}, init);
  expect(again.headers.get("idempotent-replayed")).toBe("true");
  expect(again.headers.get("x-routeiq-call-id")).toBe(a?.headers.get("x-routeiq-call-id") ?? "");
  expect(waiting.length).toBe(1);
  const other = await ask("/v1/chat/completions", { temperature: 1 }, init);
  expect(other.status).toBe(422);
  expect(await other.json()).toMatchObject({ error: { code: "idempotency_key_reused" } });
});

test("a stream that goes on elsewhere: announced by a header, marked by a comment", async () => {
  const script: Behaviour[] = [{ kind: "cut", tokens: 2, how: "end" }];
  const { outbound } = createUpstreams(systemClock, () => script.shift() ?? { kind: "answer" });
  const other = await startTestGateway({
    yaml: `
model_list:
  - {model_name: one, litellm_params: {model: groq/a, api_base: "http://a.test/v1", api_key: k}}
  - {model_name: one, litellm_params: {model: groq/b, api_base: "http://b.test/v1", api_key: k}}
routeiq_settings: {continuation: {enabled: true}}
`,
    outbound,
  });
  try {
    for (const [more, possible] of [
      [{}, "possible"],
      [{ n: 2 }, null],
    ] as const) {
      const response = await fetch(`${other.gateway.url}/v1/chat/completions`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({
          ...{ model: "one", stream: true, ...more },
          messages: [{ role: "user", content: "hi" }],
        }),
      });
      expect(response.headers.get("x-routeiq-continuation")).toBe(possible);
      const text = await response.text();
      expect(text).toContain("[DONE]");
      expect(text.includes("\n: x-routeiq-continued: ")).toBe(possible !== null);
    }
  } finally {
    await other.gateway.close();
  }
});

test("metrics tell of the queue", async () => {
  const text = await (await fetch(`${it.gateway.url}/metrics`)).text();
  expect(text).toMatch(/routeiq_queue_length(\{[^}]*\})? 0/);
  expect(text).toMatch(/routeiq_queue_shed_total(\{[^}]*\})? [1-9]/);
});
