/** What it costs to remember a call: on the serving thread, and in the background one. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { CallEvent } from "../../src/domain/event.ts";
import { createUnreadExtractor } from "../../src/embedding/unread-features.ts";
import { systemClock } from "../../src/std/clock.ts";
import { createProtoBuffer } from "../../src/std/proto-buffer.ts";
import { createBufferedEventLog } from "../../src/storage/buffered-event-log.ts";
import { createBatchBuilder, type EventBatch } from "../../src/storage/event-batch.ts";
import { defaultRetention, type EventSink } from "../../src/storage/event-log.ts";
import { createSqliteEventSink } from "../../src/storage/sqlite/event-sink.ts";
import { createCallSpans } from "../../src/telemetry/call-span.ts";
import { createMetricRegistry } from "../../src/telemetry/metrics.ts";
import { writeTraces } from "../../src/telemetry/otlp-encode.ts";
import { learnedEvent } from "../support/events.ts";
import { type BenchRow, defineBench, quantile } from "./bench.ts";

export const observationBench = defineBench("observation", async ({ size, note }) => {
  const rounds = size(2, 60);
  const learned = Array.from({ length: size(64, 512) }, (_, n) => learnedEvent(n));
  const plain = learned.map(withoutDecision);
  note("appending to the event log");
  return [
    row("an event of a learned call, serving thread", await appendUs(learned, rounds), 8),
    row("an event without a decision, serving thread", await appendUs(plain, rounds), 4),
    row("ten counts with three labels, serving thread", await countUs(learned.length, rounds), 2),
    row("a row of a learned call, background thread", await writeUs(learned, rounds)),
    row(
      "a row of a call that no router looked at, its features made, background thread",
      await writeUs(plain.map(withQuery), rounds),
    ),
    row("spans of a call as OTLP, background thread", await spanUs(learned, rounds)),
  ];
});

function row(what: string, us: number, limitUs?: number): BenchRow {
  return {
    what,
    measured: `${us.toFixed(1)} µs`,
    ...(limitUs === undefined ? {} : { budget: `≤ ${limitUs} µs`, ok: us <= limitUs }),
    detail: "CPU, 10th percentile of rounds, amortised over a batch",
  };
}

function withoutDecision({ features: _, ...event }: CallEvent): CallEvent {
  const { decision: _decision, ...receipt } = event.receipt;
  return { ...event, receipt };
}

/** As a plain proxy's calls come: the background thread hashes the query and makes its features. */
function withQuery(event: CallEvent, at: number): CallEvent {
  const { queryHash: _, ...rest } = event;
  const text = `Question ${at}: how do I get from Ulm to the sea by train, and what is it?`;
  const unread = { text, toolCount: 0, toolText: "", extract: true, keep: false };
  return { ...rest, unread };
}

/**
 * CPU time of all threads, µs per item, at the quick end of the rounds (10th percentile): what a
 * busy machine adds is not ours.
 */
async function eachUs(
  count: number,
  rounds: number,
  round: () => void,
  after: () => unknown = () => undefined,
): Promise<number> {
  const times: number[] = [];
  for (let i = 0; i < rounds; i++) {
    const before = process.cpuUsage();
    round();
    const { user, system } = process.cpuUsage(before);
    times.push((user + system) / count);
    await after();
  }
  return quantile(times, 0.1);
}

function appendUs(events: readonly CallEvent[], rounds: number): Promise<number> {
  const nowhere: EventSink = {
    persistent: true,
    probe: async () => ({ stored: true }),
    write: async () => ({ stored: true }),
    addFeedback: async () => "unknown",
    find: async () => undefined,
    close: async () => undefined,
  };
  const log = createBufferedEventLog({
    sink: nowhere,
    clock: systemClock,
    onDropped: () => undefined,
    onHealth: () => undefined,
    queueByteLimit: 2 ** 22,
  });
  const append = () => {
    for (const event of events) log.append(event);
  };
  return eachUs(events.length, rounds, append, log.flush);
}

function countUs(count: number, rounds: number): Promise<number> {
  const labels = ["operation", "model", "provider"];
  const counter = createMetricRegistry().declare({
    name: "n",
    help: "",
    kind: "counter",
    labels,
    unit: "",
    buckets: [],
  });
  return eachUs(count, rounds, () => {
    for (let i = 0; i < count * 10; i++) counter.add(1, "chat", "openai/large", "openai");
  });
}

async function writeUs(events: readonly CallEvent[], rounds: number): Promise<number> {
  const dataDir = mkdtempSync(join(tmpdir(), "routeiq-bench-"));
  const options = { dataDir, retention: defaultRetention, clock: systemClock };
  const extract = createUnreadExtractor();
  const sink = createSqliteEventSink({ ...options, log: () => undefined, extract });
  let batches = pack(events, 0);
  let next = 1;
  const write = () => {
    for (const { bytes } of batches) sink.write(bytes);
  };
  const us = await eachUs(events.length, rounds, write, () => {
    batches = pack(events, next++);
  });
  sink.close();
  rmSync(dataDir, { recursive: true, force: true });
  return us;
}

function pack(events: readonly CallEvent[], round: number): EventBatch[] {
  const builder = createBatchBuilder();
  const batches: EventBatch[] = [];
  for (const event of events) {
    const callId = `${event.receipt.callId}-${round}`;
    const fresh = { ...event, receipt: { ...event.receipt, callId } };
    if (builder.add(fresh)) continue;
    batches.push(builder.take());
    builder.add(fresh);
  }
  return [...batches, builder.take()];
}

function spanUs(events: readonly CallEvent[], rounds: number): Promise<number> {
  const trace = { traceId: "a".repeat(32), spanId: "b".repeat(16), sampled: true };
  const traced = events.map((event) => ({ ...event, trace }));
  const source = { resource: {}, scope: { name: "routeiq", version: "0" } };
  const ids = { newSpanId: () => "c".repeat(16), newEventId: () => crypto.randomUUID() };
  const write = createCallSpans(ids);
  const [out, body] = [createProtoBuffer(), createProtoBuffer()];
  return eachUs(events.length, rounds, () => {
    for (const event of traced) write(out, event);
    body.clear();
    writeTraces(body, [out.view()], source);
    out.clear();
  });
}
