/** A stream of JSON-RPC messages as server-sent events, with a word now and then so that it is kept open. */
import type { Clock } from "../../../std/clock.ts";

const pingMs = 15_000;
/** Messages that wait for a slow reader; over it he is left. */
const waitingLimit = 1_000;

export interface EventStream {
  readonly response: Response;
  /** Aborted once nobody listens any more. */
  readonly gone: AbortSignal;
  send(message: object): void;
  close(): void;
}

export function createEventStream(clock: Clock): EventStream {
  const encoder = new TextEncoder();
  const gone = new AbortController();
  let controller: ReadableStreamDefaultController<Uint8Array> | undefined;
  let stopPing: () => void = () => undefined;
  const write = (text: string) => controller?.enqueue(encoder.encode(text));
  const ping = () => {
    write(": ping\n\n");
    stopPing = clock.after(pingMs, ping);
  };
  const end = () => {
    controller = undefined;
    stopPing();
    gone.abort();
  };
  const body = new ReadableStream<Uint8Array>({
    start(made) {
      controller = made;
      stopPing = clock.after(pingMs, ping);
    },
    cancel: end,
  });
  const headers = {
    "content-type": "text/event-stream",
    "cache-control": "no-cache",
    "x-accel-buffering": "no",
  };
  return {
    response: new Response(body, { headers }),
    gone: gone.signal,
    send(message) {
      write(`event: message\ndata: ${JSON.stringify(message)}\n\n`);
      if ((controller?.desiredSize ?? 0) > -waitingLimit) return;
      controller?.error(new Error("its reader is too slow"));
      end();
    },
    close() {
      controller?.close();
      end();
    },
  };
}
