/** The events of a background response as they come, for whoever reads along, also from the middle. */
import type { JsonObject } from "../../domain/json.ts";
import type { ReplyStream } from "../../pipeline/reply.ts";
import { encodeSse } from "../../std/sse.ts";

export const eventListLimitBytes = 16 * 1024 * 1024;

export interface EventList {
  /** Numbers an event and tells it. */
  tell(type: string, fields: JsonObject): void;
  end(): void;
  /** From after a sequence number, to the end. Leaving does not end the response. */
  read(after: number): ReplyStream;
}

const encoder = new TextEncoder();
const comment = encoder.encode(": waiting\n\n");

export function createEventList(): EventList {
  const events: Uint8Array[] = []; // their sequence numbers are their places
  let sizeBytes = 0;
  let ended = false;
  let wake = Promise.withResolvers<void>();

  function signal(): void {
    wake.resolve();
    wake = Promise.withResolvers<void>();
  }

  return {
    tell(type, fields) {
      const data = JSON.stringify({ ...fields, type, sequence_number: events.length });
      const raw = encoder.encode(encodeSse({ event: type, data }));
      sizeBytes += raw.length;
      // Readers of a response that grows past all bounds see it end; the response itself is stored.
      if (sizeBytes > eventListLimitBytes) ended = true;
      else events.push(raw);
      signal();
    },
    end() {
      ended = true;
      signal();
    },
    read(after) {
      let at = Math.max(0, after + 1);
      let left = false;
      // Headers leave with the first bytes: a reader who has to wait is told that he is heard.
      let greeting = at < events.length || ended ? undefined : comment;
      return {
        async next() {
          if (greeting) {
            const bytes = greeting;
            greeting = undefined;
            return bytes;
          }
          while (!left) {
            const event = events[at];
            if (event) {
              at++;
              return event;
            }
            if (ended) return undefined;
            await wake.promise;
          }
          return undefined;
        },
        cancel() {
          left = true;
          signal();
        },
      };
    },
  };
}
