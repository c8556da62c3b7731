/** What a running gateway remembers of its calls, and how callers ask for it. */
import { Database } from "bun:sqlite";
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { metricRoutes } from "../src/http/ops/metrics.ts";
import type { Outbound, OutboundRequest } from "../src/security/outbound.ts";
import { createMetricRegistry } from "../src/telemetry/metrics.ts";
import { toPrometheus } from "../src/telemetry/prometheus.ts";
import { startTestGateway, type TestGateway } from "./support/gateway.ts";
import { readTraces, type WireSpan } from "./support/otlp.ts";

const yaml = `
model_list:
  - model_name: gpt
    litellm_params: {model: openai/gpt-4o-mini, api_base: "http://up.test/v1", api_key: k, input_cost_per_token: 0.000001, output_cost_per_token: 0.000002}
`;

const sent: OutboundRequest[] = [];
const upstream: Outbound = {
  async fetch(request) {
    sent.push(request);
    return Response.json({
      id: "chatcmpl-1",
      object: "chat.completion",
      created: 1,
      model: "gpt-4o-mini",
      choices: [
        { index: 0, message: { role: "assistant", content: "Hi." }, finish_reason: "stop" },
      ],
      usage: { prompt_tokens: 5, completion_tokens: 7, total_tokens: 12 },
    });
  },
};

let running: TestGateway;
beforeAll(async () => {
  running = await startTestGateway({ yaml, outbound: upstream });
});
afterAll(() => running.gateway.close());

async function post(path: string, body: unknown, headers: Record<string, string> = {}) {
  return fetch(running.gateway.url + path, {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body: typeof body === "string" ? body : JSON.stringify(body),
  });
}

async function ask(headers: Record<string, string> = {}): Promise<string> {
  const response = await post(
    "/v1/chat/completions",
    { model: "gpt", messages: [{ role: "user", content: "Hello there" }] },
    headers,
  );
  await response.text();
  expect(response.status).toBe(200);
  return response.headers.get("x-routeiq-call-id") ?? "";
}

async function receiptOf(callId: string) {
  const response = await fetch(`${running.gateway.url}/v1/routing/decisions/${callId}`);
  return { status: response.status, body: (await response.json()) as Record<string, unknown> };
}

describe("a call's receipt", () => {
  test("is there as soon as the reply ends, and once it is in the log", async () => {
    for (let n = 0; n < 20; n++) {
      const callId = await ask();
      const { status, body } = await receiptOf(callId);
      expect(status).toBe(200);
      expect(body).toMatchObject({
        callId,
        requestedModel: "gpt",
        outcome: "success",
        finishReason: "stop",
        usage: { inputTokens: 5, outputTokens: 7 },
        costMicroUsd: 19,
        attempts: [{ model: "openai/gpt-4o-mini", outcome: "ok", because: "first" }],
        feedback: [],
      });
      if (n % 5 === 0) await running.gateway.events.flush();
      expect((await receiptOf(callId)).body).toEqual(body);
    }
  });

  test("of an unknown call is a 404 in OpenAI's form", async () => {
    expect(await receiptOf("nobody")).toEqual({
      status: 404,
      body: {
        error: {
          message: expect.stringContaining('No call "nobody" is known'),
          type: "invalid_request_error",
          param: "call_id",
          code: "not_found",
        },
      },
    });
  });

  test("of a refused call is there as well", async () => {
    const response = await post("/v1/chat/completions", {
      model: "no such model",
      messages: [{ role: "user", content: "Hello" }],
    });
    expect(response.status).toBe(400);
    const callId = response.headers.get("x-routeiq-call-id") ?? "";
    expect((await receiptOf(callId)).body).toMatchObject({
      outcome: "failure",
      error: "model_not_found",
      attempts: [],
    });
  });
});

test("closing just after the last replies loses no row", async () => {
  const short = await startTestGateway({ yaml, outbound: upstream });
  await Promise.all(
    Array.from({ length: 50 }, async () => {
      const response = await fetch(`${short.gateway.url}/v1/chat/completions`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ model: "gpt", messages: [{ role: "user", content: "Hello" }] }),
      });
      await response.text();
    }),
  );
  await short.gateway.close();
  expect(short.gateway.events.dropped()).toBe(0);
  expect(short.gateway.services().receipts.find("any")).toBeUndefined();
  expect(short.log.filter((line) => line.includes("missing from the event log"))).toEqual([]);
});

describe("feedback", () => {
  test("is accepted at once, joins the receipt, and rests in the log", async () => {
    const callId = await ask();
    const first = await post("/v1/feedback", { call_id: callId, thumbs: "up" });
    expect([first.status, await first.json()]).toEqual([
      202,
      { call_id: callId, status: "recorded" },
    ]);
    const more = { call_id: callId, score: 0.25, source: "grader", comment: "naïve" };
    expect((await post("/v1/feedback", more)).status).toBe(202);
    const { body } = await receiptOf(callId);
    expect(body["feedback"]).toMatchObject([
      { callId, score: 1, source: "user" },
      { callId, score: 0.25, source: "grader", comment: "naïve" },
    ]);
    const file = `${running.dataDir}/events.db`;
    const db = new Database(file, { readonly: true });
    const rows = db.query("SELECT score FROM feedback WHERE call_id = ? ORDER BY id").all(callId);
    db.close();
    expect(rows).toEqual([{ score: 1 }, { score: 0.25 }]);
  });

  const id = "0199a1b2-0000-7000-8000-000000000001";
  test.each([
    [{ call_id: id, score: 1 }, 404, "not_found", "call_id"],
    [{ score: 1 }, 400, "invalid_request", "call_id"],
    [{ call_id: 7, score: 1 }, 400, "invalid_request", "call_id"],
    [{ call_id: "x".repeat(129), score: 1 }, 400, "invalid_request", "call_id"],
    [{ call_id: id }, 400, "invalid_request", "score"],
    [{ call_id: id, score: 1, thumbs: "up" }, 400, "invalid_request", "score"],
    [{ call_id: id, score: 1.01 }, 400, "invalid_request", "score"],
    [{ call_id: id, score: "1" }, 400, "invalid_request", "score"],
    [{ call_id: id, thumbs: "sideways" }, 400, "invalid_request", "thumbs"],
    [{ call_id: id, score: 1, source: "two words" }, 400, "invalid_request", "source"],
    [{ call_id: id, score: 1, comment: 5 }, 400, "invalid_request", "comment"],
    [{ call_id: id, score: 1, comment: "x".repeat(4_001) }, 400, "invalid_request", "comment"],
    [[1], 400, "invalid_request", null],
    ["{", 400, "invalid_json", null],
    [JSON.stringify({ comment: "x".repeat(70_000) }), 413, "body_too_large", null],
  ] as const)("%j is %d %s", async (body, status, code, param) => {
    const response = await post("/v1/feedback", body);
    expect(await response.json()).toEqual({
      error: { message: expect.any(String), type: expect.any(String), param, code },
    });
    expect(response.status).toBe(status);
  });

  test("bytes that are not UTF-8 are refused", async () => {
    const response = await fetch(`${running.gateway.url}/v1/feedback`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: Uint8Array.of(0x7b, 0xff, 0x7d),
    });
    expect(response.status).toBe(400);
    expect(await response.json()).toMatchObject({ error: { code: "invalid_utf8" } });
  });
});

describe("traces and metrics", () => {
  test("a caller's trace travels upstream as it came where spans are off", async () => {
    const traceparent = `00-${"a".repeat(32)}-${"b".repeat(16)}-01`;
    await ask({ traceparent, tracestate: "vendor=1" });
    expect(sent.at(-1)?.headers).toMatchObject({ traceparent, tracestate: "vendor=1" });
    await ask({ traceparent: "garbage" });
    expect(sent.at(-1)?.headers).not.toHaveProperty("traceparent");
  });

  test("where spans are on, the upstream continues our span, and ours the caller's", async () => {
    const spans: WireSpan[] = [];
    const collector = Bun.serve({
      port: 0,
      hostname: "127.0.0.1",
      async fetch(request) {
        if (!request.url.endsWith("/v1/traces")) return Response.json({});
        spans.push(...readTraces(await request.bytes()).spans);
        return Response.json({});
      },
    });
    const env = { OTEL_EXPORTER_OTLP_ENDPOINT: collector.url.origin };
    const traced = await startTestGateway({ yaml, env, outbound: upstream });
    const traceId = "c".repeat(32);
    const response = await fetch(`${traced.gateway.url}/v1/chat/completions`, {
      method: "POST",
      headers: {
        "content-type": "application/json",
        traceparent: `00-${traceId}-${"d".repeat(16)}-01`,
      },
      body: JSON.stringify({ model: "gpt", messages: [{ role: "user", content: "Hello" }] }),
    });
    await response.text();
    const [, upstreamTrace, upstreamParent] = sent.at(-1)?.headers["traceparent"]?.split("-") ?? [];
    await traced.gateway.close(); // sends what waits
    await collector.stop(true);
    const server = spans.find(({ kind }) => kind === 2);
    expect(server).toMatchObject({ traceId, parentSpanId: "d".repeat(16) });
    expect([upstreamTrace, upstreamParent]).toEqual([traceId, server?.spanId]);
    expect(spans.map((span) => span.traceId)).toEqual([traceId, traceId, traceId]);
  });

  test("/metrics counts calls, and is open on this machine", async () => {
    await ask();
    const response = await fetch(`${running.gateway.url}/metrics`);
    const text = await response.text();
    expect(response.headers.get("content-type")).toStartWith("text/plain; version=0.0.4");
    expect(text).toMatch(/^gateway_request_total\{operation="chat",outcome="success"\} \d+$/m);
    expect(text).toMatch(/^gen_ai_client_operation_duration_seconds_count\{.*\} \d+$/m);
    expect(text).toMatch(/^process_resident_memory_bytes \d+$/m);
    for (const line of text.trim().split("\n")) {
      expect(line).toMatch(
        /^(# (HELP|TYPE) [a-z]\w* .+|[a-z]\w*(\{.*\})? (-?[\d.e+-]+|\+Inf|NaN))$/,
      );
    }
  });

  test("/metrics asks for an admin key where others reach the port", () => {
    const registry = createMetricRegistry();
    const telemetry = { prometheus: () => toPrometheus(registry.snapshot()) };
    const whoOf = (onLoopback: boolean) => metricRoutes({ telemetry, onLoopback })[0]?.who;
    expect([whoOf(true), whoOf(false)]).toEqual(["anyone", "admin"]);
  });
});
