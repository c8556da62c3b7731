/** The exporter against an endpoint that fails in every way: what is tried again, what is given up. */
import { describe, expect, test } from "bun:test";
import { readTraces } from "../../test/support/otlp.ts";
import { createVirtualClock } from "../../test/support/virtual-clock.ts";
import type { OutboundRequest } from "../security/outbound.ts";
import { createRandom } from "../std/random.ts";
import {
  attemptLimit,
  closeLimitMs,
  createOtlpExporter,
  spanBatchLimit,
  spanDelayMs,
  spanQueueLimit,
} from "./otlp-exporter.ts";
import type { SpanRecord } from "./telemetry.ts";

type Answer = Response | Error | "hang";

function setUp(answer: (request: OutboundRequest, n: number) => Answer) {
  const clock = createVirtualClock();
  const requests: (OutboundRequest & { readonly atMs: number })[] = [];
  const logs: string[] = [];
  const exporter = createOtlpExporter({
    endpoint: "http://collector:4318/",
    headers: { "x-tenant": "a" },
    source: { resource: { "service.name": "routeiq" }, scope: { name: "routeiq", version: "0" } },
    outbound: {
      async fetch(request) {
        requests.push({ ...request, atMs: clock.now() });
        const given = answer(request, requests.length);
        if (given instanceof Error) throw given;
        if (given instanceof Response) return given;
        return new Promise((_, reject) => {
          request.signal?.addEventListener("abort", () => reject(request.signal?.reason));
        });
      },
    },
    clock,
    random: createRandom(1),
    log: (level, message) => logs.push(`${level}: ${message}`),
  });
  return { clock, requests, logs, exporter };
}

const span = (n: number): SpanRecord => ({
  name: `span ${n}`,
  traceId: "a".repeat(32),
  spanId: n.toString(16).padStart(16, "0"),
  kind: "internal",
  startMs: 1,
  endMs: 2,
  attributes: { s: "x", i: 3, f: 0.5, b: true, l: ["p", "q"] },
});
const spans = (count: number) => Array.from({ length: count }, (_, n) => span(n + 1));

describe("OTLP exporter", () => {
  test("sends one request for the spans of a moment, as the protocol says", async () => {
    const { exporter, clock, requests } = setUp(() => Response.json({}));
    exporter.addSpans([span(1)]);
    exporter.addSpans([{ ...span(2), error: "no", parentSpanId: "b".repeat(16) }]);
    await clock.advance(spanDelayMs);
    expect(requests).toHaveLength(1);
    expect(requests[0]).toMatchObject({
      url: "http://collector:4318/v1/traces",
      method: "POST",
      headers: { "x-tenant": "a", "content-type": "application/x-protobuf" },
      trust: "operator",
    });
    const [first, second] = readTraces(requests[0]?.body as Uint8Array).spans;
    expect(first).toMatchObject({
      kind: 1,
      startTimeUnixNano: "1000000",
      status: {},
      attributes: [
        { key: "s", value: { stringValue: "x" } },
        { key: "i", value: { intValue: "3" } },
        { key: "f", value: { doubleValue: 0.5 } },
        { key: "b", value: { boolValue: true } },
        {
          key: "l",
          value: { arrayValue: { values: [{ stringValue: "p" }, { stringValue: "q" }] } },
        },
      ],
    });
    expect(second).toMatchObject({
      parentSpanId: "b".repeat(16),
      status: { code: 2, message: "no" },
    });
    expect(exporter.stats()).toEqual({ exportedSpans: 2, droppedSpans: 0, failedRequests: 0 });
  });

  test("a full batch goes at once", async () => {
    const { exporter, clock, requests } = setUp(() => Response.json({}));
    exporter.addSpans(spans(spanBatchLimit + 1));
    await clock.advance(0);
    expect(requests).toHaveLength(2);
  });

  test.each([
    ["503", () => new Response("busy", { status: 503 })],
    ["429", () => new Response("", { status: 429 })],
    ["a refused connection", () => new Error("refused")],
    ["no answer", () => "hang" as const],
  ])("after %s it tries again, later and later, then gives up", async (_name, fail) => {
    const { exporter, clock, requests, logs } = setUp(fail);
    exporter.addSpans([span(1)]);
    await clock.advance(120_000);
    expect(requests).toHaveLength(attemptLimit);
    const pauses = requests.slice(1).map(({ atMs }, n) => atMs - (requests[n]?.atMs ?? 0));
    expect(pauses.toSorted((a, b) => a - b)).toEqual(pauses);
    expect(exporter.stats()).toMatchObject({ droppedSpans: 1, failedRequests: attemptLimit });
    expect(logs).toHaveLength(1); // not one per try
  });

  test("Retry-After is kept; success after failure is said", async () => {
    const { exporter, clock, requests, logs } = setUp((_, n) =>
      n === 1
        ? new Response("", { status: 429, headers: { "retry-after": "7" } })
        : Response.json({}),
    );
    exporter.addSpans([span(1)]);
    await clock.advance(spanDelayMs + 6_999);
    expect(requests).toHaveLength(1);
    await clock.advance(1);
    expect(requests).toHaveLength(2);
    expect(logs).toEqual([expect.stringContaining("429"), expect.stringContaining("works again")]);
  });

  test("a refusal is not tried again", async () => {
    const { exporter, clock, requests, logs } = setUp(() => new Response("bad", { status: 400 }));
    exporter.addSpans([span(1)]);
    await clock.advance(60_000);
    expect(requests).toHaveLength(1);
    expect(exporter.stats().droppedSpans).toBe(1);
    expect(logs[0]).toContain("400 bad");
  });

  test("the queue is bounded: the oldest go, counted", async () => {
    const { exporter, clock } = setUp(() => "hang");
    exporter.addSpans(spans(spanBatchLimit)); // on its way
    await clock.advance(0);
    exporter.addSpans(spans(spanQueueLimit + 10));
    expect(exporter.stats().droppedSpans).toBe(10);
  });

  test("closing sends what waits, and does not wait for a dead endpoint", async () => {
    const alive = setUp(() => Response.json({}));
    alive.exporter.addSpans([span(1)]);
    await alive.exporter.close();
    expect(alive.exporter.stats().exportedSpans).toBe(1);

    const dead = setUp(() => "hang");
    dead.exporter.addSpans(spans(3 * spanBatchLimit));
    let closed = false;
    const closing = dead.exporter.close().then(() => {
      closed = true;
    });
    await dead.clock.advance(closeLimitMs);
    await closing;
    expect(closed).toBe(true);
    expect(dead.exporter.stats().droppedSpans).toBe(3 * spanBatchLimit);
  });
});
