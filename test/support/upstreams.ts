/** Upstreams that fail on cue, behind the Outbound contract and on a virtual clock: no sockets. */
import { GatewayError } from "../../src/domain/errors.ts";
import type { Outbound, OutboundRequest } from "../../src/security/outbound.ts";
import type { Clock } from "../../src/std/clock.ts";

/** What an upstream does with one request. `atMs` and `gapMs` are waits on the clock. */
export type Behaviour =
  | {
      readonly kind: "answer";
      readonly afterMs?: number;
      readonly gapMs?: number;
      readonly tokens?: number;
    }
  | {
      readonly kind: "status";
      readonly status: number;
      readonly retryAfterS?: number;
      readonly message?: string;
    }
  | { readonly kind: "refuse" }
  /** Never answers. */
  | { readonly kind: "hang" }
  /** Headers and pings, then nothing. */
  | { readonly kind: "silent" }
  /** So many tokens, then the connection breaks (or merely ends). */
  | { readonly kind: "cut"; readonly tokens: number; readonly how: "reset" | "end" }
  /** So many tokens, then an error event. */
  | { readonly kind: "error-event"; readonly tokens: number }
  /** So many tokens, then silence. */
  | { readonly kind: "stall"; readonly tokens: number }
  | { readonly kind: "garbage" };

export interface SeenUpstream {
  readonly host: string;
  readonly path: string;
  readonly body: Record<string, unknown>;
  readonly text: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly atMs: number;
  /** When the gateway let go of it. */
  abortedAtMs: number | undefined;
  /** The upstream has nothing left to say, or was let go. */
  ended: boolean;
}

export interface Upstreams {
  readonly outbound: Outbound;
  readonly seen: readonly SeenUpstream[];
}

export function createUpstreams(
  clock: Clock,
  behave: (request: SeenUpstream) => Behaviour,
): Upstreams {
  const seen: SeenUpstream[] = [];
  return {
    seen,
    outbound: {
      fetch(request) {
        const one = toSeen(request, clock.now());
        seen.push(one);
        request.signal?.addEventListener("abort", () => {
          if (!one.ended) one.abortedAtMs ??= clock.now();
          one.ended = true;
        });
        return respond(behave(one), one, request, clock);
      },
    },
  };
}

function toSeen(request: OutboundRequest, atMs: number): SeenUpstream {
  const url = new URL(request.url);
  const { body } = request;
  if (body instanceof ReadableStream) throw new Error("these upstreams read no streams");
  const text = typeof body === "string" ? body : new TextDecoder().decode(body);
  return {
    host: url.host,
    path: url.pathname,
    body: JSON.parse(text),
    text,
    headers: request.headers,
    atMs,
    abortedAtMs: undefined,
    ended: false,
  };
}

async function respond(
  behaviour: Behaviour,
  seen: SeenUpstream,
  request: OutboundRequest,
  clock: Clock,
): Promise<Response> {
  const finish = <T>(value: T): T => {
    seen.ended = true;
    return value;
  };
  if (behaviour.kind === "refuse") {
    finish(0);
    throw new GatewayError("upstream_unreachable", `${seen.host} refuses the connection`);
  }
  if (behaviour.kind === "hang") return waitFor(clock, Infinity, request.signal);
  if (behaviour.kind === "status") {
    const headers = behaviour.retryAfterS ? { "retry-after": String(behaviour.retryAfterS) } : {};
    const message = behaviour.message ?? `scripted ${behaviour.status}`;
    return finish(Response.json({ error: { message } }, { status: behaviour.status, headers }));
  }
  if (behaviour.kind === "answer" && behaviour.afterMs) {
    await waitFor(clock, behaviour.afterMs, request.signal);
  }
  const anthropic = seen.path.endsWith("/messages");
  if (seen.body["stream"] === true) return streamOf(behaviour, seen, request, clock, anthropic);
  if (behaviour.kind === "garbage") return finish(new Response("<html>oops", { status: 200 }));
  if (behaviour.kind !== "answer") {
    finish(0);
    throw new TypeError("the connection was reset");
  }
  return finish(Response.json(anthropic ? anthropicReply : openaiReply));
}

function waitFor(clock: Clock, ms: number, signal: AbortSignal | undefined): Promise<never> {
  return new Promise((resolve, reject) => {
    const cancel = ms === Infinity ? undefined : clock.after(ms, () => resolve(undefined as never));
    signal?.addEventListener("abort", () => {
      cancel?.();
      reject(signal.reason);
    });
  });
}

export const openaiReply = {
  id: "chatcmpl-1",
  object: "chat.completion",
  created: 1,
  model: "upstream-model",
  choices: [{ index: 0, message: { role: "assistant", content: "hello" }, finish_reason: "stop" }],
  usage: { prompt_tokens: 10, completion_tokens: 5, total_tokens: 15 },
};

export const anthropicReply = {
  id: "msg_1",
  type: "message",
  role: "assistant",
  model: "upstream-model",
  content: [{ type: "text", text: "hello" }],
  stop_reason: "end_turn",
  stop_sequence: null,
  usage: { input_tokens: 10, output_tokens: 5 },
};

function streamOf(
  behaviour: Behaviour,
  seen: SeenUpstream,
  { signal }: OutboundRequest,
  clock: Clock,
  anthropic: boolean,
): Response {
  const frames = toFrames(behaviour, anthropic);
  const gapMs = behaviour.kind === "answer" ? (behaviour.gapMs ?? 0) : 0;
  const encoder = new TextEncoder();
  let cancelTimer: (() => void) | undefined;
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      const stop = () => {
        cancelTimer?.();
        controller.error(signal?.reason);
      };
      signal?.addEventListener("abort", () => {
        if (!over) stop();
      });
      let over = false;
      const push = () => {
        const frame = frames.shift();
        if (signal?.aborted || over) return;
        if (frame === undefined || frame === "reset") {
          over = true;
          seen.ended = true;
          if (frame === "reset") controller.error(new TypeError("the connection was reset"));
          else controller.close();
          return;
        }
        if (frame === "silence") return;
        controller.enqueue(encoder.encode(frame));
        cancelTimer = clock.after(gapMs, push);
      };
      push();
    },
    cancel() {
      cancelTimer?.();
      if (!seen.ended) seen.abortedAtMs ??= clock.now();
      seen.ended = true;
    },
  });
  return new Response(body, { headers: { "content-type": "text/event-stream" } });
}

function toFrames(behaviour: Behaviour, anthropic: boolean): string[] {
  if (behaviour.kind === "garbage") return ["data: <html>\n\n", "data: nonsense\n\n"];
  if (behaviour.kind === "silent") return [": ping\n\n", "silence"];
  const tokens = "tokens" in behaviour ? (behaviour.tokens ?? 3) : 3;
  const texts = Array.from({ length: tokens }, (_, i) => `t${i} `);
  const frames = anthropic ? anthropicFrames(texts) : openaiFrames(texts);
  const told = frames.slice(0, frames.length - (anthropic ? 3 : 3));
  if (behaviour.kind === "cut") return [...told, ...(behaviour.how === "reset" ? ["reset"] : [])];
  if (behaviour.kind === "stall") return [...told, "silence"];
  if (behaviour.kind !== "error-event") return frames;
  const error = { type: "overloaded_error", message: "scripted overload" };
  return [
    ...told,
    anthropic
      ? `event: error\ndata: ${JSON.stringify({ type: "error", error })}\n\n`
      : `data: ${JSON.stringify({ error })}\n\n`,
  ];
}

function openaiFrames(texts: readonly string[]): string[] {
  const chunk = (choices: unknown[], usage?: unknown) =>
    `data: ${JSON.stringify({ id: "c", object: "chat.completion.chunk", created: 1, model: "m", choices, ...(usage ? { usage } : {}) })}\n\n`;
  return [
    chunk([{ index: 0, delta: { role: "assistant", content: "" }, finish_reason: null }]),
    ...texts.map((content) => chunk([{ index: 0, delta: { content }, finish_reason: null }])),
    chunk([{ index: 0, delta: {}, finish_reason: "stop" }]),
    chunk([], {
      prompt_tokens: 10,
      completion_tokens: texts.length,
      total_tokens: 10 + texts.length,
    }),
    "data: [DONE]\n\n",
  ];
}

function anthropicFrames(texts: readonly string[]): string[] {
  const event = (type: string, rest: object) =>
    `event: ${type}\ndata: ${JSON.stringify({ type, ...rest })}\n\n`;
  return [
    event("message_start", {
      message: {
        ...anthropicReply,
        content: [],
        stop_reason: null,
        usage: { input_tokens: 10, output_tokens: 0 },
      },
    }),
    event("content_block_start", { index: 0, content_block: { type: "text", text: "" } }),
    ...texts.map((text) =>
      event("content_block_delta", { index: 0, delta: { type: "text_delta", text } }),
    ),
    event("content_block_stop", { index: 0 }),
    event("message_delta", {
      delta: { stop_reason: "end_turn", stop_sequence: null },
      usage: { output_tokens: texts.length },
    }),
    event("message_stop", {}),
  ];
}
