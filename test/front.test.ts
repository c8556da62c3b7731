/**
 * Plain calls over real sockets: however their bytes are cut they are the same calls, they get the
 * answer that the runtime's server gives, and whatever happens to a connection, nothing is lost or
 * left behind.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { createOutbound } from "../src/security/outbound.ts";
import { startTestGateway, type TestGateway } from "./support/gateway.ts";
import { sendRaw, splitAnswers } from "./support/raw-http.ts";
import {
  completion,
  endEvents,
  type StreamServer,
  sse,
  startStreamServer,
  tokenEvent,
} from "./support/stream-server.ts";

const onLinux = process.platform === "linux";

let upstream: StreamServer;
let gateway: TestGateway;
let flood = 0;

beforeAll(async () => {
  upstream = startStreamServer(({ body: { model, stream } }) => {
    if (model === "silent") return new Promise(() => undefined);
    if (model === "flood") return endless();
    if (!stream) return completion();
    return sse((send, close) => {
      for (const word of ["one", "two"]) send(tokenEvent(word));
      send(endEvents);
      close();
    });
  });
  const row = (name: string) =>
    `  - {model_name: ${name}, litellm_params: {model: openai/${name}, api_key: k, api_base: "${upstream.base}"}}`;
  gateway = await startTestGateway({
    yaml: `
model_list:
${["m", "silent", "flood"].map(row).join("\n")}
routeiq_settings: {body_limit_bytes: 3000000, timeouts: {receive_ms: 400, write_stall_ms: 300}}
`,
    outbound: createOutbound(),
  });
});
afterAll(async () => {
  await gateway.gateway.close();
  await upstream.close();
});

function endless(): Response {
  const event = new TextEncoder().encode(tokenEvent("x".repeat(60_000)));
  const body = new ReadableStream<Uint8Array>({
    pull(controller) {
      flood += event.length;
      controller.enqueue(event);
    },
  });
  return new Response(body, { headers: { "content-type": "text/event-stream" } });
}

const bodyOf = (model: string, more = "") =>
  `{"model":"${model}","messages":[{"role":"user","content":"hé"}]${more}}`;

function request(model = "m", more = "", fields = ""): Buffer {
  const body = Buffer.from(bodyOf(model, more));
  const head = `POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\n${fields}Content-Length: ${body.length}\r\n\r\n`;
  return Buffer.concat([Buffer.from(head), body]);
}

const send = (pieces: readonly (string | Uint8Array)[], options?: Parameters<typeof sendRaw>[2]) =>
  sendRaw(gateway.gateway.port, pieces, options);

describe("however the bytes are cut", () => {
  test("a request in two pieces, cut at every place", async () => {
    const whole = request();
    for (let cut = 1; cut < whole.length; cut += 3) {
      const { status } = await send([whole.subarray(0, cut), whole.subarray(cut)], { answers: 1 });
      expect(status, `cut at ${cut}`).toBe(200);
    }
  });

  test("byte by byte", async () => {
    const whole = request();
    const { status } = await send(
      Array.from(whole, (_, at) => whole.subarray(at, at + 1)),
      { answers: 1 },
    );
    expect(status).toBe(200);
  });

  test("three in one piece are answered in their order", async () => {
    const ids = ["a1", "b2", "c3"];
    const all = ids.map((id) => request("m", "", `x-request-id: ${id}\r\n`));
    const { text } = await send([Buffer.concat(all)], { answers: 3 });
    expect([...text.matchAll(/x-request-id: (\S+)/gi)].map(([, id]) => id)).toEqual(ids);
  });

  test("a plain call, then another server's business, then a plain call", async () => {
    const other = "GET /v1/models HTTP/1.1\r\nHost: localhost\r\n\r\n";
    // Its routes are loaded by the first: the runtime's server closes a connection on which more has
    // come while an answer is still awaited.
    await send([other], { answers: 1 });
    const { text } = await send([request(), other, request()], { answers: 3 });
    expect(splitAnswers(text).length).toBe(3);
    expect(text).toContain('"object":"list"');
  });

  test("a body of megabytes", async () => {
    const filler = `,"user":"${"u".repeat(2_000_000)}"`;
    const { status } = await send([request("m", filler)], { answers: 1 });
    expect(status).toBe(200);
  });

  test("a body beyond the limit", async () => {
    const filler = `,"user":"${"u".repeat(4_000_000)}"`;
    const { status } = await send([request("m", filler)], { answers: 1 });
    expect(status).toBe(413);
  });
});

describe("answers", () => {
  const url = () => `${gateway.gateway.url}/v1/chat/completions`;
  /** A page's origin makes it the runtime's server's. */
  const both = async (body: string) => {
    const init = { method: "POST", body, headers: { "content-type": "application/json" } };
    const plain = await fetch(url(), init);
    const other = await fetch(url(), {
      ...init,
      headers: { ...init.headers, "content-encoding": "identity" },
    });
    return { plain, other };
  };

  test.each([
    ["a whole reply", bodyOf("m")],
    ["a stream", bodyOf("m", ',"stream":true')],
    ["an unknown model", bodyOf("nobody")],
    ["broken JSON", '{"model":'],
  ])("%s: the same as the runtime's server gives", async (_, body) => {
    const { plain, other } = await both(body);
    expect(plain.status).toBe(other.status);
    const names = ({ headers }: Response) =>
      [...headers.keys()].filter((name) => !/^(date|content-length|connection)$/.test(name));
    expect(names(plain)).toEqual(names(other));
    expect(plain.headers.get("content-type")).toBe(other.headers.get("content-type"));
    expect(Number.isNaN(Date.parse(plain.headers.get("date") ?? ""))).toBe(false);
    const text = (await plain.text()).replaceAll(/[0-9a-f-]{36}/g, "id");
    expect(text).toBe((await other.text()).replaceAll(/[0-9a-f-]{36}/g, "id"));
  });

  test("Connection: close closes after the answer", async () => {
    const { text, closed } = await send([request("m", "", "Connection: close\r\n")]);
    expect(text).toMatch(/connection: close/i);
    expect(closed).toBe(true);
  });

  test("a refused request does not end the connection", async () => {
    const { text } = await send([request("nobody"), request()], { answers: 2 });
    expect(text).toMatch(/^HTTP\/1\.1 400 [\s\S]*HTTP\/1\.1 200 /);
  });
});

describe("connections that fail", () => {
  async function open(first: Uint8Array) {
    const { promise: closed, resolve } = Promise.withResolvers<number>();
    let text = "";
    const socket = await Bun.connect({
      hostname: "127.0.0.1",
      port: gateway.gateway.port,
      socket: {
        data(_, bytes) {
          text += bytes.toString("latin1");
        },
        close: () => resolve(performance.now()),
        error: () => resolve(performance.now()),
      },
    });
    socket.write(first);
    return { socket, closed, text: () => text };
  }

  test.each(["whole", "stream"])("hanging up lets the upstream go (%s)", async (kind) => {
    const at = upstream.calls.length;
    const { socket } = await open(request("silent", kind === "stream" ? ',"stream":true' : ""));
    const call = await upstream.call(at);
    const fromMs = performance.now();
    socket.terminate();
    expect((await call.aborted) - fromMs).toBeLessThan(1_000);
  });

  test("a head that does not end is told so, and closed", async () => {
    const { closed, text } = await open(Buffer.from("POST /v1/chat/completions HTTP/1.1\r\nHo"));
    await closed;
    expect(text()).toMatch(/^HTTP\/1\.1 408 /);
    expect(text()).toContain("receive_ms");
  });

  test.if(onLinux)("nor is a head of another method that does not end waited for", async () => {
    const { closed, text } = await open(Buffer.from("GET /v1/models HTTP/1.1\r\nHo"));
    await closed;
    expect(text()).toMatch(/^HTTP\/1\.1 408 /);
  });

  test.if(onLinux)("a connection that rests after a call is let go in the end", async () => {
    const { socket } = await open(request());
    const due = () => gateway.gateway.services().expiry.size;
    expect(due()).toBeGreaterThan(0);
    socket.terminate();
    for (let round = 0; due() > 0 && round < 1_000; round++) {
      await new Promise((next) => setImmediate(next));
    }
    expect(due()).toBe(0);
  });

  test("a body that does not come is told so, and closed", async () => {
    const whole = request();
    const { closed, text } = await open(whole.subarray(0, whole.length - 5));
    await closed;
    expect(text()).toMatch(/^HTTP\/1\.1 408 /);
  });

  test("a caller that does not read stops the upstream, and is let go", async () => {
    const at = upstream.calls.length;
    flood = 0;
    const { socket } = await open(request("flood", ',"stream":true'));
    socket.pause();
    const call = await upstream.call(at);
    await call.aborted;
    expect(flood).toBeLessThan(64 * 1024 * 1024);
    socket.terminate();
  });

  test.if(onLinux)("nothing is left behind", async () => {
    const services = gateway.gateway.services();
    for (let round = 0; services.activity.count > 0 && round < 1_000; round++) {
      await new Promise((next) => setImmediate(next));
    }
    expect(services.activity.count).toBe(0);
    expect(services.pool.stats.inFlight(services.table.deployments[0]?.id ?? "")).toBe(0);
  });
});
