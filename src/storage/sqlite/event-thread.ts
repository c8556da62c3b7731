/** The event log's half in the background thread. */
import { systemClock } from "../../std/clock.ts";
import { RpcError } from "../../std/rpc.ts";
import type { EventRecord } from "../event-batch.ts";
import type { EventService } from "./event-log.ts";
import { createSqliteEventSink, type SqliteEventSink } from "./event-sink.ts";

export interface EventThreadContext {
  readonly log: (level: "info" | "warn" | "error", message: string) => void;
  readonly onRecords?: (records: readonly EventRecord[]) => void;
}

export function createEventThread(context: EventThreadContext): EventService {
  let sink: SqliteEventSink | undefined;
  const opened = () => {
    if (!sink) throw new RpcError("storage_failed", "The event log is not open.");
    return sink;
  };
  return {
    open(options) {
      sink?.close();
      sink = createSqliteEventSink({ ...options, ...context, clock: systemClock });
    },
    probe: () => opened().probe(),
    write: (bytes) => opened().write(bytes),
    addFeedback: (feedback) => opened().addFeedback(feedback),
    find: (callId) => opened().find(callId),
    close() {
      sink?.close();
      sink = undefined;
    },
  };
}
