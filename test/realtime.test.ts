/** Realtime sessions through a gateway, with real WebSocket clients and a simulated provider. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import OpenAI, { AzureOpenAI } from "openai";
import { OpenAIRealtimeWebSocket } from "openai/realtime/websocket";
import type { Receipt } from "../src/domain/decision.ts";
import type { CallEvent } from "../src/domain/event.ts";
import { createOutbound } from "../src/security/outbound.ts";
import { createWebSocketOutbound } from "../src/security/web-socket/open.ts";
import { startTestGateway, type TestGateway } from "./support/gateway.ts";
import {
  createRealtimeUpstream,
  doneUsage,
  type RealtimeUpstream,
} from "./support/realtime-upstream.ts";

const master = "sk-master-0123456789";
let upstream: RealtimeUpstream;
let other: RealtimeUpstream;
let keyed: TestGateway;
let base: string;

beforeAll(async () => {
  upstream = createRealtimeUpstream();
  other = createRealtimeUpstream();
  keyed = await startTestGateway({
    yaml: toYaml(),
    env: { LITELLM_MASTER_KEY: master },
    outbound: createOutbound(),
  });
  base = keyed.gateway.url.replace("http", "ws");
});
afterAll(async () => {
  await keyed.gateway.close();
  upstream.close();
  other.close();
});
beforeEach(() => {
  (upstream.seen as unknown[]).length = 0;
  (upstream.heard as unknown[]).length = 0;
  (other.seen as unknown[]).length = 0;
});

const toYaml = (settings = "") => `
model_list:
  - model_name: voice
    litellm_params: {model: openai/gpt-realtime, api_base: "${upstream.url}/v1", api_key: sk-up}
    model_info: {id: voice-1}
  - model_name: azure-voice
    litellm_params: {model: azure/my-voice, api_base: "${upstream.url}", api_key: az-up, api_version: 2024-10-01-preview}
    model_info: {base_model: gpt-realtime, mode: realtime}
  - model_name: azure-ga
    litellm_params: {model: azure/my-voice, api_base: "${upstream.url}", api_key: az-up, api_version: v1}
    model_info: {mode: realtime}
  - model_name: pair
    litellm_params: {model: openai/gpt-realtime, api_base: "${upstream.url}/v1", api_key: k1, order: 1, timeout: 0.1}
  - model_name: pair
    litellm_params: {model: openai/gpt-realtime-mini, api_base: "${other.url}/v1", api_key: k2, order: 1}
  - model_name: lonely
    litellm_params: {model: openai/gpt-realtime, api_base: "http://127.0.0.1:1/v1", api_key: k3, num_retries: 0}
  - model_name: lending
    litellm_params: {model: openai/gpt-realtime, api_base: "${upstream.url}/v1", api_key: sk-lent, use_in_pass_through: true}
  - model_name: claude
    litellm_params: {model: anthropic/claude-x, api_key: k4}
router_settings:
  num_retries: 2
  routing_strategy: least-busy
  model_group_alias: {talk: voice}
  fallbacks: [{lonely: [voice]}]
${settings}`;

/** Bun's, which has more than a browser's. */
type Socket = WebSocket & { terminate(): void; pause(): boolean; resume(): boolean };

interface Heard {
  readonly type: string;
  readonly session: unknown;
  readonly n: number;
  readonly length: number;
}

interface Talk {
  readonly socket: Socket;
  /** Messages in order; events parsed, binary as bytes. */
  next(): Promise<Heard>;
  readonly closed: Promise<readonly [number, string]>;
}

async function talk(address: string, options: object = {}): Promise<Talk> {
  const socket = new WebSocket(address.startsWith("ws") ? address : base + address, {
    headers: { authorization: `Bearer ${master}` },
    ...options,
  } as never) as Socket;
  socket.binaryType = "arraybuffer";
  const waiting: Heard[] = [];
  const readers: ((value: Heard) => void)[] = [];
  socket.onmessage = ({ data }) => {
    const value = typeof data === "string" ? JSON.parse(data) : new Uint8Array(data as ArrayBuffer);
    const reader = readers.shift();
    if (reader) reader(value);
    else waiting.push(value);
  };
  const closed = new Promise<readonly [number, string]>((resolve) => {
    socket.onclose = ({ code, reason }) => resolve([code, reason]);
  });
  await new Promise<void>((resolve, reject) => {
    socket.onopen = () => resolve();
    socket.onerror = () => reject(new Error("the WebSocket did not open"));
  });
  return {
    socket,
    closed,
    next: () =>
      waiting.length > 0
        ? Promise.resolve(waiting.shift() as Heard)
        : new Promise((resolve) => readers.push(resolve)),
  };
}

const say = ({ socket }: Talk, event: object) => socket.send(JSON.stringify(event));

/** An upgrade by hand: a refusal's status and body. */
async function refusal(path: string, headers: Record<string, string> = {}) {
  const response = await fetch(keyed.gateway.url + path, {
    headers: {
      authorization: `Bearer ${master}`,
      connection: "Upgrade",
      upgrade: "websocket",
      "sec-websocket-version": "13",
      "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
      ...headers,
    },
  });
  const body = (await response.json()) as { error: { code: string; message: string } };
  return { status: response.status, headers: response.headers, ...body.error };
}

describe("a session", () => {
  test("is opened with the provider's key and model, and carries both ways", async () => {
    const session = await talk("/v1/realtime?model=talk", {
      headers: { authorization: `Bearer ${master}`, "openai-beta": "realtime=v1", cookie: "a=b" },
    });
    expect(await session.next()).toMatchObject({ type: "session.created" });
    const [{ path, search, headers } = {} as never] = upstream.seen;
    expect([path, search]).toEqual(["/v1/realtime", "?model=gpt-realtime"]);
    expect(headers.get("authorization")).toBe("Bearer sk-up");
    expect(headers.get("openai-beta")).toBe("realtime=v1");
    expect(headers.get("cookie")).toBeNull();
    say(session, { type: "response.create" });
    const types = [];
    for (let i = 0; i < 4; i++) types.push((await session.next()).type);
    expect(types).toEqual([
      "response.created",
      "response.output_text.delta",
      "response.output_text.delta",
      "response.done",
    ]);
    session.socket.send(Uint8Array.of(1, 2, 3));
    expect(await session.next()).toEqual(Uint8Array.of(1, 2, 3) as never);
    const ended = upstream.nextEnd();
    session.socket.close(4002, "done here");
    expect(await ended).toEqual([4002, "done here"]);
  });

  test("has one receipt, with the usage of all its answers, its price and its metrics", async () => {
    const session = await talk("/v1/realtime?model=voice");
    await session.next();
    for (let n = 0; n < 2; n++) {
      say(session, { type: "response.create" });
      while ((await session.next()).type !== "response.done");
    }
    const receipt = nextReceipt();
    session.socket.close();
    const { callId, ...told } = await receipt;
    expect(told).toMatchObject({
      operation: "realtime",
      requestedModel: "voice",
      deployment: "voice-1",
      outcome: "success",
      usage: {
        inputTokens: 400,
        outputTokens: 200,
        cachedInputTokens: 128,
        modal: { audioInput: 120, audioOutput: 160 },
      },
      attempts: [{ outcome: "ok", because: "first" }],
    });
    // gpt-realtime: 4, 16, 0.4 USD per million of text, in, out, cached; 32 and 64 of sound.
    const expected = 2 * (76 * 4 + 64 * 0.4 + 60 * 32 + 20 * 16 + 80 * 64);
    expect(told.costMicroUsd).toBe(Math.round(expected));
    const answer = await fetch(`${keyed.gateway.url}/v1/routing/decisions/${callId}`, {
      headers: { authorization: `Bearer ${master}` },
    });
    expect(await answer.json()).toMatchObject({ callId, costMicroUsd: told.costMicroUsd });
    const metrics = keyed.gateway.telemetry.prometheus();
    expect(metrics).toMatch(/realtime/);
  });

  test("an answer that the caller cuts off is charged by its pieces", async () => {
    const session = await talk("/v1/realtime?model=voice");
    await session.next();
    say(session, { type: "response.create" });
    while ((await session.next()).type !== "response.done");
    const socket = upstream.open.at(-1);
    socket?.send(JSON.stringify({ type: "response.created", event_id: "e", response: {} }));
    const audio = "A".repeat(3_200 * 10 - 100);
    socket?.send(
      JSON.stringify({ type: "response.output_audio.delta", event_id: "e", delta: audio }),
    );
    while ((await session.next()).type !== "response.output_audio.delta");
    const receipt = nextReceipt();
    session.socket.terminate();
    expect(await receipt).toMatchObject({
      outcome: "cancelled",
      usage: {
        estimated: true,
        inputTokens: 400,
        outputTokens: 110,
        modal: { audioOutput: 90 },
      },
    });
  });

  test("large messages pass, larger ones close with 1009", async () => {
    const session = await talk("/v1/realtime?model=voice");
    await session.next();
    session.socket.send(new Uint8Array(15_000_000));
    expect((await session.next()).length).toBe(15_000_000);
    session.socket.send(new Uint8Array(17_000_000));
    const [code] = await session.closed;
    expect([1006, 1009]).toContain(code);
  });
});

describe("who may open one", () => {
  const greet = async (address: string, options: object) => {
    const session = await talk(address, options);
    const { type } = await session.next();
    const { protocol } = session.socket;
    session.socket.close();
    return [type, protocol];
  };
  const key = `openai-insecure-api-key.${master}`;
  const cases: readonly (readonly [string, string, object, string])[] = [
    ["a Bearer", "/realtime?model=voice", { headers: { authorization: `Bearer ${master}` } }, ""],
    ["Azure's header", "/v1/realtime?model=voice", { headers: { "api-key": master } }, ""],
    [
      "a browser's subprotocol",
      "/v1/realtime?model=voice",
      { headers: {}, protocols: ["realtime", key, "openai-beta.realtime-v1"] },
      "realtime",
    ],
    [
      "Azure's query",
      `/openai/realtime?api-version=2024-10-01-preview&deployment=voice&api-key=${master}`,
      { headers: {} },
      "",
    ],
  ];
  test.each(cases)("%s", async (_name, address, options, protocol) => {
    expect(await greet(address, options)).toEqual(["session.created", protocol]);
    expect(upstream.seen[0]?.headers.get("authorization")).toBe("Bearer sk-up");
    expect(upstream.seen[0]?.search).not.toContain(master);
    expect(upstream.seen[0]?.headers.get("sec-websocket-protocol")).toBeNull();
  });

  test("a subprotocol says which API is meant", async () => {
    await greet("/v1/realtime?model=voice", {
      headers: {},
      protocols: [key, "openai-beta.realtime-v1"],
    });
    expect(upstream.seen[0]?.headers.get("openai-beta")).toBe("realtime=v1");
  });

  test("nobody without a key, or with a wrong one", async () => {
    const none = await refusal("/v1/realtime?model=voice", { authorization: "" });
    expect([none.status, none.code]).toEqual([401, "missing_api_key"]);
    const wrong = await refusal("/v1/realtime?model=voice", { authorization: "Bearer sk-no" });
    expect([wrong.status, wrong.code]).toEqual([401, "invalid_api_key"]);
    expect(upstream.seen).toEqual([]);
  });

  test("without a master key, pages of this machine alone", async () => {
    const open = await startTestGateway({ yaml: toYaml() });
    const at = `${open.gateway.url.replace("http", "ws")}/v1/realtime?model=voice`;
    const strange = talk(at, { headers: { origin: "https://evil.example" } });
    expect(await strange.catch((error) => error.message)).toBe("the WebSocket did not open");
    const own = await talk(at, { headers: {} });
    expect((await own.next()).type).toBe("session.created");
    await open.gateway.close();
  });
});

describe("where it leads", () => {
  const urls: readonly (readonly [string, string, string])[] = [
    ["voice", "/v1/realtime", "?model=gpt-realtime"],
    ["azure-voice", "/openai/realtime", "?deployment=my-voice&api-version=2024-10-01-preview"],
    ["azure-ga", "/openai/v1/realtime", "?model=my-voice"],
  ];
  test.each(urls)("%s", async (model, path, search) => {
    const session = await talk(`/v1/realtime?model=${model}`);
    await session.next();
    expect([upstream.seen[0]?.path, upstream.seen[0]?.search]).toEqual([path, search]);
    if (model !== "voice") expect(upstream.seen[0]?.headers.get("api-key")).toBe("az-up");
    session.socket.close();
  });

  test("a session that transcribes names its model later, as the gateway knows it", async () => {
    const session = await talk("/v1/realtime?model=voice&intent=transcription");
    await session.next();
    expect(upstream.seen[0]?.search).toBe("?intent=transcription");
    say(session, {
      type: "session.update",
      session: { audio: { input: { transcription: { model: "voice", language: "de" } } } },
    });
    await session.next();
    expect(upstream.heard).toEqual([
      {
        type: "session.update",
        session: { audio: { input: { transcription: { model: "gpt-realtime", language: "de" } } } },
      },
    ]);
    const socket = upstream.open.at(-1);
    const usage = {
      type: "tokens",
      input_tokens: 30,
      output_tokens: 5,
      input_token_details: { audio_tokens: 30 },
    };
    const type = "conversation.item.input_audio_transcription.completed";
    socket?.send(JSON.stringify({ type, event_id: "e", transcript: "x", usage }));
    await session.next();
    const receipt = nextReceipt();
    session.socket.close();
    expect((await receipt).usage).toMatchObject({ inputTokens: 30, modal: { audioInput: 30 } });
  });

  test("another deployment answers for one that refuses, or greets with an error", async () => {
    for (const refuse of [
      () => upstream.refuseNext(Response.json({ error: { message: "busy" } }, { status: 503 })),
      () => upstream.greetNext({ type: "error", error: { type: "server_error", message: "no" } }),
    ]) {
      refuse();
      // least-busy picks the first listed; it is the one that fails.
      const session = await talk("/v1/realtime?model=pair");
      expect((await session.next()).type).toBe("session.created");
      expect([upstream.seen.length, other.seen.length]).toEqual([1, 1]);
      const receipt = nextReceipt();
      session.socket.close();
      expect((await receipt).attempts.map(({ outcome }) => outcome)).toEqual(["failed", "ok"]);
      for (const list of [upstream.seen, other.seen]) (list as unknown[]).length = 0;
      keyed.gateway.services().pool.keep([]);
    }
  });

  test("a fallback answers for a group that cannot be reached", async () => {
    const session = await talk("/v1/realtime?model=lonely");
    expect((await session.next()).type).toBe("session.created");
    session.socket.close();
  });

  test("a provider that waits for the caller is waited for no longer than a moment", async () => {
    upstream.greetNext(undefined);
    const session = await talk("/v1/realtime?model=voice");
    say(session, { type: "response.create" });
    expect((await session.next()).type).toBe("response.created");
    session.socket.close();
  });

  test("refusals come before the upgrade, in OpenAI's form", async () => {
    const unknown = await refusal("/v1/realtime?model=nope");
    expect([unknown.status, unknown.code]).toEqual([400, "model_not_found"]);
    const without = await refusal("/v1/realtime?model=claude");
    expect([without.status, without.code]).toEqual([400, "unsupported_capability"]);
    upstream.refuseNext(
      Response.json({ error: { message: "bad session", code: "x" } }, { status: 400 }),
    );
    const bad = await refusal("/v1/realtime?model=voice");
    expect([bad.status, bad.message]).toEqual([400, expect.stringContaining("bad session")]);
    expect(bad.headers.get("x-routeiq-call-id")).toBeString();
    const plain = await fetch(`${keyed.gateway.url}/v1/realtime?model=voice`, {
      headers: { authorization: `Bearer ${master}` },
    });
    expect(plain.status).toBe(426);
  });
});

describe("what a caller may not say", () => {
  test("another model; the gateway's names for its own become the provider's", async () => {
    const session = await talk("/v1/realtime?model=talk");
    await session.next();
    for (const model of ["gpt-4o", 7, "pair"]) {
      say(session, { type: "session.update", session: { model, voice: "x" } });
      expect(await session.next()).toMatchObject({
        type: "error",
        error: { type: "invalid_request_error", code: "permission_denied", param: "session.model" },
      });
    }
    // Spelt so that a search does not find it.
    session.socket.send(
      '{"type":"session.update","session":{"mod\\u0065l":"gpt-4o"}}'.replaceAll("\\\\", "\\"),
    );
    expect((await session.next()).type).toBe("error");
    expect(upstream.heard).toEqual([]);
    for (const model of ["talk", "voice", "openai/gpt-realtime", "gpt-realtime"]) {
      say(session, { type: "session.update", session: { model } });
      expect((await session.next()).session).toEqual({ model: "gpt-realtime" });
    }
    session.socket.close();
  });
});

describe("how it ends", () => {
  test("the provider's code and reason reach the caller", async () => {
    const session = await talk("/v1/realtime?model=voice");
    await session.next();
    const receipt = nextReceipt();
    upstream.open.at(-1)?.close(4000, "session expired");
    expect(await session.closed).toEqual([4000, "session expired"]);
    expect((await receipt).outcome).toBe("success");
  });

  test("a provider that breaks off is told of in the session, and closes with 1011", async () => {
    const session = await talk("/v1/realtime?model=voice");
    await session.next();
    const receipt = nextReceipt();
    upstream.open.at(-1)?.terminate();
    expect(await session.next()).toMatchObject({
      type: "error",
      error: { code: "stream_truncated" },
    });
    expect((await session.closed)[0]).toBe(1011);
    expect(await receipt).toMatchObject({ outcome: "truncated", error: "stream_truncated" });
  });

  test("a caller that is gone ends the provider's side within 100 ms", async () => {
    const session = await talk("/v1/realtime?model=voice");
    await session.next();
    const ended = upstream.nextEnd();
    const at = performance.now();
    session.socket.terminate();
    await ended;
    expect(performance.now() - at).toBeLessThan(100);
  });

  test("a caller that leaves while the provider is still asked ends that, too", async () => {
    const asked = Promise.withResolvers<void>();
    const dropped = Promise.withResolvers<void>();
    const silent = Bun.listen({
      hostname: "127.0.0.1",
      port: 0,
      socket: { data: () => asked.resolve(), close: () => dropped.resolve() },
    });
    const yaml = `model_list: [{model_name: v, litellm_params: {model: openai/gpt-realtime, api_base: "http://127.0.0.1:${silent.port}", api_key: k}}]`;
    const gateway = await startTestGateway({ yaml });
    const socket = new WebSocket(
      `${gateway.gateway.url.replace("http", "ws")}/v1/realtime?model=v`,
    ) as Socket;
    await asked.promise;
    socket.terminate();
    await dropped.promise;
    await gateway.gateway.close();
    silent.stop(true);
  });

  test("silence ends it, and so does its greatest length", async () => {
    for (const setting of ["idle_ms: 40", "max_session_ms: 40"]) {
      const gateway = await startTestGateway({
        yaml: toYaml(`routeiq_settings: {realtime: {${setting}}}`),
      });
      const ended = upstream.nextEnd();
      const session = await talk(
        `${gateway.gateway.url.replace("http", "ws")}/v1/realtime?model=voice`,
      );
      expect((await session.closed)[0]).toBe(1000);
      expect((await ended)[0]).toBe(1000);
      await gateway.gateway.close();
    }
  });

  test("a gateway that drains waits, then says so and closes with 1012", async () => {
    const gateway = await startTestGateway({ yaml: toYaml("routeiq_settings: {drain_ms: 60}") });
    const at = gateway.gateway.url.replace("http", "ws");
    const session = await talk(`${at}/v1/realtime?model=voice`);
    await session.next();
    const drained = gateway.gateway.drain();
    const late = talk(`${at}/v1/realtime?model=voice`).catch((error) => error.message);
    expect(await late).toBe("the WebSocket did not open");
    expect(await session.next()).toMatchObject({ type: "error", error: { code: "draining" } });
    expect((await session.closed)[0]).toBe(1012);
    await drained;
    await gateway.gateway.close();
  });
});

test("300 callers that come and go leave nothing behind", async () => {
  for (let round = 0; round < 6; round++) {
    const sessions = await Promise.all(
      Array.from({ length: 50 }, () => talk("/v1/realtime?model=voice")),
    );
    await Promise.all(sessions.map((session) => session.next()));
    for (const { socket } of sessions) socket.terminate();
    await Promise.all(sessions.map(({ closed }) => closed));
  }
  const { activity } = keyed.gateway.services();
  for (let tries = 0; activity.count + upstream.open.length > 0 && tries < 200; tries++) {
    await Bun.sleep(10);
  }
  expect([activity.count, upstream.open.length]).toEqual([0, 0]);
});

test("a name that leads to a metadata service is refused", async () => {
  for (const address of ["169.254.169.254", "fd00:ec2::254", "::ffff:a9fe:a9fe"]) {
    const gateway = await startTestGateway({
      yaml: "model_list: [{model_name: v, litellm_params: {model: openai/gpt-realtime, api_base: 'https://models.example/v1', api_key: k}}]",
      webSockets: createWebSocketOutbound({ resolve: async () => [address] }),
    });
    const receipt = nextReceipt(gateway);
    const at = `${gateway.gateway.url.replace("http", "ws")}/v1/realtime?model=v`;
    await talk(at, { headers: {} }).catch(() => undefined);
    expect(await receipt).toMatchObject({ outcome: "failure", error: "address_refused" });
    await gateway.gateway.close();
  }
});

describe("back-pressure", () => {
  test("a caller that does not read stops the provider, and then gets everything in order", async () => {
    const session = await talk("/v1/realtime?model=voice");
    await session.next();
    session.socket.pause();
    const socket = upstream.open.at(-1);
    const piece = "x".repeat(100_000);
    const count = 600;
    for (let n = 0; n < count; n++) socket?.send(JSON.stringify({ type: "piece", n, piece }));
    const stuck = async () => {
      let before = -1;
      while (socket && socket.getBufferedAmount() !== before) {
        before = socket.getBufferedAmount();
        await Bun.sleep(50);
      }
      return before;
    };
    // Most of it is still with the provider: what the gateway holds is bounded.
    expect(await stuck()).toBeGreaterThan(30_000_000);
    session.socket.resume();
    for (let n = 0; n < count; n++) expect((await session.next()).n).toBe(n);
    session.socket.close();
  });

  test("messages near the limit, to a caller that reads late, are all delivered", async () => {
    const session = await talk("/v1/realtime?model=voice");
    await session.next();
    session.socket.pause();
    const sizes = [12_000_000, 0, 15_000_000, 1, 14_000_000, 16_000_000];
    for (const size of sizes) upstream.open.at(-1)?.send(new Uint8Array(size));
    await Bun.sleep(200);
    session.socket.resume();
    for (const size of sizes) expect((await session.next()).length).toBe(size);
    session.socket.close();
  });

  test("a caller that does not read for too long is let go", async () => {
    const gateway = await startTestGateway({
      yaml: toYaml("routeiq_settings: {timeouts: {write_stall_ms: 50}}"),
    });
    const session = await talk(
      `${gateway.gateway.url.replace("http", "ws")}/v1/realtime?model=voice`,
    );
    await session.next();
    session.socket.pause();
    const ended = upstream.nextEnd();
    for (let n = 0; n < 400; n++) upstream.open.at(-1)?.send(JSON.stringify("y".repeat(100_000)));
    await ended;
    await gateway.gateway.close();
  });

  test("a provider that does not read stops the caller", async () => {
    const session = await talk("/v1/realtime?model=voice");
    await session.next();
    const socket = upstream.open.at(-1);
    socket?.pause();
    for (let n = 0; n < 600; n++) session.socket.send(new Uint8Array(100_000));
    let before = -1;
    while (session.socket.bufferedAmount !== before) {
      before = session.socket.bufferedAmount;
      await Bun.sleep(50);
    }
    expect(before).toBeGreaterThan(30_000_000);
    socket?.resume();
    for (let n = 0; n < 600; n++) expect((await session.next()).length).toBe(100_000);
    session.socket.close();
  });
});

test("GET /health opens a session with each, and closes it", async () => {
  upstream.refuseNext(Response.json({ error: { message: "no key" } }, { status: 401 }));
  const ended = upstream.nextEnd();
  const ask = async (model: string) => {
    const headers = { authorization: `Bearer ${master}` };
    const response = await fetch(`${keyed.gateway.url}/health?model=${model}`, { headers });
    return (await response.json()) as { healthy_count: number; unhealthy_endpoints: object[] };
  };
  const ill = await ask("azure-voice");
  expect(ill.unhealthy_endpoints).toMatchObject([{ error_code: "upstream_auth" }]);
  expect((await ask("azure-voice")).healthy_count).toBe(1);
  expect((await ended)[0]).toBe(1000);
});

describe("keys for browsers", () => {
  const post = async (path: string, body: object) => {
    const response = await fetch(keyed.gateway.url + path, {
      method: "POST",
      headers: { authorization: `Bearer ${master}`, "content-type": "application/json" },
      body: JSON.stringify(body),
    });
    return { status: response.status, body: (await response.json()) as Record<string, never> };
  };
  test.each(["/v1/realtime/client_secrets", "/openai/v1/realtime/client_secrets"])(
    "%s: of a model that lends its key, in the provider's own words",
    async (path) => {
      upstream.refuseNext(Response.json({ value: "ek_1", expires_at: 1 }));
      const session = { type: "realtime", model: "lending", instructions: "ä" };
      const { status, body } = await post(path, { session, expires_after: { seconds: 60 } });
      expect([status, body]).toEqual([200, { value: "ek_1", expires_at: 1 } as never]);
      expect(upstream.seen[0]?.path).toBe("/v1/realtime/client_secrets");
      expect(upstream.seen[0]?.headers.get("authorization")).toBe("Bearer sk-lent");
      expect(upstream.bodies.at(-1)).toEqual({
        session: { ...session, model: "gpt-realtime" },
        expires_after: { seconds: 60 },
      });
    },
  );
  test("the older forms, with the model elsewhere", async () => {
    upstream.refuseNext(Response.json({ id: "sess_1" }), Response.json({ id: "sess_2" }));
    await post("/v1/realtime/sessions", { model: "lending" });
    await post("/realtime/transcription_sessions", {
      input_audio_transcription: { model: "lending" },
    });
    expect(upstream.bodies.slice(-2)).toEqual([
      { model: "gpt-realtime" },
      { input_audio_transcription: { model: "gpt-realtime" } },
    ]);
  });
  const refusals: readonly (readonly [object, number, string])[] = [
    [{ session: { model: "voice" } }, 403, "permission_denied"],
    [{ session: { model: "nope" } }, 400, "model_not_found"],
    [{}, 400, "invalid_request"],
  ];
  test.each(refusals)("%j is refused", async (body, status, code) => {
    const answer = await post("/v1/realtime/client_secrets", body);
    expect([answer.status, answer.body["error"]?.["code"]]).toEqual([status, code as never]);
  });
});

describe("OpenAI's own client", () => {
  const toPlain = (url: URL) => {
    url.protocol = "ws";
  };
  const converse = async (realtime: OpenAIRealtimeWebSocket) => {
    const done = new Promise<unknown>((resolve, reject) => {
      realtime.on("response.done", ({ response }) => resolve(response.usage));
      realtime.on("error", reject);
    });
    realtime.on("session.created", () => {
      realtime.send({
        type: "session.update",
        session: { type: "realtime", instructions: "Be brief." },
      });
      realtime.send({ type: "response.create" });
    });
    expect(await done).toEqual(doneUsage as never);
    realtime.close();
  };

  test("with its base URL alone", async () => {
    const client = new OpenAI({ apiKey: master, baseURL: `${keyed.gateway.url}/v1` });
    await converse(new OpenAIRealtimeWebSocket({ model: "voice", onURL: toPlain }, client));
  });

  test("in Azure's form", async () => {
    const client = new AzureOpenAI({
      apiKey: master,
      endpoint: keyed.gateway.url,
      apiVersion: "2024-10-01-preview",
    });
    const onURL = (url: URL) => {
      url.searchParams.set("api-key", master);
      toPlain(url);
    };
    await converse(new OpenAIRealtimeWebSocket({ model: "azure-voice", onURL }, client));
  });
});

/** The receipt of the next session that ends. */
function nextReceipt({ gateway } = keyed): Promise<Receipt> {
  const log = gateway.services().events as { append: (event: CallEvent) => void };
  const { append } = log;
  return new Promise((resolve) => {
    log.append = (event) => {
      log.append = append;
      append(event);
      resolve(event.receipt);
    };
  });
}
