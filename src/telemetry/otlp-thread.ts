/** The half of telemetry that runs in the background thread: encodes and sends. */
import type { CallEvent } from "../domain/event.ts";
import type { Outbound } from "../security/outbound.ts";
import { systemClock } from "../std/clock.ts";
import { createProtoBuffer, type ProtoBuffer } from "../std/proto-buffer.ts";
import { systemRandom } from "../std/random.ts";
import { decodeBatch } from "../storage/event-batch.ts";
import { createCallSpans } from "./call-span.ts";
import type { MetricSnapshot } from "./metrics.ts";
import type { OtlpSource } from "./otlp-encode.ts";
import {
  createOtlpExporter,
  type EncodedSpans,
  type OtlpExporter,
  type OtlpStats,
  spanBatchLimit,
} from "./otlp-exporter.ts";
import type { SpanRecord } from "./telemetry.ts";
import { newSpanId } from "./trace-context.ts";

export interface OtlpSettings {
  readonly endpoint: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly source: OtlpSource;
}

/** What the serving thread asks of it. Spans and metrics cross as JSON: one text, nothing to clone. */
export interface OtlpService {
  open(settings: OtlpSettings): void;
  spans(json: string): void;
  /** A batch of call events (storage/event-batch.ts), where the event log does not hand them over. */
  calls(bytes: Uint8Array): void;
  /** Answers how the export stands. */
  metrics(json: string): OtlpStats;
  flush(params: null): Promise<void>;
  close(params: null): Promise<void>;
}

/** The service, and a way for the event log's half to hand over what it wrote. */
export interface OtlpThread extends OtlpService {
  addEvents(events: Iterable<CallEvent>): void;
}

export interface OtlpThreadContext {
  readonly outbound: Outbound;
  readonly log: (level: "info" | "warn", message: string) => void;
}

/** Memory of parts that is kept for the next ones: fresh memory costs more than what is written. */
const freeLimit = 4;
const partBytes = 64 * 1024;
/** Spans after which a part is closed, so that it fits a request with those of one more call. */
const fullParts = spanBatchLimit - 128;

export function createOtlpThread(context: OtlpThreadContext): OtlpThread {
  let exporter: OtlpExporter | undefined;
  const free: ProtoBuffer[] = [];
  const writeCallSpans = createCallSpans({
    newSpanId: () => newSpanId(systemRandom),
    newEventId: () => crypto.randomUUID(),
  });

  function addEvents(events: Iterable<CallEvent>): void {
    if (!exporter) return;
    let part = free.pop() ?? createProtoBuffer(partBytes);
    let count = 0;
    for (const event of events) {
      count += writeCallSpans(part, event);
      if (count < fullParts) continue;
      exporter.addEncoded(toEncoded(part, count));
      part = free.pop() ?? createProtoBuffer(partBytes);
      count = 0;
    }
    if (count > 0) exporter.addEncoded(toEncoded(part, count));
    else free.push(part);
  }

  function toEncoded(part: ProtoBuffer, count: number): EncodedSpans {
    const release = () => {
      part.clear();
      if (free.length < freeLimit) free.push(part);
    };
    return { bytes: part.view(), count, release };
  }

  return {
    open(settings) {
      exporter = createOtlpExporter({
        ...settings,
        ...context,
        clock: systemClock,
        random: systemRandom,
      });
    },
    addEvents,
    calls: (bytes) => addEvents(decodeBatch(bytes)),
    spans: (json) => exporter?.addSpans(JSON.parse(json) as SpanRecord[]),
    metrics(json) {
      exporter?.addMetrics(JSON.parse(json) as MetricSnapshot[]);
      return exporter?.stats() ?? { exportedSpans: 0, droppedSpans: 0, failedRequests: 0 };
    },
    flush: async () => exporter?.flush(),
    close: async () => exporter?.close(),
  };
}
