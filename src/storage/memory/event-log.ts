/** An event log that rests in memory alone: the last calls' receipts, bounded by bytes. */
import type { Clock } from "../../std/clock.ts";
import { createBufferedEventLog } from "../buffered-event-log.ts";
import type { EventLog, EventSink } from "../event-log.ts";

/** Bytes of receipts kept where nothing is stored: about a thousand calls. */
export const memoryByteLimit = 4 * 1024 * 1024;

/** Used where events are off. The oldest receipts make room for new ones; that is no loss. */
export function createMemoryEventLog(options: {
  readonly clock: Clock;
  readonly byteLimit?: number;
  /** Sees every batch once: the exporter of spans, say. */
  readonly onBatch?: (bytes: Uint8Array) => void;
}): EventLog {
  const sink: EventSink = {
    persistent: false,
    probe: async () => ({ stored: true }),
    async write(bytes) {
      options.onBatch?.(bytes);
      return { stored: true };
    },
    addFeedback: async () => "unknown",
    find: async () => undefined,
    close: async () => undefined,
  };
  return createBufferedEventLog({
    sink,
    clock: options.clock,
    queueByteLimit: options.byteLimit ?? memoryByteLimit,
    onDropped: () => undefined,
    onHealth: () => undefined,
  });
}
