/** The event log's half in the background thread. */
import type { CallEvent } from "../../domain/event.ts";
import { systemClock } from "../../std/clock.ts";
import { RpcError } from "../../std/rpc.ts";
import type { ExtractFeatures } from "../complete-event.ts";
import { wantsFeatures } from "../event-batch.ts";
import type { EventService } from "./event-log.ts";
import { createSqliteEventSink, type SqliteEventSink } from "./event-sink.ts";

export interface EventThreadContext {
  readonly log: (level: "info" | "warn" | "error", message: string) => void;
  readonly onEvents?: (events: readonly CallEvent[]) => void;
  /** Loads what makes features of queries; asked once, when a query first comes without. */
  readonly loadExtract?: () => Promise<ExtractFeatures>;
}

export function createEventThread(context: EventThreadContext): EventService {
  let sink: SqliteEventSink | undefined;
  let extract: ExtractFeatures | undefined;
  let loading: Promise<void> | undefined;
  const opened = () => {
    if (!sink) throw new RpcError("storage_failed", "The event log is not open.");
    return sink;
  };

  async function load(): Promise<void> {
    try {
      extract = await context.loadExtract?.();
    } catch (thrown) {
      // A row without features is worth more than no row.
      const reason = thrown instanceof Error ? thrown.message : String(thrown);
      context.log("error", `Rows of the event log lack features: ${reason}`);
    }
  }

  return {
    open(options) {
      sink?.close();
      sink = createSqliteEventSink({
        ...options,
        ...context,
        extract: (query) => extract?.(query),
        clock: systemClock,
      });
    },
    probe: () => opened().probe(),
    async write(bytes) {
      if (wantsFeatures(bytes)) {
        loading ??= load();
        await loading;
      }
      return opened().write(bytes);
    },
    addFeedback: (feedback) => opened().addFeedback(feedback),
    find: (callId) => opened().find(callId),
    close() {
      sink?.close();
      sink = undefined;
    },
  };
}
