/** A stream that says something while it waits: proxies on the way cut what is silent for long. */
import type { Clock } from "../std/clock.ts";
import type { ReplyStream } from "./reply.ts";

/** Well below the minute after which common proxies give up. */
const usualSilenceMs = 15_000;
/** LiteLLM's. Every reader of server-sent events passes over a comment. */
const comment = new TextEncoder().encode(": ping\n\n");

/**
 * Of a stream whose tools may take minutes, or whose operator wants it so. Costs a timer and a promise
 * per event that is waited for.
 */
export function keepAwake(
  stream: ReplyStream,
  clock: Clock,
  silenceMs: number = usualSilenceMs,
): ReplyStream {
  let pending: Promise<Uint8Array | undefined> | undefined;

  async function next(): Promise<Uint8Array | undefined> {
    const waiting = pending ?? stream.next();
    if (!(waiting instanceof Promise)) return waiting;
    pending = waiting;
    const quiet = Promise.withResolvers<"quiet">();
    const stopTimer = clock.after(silenceMs, () => quiet.resolve("quiet"));
    try {
      const first = await Promise.race([waiting, quiet.promise]);
      if (first === "quiet") return comment;
      pending = undefined;
      return first;
    } finally {
      stopTimer();
    }
  }

  return { next, cancel: (reason) => stream.cancel(reason) };
}
