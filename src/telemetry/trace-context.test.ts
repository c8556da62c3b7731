/** W3C trace context: which headers count, and whose word on sampling holds. */
import { describe, expect, test } from "bun:test";
import { createRandom } from "../std/random.ts";
import { beginTrace, parseTraceparent, toTraceparent } from "./trace-context.ts";

const traceId = "0af7651916cd43dd8448eb211c80319c";
const spanId = "b7ad6b7169203331";

describe("traceparent", () => {
  test.each([
    [`00-${traceId}-${spanId}-01`, true],
    [`00-${traceId}-${spanId}-00`, false],
    [`cc-${traceId}-${spanId}-03-what-the-future-brings`, true],
  ])("%s is taken, sampled: %p", (header, sampled) => {
    expect(parseTraceparent(header)).toEqual({ traceId, spanId, sampled });
  });

  test.each([
    undefined,
    "",
    "garbage",
    `ff-${traceId}-${spanId}-01`,
    `00-${traceId}-${spanId}-01-more`,
    `00-${"0".repeat(32)}-${spanId}-01`,
    `00-${traceId}-${"0".repeat(16)}-01`,
    `00-${traceId.toUpperCase()}-${spanId}-01`,
    `00-${traceId}-${spanId}-1`,
    `cc-${traceId}-${spanId}-01-${"x".repeat(300)}`,
  ])("%p is not", (header) => {
    expect(parseTraceparent(header)).toBeUndefined();
  });

  test("a caller's trace goes on under its sampling; upstreams hear of our span", () => {
    const trace = beginTrace(`00-${traceId}-${spanId}-01`, 0.001, createRandom(1));
    expect(trace).toMatchObject({ traceId, parentSpanId: spanId, sampled: true });
    expect(trace.spanId).not.toBe(spanId);
    expect(toTraceparent(trace)).toBe(`00-${traceId}-${trace.spanId}-01`);
    expect(beginTrace(`00-${traceId}-${spanId}-00`, 1, createRandom(1)).sampled).toBe(false);
  });

  test.each([
    [0, 0, 0],
    [0.25, 200, 300],
    [1, 1_000, 1_000],
  ])("ratio %d draws its share of new traces", (ratio, least, most) => {
    const random = createRandom(2);
    const traces = Array.from({ length: 1_000 }, () => beginTrace(undefined, ratio, random));
    const sampled = traces.filter((trace) => trace.sampled).length;
    expect(sampled).toBeWithin(least, most + 1);
    expect(new Set(traces.map((trace) => trace.traceId)).size).toBe(1_000);
    for (const trace of traces) expect(parseTraceparent(toTraceparent(trace))).toBeDefined();
  });
});
