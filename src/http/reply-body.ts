/** A reply that streams, as the body of a Response. */
import type { ReplyStream } from "../pipeline/reply.ts";
import type { Services } from "../pipeline/services.ts";

/**
 * Written as it comes, in one write per event, and held up by a slow reader: a write that does not
 * fit is waited for, and the upstream meanwhile. A reader that takes nothing for `write_stall_ms` is
 * let go. The runtime's "direct" stream, because any other costs some promises and a queue per event;
 * what `next` throws breaks the connection.
 */
export function toReadable(
  stream: ReplyStream,
  { clock, config }: Services,
): ReadableStream<Uint8Array> {
  let over = false;

  /** @throws where the reader takes nothing */
  function drained(written: Promise<number>): Promise<number> {
    return new Promise((resolve, reject) => {
      const cancelTimer = clock.after(config.routeiq.timeouts.writeStallMs, () => {
        over = true;
        stream.cancel("stalled");
        reject(new Error("the caller stopped reading"));
      });
      written.then(resolve, reject).finally(cancelTimer);
    });
  }

  const source: Bun.DirectUnderlyingSource = {
    type: "direct",
    async pull(sink) {
      for (;;) {
        const next = stream.next();
        // Nothing more is there for now: what is gets sent.
        if (next instanceof Promise) sink.flush();
        const bytes = next instanceof Promise ? await next : next;
        if (!bytes || over) break;
        const written = sink.write(bytes);
        if (typeof written !== "number") await drained(written);
      }
      if (!over) sink.close();
    },
    cancel() {
      if (over) return;
      over = true;
      stream.cancel("gone");
    },
  };
  // The web's own types do not know of this kind.
  return new ReadableStream<Uint8Array>(source as unknown as UnderlyingDefaultSource<Uint8Array>);
}
