/** A gateway with a deployment behind a fault proxy, and another that is well: what faults are tried on. */
import { createOutbound } from "../../src/security/outbound.ts";
import { type FaultProxy, startFaultProxy } from "../support/fault-proxy.ts";
import { startTestGateway, type TestGateway, type TestGatewayOptions } from "../support/gateway.ts";

/** Characters of one to four bytes, so that every kind of cut goes through some of them. */
export const words = ["Grüße ", "€ 5 ", "𝄞 ", "😀 ", 'a "quote" ', "end."] as const;
export const wholeText = words.join("");

export interface Upstream {
  readonly url: string;
  readonly calls: number;
  close(): void;
}

/** OpenAI's chat, over real HTTP: whole or streamed, always the same words. */
export function startUpstream(name: string, onCall: () => void = () => undefined): Upstream {
  let calls = 0;
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    idleTimeout: 0,
    async fetch(request) {
      calls++;
      onCall();
      const { stream } = (await request.json()) as { stream?: boolean };
      const head = { id: "c", created: 1, model: name };
      if (!stream) return Response.json({ ...head, ...whole });
      return new Response(oneByOne(frames(head)), {
        headers: { "content-type": "text/event-stream" },
      });
    },
  });
  return {
    url: server.url.origin,
    get calls() {
      return calls;
    },
    close: () => void server.stop(true),
  };
}

/** As providers send them: chunked, an event when it is there. */
function oneByOne(events: string[]): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder();
  return new ReadableStream({
    async pull(sink) {
      const next = events.shift();
      await new Promise<void>((resolve) => setImmediate(resolve));
      if (next === undefined) sink.close();
      else sink.enqueue(encoder.encode(next));
    },
  });
}

const usage = { prompt_tokens: 2, completion_tokens: 6, total_tokens: 8 };
const whole = {
  object: "chat.completion",
  choices: [
    { index: 0, message: { role: "assistant", content: wholeText }, finish_reason: "stop" },
  ],
  usage,
};

function frames(head: object): string[] {
  const frame = (body: object) => `data: ${JSON.stringify(body)}\n\n`;
  const chunk = (delta: object, finish: string | null = null) =>
    frame({
      ...head,
      object: "chat.completion.chunk",
      choices: [{ index: 0, delta, finish_reason: finish }],
    });
  return [
    chunk({ role: "assistant", content: "" }),
    ...words.map((content) => chunk({ content })),
    chunk({}, "stop"),
    frame({ ...head, object: "chat.completion.chunk", choices: [], usage }),
    "data: [DONE]\n\n",
  ];
}

export interface World {
  readonly gateway: TestGateway;
  /** In front of the first deployment. */
  readonly proxy: FaultProxy;
  readonly first: Upstream;
  readonly second: Upstream;
  close(): Promise<void>;
}

export interface WorldOptions extends Partial<TestGatewayOptions> {
  /** Under `router_settings`. */
  readonly router?: string;
  readonly routeiq?: string;
  /** The second deployment is asked only when the first has failed. Default: yes. */
  readonly ordered?: boolean;
  /** The second is behind the proxy as well. */
  readonly bothFail?: boolean;
}

export async function createWorld({
  router = "disable_cooldowns: true",
  routeiq = "",
  ordered = true,
  bothFail = false,
  ...options
}: WorldOptions = {}): Promise<World> {
  const first = startUpstream("first");
  const second = startUpstream("second");
  const proxy = startFaultProxy(first.url);
  const deployment = (url: string, order: number) =>
    `{model_name: m, litellm_params: {model: openai/m${order}, api_key: k, api_base: "${url}/v1"${ordered ? `, order: ${order}` : ""}}}`;
  const gateway = await startTestGateway({
    yaml: `
model_list:
  - ${deployment(proxy.url, 1)}
  - ${deployment(bothFail ? proxy.url : second.url, 2)}
router_settings: {${router}}
routeiq_settings: {${routeiq}}
`,
    outbound: createOutbound(),
    ...options,
  });
  return {
    gateway,
    proxy,
    first,
    second,
    async close() {
      await gateway.gateway.close();
      proxy.close();
      first.close();
      second.close();
    },
  };
}

export type Dialect = "chat" | "messages";

export interface Ended {
  readonly status: number;
  /** `complete`: an answer with its end; `error`: one error, of the dialect; `broken`: neither. */
  readonly end: "complete" | "error" | "broken";
  readonly text: string;
  readonly from: string | undefined;
  readonly attempts: number;
}

/** One call to its end. A stream that has both an error and an end, or neither, is broken. */
export async function call(
  { gateway }: TestGateway,
  dialect: Dialect,
  stream: boolean,
  init: RequestInit = {},
): Promise<Ended> {
  const path = dialect === "chat" ? "/v1/chat/completions" : "/v1/messages";
  const response = await fetch(`${gateway.url}${path}`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({
      model: "m",
      stream,
      max_tokens: 100,
      messages: [{ role: "user", content: "hi" }],
    }),
    ...init,
  });
  const text = await response.text();
  return {
    status: response.status,
    end: endOf(response, text, stream && response.status === 200, dialect),
    text: contentOf(text, stream && response.status === 200, dialect),
    from: response.headers.get("x-routeiq-deployment") ?? undefined,
    attempts: Number(response.headers.get("x-routeiq-attempts") ?? 0),
  };
}

function endOf(response: Response, text: string, stream: boolean, dialect: Dialect): Ended["end"] {
  if (response.status !== 200) {
    const body = JSON.parse(text);
    return typeof body.error?.message === "string" ? "error" : "broken";
  }
  if (!stream) return JSON.parse(text) ? "complete" : "broken";
  const complete =
    dialect === "chat" ? /data: \[DONE\]\n\n$/.test(text) : /message_stop/.test(text);
  const errors = text.match(dialect === "chat" ? /^data: \{"error"/gm : /^event: error$/gm) ?? [];
  if (complete === errors.length > 0 || errors.length > 1) return "broken";
  return complete ? "complete" : "error";
}

function contentOf(text: string, stream: boolean, dialect: Dialect): string {
  if (!stream) {
    const body = JSON.parse(text);
    return body.choices?.[0]?.message.content ?? body.content?.[0]?.text ?? "";
  }
  let content = "";
  for (const line of text.split("\n")) {
    if (!line.startsWith("data: {")) continue;
    const event = JSON.parse(line.slice(6));
    content +=
      dialect === "chat" ? (event.choices?.[0]?.delta?.content ?? "") : (event.delta?.text ?? "");
  }
  return content;
}
