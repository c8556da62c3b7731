/**
 * Sends spans and metrics to an OTLP/HTTP endpoint, from the background thread: in batches, bounded,
 * with back-off after failures. What cannot be delivered is dropped, counted and said once.
 * Source: https://opentelemetry.io/docs/specs/otlp/#otlphttp
 */
import type { Outbound } from "../security/outbound.ts";
import type { Clock } from "../std/clock.ts";
import { sleep } from "../std/clock.ts";
import { createProtoBuffer } from "../std/proto-buffer.ts";
import type { Random } from "../std/random.ts";
import type { MetricSnapshot } from "./metrics.ts";
import { type OtlpSource, writeMetrics, writeSpan, writeTraces } from "./otlp-encode.ts";
import type { SpanRecord } from "./telemetry.ts";

export interface OtlpExporterOptions {
  /** Base: `/v1/traces` and `/v1/metrics` are added. */
  readonly endpoint: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly source: OtlpSource;
  readonly outbound: Outbound;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: (level: "info" | "warn", message: string) => void;
}

export interface OtlpExporter {
  addSpans(spans: readonly SpanRecord[]): void;
  /** Spans that are encoded already, as fields of their scope; at most `spanBatchLimit` of them. */
  addEncoded(spans: EncodedSpans): void;
  /** Replaces a snapshot that still waits: the newer one holds its sums. */
  addMetrics(metrics: readonly MetricSnapshot[]): void;
  stats(): OtlpStats;
  /** Resolves when all that waited is sent or given up. */
  flush(): Promise<void>;
  /** Sends what waits, once, within `closeLimitMs`; then stops. */
  close(): Promise<void>;
}

export interface EncodedSpans {
  readonly bytes: Uint8Array;
  readonly count: number;
  /** Called once when the bytes are no longer needed: sent, or dropped. */
  readonly release?: () => void;
}

export interface OtlpStats {
  readonly exportedSpans: number;
  readonly droppedSpans: number;
  readonly failedRequests: number;
}

/** Spans that wait to be sent; the oldest go first where it overflows. */
export const spanQueueLimit = 8_192;
export const spanBatchLimit = 512;
export const spanDelayMs = 1_000;
/** Tries of one request; pauses of 1, 2, 4, 8 s with jitter between them. */
export const attemptLimit = 5;
const firstPauseMs = 1_000;
const longestPauseMs = 30_000;
const requestTimeoutMs = 10_000;
/** What closing may take; what is not sent by then is dropped. */
export const closeLimitMs = 3_000;
const retryable: ReadonlySet<number> = new Set([408, 429, 502, 503, 504]);

export function createOtlpExporter(options: OtlpExporterOptions): OtlpExporter {
  const { clock, source } = options;
  const base = options.endpoint.replace(/\/+$/, "");
  const startMs = clock.now();
  const closing = new AbortController();
  const closed = new AbortController();
  const queue: EncodedSpans[] = [];
  let queued = 0;
  const one = createProtoBuffer(1024);
  /** One request at a time, so its memory is used again and again. */
  const body = createProtoBuffer(64 * 1024);
  let metrics: { readonly snapshot: readonly MetricSnapshot[]; readonly atMs: number } | undefined;
  let sending: Promise<void> | undefined;
  let cancelTimer: (() => void) | undefined;
  let exportedSpans = 0;
  let droppedSpans = 0;
  let failedRequests = 0;
  let broken = false;

  function pump(): Promise<void> {
    cancelTimer?.();
    cancelTimer = undefined;
    sending ??= drain().finally(() => {
      sending = undefined;
    });
    return sending;
  }

  async function drain(): Promise<void> {
    for (;;) {
      if (metrics) {
        const { snapshot, atMs } = metrics;
        metrics = undefined;
        body.clear();
        writeMetrics(body, snapshot, source, { startMs, atMs });
        await send("/v1/metrics", body.view());
      } else if (queue.length > 0) {
        const count = takeBatch();
        const sent = await send("/v1/traces", body.view());
        if (sent) exportedSpans += count;
        else droppedSpans += count;
        if (!sent && closing.signal.aborted) dropTo(0);
      } else return;
    }
  }

  /** Writes as many of the oldest as one request may hold; says how many. */
  function takeBatch(): number {
    const parts: EncodedSpans[] = [];
    let count = 0;
    do {
      const part = queue.shift() as EncodedSpans;
      parts.push(part);
      count += part.count;
    } while (queue[0] && count + queue[0].count <= spanBatchLimit);
    queued -= count;
    body.clear();
    writeTraces(
      body,
      parts.map(({ bytes }) => bytes),
      source,
    );
    for (const { release } of parts) release?.();
    return count;
  }

  /** Drops the oldest until no more than so many wait. */
  function dropTo(limit: number): void {
    while (queued > limit) {
      const { count, release } = queue.shift() as EncodedSpans;
      release?.();
      queued -= count;
      droppedSpans += count;
    }
  }

  function addEncoded(spans: EncodedSpans): void {
    if (closing.signal.aborted) return void spans.release?.();
    queue.push(spans);
    queued += spans.count;
    dropTo(spanQueueLimit);
    if (queued >= spanBatchLimit) void pump();
    else if (!sending) cancelTimer ??= clock.after(spanDelayMs, () => void pump());
  }

  async function send(path: string, body: Uint8Array): Promise<boolean> {
    for (let attempt = 1; ; attempt++) {
      const result = await post(path, body);
      if (result === "sent") return recovered();
      failedRequests++;
      report(path, result.reason);
      if (!result.again || attempt >= attemptLimit || closing.signal.aborted) return false;
      const pauseMs = Math.min(longestPauseMs, firstPauseMs * 2 ** (attempt - 1));
      const jitteredMs = result.afterMs ?? pauseMs * (0.5 + options.random.next() / 2);
      await sleep(clock, jitteredMs, closing.signal).catch(() => undefined); // closing: last try
    }
  }

  async function post(path: string, body: Uint8Array): Promise<"sent" | Failure> {
    const timeout = new AbortController();
    const cancel = clock.after(requestTimeoutMs, () => timeout.abort(new Error("timed out")));
    try {
      const response = await options.outbound.fetch({
        url: base + path,
        method: "POST",
        headers: { ...options.headers, "content-type": "application/x-protobuf" },
        body,
        signal: AbortSignal.any([timeout.signal, closed.signal]),
        trust: "operator",
      });
      // A refusal may be a protobuf as well: its words stand in it all the same.
      const text = (await response.text()).slice(0, 200).replace(/[^ -~]+/g, " ");
      if (response.ok) return "sent";
      const afterMs = retryAfterMs(response.headers.get("retry-after"));
      return {
        again: retryable.has(response.status),
        reason: `status ${response.status} ${text}`,
        ...(afterMs !== undefined && { afterMs }),
      };
    } catch (thrown) {
      return { again: true, reason: thrown instanceof Error ? thrown.message : String(thrown) };
    } finally {
      cancel();
    }
  }

  /** Said when it breaks and when it works again, not in between. */
  function report(path: string, reason: string): void {
    if (broken) return;
    broken = true;
    options.log("warn", `OTLP export to ${base}${path} fails: ${reason}`);
  }

  function recovered(): true {
    if (broken) options.log("info", `OTLP export to ${base} works again.`);
    broken = false;
    return true;
  }

  return {
    addSpans(spans) {
      for (const span of spans) {
        writeSpan(one, span);
        addEncoded({ bytes: one.take(), count: 1 });
      }
    },
    addEncoded,
    addMetrics(snapshot) {
      if (closing.signal.aborted) return;
      metrics = { snapshot, atMs: clock.now() };
      void pump();
    },
    stats: () => ({ exportedSpans, droppedSpans, failedRequests }),
    flush: pump,
    async close() {
      closing.abort();
      const cancel = clock.after(closeLimitMs, () => closed.abort(new Error("closing")));
      await pump();
      await pump(); // what came while the last batch was under way
      cancel();
    },
  };
}

interface Failure {
  readonly again: boolean;
  readonly reason: string;
  readonly afterMs?: number;
}

/** Seconds, within reason; the date form is left to our own back-off. */
function retryAfterMs(header: string | null): number | undefined {
  if (header === null || !/^\d{1,6}$/.test(header)) return undefined;
  return Math.min(Number(header) * 1000, longestPauseMs);
}
