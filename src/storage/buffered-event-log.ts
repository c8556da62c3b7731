/**
 * The serving side of the event log: packs events into batches and hands them to a sink, one batch
 * at a time. What the sink has not committed stays here, can be looked up here, and is offered
 * again after a failure; past `queueByteLimit` the oldest batch is dropped and counted.
 */
import type { Feedback, Receipt } from "../domain/decision.ts";
import { GatewayError } from "../domain/errors.ts";
import type { Clock } from "../std/clock.ts";
import { batchByteLimit, createBatchBuilder, type EventBatch, findInBatch } from "./event-batch.ts";
import type { EventLog, EventSink, WriteResult } from "./event-log.ts";

export interface BufferedEventLogOptions {
  readonly sink: EventSink;
  readonly clock: Clock;
  /** Told when rows were lost: how many, and why. */
  readonly onDropped: (rows: number, because: string) => void;
  /** Told when writing begins to fail (with the reason), and when it works again. */
  readonly onHealth: (error: string | undefined) => void;
  readonly queueByteLimit?: number;
}

/** An open batch is closed after this time at the latest. */
export const batchDelayMs = 200;
/** Bytes of events that wait here for the sink, or rest here where the sink keeps none. */
export const defaultQueueByteLimit = 16 * 1024 * 1024;
/** Feedback that waits here while the sink fails. */
export const waitingFeedbackLimit = 10_000;
const firstRetryMs = 250;
const longestRetryMs = 10_000;

/** A buffered event log, and what its owner may tell it. */
export interface BufferedEventLog extends EventLog {
  /** Offer what waits at once, and see whether the sink works: at the start, or when it is back. */
  retry(): void;
}

export function createBufferedEventLog(options: BufferedEventLogOptions): BufferedEventLog {
  const { sink, clock } = options;
  const byteLimit = options.queueByteLimit ?? defaultQueueByteLimit;
  const open = createBatchBuilder(batchByteLimit, sink.persistent);
  /** Oldest first. The first `settled` ones are written: kept only where the sink keeps nothing. */
  const queue: EventBatch[] = [];
  let settled = 0;
  let queueBytes = 0;
  let feedback: Feedback[] = [];
  let writing: Promise<void> | undefined;
  let cancelTimer: (() => void) | undefined;
  let cancelRetry: (() => void) | undefined;
  let failures = 0;
  let error: string | undefined;
  let dropped = 0;
  let closed = false;
  let closing: Promise<void> | undefined;
  let doubtful = false;

  function closeBatch(): void {
    cancelTimer?.();
    cancelTimer = undefined;
    if (open.rows === 0) return;
    const batch = open.take();
    queue.push(batch);
    queueBytes += batch.bytes.length;
    while (queueBytes > byteLimit && queue.length > 1) dropOldest();
    void pump();
  }

  function dropOldest(): void {
    // The batch at `settled` may be on its way to the sink: the one behind it goes instead.
    const at = settled > 0 ? 0 : writing ? 1 : 0;
    const [batch] = queue.splice(at, 1);
    if (!batch) return;
    queueBytes -= batch.bytes.length;
    batch.release();
    if (settled > 0) settled--;
    else lose(batch.rows, error ?? "events come faster than they can be written");
  }

  function lose(rows: number, because: string): void {
    if (rows === 0) return;
    dropped += rows;
    options.onDropped(rows, because);
  }

  /** Writes until nothing waits or a write fails. Never more than one write at a time. */
  function pump(): Promise<void> {
    if (writing) return writing;
    if (cancelRetry) return Promise.resolve();
    writing = drain().finally(() => {
      writing = undefined;
      // A batch that was closed just now found a write that had looked for more already.
      if (queue.length > settled && error === undefined) void pump();
    });
    return writing;
  }

  async function drain(): Promise<void> {
    if (queue.length === settled && (doubtful || error !== undefined)) {
      const result = await sink.probe().catch(toResult);
      if (!result.stored) return failed(result.error);
      healthy();
    }
    doubtful = false;
    for (;;) {
      const batch = queue[settled];
      if (!batch) break;
      const result = await sink.write(batch.bytes).catch(toResult);
      if (!result.stored) return failed(result.error);
      if (sink.persistent) {
        queue.splice(settled, 1);
        queueBytes -= batch.bytes.length;
        batch.release();
      } else settled++;
      healthy();
    }
    if (sink.persistent && feedback.length > 0) await drainFeedback();
  }

  async function drainFeedback(): Promise<void> {
    const waiting = feedback;
    feedback = [];
    for (const [index, one] of waiting.entries()) {
      const result = await recordIn(sink, one);
      if (typeof result === "string") continue; // unknown: its call was dropped from the queue
      feedback = [...waiting.slice(index), ...feedback];
      return failed(result.error);
    }
    healthy();
  }

  function healthy(): void {
    failures = 0;
    if (error === undefined) return;
    error = undefined;
    options.onHealth(undefined);
  }

  function failed(because: string): void {
    if (error !== because) {
      error = because;
      options.onHealth(because);
    }
    const delayMs = Math.min(longestRetryMs, firstRetryMs * 2 ** failures++);
    if (!closed) {
      cancelRetry = clock.after(delayMs, () => {
        cancelRetry = undefined;
        void pump();
      });
    }
  }

  function retry(): Promise<void> {
    cancelRetry?.();
    cancelRetry = undefined;
    return pump();
  }

  /** Everything appended so far is offered once; throws where it could not be written. */
  async function flush(): Promise<void> {
    closeBatch();
    await writing;
    await retry();
    if (error !== undefined) throw new GatewayError("storage_failed", error);
  }

  async function close(): Promise<void> {
    closed = true;
    await flush().catch(() => undefined); // what is left is counted, and the reason reported
    cancelRetry?.();
    const left = queue.slice(settled).reduce((rows, batch) => rows + batch.rows, 0);
    lose(left, error ?? "the event log closed before they were written");
    await sink.close();
  }

  function findHere(callId: string): Receipt | undefined {
    let receipt = open.find(callId);
    for (let i = queue.length - 1; i >= 0 && !receipt; i--) {
      receipt = findInBatch((queue[i] as EventBatch).bytes, callId);
    }
    if (!receipt) return undefined;
    const own = feedback.filter((one) => one.callId === callId);
    return { ...receipt, feedback: [...receipt.feedback, ...own] };
  }

  function keepFeedback(one: Feedback): void {
    if (feedback.length >= waitingFeedbackLimit) feedback.shift();
    feedback.push(one);
  }

  return {
    append(event) {
      if (closed) return lose(1, "the event log is closed");
      if (!open.add(event)) {
        closeBatch();
        open.add(event);
      }
      cancelTimer ??= clock.after(batchDelayMs, closeBatch);
    },
    async addFeedback(one) {
      if (findHere(one.callId)) {
        if (!sink.persistent || error !== undefined) {
          keepFeedback(one);
          return true;
        }
        await flush().catch(() => undefined); // the answer below says how it went
      }
      const result = await recordIn(sink, one);
      if (typeof result === "string") return result === "recorded";
      if (!findHere(one.callId)) throw new GatewayError("storage_failed", result.error);
      keepFeedback(one);
      return true;
    },
    async findReceipt(callId) {
      return findHere(callId) ?? (await sink.find(callId));
    },
    flush,
    retry() {
      doubtful = true;
      void retry();
    },
    dropped: () => dropped,
    status: () => ({
      backend: sink.persistent && error === undefined ? "sqlite" : "memory",
      ...(error !== undefined && { error }),
    }),
    close() {
      closing ??= close();
      return closing;
    },
  };
}

async function recordIn(sink: EventSink, feedback: Feedback) {
  try {
    return await sink.addFeedback(feedback);
  } catch (thrown) {
    return { error: messageOf(thrown) };
  }
}

function toResult(thrown: unknown): WriteResult {
  return { stored: false, error: messageOf(thrown) };
}

function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}
