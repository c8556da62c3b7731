/**
 * A reply that streams: what was held until the commit point, then the feed as it comes. A failure
 * after the commit point is one in-band error event, and nothing follows it: no terminator.
 */
import type { Dialect } from "../dialects/dialect.ts";
import { type GatewayError, toGatewayError } from "../domain/errors.ts";
import type { Feed } from "./feed.ts";
import type { ReplyStream } from "./reply.ts";

export interface StreamEnd {
  readonly outcome: "success" | "failure" | "truncated" | "cancelled";
  readonly error?: GatewayError;
}

/** Reads until the first valid event; answers the bytes up to there. @throws GatewayError */
export async function readToCommit(feed: Feed): Promise<Uint8Array[]> {
  const held: Uint8Array[] = [];
  let heldBytes = 0;
  while (!feed.facts.started) {
    const bytes = await feed.next();
    if (!bytes) break; // an end without an event is an error, which the feed has thrown
    heldBytes += bytes.length;
    // Comments may come for minutes, and go; the event itself stays, however large its piece.
    if (feed.facts.started || heldBytes <= heldLimitBytes) held.push(bytes);
  }
  return held;
}

const heldLimitBytes = 64 * 1024;
const encoder = new TextEncoder();

/**
 * `onEnd` is called exactly once, whichever way the stream ends. Where `caller` throws the error
 * instead of wording it, `next` throws it.
 */
export function createReplyStream(
  held: Uint8Array[],
  feed: Feed,
  caller: Pick<Dialect, "encodeStreamError">,
  abort: (reason: "gone" | "stalled") => void,
  onEnd: (end: StreamEnd) => void,
): ReplyStream {
  let ended = false;
  const end = (how: StreamEnd) => {
    if (ended) return;
    ended = true;
    feed.close();
    onEnd(how);
  };

  function fail(thrown: unknown): Uint8Array | undefined {
    const error = toGatewayError(thrown);
    const truncated = error.code === "stream_truncated";
    end({ outcome: truncated ? "truncated" : "failure", error });
    return feed.facts.told ? undefined : encoder.encode(caller.encodeStreamError(error));
  }

  const hand = (bytes: Uint8Array | undefined) => {
    if (!bytes && !ended) end({ outcome: "success" });
    return bytes;
  };
  const refuse = (thrown: unknown) => (ended ? undefined : fail(thrown));

  return {
    // Not an async function: of each event, every promise counts.
    next() {
      const first = held.shift();
      if (first) return first;
      if (ended) return undefined;
      try {
        const bytes = feed.next();
        return bytes instanceof Promise ? bytes.then(hand, refuse) : hand(bytes);
      } catch (thrown) {
        return refuse(thrown);
      }
    },
    cancel(reason) {
      if (ended) return;
      abort(reason);
      end({ outcome: "cancelled" });
    },
  };
}
