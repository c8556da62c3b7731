/** A real HTTP upstream whose every answer a test writes by hand, over sockets of its own. */
export interface UpstreamCall {
  readonly body: { readonly model?: string; readonly stream?: boolean };
  readonly headers: Headers;
  /** Resolves with the time when the caller of this upstream hung up. */
  readonly aborted: Promise<number>;
}

export interface StreamServer {
  /** Base URL as an OpenAI-compatible provider has it. */
  readonly base: string;
  readonly calls: readonly UpstreamCall[];
  /** Resolves with the nth call (from 0) when it has come. */
  call(index: number): Promise<UpstreamCall>;
  close(): Promise<void>;
}

export type Answer = (call: UpstreamCall) => Response | Promise<Response>;

export function startStreamServer(answer: Answer): StreamServer {
  const calls: UpstreamCall[] = [];
  const waiting: (() => void)[] = [];
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    idleTimeout: 0,
    async fetch(request) {
      const aborted = new Promise<number>((resolve) => {
        request.signal.addEventListener("abort", () => resolve(performance.now()));
      });
      const body = (await request.json()) as UpstreamCall["body"];
      const call = { body, headers: request.headers, aborted };
      calls.push(call);
      for (const resolve of waiting.splice(0)) resolve();
      return answer(call);
    },
  });
  return {
    base: `http://127.0.0.1:${server.port}/v1`,
    calls,
    async call(index) {
      for (;;) {
        const found = calls[index];
        if (found) return found;
        await new Promise<void>((resolve) => waiting.push(resolve));
      }
    },
    close: () => server.stop(true),
  };
}

const chunk = (delta: object, finish: string | null = null) =>
  `data: ${JSON.stringify({
    id: "c",
    object: "chat.completion.chunk",
    created: 1,
    model: "m",
    choices: [{ index: 0, delta, finish_reason: finish }],
  })}\n\n`;

export const tokenEvent = (content: string) => chunk({ content });
export const endEvents = `${chunk({}, "stop")}data: [DONE]\n\n`;

/** An event stream whose pieces come when the test says so. */
export function sse(
  write: (send: (text: string) => void, close: () => void) => void | Promise<void>,
): Response {
  const encoder = new TextEncoder();
  let over = false; // the reader left: what comes after goes nowhere
  const body = new ReadableStream<Uint8Array>({
    async start(controller) {
      await write(
        (text) => {
          if (!over) controller.enqueue(encoder.encode(text));
        },
        () => {
          if (!over) controller.close();
          over = true;
        },
      );
    },
    cancel() {
      over = true;
    },
  });
  return new Response(body, { headers: { "content-type": "text/event-stream" } });
}

export const completion = () =>
  Response.json({
    id: "c",
    object: "chat.completion",
    created: 1,
    model: "m",
    choices: [{ index: 0, message: { role: "assistant", content: "hi" }, finish_reason: "stop" }],
    usage: { prompt_tokens: 2, completion_tokens: 1, total_tokens: 3 },
  });

export const never = () => new Promise<Response>(() => undefined);
