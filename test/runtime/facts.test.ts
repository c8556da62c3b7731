/** The runtime's facts that a gateway must not trip over (DESIGN §10), each against a real server. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { findReceipt } from "../../src/pipeline/receipts.ts";
import { createOutbound } from "../../src/security/outbound.ts";
import { startTestGateway, type TestGateway } from "../support/gateway.ts";
import {
  type Answer,
  completion,
  endEvents,
  never,
  type StreamServer,
  sse,
  startStreamServer,
  tokenEvent,
} from "../support/stream-server.ts";

let answer: Answer = completion;
let upstream: StreamServer;
let gateway: TestGateway;

beforeAll(async () => {
  upstream = startStreamServer((call) => answer(call));
  gateway = await startTestGateway({
    yaml: `
model_list:
  - {model_name: m, litellm_params: {model: openai/m, api_key: k, api_base: "${upstream.base}"}}
router_settings: {num_retries: 0}
routeiq_settings:
  body_limit_bytes: 20000
  drain_ms: 100
  timeouts: {write_stall_ms: 1000}
`,
    outbound: createOutbound(),
  });
});
afterAll(async () => {
  await gateway.gateway.close();
  await upstream.close();
});

const ask = (more: object = {}, init: RequestInit = {}) =>
  fetch(`${gateway.gateway.url}/v1/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ model: "m", messages: [{ role: "user", content: "hi" }], ...more }),
    ...init,
  });

const ended = async (callId: string | null) => {
  for (;;) {
    const receipt = await findReceipt(String(callId), gateway.gateway.services());
    if (receipt) return receipt;
    await new Promise((resolve) => setImmediate(resolve));
  }
};

describe("a slow first token", () => {
  test("of eleven seconds is waited for: the runtime's own idle limit is ten", async () => {
    answer = async ({ body }) => {
      await Bun.sleep(11_000);
      return body.stream
        ? sse((send, close) => {
            send(tokenEvent("late") + endEvents);
            close();
          })
        : completion();
    };
    const [whole, stream] = await Promise.all([ask(), ask({ stream: true })]);
    expect(whole.status).toBe(200);
    expect(await stream.text()).toContain("late");
  }, 30_000);
});

describe("a caller who hangs up", () => {
  const states = [
    ["before headers", { stream: true }, never],
    ["of a reply that does not stream", {}, never],
    ["before the first token", { stream: true }, () => sse((send) => send(": ping\n\n"))],
    ["in the middle of a stream", { stream: true }, () => sse((send) => send(tokenEvent("a")))],
  ] as const;

  test.each(states)("%s aborts the upstream within 100 ms", async (_state, more, behave) => {
    answer = behave;
    const index = upstream.calls.length;
    const controller = new AbortController();
    const reply = ask(more, { signal: controller.signal }).catch(() => undefined);
    const call = await upstream.call(index);
    if (_state.startsWith("in the middle")) {
      const response = await reply;
      await response?.body?.getReader().read();
    }
    const hungUpAt = performance.now();
    controller.abort();
    await reply;
    expect((await call.aborted) - hungUpAt).toBeLessThan(100);
  });
});

describe("a reader that does not read", () => {
  test("stops the upstream, and is let go after the stall limit", async () => {
    let sentBytes = 0;
    const block = tokenEvent("x".repeat(64 * 1024));
    answer = () => {
      const body = new ReadableStream<Uint8Array>({
        pull(controller) {
          sentBytes += block.length;
          controller.enqueue(new TextEncoder().encode(block));
          if (sentBytes > 400e6) controller.close();
        },
      });
      return new Response(body, { headers: { "content-type": "text/event-stream" } });
    };
    const index = upstream.calls.length;
    const body = JSON.stringify({
      model: "m",
      stream: true,
      messages: [{ role: "user", content: "hi" }],
    });
    const rssBefore = process.memoryUsage().rss;
    const socket = await Bun.connect({
      hostname: "127.0.0.1",
      port: gateway.gateway.port,
      socket: {
        open(open) {
          open.write(
            `POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
          );
          open.pause();
        },
        data: () => undefined,
      },
    });
    const call = await upstream.call(index);
    await call.aborted;
    // What both kernels hold, and the little that is ours: far from the 400 MB on offer.
    expect(sentBytes).toBeLessThan(60e6);
    expect(process.memoryUsage().rss - rssBefore).toBeLessThan(150e6);
    socket.end();
  }, 20_000);
});

/** A raw request, its bytes as given; the answer as text. */
async function raw(request: string | Uint8Array): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  let text = "";
  const socket = await Bun.connect({
    hostname: "127.0.0.1",
    port: gateway.gateway.port,
    socket: {
      data(_, bytes) {
        text += bytes.toString();
      },
      close: () => resolve(text),
    },
  });
  socket.write(request);
  return promise;
}

describe("a request that is not as it should be", () => {
  const hosts = ["a b\\c:99999999", "[::1", "%", ""];
  test.each(hosts)("Host %p is answered, not thrown on", async (host) => {
    const body = '{"model":"m","messages":[]}';
    const text = await raw(
      `POST /v1/chat/completions HTTP/1.1\r\nHost: ${host}\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\nConnection: close\r\n\r\n${body}`,
    );
    expect(text).toMatch(/^HTTP\/1\.1 400 /);
    expect(text).not.toMatch(/\.ts:\d+|node_modules/);
  });

  const json = "application/json";
  const big = `{"model":"m","x":"${"y".repeat(30_000)}"}`;
  const cases: readonly (readonly [string, number, string, BodyInit, Record<string, string>])[] = [
    ["invalid UTF-8", 400, "invalid_utf8", new Uint8Array([0x7b, 0x22, 0xff, 0x22]), {}],
    ["broken JSON", 400, "invalid_json", '{"model": ', {}],
    ["a body that is no object", 400, "invalid_request", "[]", {}],
    ["no body", 400, "invalid_json", "", {}],
    ["a compressed body", 415, "unsupported_media_type", "{}", { "content-encoding": "gzip" }],
    ["a form", 415, "unsupported_media_type", "a=b", { "content-type": "text/plain" }],
    [
      "another charset",
      415,
      "unsupported_media_type",
      "{}",
      { "content-type": `${json}; charset=latin1` },
    ],
    ["a body over the limit", 413, "body_too_large", big, {}],
  ];
  test.each(cases)("%s: %d %s", async (_name, status, code, body, headers) => {
    const response = await ask({}, { body, headers: { "content-type": json, ...headers } });
    expect(response.status).toBe(status);
    const { error } = (await response.json()) as { error: { code: string } };
    expect(error.code).toBe(code);
  });

  test("a page of another site, even under this machine's address: 403", async () => {
    answer = completion;
    const headers = { "content-type": json, origin: "http://evil.example" };
    expect((await ask({}, { headers: { ...headers, host: "evil.example" } })).status).toBe(403);
    expect(
      (await ask({}, { headers: { ...headers, "sec-fetch-site": "cross-site" } })).status,
    ).toBe(403);
    const { origin } = new URL(gateway.gateway.url);
    const own = { "content-type": json, origin, "sec-fetch-site": "same-origin" };
    expect((await ask({}, { headers: own })).status).toBe(200);
  });

  test("a chunked body over the limit: 413", async () => {
    const stream = new Blob([big]).stream();
    const response = await ask({}, { body: stream });
    expect(response.status).toBe(413);
  });

  test("a caller that sends on after 413 does not take the server down", async () => {
    const sent = await Promise.all(
      Array.from({ length: 8 }, () => ask({}, { body: big.repeat(20) }).then((r) => r.status)),
    );
    expect(new Set(sent)).toEqual(new Set([413]));
    answer = completion;
    expect((await ask()).status).toBe(200);
  });
});

describe("a stream", () => {
  test("that ends without a finish reason ends in an error, without [DONE]", async () => {
    answer = () =>
      sse((send, close) => {
        send(`${tokenEvent("half")}data: [DONE]\n\n`);
        close();
      });
    const response = await ask({ stream: true });
    const text = await response.text();
    expect(text).toContain("half");
    expect(text).toContain('data: {"error"');
    expect(text).not.toContain("[DONE]");
    const receipt = await ended(response.headers.get("x-routeiq-call-id"));
    expect(receipt).toMatchObject({ outcome: "truncated", error: "stream_truncated" });
    expect(receipt.usage).toMatchObject({ outputTokens: 1, estimated: true });
  });

  test("passes byte by byte as it came", async () => {
    const text = `: hello\n\nevent: x\ndata: {"choices":[{"index":0,"delta":{"content":"é€😀"},"finish_reason":null}],\ndata: "odd":1}\n\n${endEvents}`;
    const bytes = new TextEncoder().encode(text);
    answer = () => {
      let at = 0;
      const body = new ReadableStream<Uint8Array>({
        pull(controller) {
          controller.enqueue(bytes.slice(at, ++at));
          if (at === bytes.length) controller.close();
        },
      });
      return new Response(body, { headers: { "content-type": "text/event-stream" } });
    };
    expect(await (await ask({ stream: true })).text()).toBe(text);
  });
});

describe("draining", () => {
  test("lets a stream finish, then ends it in-band; new calls get 503", async () => {
    const own = await startTestGateway({
      yaml: `
model_list:
  - {model_name: m, litellm_params: {model: openai/m, api_key: k, api_base: "${upstream.base}"}}
routeiq_settings: {drain_ms: 150}
`,
      outbound: createOutbound(),
    });
    answer = () => sse((send) => send(tokenEvent("a")));
    const url = `${own.gateway.url}/v1/chat/completions`;
    const init = {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: '{"model":"m","stream":true,"messages":[{"role":"user","content":"hi"}]}',
    };
    const stream = await fetch(url, init);
    const drained = own.gateway.drain();
    const refused = await fetch(url, init);
    expect(refused.status).toBe(503);
    expect(refused.headers.get("retry-after")).toBe("1");
    expect((await fetch(`${own.gateway.url}/_health/ready`)).status).toBe(503);
    const text = await stream.text();
    expect(text).toContain('"code":"draining"');
    expect(text).not.toContain("[DONE]");
    await drained;
    await own.gateway.close();
  });
});

test("a failure of ours is a plain 500 and a line in the log", async () => {
  const broken = await startTestGateway({
    yaml: `
model_list:
  - {model_name: m, litellm_params: {model: openai/m, api_key: k, api_base: "http://127.0.0.1:1/v1"}}
`,
  });
  const services = broken.gateway.services();
  (services as { table: unknown }).table = {
    find() {
      throw new TypeError("a secret thing is undefined");
    },
  };
  const response = await fetch(`${broken.gateway.url}/v1/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: '{"model":"m","messages":[{"role":"user","content":"hi"}]}',
  });
  const text = await response.text();
  expect(response.status).toBe(500);
  expect(text).not.toMatch(/secret thing|\.ts|at /);
  expect(broken.log.join("")).toContain("a secret thing is undefined");
  await broken.gateway.close();
});
