/** The event log on SQLite: batches gathered here, written by the background thread. */
import type { Feedback, Receipt } from "../../domain/decision.ts";
import { GatewayError } from "../../domain/errors.ts";
import type { Clock } from "../../std/clock.ts";
import type { Remote } from "../../std/rpc.ts";
import { type BufferedEventLog, createBufferedEventLog } from "../buffered-event-log.ts";
import type { EventRetention, EventSink, FeedbackResult, WriteResult } from "../event-log.ts";

/** The background thread's side: `worker.ts` answers it with a `SqliteEventSink`. */
export interface EventService {
  open(options: EventServiceOptions): void;
  probe(params: null): WriteResult;
  write(bytes: Uint8Array): Promise<WriteResult>;
  addFeedback(feedback: Feedback): FeedbackResult;
  find(callId: string): Receipt | undefined;
  close(params: null): void;
}

export interface EventServiceOptions {
  readonly dataDir: string;
  readonly retention: EventRetention;
}

export interface SqliteEventLogOptions extends EventServiceOptions {
  readonly remote: Remote<EventService>;
  readonly clock: Clock;
  readonly onDropped: (rows: number, because: string) => void;
  readonly onHealth: (error: string | undefined) => void;
}

/** The log, and `restarted`, to be called when the background thread runs again after a crash. */
export interface SqliteEventLog extends BufferedEventLog {
  restarted(): void;
}

/** Answers at once; a folder that cannot be used shows in `status()` and through `onHealth`. */
export function createSqliteEventLog(options: SqliteEventLogOptions): SqliteEventLog {
  const { remote } = options;
  const settings = { dataDir: options.dataDir, retention: options.retention };
  // Sent before anything else on an ordered channel. Where it fails, so do the calls behind it.
  const open = () => void remote.call("open", settings).catch(() => undefined);
  const sink: EventSink = {
    persistent: true,
    probe: () => remote.call("probe", null),
    write: (bytes) => remote.call("write", bytes),
    addFeedback: (feedback) => remote.call("addFeedback", feedback),
    find: (callId) =>
      remote.call("find", callId).catch((thrown: Error) => {
        throw new GatewayError("storage_failed", thrown.message, { cause: thrown });
      }),
    close: () => remote.call("close", null),
  };
  const log = createBufferedEventLog({
    sink,
    clock: options.clock,
    onDropped: options.onDropped,
    onHealth: options.onHealth,
  });
  open();
  log.retry(); // a folder that cannot be used shows at the start, not at the first call
  return {
    ...log,
    restarted() {
      open();
      log.retry();
    },
  };
}
