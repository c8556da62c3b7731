/**
 * Entry of the background thread: all that would make the serving thread wait. A service is loaded
 * when it is first called. `gateway.ts` starts it with
 * `new Worker(new URL("./worker.ts", import.meta.url).href)`; the build names it as an entry point.
 */
import { type Emit, type Port, serveRpc } from "./std/rpc.ts";
import type { EventService } from "./storage/sqlite/event-log.ts";

/** What the background thread does, by service. */
export interface BackgroundApi {
  readonly events: EventService;
}

/** A line for the operator's log, sent as event "log". */
export interface LogEvent {
  readonly level: "info" | "warn" | "error";
  readonly message: string;
}

declare const self: {
  postMessage(message: unknown, transfer: readonly ArrayBuffer[]): void;
  addEventListener(type: "message", listener: (event: MessageEvent) => void): void;
};

const port: Port = {
  post: (message, transfer = []) => self.postMessage(message, transfer),
  listen: (onMessage) => self.addEventListener("message", (event) => onMessage(event.data)),
};

const toLog =
  (emit: Emit) =>
  (level: LogEvent["level"], message: string): void =>
    emit("log", { level, message } satisfies LogEvent);

serveRpc<BackgroundApi>(port, {
  async events(emit) {
    const { createEventService } = await import("./storage/sqlite/event-thread.ts");
    return createEventService({ log: toLog(emit) });
  },
});
