/** What a call's spans say: alike calls share their encoding, and nothing of one shows in another. */
import { describe, expect, test } from "bun:test";
import { anyEvent, callEvent, callIdOf } from "../../test/support/events.ts";
import { readTraces, toPlain, type WireSpan } from "../../test/support/otlp.ts";
import type { CallEvent } from "../domain/event.ts";
import { createProtoBuffer } from "../std/proto-buffer.ts";
import { createRandom, nextInt } from "../std/random.ts";
import { createCallSpans, type WriteCallSpans } from "./call-span.ts";
import { writeTraces } from "./otlp-encode.ts";

const source = { resource: {}, scope: { name: "routeiq", version: "0" } };
const ids = { newSpanId: () => "c".repeat(16), newEventId: () => "an id" };
const trace = { traceId: "a".repeat(32), spanId: "b".repeat(16), sampled: true };

function spansOf(event: CallEvent, write: WriteCallSpans = createCallSpans(ids)): WireSpan[] {
  const out = createProtoBuffer(16);
  const count = write(out, event);
  const body = createProtoBuffer();
  writeTraces(body, [out.take()], source);
  const { spans } = readTraces(body.view());
  expect(spans).toHaveLength(count);
  return spans;
}

describe("spans of a call", () => {
  test.each(Array.from({ length: 8 }, (_, seed) => [seed]))(
    "are the same whatever calls went before (seed %d)",
    (seed) => {
      const random = createRandom(seed);
      const write = createCallSpans(ids);
      // Few kinds of calls, so that many are alike but for their numbers.
      const kinds = Array.from({ length: 4 }, () => anyEvent(random));
      for (let n = 0; n < 30; n++) {
        const kind = kinds[nextInt(random, kinds.length)] as CallEvent;
        const other = anyEvent(random, n).receipt;
        const { callId, timings, usage, costMicroUsd } = other;
        const receipt = {
          ...kind.receipt,
          ...{ callId, timings },
          ...(usage && { usage }),
          ...(costMicroUsd !== undefined && { costMicroUsd }),
        };
        const event = { ...kind, receipt, trace };
        expect(spansOf(event, write)).toEqual(spansOf(event));
      }
    },
  );

  test("numbers arrive as they were", () => {
    const decision = {
      strategy: "llmrouter-knn",
      artifact: "router@12",
      reason: "utility",
      candidates: [
        { model: "openai/large", group: "auto", quality: 0.75, probability: 1 },
        { model: "openai/small", group: "auto", filtered: "context_window", probability: 0 },
      ],
      chosen: "openai/large",
      decisionUs: 1500,
    } as const;
    const timings = { decisionUs: 1500, overheadUs: 300, firstTokenMs: 210.5, totalMs: 500 };
    const usage = { inputTokens: 3_000_000_000, outputTokens: 0 };
    const event = { ...callEvent(1, { decision, timings, usage, costMicroUsd: 0 }), trace };
    const [call, routing] = spansOf(event);
    expect(toPlain(call?.attributes ?? [])).toMatchObject({
      "routeiq.call_id": callIdOf(1),
      "routeiq.overhead_us": 300,
      "gen_ai.usage.input_tokens": 3_000_000_000,
      "gen_ai.usage.output_tokens": 0,
      "gen_ai.response.time_to_first_chunk": 0.2105,
      "llm.cost.total": 0,
      "router.candidates_evaluated": 1,
      "router.latency_ms": 1.5,
      "router.score": 0.75,
    });
    expect(call).toMatchObject({
      startTimeUnixNano: "1764000000001000000",
      endTimeUnixNano: "1764000000501000000",
      flags: 1,
    });
    expect(routing).toMatchObject({
      startTimeUnixNano: "1764000000001000000",
      endTimeUnixNano: "1764000000001300000",
      attributes: [
        { key: "llm.routing.strategy", value: { stringValue: "llmrouter-knn" } },
        { key: "llm.routing.model_count", value: { intValue: "2" } },
      ],
    });
  });

  test("are none where the trace is not sampled", () => {
    expect(spansOf({ ...callEvent(1), trace: { ...trace, sampled: false } })).toEqual([]);
  });
});
