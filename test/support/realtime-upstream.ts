/**
 * A realtime provider: greets, answers text and sound, and does what a test tells it. Events are those
 * of https://platform.openai.com/docs/api-reference/realtime-server-events
 */
import type { Server, ServerWebSocket } from "bun";

export interface Handshake {
  readonly path: string;
  readonly search: string;
  readonly headers: Headers;
}

export interface RealtimeUpstream {
  readonly url: string;
  readonly seen: readonly Handshake[];
  /** What callers have said: events parsed, binary as its length. */
  readonly heard: readonly unknown[];
  /** Of requests that are no handshakes. */
  readonly bodies: readonly unknown[];
  readonly open: readonly ServerWebSocket<undefined>[];
  /** Resolves with code and reason of the next connection that ends. */
  nextEnd(): Promise<readonly [number, string]>;
  /** The next handshakes are answered so instead. */
  refuseNext(...answers: Response[]): void;
  /** In place of `session.created`; undefined: says nothing. */
  greetNext(...greetings: (object | undefined)[]): void;
  close(): void;
}

export const doneUsage = {
  total_tokens: 300,
  input_tokens: 200,
  output_tokens: 100,
  input_token_details: {
    text_tokens: 100,
    audio_tokens: 100,
    cached_tokens: 64,
    cached_tokens_details: { text_tokens: 24, audio_tokens: 40 },
  },
  output_token_details: { text_tokens: 20, audio_tokens: 80 },
};

export function createRealtimeUpstream(): RealtimeUpstream {
  const seen: Handshake[] = [];
  const heard: unknown[] = [];
  const bodies: unknown[] = [];
  const open: ServerWebSocket<undefined>[] = [];
  const refusals: Response[] = [];
  const greetings: (object | undefined)[] = [];
  const ends: ((end: readonly [number, string]) => void)[] = [];
  const server: Server<undefined> = Bun.serve<undefined>({
    port: 0,
    hostname: "127.0.0.1",
    async fetch(request) {
      const { pathname, search } = new URL(request.url);
      seen.push({ path: pathname, search, headers: new Headers(request.headers) });
      if (request.method === "POST") bodies.push(await request.json());
      const refusal = refusals.shift();
      if (refusal) return refusal;
      return server.upgrade(request, { data: undefined }) ? undefined : new Response("no");
    },
    websocket: {
      maxPayloadLength: 64 * 1024 * 1024,
      backpressureLimit: 64 * 1024 * 1024,
      open(ws) {
        open.push(ws);
        const greeting = greetings.length > 0 ? greetings.shift() : created;
        if (greeting) ws.send(JSON.stringify(greeting));
      },
      message(ws, message) {
        if (typeof message !== "string") {
          heard.push(message.length);
          ws.send(message);
          return;
        }
        const event = JSON.parse(message);
        heard.push(event);
        for (const answer of answersTo(event)) ws.send(JSON.stringify(answer));
      },
      close(ws, code, reason) {
        open.splice(open.indexOf(ws), 1);
        ends.shift()?.([code, reason]);
      },
    },
  });
  return {
    url: server.url.origin,
    seen,
    heard,
    bodies,
    open,
    nextEnd: () => new Promise((resolve) => ends.push(resolve)),
    refuseNext: (...answers) => void refusals.push(...answers),
    greetNext: (...events) => void greetings.push(...events),
    close: () => void server.stop(true),
  };
}

const created = {
  type: "session.created",
  event_id: "event_1",
  session: { type: "realtime", object: "realtime.session", id: "sess_1", model: "gpt-realtime" },
};

function answersTo(event: { readonly type?: string; readonly session?: object }): object[] {
  if (event.type === "session.update") {
    return [{ type: "session.updated", event_id: "event_2", session: event.session }];
  }
  if (event.type !== "response.create") return [];
  const response = { object: "realtime.response", id: "resp_1" };
  const delta = { type: "response.output_text.delta", response_id: "resp_1", item_id: "item_1" };
  return [
    { type: "response.created", event_id: "event_3", response },
    { ...delta, event_id: "event_4", delta: "one " },
    { ...delta, event_id: "event_5", delta: "two" },
    {
      type: "response.done",
      event_id: "event_6",
      response: { ...response, status: "completed", usage: doneUsage },
    },
  ];
}
