/** Spans and metrics from end to end: through the background thread to a collector on a real socket. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { context, metrics, propagation, SpanKind, SpanStatusCode, trace } from "@opentelemetry/api";
import { type Background, createBackground } from "../src/std/background.ts";
import { systemClock } from "../src/std/clock.ts";
import { createRandom } from "../src/std/random.ts";
import { defaultRetention } from "../src/storage/event-log.ts";
import { createSqliteEventLog } from "../src/storage/sqlite/event-log.ts";
import { createTelemetry, type GatewayTelemetry } from "../src/telemetry/create.ts";
import { registerOtelApi } from "../src/telemetry/otel-api.ts";
import type { BackgroundApi } from "../src/worker.ts";
import { callEvent, callIdOf } from "./support/events.ts";
import { readMetrics, readTraces, toPlain, type WireSpan } from "./support/otlp.ts";

/** A collector that keeps what it was sent, decoded. */
function createCollector() {
  const spans: WireSpan[] = [];
  const resources: Record<string, unknown>[] = [];
  const metricNames = new Map<string, unknown>();
  const headers: Headers[] = [];
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    async fetch(request) {
      headers.push(request.headers);
      const body = await request.bytes();
      if (request.url.endsWith("/v1/metrics")) {
        for (const metric of readMetrics(body)) metricNames.set(metric.name, metric);
        return Response.json({});
      }
      const traces = readTraces(body);
      resources.push(...traces.resources.map(toPlain));
      spans.push(...traces.spans);
      return Response.json({});
    },
  });
  return { spans, resources, metricNames, headers, server };
}

let collector: ReturnType<typeof createCollector>;
let background: Background<BackgroundApi>;
let telemetry: GatewayTelemetry;
const dataDir = mkdtempSync(join(tmpdir(), "routeiq-otlp-"));

beforeAll(() => {
  collector = createCollector();
  background = createBackground<BackgroundApi>({
    spawn: () => new Worker(new URL("../src/worker.ts", import.meta.url).href),
    clock: systemClock,
    onCrash: (message) => console.error(message),
  });
  telemetry = createTelemetry({
    clock: systemClock,
    log: { write: () => undefined, format: "json" },
    otlp: {
      remote: background.service("otlp"),
      endpoint: collector.server.url.origin,
      headers: { "x-collector-key": "k" },
      source: {
        resource: { "service.name": "routeiq", "service.namespace": "ai-gateway" },
        scope: { name: "routeiq", version: "0" },
      },
    },
  });
});

afterAll(async () => {
  await telemetry.close();
  background.close();
  await collector.server.stop(true);
  rmSync(dataDir, { recursive: true, force: true });
});

describe("to an OTLP collector", () => {
  test("a call's spans are made of its event in the log, the decision event among them", async () => {
    const log = createSqliteEventLog({
      remote: background.service("events"),
      dataDir,
      retention: defaultRetention,
      clock: systemClock,
      onDropped: () => undefined,
      onHealth: () => undefined,
    });
    const ids = { traceId: "c".repeat(32), spanId: "d".repeat(16), parentSpanId: "e".repeat(16) };
    const attempt = {
      deployment: "d1",
      model: "openai/gpt-4o",
      provider: "openai",
      startedAtMs: 1_764_000_000_100,
      durationMs: 400,
      status: 200,
      outcome: "ok",
      because: "first",
    } as const;
    const event = callEvent(1, { attempts: [attempt], finishReason: "stop" });
    log.append({ ...event, queryLength: 42, trace: { ...ids, sampled: true } });
    log.append({ ...callEvent(2), trace: { ...ids, traceId: "f".repeat(32), sampled: false } });
    await log.flush();
    await telemetry.flush();
    await log.close();

    const own = collector.spans.filter((span) => span.traceId === ids.traceId);
    expect(own.map((span) => [span.name, span.kind])).toEqual([
      ["chat auto", 2],
      ["llm.routing.decision", 1],
      ["chat gpt-4o", 3],
    ]);
    expect(own.slice(1).map((span) => span.parentSpanId)).toEqual([ids.spanId, ids.spanId]);
    const [call] = own as [WireSpan];
    expect(call).toMatchObject({ spanId: ids.spanId, parentSpanId: ids.parentSpanId, status: {} });
    expect(toPlain(call.attributes)).toMatchObject({
      "gen_ai.operation.name": "chat",
      "gen_ai.request.model": "auto",
      "gen_ai.response.model": "gpt-4o",
      "gen_ai.system": "openai",
      "gen_ai.usage.input_tokens": 10,
      "gen_ai.usage.output_tokens": 20,
      "gen_ai.response.finish_reasons": ["stop"],
      "router.strategy": "llmrouter-knn",
      "routeiq.call_id": callIdOf(1),
    });
    expect(call.events.map((one) => one.name)).toEqual(["routeiq.router_decision.v1"]);
    const payload = toPlain(call.events[0]?.attributes ?? [])["routeiq.router_decision.payload"];
    expect(JSON.parse(String(payload))).toMatchObject({
      contract_version: "v1",
      trace_id: ids.traceId,
      parent_span_id: ids.parentSpanId,
      input: { requested_model: "auto", query_length: 42 },
      event_id: expect.stringMatching(/^[0-9a-f]{8}-[0-9a-f]{4}-4/),
    });
    expect(collector.spans.some((span) => span.traceId === "f".repeat(32))).toBe(false);
    expect(collector.resources[0]).toMatchObject({ "service.namespace": "ai-gateway" });
    expect(collector.headers[0]?.get("x-collector-key")).toBe("k");
  });

  test("metrics arrive under OpenTelemetry's names", async () => {
    telemetry.counter("gateway.request.total", "Calls.", ["outcome"]).add(2, "success");
    telemetry.onCollect(() => telemetry.gauge("gateway.request.active", "In flight.").set(3));
    await telemetry.flush();
    expect(collector.metricNames.get("gateway.request.total")).toMatchObject({
      sum: { isMonotonic: true, dataPoints: [{ asDouble: 2 }] },
    });
    expect(collector.metricNames.get("gateway.request.active")).toMatchObject({
      gauge: { dataPoints: [{ asDouble: 3 }] },
    });
    expect(telemetry.prometheus()).toContain('gateway_request_total{outcome="success"} 2');
  });

  test("what is traced and counted through @opentelemetry/api comes along", async () => {
    const unregister = registerOtelApi({
      telemetry,
      clock: systemClock,
      random: createRandom(5),
      sampleRatio: 1,
    });
    const tracer = trace.getTracer("a plugin");
    const carried: Record<string, string> = {};
    await tracer.startActiveSpan("outer", { attributes: { a: 1 } }, async (outer) => {
      await Promise.resolve(); // the context lives on over awaits
      tracer.startActiveSpan("inner", { kind: SpanKind.CLIENT }, (inner) => {
        inner.recordException(new TypeError("oh"));
        inner.setStatus({ code: SpanStatusCode.ERROR, message: "broke" });
        propagation.inject(context.active(), carried);
        inner.end();
        inner.end(); // twice is once
      });
      outer.end();
    });
    const remote = propagation.extract(context.active(), {
      traceparent: `00-${"1".repeat(32)}-${"2".repeat(16)}-01`,
    });
    tracer.startSpan("continued", {}, remote).end();
    const meter = metrics.getMeter("a plugin");
    meter.createCounter("plugin.hits").add(4, { kind: "x" });
    meter.createHistogram("plugin.time", { unit: "s" }).record(0.2);
    meter.createUpDownCounter("plugin.open").add(-1);
    meter.createObservableGauge("plugin.size").addCallback((result) => result.observe(7));
    await telemetry.flush();
    unregister();

    const named = (name: string) => collector.spans.filter((span) => span.name === name);
    const [[outer], [inner], [continued]] = [named("outer"), named("inner"), named("continued")];
    expect([named("outer").length, named("inner").length]).toEqual([1, 1]);
    expect(inner).toMatchObject({
      traceId: outer?.traceId ?? "",
      parentSpanId: outer?.spanId ?? "",
      kind: 3,
      status: { code: 2, message: "broke" },
    });
    expect(toPlain(inner?.events[0]?.attributes ?? [])).toMatchObject({
      "exception.type": "TypeError",
      "exception.message": "oh",
    });
    expect(carried["traceparent"]).toBe(`00-${inner?.traceId}-${inner?.spanId}-01`);
    expect(continued).toMatchObject({ traceId: "1".repeat(32), parentSpanId: "2".repeat(16) });
    const text = telemetry.prometheus();
    expect(text).toContain('plugin_hits_total{kind="x"} 4');
    expect(text).toContain("plugin_time_seconds_count 1");
    expect(text).toContain("plugin_open -1");
    expect(text).toContain("plugin_size 7");
    expect(collector.metricNames.has("plugin.hits")).toBe(true);
  });
});
