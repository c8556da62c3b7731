/** What a session's streams sent last, so that a client whose connection broke hears what it missed. */
import type { EventStore, JSONRPCMessage } from "../sdk.ts";

export const eventLimits = { count: 1_000, chars: 4 * 1024 * 1024 } as const;

interface Kept {
  readonly id: string;
  readonly stream: string;
  readonly text: string;
}

/** In memory, of one session. The oldest go first. */
export function createEventMemory(): EventStore {
  const kept: Kept[] = [];
  let chars = 0;
  let next = 0;
  return {
    storeEvent(stream, message) {
      const id = `${next++}_${stream}`;
      const text = JSON.stringify(message);
      kept.push({ id, stream, text });
      chars += text.length;
      while (kept.length > eventLimits.count || (chars > eventLimits.chars && kept.length > 1)) {
        chars -= kept.shift()?.text.length ?? 0;
      }
      return Promise.resolve(id);
    },
    getStreamIdForEventId: (id) => Promise.resolve(kept.find((each) => each.id === id)?.stream),
    async replayEventsAfter(last, { send }) {
      const at = kept.findIndex(({ id }) => id === last);
      const stream = kept[at]?.stream ?? "";
      for (const event of kept.slice(at + 1)) {
        // An empty one only told where the stream begins.
        if (event.stream !== stream || event.text === "{}") continue;
        await send(event.id, JSON.parse(event.text) as JSONRPCMessage);
      }
      return stream;
    },
  };
}
